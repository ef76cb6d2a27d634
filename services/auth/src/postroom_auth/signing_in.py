"""One person signing in: a SASL exchange, its audit line, and the ticket at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.address import network_of
from prometheus_client import Counter

from postroom_auth.certificates import CertificateChecks
from postroom_auth.domain.auditing import SUCCEEDED, AuditEntry
from postroom_auth.domain.mailbox_name import split_name
from postroom_auth.domain.maildrop_policy import MaildropPolicy
from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential
from postroom_auth.domain.sasl import MECHANISMS
from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Failed,
    Malformed,
    Mechanism,
    Need,
    NotAuthorized,
    Proven,
    RequestAnswer,
    SecurityContext,
)
from postroom_auth.domain.sasl.offer import Offer
from postroom_auth.domain.scram import Verifier
from postroom_auth.domain.shared_secret import SecretKind
from postroom_auth.issuing import PROTOCOLS_OF, SCOPES, Issued, TicketOffice
from postroom_auth.passwords import REFUSED, PasswordChecks, Tried
from postroom_auth.ports import Maildrops, Subject, Trail
from postroom_auth.principals import PrincipalChecks
from postroom_auth.scram import ProofChecks
from postroom_auth.shared_secrets import SecretChecks
from postroom_auth.tokens import TokenChecks

log = logs.logger("postroom.auth.audit")
T = TypeVar("T")

LOGINS = Counter(
    "postroom_auth_logins_total", "Exchanges that ended", ["protocol", "mechanism", "outcome"]
)
UNKNOWN = "unknown"
NO_MECHANISM = "there is no such mechanism here"
POP3 = "pop3"
END_POINT_OCTETS = 64  # SHA-512 is the longest hash that RFC 5929 section 4.1 may lead to
CERTIFICATE_NAMES = 32
CERTIFICATE_NAME_OCTETS = 320


@dataclass(frozen=True, slots=True)
class Client:
    """The connection on which a person signs in.

    Attributes:
        protocol: "imap", "pop3", "smtp" or "api".
        address: IP address.
        network: what its failures are counted for.
        secure: nobody else can read it.
        tls_version: for the audit line.
        tls_server_end_point: the hash of the certificate that the client saw (RFC 5929 section 4);
            empty: unknown.
        certificate_names: the names in a certificate of the client's that was verified.

    Raises:
        PostroomError: INVALID where the protocol or the address is none, or the rest too long.
    """

    protocol: str
    address: str
    secure: bool
    tls_version: str = ""
    tls_server_end_point: bytes = b""
    certificate_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.protocol not in SCOPES:
            raise PostroomError(Kind.INVALID, f"no protocol {self.protocol[:32]!r}")
        try:
            network_of(self.address)
        except ValueError:
            raise PostroomError(Kind.INVALID, "the client's address is no IP address") from None
        if len(self.tls_server_end_point) > END_POINT_OCTETS:
            raise PostroomError(Kind.INVALID, "that is no hash of a certificate")
        octets = [len(name.encode()) for name in self.certificate_names]
        if len(octets) > CERTIFICATE_NAMES or max(octets, default=0) > CERTIFICATE_NAME_OCTETS:
            raise PostroomError(Kind.INVALID, "the client's certificate has too many names")

    @property
    def network(self) -> str:
        return network_of(self.address)


@dataclass(frozen=True, slots=True)
class Success:
    """The end of an exchange that proved who the client is.

    Attributes:
        mailbox: for POP3: the one that the name asked for; empty: INBOX.
        policy: for POP3: how the account's mail is kept.
    """

    issued: Issued
    additional_data: bytes
    mailbox: str
    policy: MaildropPolicy


@dataclass(frozen=True, slots=True)
class Checks:
    """What claims are checked by.

    Attributes:
        proofs: SCRAM's.
        certificates: EXTERNAL's.
        secrets: APOP's, CRAM-MD5's and RPOP's; None where there is no key to keep secrets with.
        tokens: OAuth's.
        principals: Kerberos's; None where there is no keytab.
    """

    passwords: PasswordChecks
    proofs: ProofChecks
    certificates: CertificateChecks
    secrets: SecretChecks | None
    tokens: TokenChecks
    principals: PrincipalChecks | None


class _Attempt:
    """What one exchange claims, on its way to be checked; remembers the name for the audit."""

    def __init__(self, checks: Checks, client: Client, offered: Collection[str]) -> None:
        self._checks = checks
        self._client = client
        self.offered = offered
        self.account = ""
        self.mailbox = ""
        self.tried = Tried()

    @property
    def end_point(self) -> bytes:
        return self._client.tls_server_end_point

    async def check_password(self, name: str, password: Password) -> Credential:
        key = await self._locate(name)
        client = self._client
        return await self._checks.passwords.check(
            key, password, client.protocol, client.address, self.tried
        )

    async def check_secret(
        self, kind: SecretKind, name: str, fits: Callable[[bytes], bool]
    ) -> Credential:
        secrets = _at_hand(self._checks.secrets)
        subject = Subject(await self._locate(name), self._client.network)
        address = self._client.address
        return await secrets.check(kind, subject, address, fits, self.tried)

    async def _locate(self, name: str) -> str:
        """The key of the account that a name means; for POP3 it may ask for a mailbox, too."""
        self.account = self._key(name)
        bare, mailbox = split_name(name)
        if self._client.protocol == POP3 and mailbox:
            if not await self._checks.passwords.exists(self.account):
                self.account, self.mailbox = self._key(bare), mailbox
        return self.account

    async def scram_verifier(self, name: str, family: str) -> Verifier:
        key = await self._locate(name)
        return await self._checks.proofs.verifier(key, name, family, self._client.network)

    async def check_proof(
        self, name: str, verifier: Verifier, auth_message: bytes, proof: bytes
    ) -> Credential:
        subject = Subject(await self._locate(name), self._client.network)
        return await self._checks.proofs.check(subject, verifier, auth_message, proof, self.tried)

    async def check_certificate(self, name: str) -> Credential:
        named = [self._key(one) for one in self._client.certificate_names]
        wanted = await self._locate(name) if name else None
        self.account = wanted or next(filter(None, named), "")
        network = self._client.network
        credential = await self._checks.certificates.check(wanted, named, network, self.tried)
        self.account = credential.address
        return credential

    async def check_token(self, name: str, token: str) -> Proven:
        key = await self._locate(name) if name else ""
        return await self._checks.tokens.check(name, key, token, self._client.network, self.tried)

    async def begin_context(self) -> SecurityContext:
        principals, client = _at_hand(self._checks.principals), self._client
        return await principals.begin_context(client.protocol, client.network, self.tried)

    async def check_request(self, request: bytes) -> RequestAnswer:
        principals = _at_hand(self._checks.principals)
        return await principals.check_request(request, self._client.network, self.tried)

    def _key(self, name: str) -> str:
        return self._checks.passwords.key(name)

    def same_person(self, one: str, other: str) -> bool:
        return one == other or self._key(one) == self._key(other) != ""


def _at_hand(checks: T | None) -> T:
    """Where they are missing, the mechanism that needs them is not on offer either."""
    if checks is None:
        raise PostroomError(Kind.UNSUPPORTED, NO_MECHANISM)
    return checks


def _kind_of(why: Exception) -> Kind:
    return Kind.INVALID if isinstance(why, Malformed) else Kind.UNAUTHENTICATED


class SigningIn:
    """Runs exchanges.

    Args:
        offers: the mechanisms on offer, by protocol.
        met: what this deployment has of all that mechanisms need.
        exchange_seconds: how long a client may take for a response.
        trail: takes how each exchange ended.
        clock: Unix seconds.
    """

    def __init__(
        self,
        checks: Checks,
        maildrops: Maildrops,
        office: TicketOffice,
        trail: Trail,
        offers: Mapping[str, Offer],
        met: Collection[Need],
        *,
        exchange_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._checks = checks
        self._maildrops = maildrops
        self._office = office
        self._trail = trail
        self._clock = clock
        self._offers = offers
        self._met = frozenset(met)
        self._exchange_seconds = exchange_seconds

    def mechanisms(self, client: Client) -> list[Mechanism]:
        """The mechanisms on offer for a connection, strongest first."""
        met = set(self._met)
        if client.tls_server_end_point:
            met.add(Need.CHANNEL_BINDING)
        if client.certificate_names:
            met.add(Need.CERTIFICATE)
        offer = self._offers[client.protocol]
        return list(offer.mechanisms(client.protocol, met, secure=client.secure))

    async def strictest_policy(self) -> MaildropPolicy:
        """What POP3 tells before it knows who the client is (RFC 2449 section 5)."""
        return await self._maildrops.strictest()

    async def exchange(
        self,
        caller: str,
        mechanism: str,
        client: Client,
        initial: bytes | None,
        responses: AsyncIterator[bytes],
    ) -> AsyncIterator[Challenge | Success]:
        """Run an exchange: challenges, and success as the last.

        Args:
            caller: the service that frames it; it may do so for its own protocol alone.
            responses: the client's; may raise PostroomError where the client cancels.

        Raises:
            PostroomError: as AuthenticationService.Authenticate says, and DENIED.
        """
        offered = frozenset(row.name for row in self.mechanisms(client))
        attempt = _Attempt(self._checks, client, offered)
        outcome = Kind.INTERNAL.value
        try:
            if PROTOCOLS_OF.get(caller) != client.protocol:
                raise PostroomError(Kind.DENIED, f"{caller} doesn't speak {client.protocol}")
            begun = self._mechanism(mechanism, client).begin(initial, attempt)
            step = await anext(begun)
            while isinstance(step, Challenge):
                yield step
                step = await begun.asend(await self._response(responses))
            if isinstance(step, Failed):
                outcome = _kind_of(step.why).value
                yield Challenge(step.data)
                await self._heard(responses)
                raise step.why
            attempt.account = step.credential.address
            if client.protocol == POP3:
                await self._maildrops.enter(step.credential)
            issued = self._office.issue(step.credential, SCOPES[client.protocol], step.until)
            outcome = SUCCEEDED
        except PostroomError as error:
            outcome = error.kind.value
            raise
        except Malformed as error:
            outcome = Kind.INVALID.value
            raise PostroomError(Kind.INVALID, str(error)) from None
        except NotAuthorized as error:
            outcome = Kind.UNAUTHENTICATED.value
            raise PostroomError(Kind.UNAUTHENTICATED, str(error) or REFUSED) from None
        except (asyncio.CancelledError, GeneratorExit):
            if outcome == Kind.INTERNAL.value:
                outcome = "CANCELLED"
            raise
        finally:
            self._audit(attempt, mechanism, client, caller, outcome)
        policy = step.credential.maildrop_policy
        yield Success(issued, step.additional_data, attempt.mailbox, policy)

    def _mechanism(self, name: str, client: Client) -> Mechanism:
        for mechanism in self.mechanisms(client):
            if mechanism.name == name:
                return mechanism
        if not client.secure and name in self._offers[client.protocol].secure:
            raise PostroomError(Kind.UNSUPPORTED, f"{name} needs a connection with TLS")
        raise PostroomError(Kind.UNSUPPORTED, NO_MECHANISM)

    async def _response(self, responses: AsyncIterator[bytes]) -> bytes:
        try:
            async with asyncio.timeout(self._exchange_seconds):
                return await anext(responses)
        except StopAsyncIteration:
            raise PostroomError(Kind.INVALID, "the exchange ended early") from None
        except TimeoutError:
            raise PostroomError(Kind.INVALID, "the client took too long to answer") from None

    async def _heard(self, responses: AsyncIterator[bytes]) -> None:
        """Wait until the client has heard why it failed; what it answers changes nothing."""
        with suppress(PostroomError):
            await self._response(responses)

    def _audit(
        self, attempt: _Attempt, mechanism: str, client: Client, caller: str, outcome: str
    ) -> None:
        if mechanism not in MECHANISMS:
            mechanism = UNKNOWN
        LOGINS.labels(client.protocol, mechanism, outcome).inc()
        succeeded = outcome == SUCCEEDED
        account = attempt.account or attempt.tried.account
        fields = {} if succeeded else {"reason": outcome}
        if attempt.tried.credential.startswith("app:"):
            fields["credential"] = attempt.tried.credential
        log.info(
            "login.succeeded" if succeeded else "login.failed",
            account=account,
            client=client.address,
            protocol=client.protocol,
            mechanism=mechanism,
            tls=client.tls_version or client.secure,
            **fields,
        )
        self._trail.record(
            AuditEntry(
                at=int(self._clock() * 1000),
                account=account,
                outcome=outcome,
                why=attempt.tried.why,
                protocol=client.protocol,
                front=caller,
                mechanism=mechanism,
                credential=attempt.tried.credential,
                address=client.address,
                network=client.network,
                tls=client.tls_version,
            )
        )
