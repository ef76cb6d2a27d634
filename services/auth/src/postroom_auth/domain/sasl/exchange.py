"""What every SASL mechanism (RFC 4422) is made of.

A mechanism is a generator that knows its own syntax and nothing else. It is started with the
client's initial response (or None) and with what can check a claim. It yields `Challenge`s, is
sent the client's responses, and ends by yielding `Proven` or `Failed`, or by raising.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from postroom_auth.domain.password import InvalidPassword, Password
from postroom_auth.domain.people import Credential
from postroom_auth.domain.scram import Verifier
from postroom_auth.domain.shared_secret import SecretKind

# RFC 4616 section 2 asks for 255 octets for each of three fields; passwords may be longer here.
RESPONSE_OCTETS = 4096
NAME_OCTETS = 320

# RFC 5802 section 7: without the two characters that are written otherwise.
_SASLNAME = re.compile(r"(?:[^\0,=]|=2C|=3D)+")


class Malformed(ValueError):
    """What the client sent breaks the mechanism's syntax. The text shows nothing of it."""


class NotAuthorized(Exception):
    """The client asks to act as somebody else, or over a channel that isn't its own."""


class TokenRefused(Exception):
    """A token that an issuer is said to have given proves nothing here.

    Args:
        status: "invalid_token", "insufficient_scope" or "invalid_request" (RFC 6750 section 3.1).
        scope: what a token must allow; empty: that is not told.
        openid_configuration: where to learn how a token is had; empty: that is not told.
    """

    def __init__(self, status: str, scope: str = "", openid_configuration: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.scope = scope
        self.openid_configuration = openid_configuration


class TokenExpired(TokenRefused):
    """An issuer's signature shows that the token was good once."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the client is to answer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Proven:
    """The exchange's end: who the client is, and what the mechanism still tells it.

    Attributes:
        until: Unix seconds, after which the proof is none any more; 0: it doesn't age.
    """

    credential: Credential
    additional_data: bytes = b""
    until: int = 0


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whom Kerberos knows.

    Attributes:
        name: with the realm.
    """

    name: str
    proven: Proven


@dataclass(frozen=True, slots=True)
class RequestAnswer:
    """What became of an AP-REQ (RFC 4120 section 5.5.1).

    Attributes:
        reply: an AP-REP or a KRB-ERROR; empty: there is nothing to say.
        principal: None where it proves nothing.
    """

    reply: bytes
    principal: Principal | None


class SecurityContext(Protocol):
    """A context that a client establishes by the tokens of the GSS-API (RFC 4121).

    Raises (all): PostroomError UNAUTHENTICATED for what proves nothing, UNAVAILABLE.
    """

    @property
    def established(self) -> bool: ...

    async def accept(self, token: bytes) -> bytes:
        """Take the client's next token; what the client is to be told, which may be nothing."""

    async def wrap(self, message: bytes) -> bytes:
        """A message so that the client knows whose it is."""

    async def unwrap(self, message: bytes) -> bytes:
        """A message of the client's."""

    async def principal(self) -> Principal:
        """Who has established it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The exchange's end where the mechanism tells the client why; what it answers is nothing."""

    data: bytes
    why: Exception


class Claims(Protocol):
    """Where a mechanism takes what the client claims.

    Every method throttles and counts, so that no mechanism can forget it.

    Attributes:
        offered: the names of the mechanisms on offer for the connection.
        end_point: the hash of the certificate that the client saw (RFC 5929 section 4).
    """

    @property
    def offered(self) -> Collection[str]: ...

    @property
    def end_point(self) -> bytes: ...

    async def check_password(self, name: str, password: Password) -> Credential:
        """The credential that the name and the password belong to.

        Raises:
            PostroomError: UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE.
        """

    async def scram_verifier(self, name: str, family: str) -> Verifier:
        """What SCRAM goes on with for a name; made up where there is nothing, or nobody.

        Raises:
            PostroomError: RATE_LIMITED, UNAVAILABLE.
        """

    async def check_proof(
        self, name: str, verifier: Verifier, auth_message: bytes, proof: bytes
    ) -> Credential:
        """The credential that the name and the verifier belong to, if the proof is right.

        Raises:
            PostroomError: UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE.
        """

    async def check_certificate(self, name: str) -> Credential:
        """The credential of the account that the client's certificate names.

        Args:
            name: whom the client wants to be; empty: whom the certificate names.

        Raises:
            PostroomError: UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE.
        """

    async def check_secret(
        self, kind: SecretKind, name: str, fits: Callable[[bytes], bool]
    ) -> Credential:
        """The credential that the name belongs to, if a secret of the account's fits.

        Args:
            fits: whether the client's proof was made with a secret; called at least once, in time
                that doesn't depend on the answer.

        Raises:
            PostroomError: as above.
        """

    async def check_token(self, name: str, token: str) -> Proven:
        """Who bears a token of an issuer's.

        Args:
            name: who the client says it is; empty: whoever the token says.
            token: empty: the client has none.

        Raises:
            TokenRefused: it is nobody's here, or not the named one's.
            PostroomError: RATE_LIMITED, UNAVAILABLE.
        """

    async def begin_context(self) -> SecurityContext:
        """A fresh context of Kerberos. Raises PostroomError RATE_LIMITED, UNAVAILABLE."""

    async def check_request(self, request: bytes) -> RequestAnswer:
        """What an AP-REQ for POP3 proves.

        Raises:
            PostroomError: UNAUTHENTICATED where the principal has no account, RATE_LIMITED,
                UNAVAILABLE.
        """

    def same_person(self, one: str, other: str) -> bool:
        """Whether two names mean the same account."""


Exchange = AsyncGenerator[Challenge | Proven | Failed, bytes]


class Need(StrEnum):
    """What must be there for a mechanism to work: in the deployment, or on the connection."""

    CHANNEL_BINDING = "the hash of the certificate that the client saw"
    CERTIFICATE = "a certificate that the client showed"
    SECRETS_KEY = "a key that seals shared secrets"
    ISSUER = "an issuer of tokens"
    KEYTAB = "a keytab"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A row of the table of mechanisms.

    Attributes:
        name: IANA name; one that begins with "X-" is a protocol's own command (POP3's APOP), which
            is never listed as a SASL mechanism.
        begin: starts an exchange with the initial response and the port.
        reveals_password: whoever reads the exchange can sign in; so not in clear text.
        needs: without these it is not offered.
        by_default: offered unless the operator says otherwise.
        one_step: the exchange may end with the initial response.
        protocols: where it can be offered; empty: everywhere.
    """

    name: str
    begin: Callable[[bytes | None, Claims], Exchange]
    reveals_password: bool = False
    needs: frozenset[Need] = frozenset()
    by_default: bool = True
    one_step: bool = False
    protocols: frozenset[str] = frozenset()

    @property
    def private(self) -> bool:
        return self.name.startswith("X-")


def read_text(response: bytes) -> str:
    """A response as text. Raises Malformed."""
    if len(response) > RESPONSE_OCTETS:
        raise Malformed(f"the response is longer than {RESPONSE_OCTETS} octets")
    try:
        return response.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("the response is not UTF-8") from None


def read_name(text: str) -> str:
    """The name of somebody. Raises Malformed."""
    if not text or "\0" in text:
        raise Malformed("the name is missing")
    if len(text.encode()) > NAME_OCTETS:
        raise Malformed("the name is too long")
    return text


def read_saslname(written: str) -> str:
    """The name that a saslname means (RFC 5801 section 4, RFC 5802 section 7). Raises Malformed."""
    if not _SASLNAME.fullmatch(written):
        raise Malformed("the name can't be read")
    return read_name(written.replace("=2C", ",").replace("=3D", "="))


def read_password(text: str) -> Password:
    """A password, prepared. Raises Malformed."""
    try:
        return Password.prepare(text)
    except InvalidPassword as error:
        raise Malformed(str(error)) from None
