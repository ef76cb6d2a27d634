"""One client: what is known of it, what it is offered, and what it may do."""

from __future__ import annotations

import asyncio
import binascii
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_chassis.net.connection import Connection
from postroom_chassis.net.tls import ServerTls
from postroom_chassis.tickets import RENEW_RETRY_SECONDS, may_go_on, renewal_delay
from prometheus_client import Counter

from postroom_smtp.ports import Authenticator, Directory, Identity, Store
from postroom_smtp.protocol import reply, trace
from postroom_smtp.protocol.command import Mail, SaslStart
from postroom_smtp.protocol.path import NULL
from postroom_smtp.protocol.reply import Refused, Reply
from postroom_smtp.reception import Reception
from postroom_smtp.settings import Role, SmtpSettings
from postroom_smtp.transaction import Transaction

log = logs.logger(__name__)

TICKET_MARGIN_SECONDS = 60  # that a ticket must last when a delivery begins

LOGINS = Counter("postroom_smtp_logins_total", "Sign-ins", ["outcome"])

# Sends a challenge in base64 and gives the client's line, without its end.
Ask = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class House:
    """What sessions share.

    Attributes:
        tls: for STARTTLS; None where there is no certificate.
    """

    authenticator: Authenticator
    directory: Directory
    store: Store
    tls: ServerTls | None
    settings: SmtpSettings


@dataclass(slots=True)
class Session:
    """A connection's state above the wire.

    Attributes:
        name: what the client calls itself; empty before HELO or EHLO.
        extended: it said EHLO.
        identity: who signed in.
        transaction: the one under way.
        over: nothing more is to be said after the next reply.
        trusted: the client may send to everybody without signing in.
    """

    house: House
    connection: Connection
    role: Role
    name: str = ""
    extended: bool = False
    identity: Identity | None = None
    transaction: Transaction | None = None
    messages: int = 0
    over: bool = False
    trusted: bool = field(init=False)
    _failures: int = 0
    _keeper: asyncio.Task[None] | None = None
    _revoked: bool = False

    def __post_init__(self) -> None:
        networks = self.house.settings.trusted
        self.trusted = bool(networks) and any(
            ip_address(self.connection.peer.address) in network for network in networks
        )

    @property
    def client(self) -> Client:
        return Client.of(self.connection)

    @property
    def tls_offered(self) -> bool:
        return self.house.tls is not None and self.connection.tls is None

    @property
    def signing_in_offered(self) -> bool:
        """Whether passwords may travel here (RFC 4954 section 4; on submission alone)."""
        permitted = self.client.secure or self.house.settings.clear_text_login
        return self.role is Role.SUBMISSION and permitted

    def greet(self, name: str, *, extended: bool) -> None:
        """The client has said who it is, which ends what went before (RFC 5321 section 4.1.4)."""
        self.name, self.extended, self.transaction = name, extended, None

    @property
    def farewell(self) -> Reply | None:
        """Why the session must end, where whoever signed in may act no longer."""
        return reply.SIGN_IN_AGAIN if self._revoked else None

    def close(self) -> None:
        """The connection has ended."""
        if self._keeper is not None:
            self._keeper.cancel()

    def forget(self) -> None:
        """TLS has begun: what was learnt in clear text is forgotten (RFC 3207 section 4.2)."""
        self.greet("", extended=False)
        self._become(None)

    async def extensions(self) -> list[str]:
        """What EHLO offers."""
        offered = [
            "PIPELINING",
            f"SIZE {self.house.settings.message_bytes}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
        ]
        if self.tls_offered:
            offered.append("STARTTLS")
        if self.signing_in_offered and (mechanisms := await self._mechanisms()):
            offered.append("AUTH " + " ".join(mechanisms))
        return [*offered, "HELP"]

    async def sign_in(self, start: SaslStart, ask: Ask) -> Reply:
        """AUTH: the exchange is auth's, only its frame is ours (RFC 4954 section 4)."""
        if self.role is not Role.SUBMISSION:
            return reply.NOT_OFFERED
        if self.identity is not None or self.transaction is not None:
            return reply.BAD_SEQUENCE
        if not self.signing_in_offered:
            return reply.TLS_FIRST
        # RFC 4954 section 4: "=" stands for an initial response of no octets.
        encoded = "" if start.initial == "=" else start.initial
        initial = None if encoded is None else _decoded(encoded)

        async def answer(challenge: bytes) -> bytes | None:
            line = await ask(binascii.b2a_base64(challenge, newline=False).decode())
            if line == b"*":
                raise Refused(reply.CANCELLED)
            return _decoded(line.decode("ascii", "replace"))

        try:
            identity = await self.house.authenticator.authenticate(
                self.client, start.mechanism, initial, answer
            )
        except PostroomError as error:
            return self._refuse_sign_in(start.mechanism, error)
        self._become(identity)
        LOGINS.labels("ok").inc()
        log.info("smtp.login", account=identity.address, mechanism=start.mechanism)
        return reply.SIGNED_IN

    async def begin(self, mail: Mail) -> Reply:
        """MAIL: open a transaction."""
        if self.transaction is not None:
            return reply.BAD_SEQUENCE
        if mail.size > self.house.settings.message_bytes:
            return reply.TOO_LARGE
        if self.role is Role.SUBMISSION and self.identity is None and not self.trusted:
            return reply.SIGN_IN_FIRST
        if self.identity is not None and (refused := await self._check_sender(self.identity, mail)):
            return refused
        self.transaction = Transaction(
            mail,
            relays=self.trusted or self.identity is not None,
            directory=self.house.directory,
            store=self.house.store,
            settings=self.house.settings,
        )
        return reply.SENDER_OK

    async def receive(self, transaction: Transaction) -> Reply:
        """DATA: take the content and have it delivered. Ends the transaction."""
        settings = self.house.settings
        prefix = self._trace_fields(transaction)
        reception = Reception(self.connection, self.house.store, settings, prefix)
        try:
            received = await reception.run()
        except PostroomError as error:
            return reply.refusal(error)
        finally:
            self.transaction = None
        if received.fault is not None:
            transaction.note(received.fault, received.size)
            return received.fault
        if refused := await self._renew():
            transaction.note(refused, received.size)
            return refused
        submitter = self.identity.ticket if self.identity else ""
        answer = await transaction.deliver(received.content, received.size, submitter)
        self.messages += answer.positive
        return answer

    def _trace_fields(self, transaction: Transaction) -> bytes:
        tls, recipients = self.connection.tls, transaction.accepted
        arrival = trace.Arrival(
            client_name=self.name,
            client_address=self.connection.peer.address,
            server_name=self.house.settings.hostname,
            message_id=transaction.message_id,
            received_at=datetime.now(UTC),
            extended=self.extended,
            tls=f"{tls.version} {tls.cipher}".strip() if tls else "",
            authenticated=self.identity is not None,
            smtputf8=transaction.mail.smtputf8,
            # Several are not told of each other (RFC 5321 section 7.6).
            recipient=recipients[0] if len(recipients) == 1 else "",
        )
        fields = trace.received(arrival)
        if transaction.stays_here:
            return trace.return_path(str(transaction.mail.sender)) + fields
        return fields

    async def _mechanisms(self) -> tuple[str, ...]:
        """Those on offer; none while auth is away, so that the other extensions are told."""
        try:
            return tuple(await self.house.authenticator.mechanisms(self.client))
        except PostroomError:
            return ()

    async def _check_sender(self, identity: Identity, mail: Mail) -> Reply | None:
        """Whether who signed in may do so still, and may send as this sender (RFC 6409 6.1)."""
        if refused := await self._renew():
            return refused
        if mail.sender == NULL:
            return None  # notifications that mail programs send (RFC 8098 section 3)
        try:
            allowed = await self.house.directory.may_send_as(identity.account_id, str(mail.sender))
        except PostroomError as error:
            return reply.refusal(error)
        return None if allowed else reply.NOT_YOUR_ADDRESS

    async def _renew(self) -> Reply | None:
        """Have a ticket that lasts for a delivery where somebody signed in, or say why not."""
        if self._revoked:
            self.over = True
            return reply.SIGN_IN_AGAIN
        identity = self.identity
        if identity is None or identity.expires_at - TICKET_MARGIN_SECONDS > time.time():
            return None
        try:
            self.identity = await self.house.authenticator.renew(identity)
        except PostroomError as error:
            if error.kind not in (Kind.UNAUTHENTICATED, Kind.EXPIRED):
                return reply.refusal(error)
            self.over = True
            return reply.SIGN_IN_AGAIN
        return None

    def _become(self, identity: Identity | None) -> None:
        """From now on the session is this person's alone, and so is the ticket that is renewed."""
        if self._keeper is not None:
            self._keeper.cancel()
        self.identity = identity
        self._keeper = asyncio.create_task(self._keep()) if identity else None

    async def _keep(self) -> None:
        """Ask now and then whether who signed in may go on; end the session where not."""
        renewed = True
        while (identity := self.identity) is not None and not self._revoked:
            delay = renewal_delay(identity.expires_at, identity.renew_seconds)
            await asyncio.sleep(delay if renewed else RENEW_RETRY_SECONDS)
            renewed = await self._take_fresh_ticket()

    async def _take_fresh_ticket(self) -> bool:
        """Renew the ticket that the session has by now. False: later, for it is still good."""
        identity = self.identity
        if identity is None:
            return False
        try:
            self.identity = await self.house.authenticator.renew(identity)
        except PostroomError as error:
            if not may_go_on(error, identity.expires_at):
                log.info("smtp.renewal_refused", why=error.kind)
                self._revoked = True
                self.connection.wake_for_drain()
            return False
        return True

    def _refuse_sign_in(self, mechanism: str, error: PostroomError) -> Reply:
        LOGINS.labels(error.kind.lower()).inc()
        log.info(
            "smtp.login_refused", address=self.client.address, mechanism=mechanism, why=error.kind
        )
        if error.kind is Kind.UNAUTHENTICATED:
            self._failures += 1
            self.over = self._failures >= self.house.settings.login_failures
        return reply.sign_in_refusal(error)


def _decoded(text: str) -> bytes:
    """The octets of base64. Raises Refused."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise Refused(reply.BAD_BASE64) from error
