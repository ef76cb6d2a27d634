"""SASL mechanisms (RFC 4422), each a generator that knows its own syntax and nothing else.

A mechanism is started with the client's initial response (or None) and with what can check a
claim. It yields `Challenge`s, is sent the client's responses, and ends by yielding `Proven`. A
mechanism that comes later (SCRAM, OAUTHBEARER) is one more generator and one more row in
`MECHANISMS`; where it needs to know more, `Claims` grows.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol

from postroom_auth.domain.password import InvalidPassword, Password
from postroom_auth.domain.people import Credential

# RFC 4616 section 2 asks for 255 octets for each of three fields; passwords may be longer here.
RESPONSE_OCTETS = 4096
NAME_OCTETS = 320


class Malformed(ValueError):
    """What the client sent breaks the mechanism's syntax. The text shows nothing of it."""


class NotAuthorized(Exception):
    """The client asks to act as somebody else."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the client is to answer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Proven:
    """The exchange's end: who the client is, and what the mechanism still tells it."""

    credential: Credential
    additional_data: bytes = b""


class Claims(Protocol):
    """Where a mechanism takes what the client claims."""

    async def check_password(self, name: str, password: Password) -> Credential:
        """The credential that the name and the password belong to.

        Raises:
            PostroomError: UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE.
        """

    def same_person(self, one: str, other: str) -> bool:
        """Whether two names mean the same account."""


Exchange = AsyncGenerator[Challenge | Proven, bytes]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A row of the table of mechanisms.

    Attributes:
        begin: starts an exchange with the initial response and the port.
        reveals_password: whoever reads the exchange can sign in; so not in clear text.
    """

    name: str
    begin: Callable[[bytes | None, Claims], Exchange]
    reveals_password: bool


async def plain(initial: bytes | None, claims: Claims) -> Exchange:
    """PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd` in one message."""
    message = initial if initial is not None else (yield Challenge(b""))
    fields = _text(message).split("\0")
    if len(fields) != 3:
        raise Malformed("PLAIN takes three fields parted by NUL")
    authzid, authcid, passwd = fields
    name, password = _name(authcid), _password(passwd)
    if authzid and not claims.same_person(authzid, authcid):
        raise NotAuthorized
    yield Proven(await claims.check_password(name, password))


async def login(initial: bytes | None, claims: Claims) -> Exchange:
    """LOGIN (draft-murchison-sasl-login-00): two questions, whose texts clients don't read."""
    # Many clients send the name as initial response, though the draft knows none.
    first = initial if initial is not None else (yield Challenge(b"Username:"))
    name = _name(_text(first))
    password = _password(_text((yield Challenge(b"Password:"))))
    yield Proven(await claims.check_password(name, password))


MECHANISMS: dict[str, Mechanism] = {
    mechanism.name: mechanism
    for mechanism in (
        # Strongest first: this is the order in which they are offered.
        Mechanism("PLAIN", plain, reveals_password=True),
        Mechanism("LOGIN", login, reveals_password=True),
    )
}


def _text(response: bytes) -> str:
    if len(response) > RESPONSE_OCTETS:
        raise Malformed(f"the response is longer than {RESPONSE_OCTETS} octets")
    try:
        return response.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("the response is not UTF-8") from None


def _name(text: str) -> str:
    if not text or "\0" in text:
        raise Malformed("the name is missing")
    if len(text.encode()) > NAME_OCTETS:
        raise Malformed("the name is too long")
    return text


def _password(text: str) -> Password:
    try:
        return Password.prepare(text)
    except InvalidPassword as error:
        raise Malformed(str(error)) from None
