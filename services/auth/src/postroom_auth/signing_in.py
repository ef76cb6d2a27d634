"""One person signing in: a SASL exchange, its audit line, and the ticket at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.address import network_of
from prometheus_client import Counter

from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential
from postroom_auth.domain.sasl import MECHANISMS
from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Malformed,
    Mechanism,
    Need,
    NotAuthorized,
    Proven,
    RequestAnswer,
    SecurityContext,
)
from postroom_auth.domain.sasl.offer import Offer
from postroom_auth.issuing import PROTOCOLS_OF, SCOPES, Issued, TicketOffice
from postroom_auth.passwords import REFUSED, PasswordChecks
from postroom_auth.principals import PrincipalChecks
from postroom_auth.tokens import TokenChecks

log = logs.logger("postroom.auth.audit")

LOGINS = Counter(
    "postroom_auth_logins_total", "Exchanges that ended", ["protocol", "mechanism", "outcome"]
)
SUCCEEDED = "OK"
UNKNOWN = "unknown"
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
    """The end of an exchange that proved who the client is."""

    issued: Issued
    additional_data: bytes


class _Attempt:
    """What one exchange claims, on its way to be checked; remembers the name for the audit."""

    def __init__(
        self,
        checks: PasswordChecks,
        tokens: TokenChecks,
        principals: PrincipalChecks,
        client: Client,
    ) -> None:
        self._checks = checks
        self._tokens = tokens
        self._principals = principals
        self._client = client
        self.account = ""

    async def check_password(self, name: str, password: Password) -> Credential:
        self.account = self._checks.key(name)
        return await self._checks.check(self.account, password, self._client.network)

    async def check_token(self, name: str, token: str) -> Proven:
        self.account = self._checks.key(name) if name else ""
        return await self._tokens.check(name, self.account, token, self._client.network)

    async def begin_context(self) -> SecurityContext:
        return await self._principals.begin_context(self._client.protocol, self._client.network)

    async def check_request(self, request: bytes) -> RequestAnswer:
        return await self._principals.check_request(request, self._client.network)

    def same_person(self, one: str, other: str) -> bool:
        return one == other or self._checks.key(one) == self._checks.key(other) != ""


class SigningIn:
    """Runs exchanges.

    Args:
        offers: the mechanisms on offer, by protocol.
        met: what this deployment has of all that mechanisms need.
        exchange_seconds: how long a client may take for a response.
    """

    def __init__(
        self,
        checks: PasswordChecks,
        tokens: TokenChecks,
        principals: PrincipalChecks,
        office: TicketOffice,
        offers: Mapping[str, Offer],
        met: Collection[Need],
        *,
        exchange_seconds: float,
    ) -> None:
        self._checks = checks
        self._tokens = tokens
        self._principals = principals
        self._office = office
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
        attempt = _Attempt(self._checks, self._tokens, self._principals, client)
        outcome = Kind.INTERNAL.value
        try:
            if PROTOCOLS_OF.get(caller) != client.protocol:
                raise PostroomError(Kind.DENIED, f"{caller} doesn't speak {client.protocol}")
            begun = self._mechanism(mechanism, client).begin(initial, attempt)
            step = await anext(begun)
            while isinstance(step, Challenge):
                yield step
                step = await begun.asend(await self._response(responses))
            attempt.account = step.credential.address
            issued = self._office.issue(step.credential, SCOPES[client.protocol], step.until)
            outcome = SUCCEEDED
        except PostroomError as error:
            outcome = error.kind.value
            raise
        except Malformed as error:
            outcome = Kind.INVALID.value
            raise PostroomError(Kind.INVALID, str(error)) from None
        except NotAuthorized:
            outcome = Kind.UNAUTHENTICATED.value
            raise PostroomError(Kind.UNAUTHENTICATED, REFUSED) from None
        except (asyncio.CancelledError, GeneratorExit):
            outcome = "CANCELLED"
            raise
        finally:
            self._audit(attempt.account, mechanism, client, outcome)
        yield Success(issued, step.additional_data)

    def _mechanism(self, name: str, client: Client) -> Mechanism:
        for mechanism in self.mechanisms(client):
            if mechanism.name == name:
                return mechanism
        if not client.secure and name in self._offers[client.protocol].secure:
            raise PostroomError(Kind.UNSUPPORTED, f"{name} needs a connection with TLS")
        raise PostroomError(Kind.UNSUPPORTED, "there is no such mechanism here")

    async def _response(self, responses: AsyncIterator[bytes]) -> bytes:
        try:
            async with asyncio.timeout(self._exchange_seconds):
                return await anext(responses)
        except StopAsyncIteration:
            raise PostroomError(Kind.INVALID, "the exchange ended early") from None
        except TimeoutError:
            raise PostroomError(Kind.INVALID, "the client took too long to answer") from None

    @staticmethod
    def _audit(account: str, mechanism: str, client: Client, outcome: str) -> None:
        if mechanism not in MECHANISMS:
            mechanism = UNKNOWN
        LOGINS.labels(client.protocol, mechanism, outcome).inc()
        succeeded = outcome == SUCCEEDED
        fields = {} if succeeded else {"reason": outcome}
        log.info(
            "login.succeeded" if succeeded else "login.failed",
            account=account,
            client=client.address,
            protocol=client.protocol,
            mechanism=mechanism,
            tls=client.tls_version or client.secure,
            **fields,
        )
