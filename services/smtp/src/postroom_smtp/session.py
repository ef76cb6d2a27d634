"""One client: what is known of it, what it is offered, and what it may do."""

from __future__ import annotations

import asyncio
import binascii
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.address import network_of
from postroom_chassis.net.client import Client
from postroom_chassis.net.connection import Connection, Peer
from postroom_chassis.net.listener import Network
from postroom_chassis.net.tls import ServerTls
from postroom_chassis.tickets import RENEW_RETRY_SECONDS, may_go_on, renewal_delay
from prometheus_client import Counter

from postroom_smtp.ports import (
    Authenticator,
    Directory,
    Identity,
    Policy,
    Sending,
    Signer,
    Store,
    Urls,
    Waiting,
)
from postroom_smtp.protocol import reply
from postroom_smtp.protocol.command import (
    SUBSTITUTED,
    Mail,
    SaslStart,
    Substitute,
)
from postroom_smtp.protocol.envelope import NOTHING_ASKED
from postroom_smtp.protocol.keyword import NOTHING_OFFERED, Keyword, Offer
from postroom_smtp.protocol.path import NULL
from postroom_smtp.protocol.reply import Refused, Reply
from postroom_smtp.protocol.srs import Rewriting
from postroom_smtp.recent import Recent
from postroom_smtp.settings import Role, SmtpSettings
from postroom_smtp.transaction import Transaction

log = logs.logger(__name__)

TICKET_MARGIN_SECONDS = 60  # that a ticket must last when a delivery begins

LOGINS = Counter("postroom_smtp_logins_total", "Sign-ins", ["outcome"])

WAITED_SECONDS = 3600.0  # for which an address that waited for its greeting is known
WAITED_MOST = 100_000
HASTENED_SECONDS = 60.0  # within which a domain is hastened once
HASTENED_MOST = 10_000

UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104 (nobody's, so that nobody is trusted by it)

ALWAYS = (
    Keyword.PIPELINING,
    Keyword.SIZE,
    Keyword.EIGHT_BIT,
    Keyword.BINARY,
    Keyword.CHUNKING,
    Keyword.SMTPUTF8,
    Keyword.ENHANCED,
    Keyword.LIMITS,
    Keyword.HELP,
)
# What needs a queue is not LMTP's, which has none (RFC 2033 section 4.2).
BY_ROLE = {
    Role.MX: (Keyword.DSN, Keyword.DELIVERBY, Keyword.PRIORITY),
    Role.SUBMISSION: (Keyword.DSN, Keyword.DELIVERBY, Keyword.PRIORITY),
    Role.LMTP: (),
}

# Sends a challenge in base64 and gives the client's line, without its end.
Ask = Callable[[str], Awaitable[bytes]]


@dataclass(slots=True)
class House:
    """What sessions share.

    Attributes:
        tls: for STARTTLS; None where there is no certificate.
        policy: what is asked of those who send; None: nothing.
        signer: signs what our people send; None: nothing is signed.
        waiting: what is sent elsewhere; None: nothing is.
        urls: of messages that may be submitted; None: there are none.
        waited: addresses that waited for their greeting lately.
        hastened: domains that were hastened lately.
        rewriting: gives forwarded mail a reverse-path of ours (SRS); None: it keeps its own.
    """

    authenticator: Authenticator
    directory: Directory
    store: Store
    tls: ServerTls | None
    settings: SmtpSettings
    policy: Policy | None = None
    signer: Signer | None = None
    waiting: Waiting | None = None
    urls: Urls | None = None
    rewriting: Rewriting | None = None
    waited: Recent[str, bool] = field(
        default_factory=lambda: Recent[str, bool](WAITED_SECONDS, WAITED_MOST)
    )
    hastened: Recent[str, bool] = field(
        default_factory=lambda: Recent[str, bool](HASTENED_SECONDS, HASTENED_MOST)
    )


@dataclass(slots=True)
class Session:
    """A connection's state above the wire.

    Attributes:
        name: what the client calls itself; empty before HELO or EHLO.
        extended: it said EHLO.
        offered: what it was told that there is.
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
    offered: Offer = NOTHING_OFFERED
    identity: Identity | None = None
    transaction: Transaction | None = None
    messages: int = 0
    over: bool = False
    trusted: bool = field(init=False)
    _failures: int = 0
    _keeper: asyncio.Task[None] | None = None
    _revoked: bool = False

    def __post_init__(self) -> None:
        self._know_client()

    def _know_client(self) -> None:
        self.trusted = self._within(self.house.settings.trusted)

    def _within(self, networks: Sequence[Network]) -> bool:
        if not networks:
            return False
        address = ip_address(self.connection.peer.address)
        return any(address in network for network in networks)

    @property
    def client(self) -> Client:
        return Client.of(self.connection)

    @property
    def stranger(self) -> bool:
        """Whether it is a server of which nothing is known, so that it must keep to its turn."""
        here = self.trusted or self.connection.peer.loopback
        return self.role is Role.MX and not here

    @property
    def tls_offered(self) -> bool:
        return self.house.tls is not None and self.connection.tls is None

    @property
    def signing_in_offered(self) -> bool:
        """Whether passwords may travel here (RFC 4954 section 4; on submission alone)."""
        permitted = self.client.secure or self.house.settings.clear_text_login
        return self.role is Role.SUBMISSION and permitted

    @property
    def waiting_time(self) -> float:
        """For how long the client is to wait for its greeting."""
        seconds = self.house.settings.greeting_seconds
        if not seconds or not self.stranger or self._within(self.house.settings.xclients):
            return 0.0
        return 0.0 if self.house.waited.get(self._network) else seconds

    def has_waited(self) -> None:
        """The client kept its turn: it is known for a while."""
        self.house.waited.put(self._network, True)

    async def welcome(self) -> Reply | None:
        """Why the client is not greeted."""
        if self.role is Role.LMTP and not self._within(self.house.settings.lmtp_clients):
            return reply.NOT_FROM_THERE
        if self.house.policy is None:
            return None
        return await self.house.policy.connected(self.sending())

    def greet(self, name: str, *, extended: bool) -> None:
        """The client has said who it is, which ends what went before (RFC 5321 section 4.1.4)."""
        self.abandon()
        self.name, self.extended = name, extended
        self.offered = self._offer() if extended else NOTHING_OFFERED

    def abandon(self) -> None:
        """The transaction under way has ended, or comes to nothing."""
        if self.transaction is not None:
            self.transaction.close()
        self.transaction = None

    @property
    def farewell(self) -> Reply | None:
        """Why the session must end, where whoever signed in may act no longer."""
        return reply.SIGN_IN_AGAIN if self._revoked else None

    async def close(self) -> None:
        """The connection has ended."""
        self.abandon()
        if self._keeper is not None:
            self._keeper.cancel()
        if self.house.policy is not None:
            await self.house.policy.ended(self.connection.id)

    def forget(self) -> None:
        """TLS has begun: what was learnt in clear text is forgotten (RFC 3207 section 4.2)."""
        self.greet("", extended=False)
        self._become(None)

    @property
    def may_substitute(self) -> bool:
        """Whether the client is a proxy that may say by XCLIENT for whom it acts."""
        return self._within(self.house.settings.xclients)

    async def substitute(self, said: Substitute) -> None:
        """XCLIENT: from now on the client is somebody else, of whom nothing is known."""
        if self.house.policy is not None:
            await self.house.policy.ended(self.connection.id)
        peer, tls = self.connection.peer, self.connection.tls
        if tls is not None:
            # It is the proxy that showed a certificate, and saw ours.
            self.connection.tls = replace(tls, end_point=b"", client_names=())
        if said.address is not None or said.port is not None:
            address = peer.address if said.address is None else said.address or UNKNOWN_ADDRESS
            port = peer.port if said.port is None else said.port
            self.connection.proxied(Peer(address, port), None)
        self.forget()
        self._know_client()
        self.name, self.extended = said.name or "", said.extended is not False

    def _offer(self) -> Offer:
        settings, house = self.house.settings, self.house
        told = {
            Keyword.STARTTLS: self.tls_offered,
            Keyword.AUTH: self.signing_in_offered,
            Keyword.BURL: house.urls is not None and self.signing_in_offered,
            # RFC 8689 section 2: within TLS alone.
            Keyword.REQUIRETLS: self.connection.tls is not None and self.role is not Role.LMTP,
            # RFC 4865 section 4: for submission.
            Keyword.XVERP: self.role is Role.SUBMISSION,
            Keyword.FUTURERELEASE: self.role is Role.SUBMISSION and settings.hold_seconds > 0,
            Keyword.NO_SOLICITING: self.role is Role.MX and bool(settings.no_soliciting),
            Keyword.ETRN: self.role is Role.MX
            and house.waiting is not None
            and (self.trusted or bool(settings.relays)),
            Keyword.XCLIENT: self.may_substitute,
            Keyword.VRFY: settings.vrfy,
            Keyword.EXPN: settings.expn,
        }
        return frozenset((*ALWAYS, *BY_ROLE[self.role], *(one for one in told if told[one])))

    async def extensions(self) -> list[str]:
        """What EHLO offers."""
        settings, lines = self.house.settings, []
        mechanisms = await self._mechanisms() if Keyword.AUTH in self.offered else ()
        latest = datetime.fromtimestamp(time.time() + settings.hold_seconds, UTC)
        arguments = {
            Keyword.SIZE: str(settings.message_bytes),
            Keyword.AUTH: " ".join(mechanisms),
            Keyword.BURL: "imap",
            Keyword.FUTURERELEASE: f"{settings.hold_seconds} {latest:%Y-%m-%dT%H:%M:%SZ}",
            Keyword.NO_SOLICITING: ",".join(settings.refused_solicitations),
            Keyword.LIMITS: f"RCPTMAX={settings.recipients}",
            Keyword.XCLIENT: " ".join(SUBSTITUTED),
        }
        for keyword in Keyword:
            argument = arguments.get(keyword, "")
            if keyword in self.offered and (argument or keyword is not Keyword.AUTH):
                lines.append(f"{keyword} {argument}".rstrip())
        return lines

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
        settings = self.house.settings
        if self.transaction is not None:
            return reply.BAD_SEQUENCE
        if mail.size > settings.message_bytes:
            return reply.TOO_LARGE
        if self.role is Role.SUBMISSION and self.identity is None and not self.trusted:
            return reply.SIGN_IN_FIRST
        if mail.request.hold_until > time.time() + settings.hold_seconds:
            return reply.HELD_TOO_LONG
        if not mail.solicits.isdisjoint(settings.refused_solicitations):
            return reply.NOT_SOLICITED
        if self.identity is not None and (refused := await self._check_sender(self.identity, mail)):
            return refused
        known = self.trusted or self.identity is not None
        answer = reply.SENDER_OK
        # RFC 6710 section 5: nobody's mail goes first because a stranger says so.
        if mail.request.priority > 0 and not known:
            mail = replace(mail, request=replace(mail.request, priority=0))
            answer = reply.PRIORITY_CHANGED
        if self.house.policy is not None and (
            refused := await self.house.policy.mail(self.sending(mail))
        ):
            return refused
        lmtp = self.role is Role.LMTP
        self.transaction = Transaction(
            mail,
            relays=known and not lmtp,
            directory=self.house.directory,
            store=self.house.store,
            settings=settings,
            domains=settings.relays if self.role is Role.MX else frozenset(),
            objection=self._object if self.house.policy is not None else None,
            one_by_one=lmtp,
            rewriting=self.house.rewriting,
        )
        return answer

    @property
    def _network(self) -> str:
        """What the client is counted by."""
        address = self.connection.peer.address
        return network_of(address) if address else ""

    async def _object(self, address: str) -> Reply | None:
        policy, transaction = self.house.policy, self.transaction
        if policy is None or transaction is None:
            return None
        return await policy.recipient(self.sending(transaction.mail), address)

    def sending(self, mail: Mail | None = None) -> Sending:
        """What is known of who sends, for the policy."""
        transaction = self.transaction
        return Sending(
            self.client,
            self.name,
            self.identity,
            self.trusted or self.identity is not None or self.role is Role.LMTP,
            str(mail.sender) if mail else None,
            tuple(transaction.accepted) if transaction else (),
            transaction.message_id if transaction else "",
            mail.request if mail else NOTHING_ASKED,
            self.connection.id,
            transaction is not None and transaction.forwarded,
            self.may_substitute,
        )

    async def _mechanisms(self) -> tuple[str, ...]:
        """Those on offer; none while auth is away, so that the other extensions are told."""
        try:
            return tuple(await self.house.authenticator.mechanisms(self.client))
        except PostroomError:
            return ()

    async def _check_sender(self, identity: Identity, mail: Mail) -> Reply | None:
        """Whether who signed in may do so still, and may send as this sender (RFC 6409 6.1)."""
        if refused := await self.renew():
            return refused
        if mail.sender == NULL:
            return None  # notifications that mail programs send (RFC 8098 section 3)
        return await self.check_address(identity, str(mail.sender))

    async def check_address(self, identity: Identity, address: str) -> Reply | None:
        """Why somebody may not send as an address."""
        try:
            allowed = await self.house.directory.may_send_as(identity.account_id, address)
        except PostroomError as error:
            return reply.refusal(error)
        return None if allowed else reply.NOT_YOUR_ADDRESS

    async def renew(self) -> Reply | None:
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
