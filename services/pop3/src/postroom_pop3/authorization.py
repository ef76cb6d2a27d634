"""The AUTHORIZATION state (RFC 1939 section 4): who the client is, and nothing else.

No command here can reach a mailbox: the maildrop is had by `enter`, once, for the person who
signed in.
"""

from __future__ import annotations

import asyncio
import binascii
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_chassis.net.tls import ServerTls
from prometheus_client import Counter

from postroom_pop3.dialogue import Dialogue, Row, Table, language
from postroom_pop3.ports import (
    APOP,
    RPOP,
    Authenticator,
    Identity,
    LockedMaildrop,
    Offer,
)
from postroom_pop3.protocol import command, replies
from postroom_pop3.protocol.capabilities import capabilities
from postroom_pop3.protocol.command import SaslStart
from postroom_pop3.protocol.timestamp import make_timestamp

log = logs.logger(__name__)

LOGINS = Counter("postroom_pop3_logins_total", "Sign-ins", ["outcome"])

READY = "Postroom POP3 is ready"
OFFER_SECONDS = 2.0  # as long the greeting waits to learn what is offered
TOKEN_OCTETS = 16
PLAIN = "PLAIN"  # what USER and PASS are to auth
NO_COMMAND = "no such command"
TLS_FIRST = "passwords in clear text aren't taken here: use STLS first"

Enter = Callable[[Identity], Awaitable[LockedMaildrop]]


@dataclass(frozen=True, slots=True)
class Admission:
    """How people get in.

    Attributes:
        authenticator: asked who they are.
        enter: takes the maildrop of who signed in.
        tls: for STLS; None where there is no certificate.
        clear_text_login: passwords in clear text are taken from everywhere, not just loopback.
        failures: how many end a connection.
        seconds: how long a client may take for each line.
    """

    authenticator: Authenticator
    enter: Enter
    tls: ServerTls | None
    clear_text_login: bool
    failures: int
    seconds: float


@dataclass(slots=True)
class Authorization:
    """One session until somebody has signed in.

    Attributes:
        identity: who signed in.
        locked: that person's maildrop; set together with `identity`.
        utf8: the client takes messages with UTF-8 in their headers.
        timestamp: of the greeting, for APOP; empty: there is none.
    """

    admission: Admission
    dialogue: Dialogue
    done: bool = False
    identity: Identity | None = None
    locked: LockedMaildrop | None = None
    utf8: bool = False
    timestamp: str = ""
    _name: bytes | None = None
    _failures: int = field(default=0)

    @property
    def client(self) -> Client:
        return Client.of(self.dialogue.connection)

    @property
    def permitted(self) -> bool:
        """Whether a password may travel on this connection."""
        return self.client.secure or self.admission.clear_text_login

    @property
    def tls_offered(self) -> bool:
        return self.admission.tls is not None and self.dialogue.connection.tls is None

    async def run(self) -> None:
        """From the greeting until somebody has signed in, or is not to.

        Raises:
            TimedOut, EndOfStream, ConnectionError: the client is gone.
            Draining: it is between two commands, and the session must end.
        """
        self.dialogue.connection.write(await self._greeting())
        await self.dialogue.run(self, TABLE, self.admission.seconds)

    async def capa(self, _: None) -> bytes:
        offer = await self.offer()
        lines = capabilities(
            # While auth can't be asked, what is usual is told.
            user=self.permitted and (PLAIN in offer.mechanisms or offer == Offer()),
            stls=self.tls_offered,
            mechanisms=offer.mechanisms if self.permitted else (),
            policy=self.identity.policy if self.identity else offer.policy,
            before_sign_in=self.identity is None,
        )
        return replies.multiline("capabilities", lines)

    async def user(self, name: bytes) -> bytes:
        if not self.permitted:
            return replies.err(TLS_FIRST)
        self._name = name
        # The same for names that exist and names that don't (RFC 1939 section 13).
        return replies.ok("now the password")

    async def password(self, password: bytes) -> bytes:
        if not self.permitted:
            return replies.err(TLS_FIRST)
        name, self._name = self._name, None
        if name is None:
            return replies.err("USER comes first")
        return await self._sign_in(PLAIN, b"\0" + name + b"\0" + password)

    async def apop(self, arguments: tuple[bytes, bytes]) -> bytes:
        """APOP (RFC 1939 section 7): nothing in it is worth hearing twice."""
        if not self.timestamp or APOP not in (await self.offer()).commands:
            return replies.err(NO_COMMAND)
        self._name = None
        name, digest = arguments
        initial = b"\0".join((self.timestamp.encode(), name, digest))
        return await self._sign_in(APOP, initial)

    async def rpop(self, shown: bytes) -> bytes:
        """RPOP (RFC 1081), in place of PASS."""
        if RPOP not in (await self.offer()).commands:
            return replies.err(NO_COMMAND if self.permitted else TLS_FIRST)
        name, self._name = self._name, None
        if name is None:
            return replies.err("USER comes first")
        return await self._sign_in(RPOP, name + b"\0" + shown)

    async def auth(self, start: SaslStart | None) -> bytes:
        if not self.permitted:
            return replies.err(TLS_FIRST)
        if start is None:
            return replies.multiline("mechanisms", (await self.offer()).mechanisms)
        return await self._sign_in(start.mechanism, start.initial)

    async def stls(self, _: None) -> bytes:
        tls, connection = self.admission.tls, self.dialogue.connection
        if connection.tls is not None:
            return replies.err("this connection has TLS already")
        if tls is None:
            return replies.err("there is no TLS here")
        if self.utf8:  # RFC 6856 section 2.1
            return replies.err("STLS comes before UTF8")
        connection.write(replies.ok("begin TLS"))
        # RFC 2595 section 4: what was learnt in clear text is forgotten.
        self._name = None
        await connection.start_tls(tls)
        return b""

    async def unicode(self, _: None) -> bytes:
        """UTF8 (RFC 6856 section 2.1)."""
        self.utf8 = True
        return replies.ok("UTF-8 it is")

    async def noop(self, _: None) -> bytes:
        return replies.ok()

    async def quit(self, _: None) -> bytes:
        self.done = True
        return replies.ok("good-bye")

    async def offer(self) -> Offer:
        """How the client may sign in; not at all while auth is away, so that the other
        capabilities are told.
        """
        try:
            return await self.admission.authenticator.offer(self.client)
        except PostroomError:
            return Offer()

    async def _greeting(self) -> bytes:
        """With a timestamp where the client may answer with a digest (RFC 1939 section 7)."""
        try:
            async with asyncio.timeout(OFFER_SECONDS):
                offer = await self.offer()
        except TimeoutError:
            return replies.ok(READY)
        if APOP not in offer.commands:
            return replies.ok(READY)
        self.timestamp = make_timestamp(_token, time.time())
        return replies.ok(f"{READY} {self.timestamp}")

    async def _answer(self, challenge: bytes) -> bytes | None:
        encoded = binascii.b2a_base64(challenge, newline=False)
        return await self.dialogue.ask(encoded, self.admission.seconds)

    async def _sign_in(self, mechanism: str, initial: bytes | None) -> bytes:
        try:
            identity = await self.admission.authenticator.authenticate(
                self.client, mechanism, initial, self._answer
            )
        except PostroomError as error:
            return self._refuse(mechanism, error)
        try:
            self.locked = await self.admission.enter(identity)
        except PostroomError as error:
            reply = self._refuse(mechanism, error)
            if error.kind in (Kind.NOT_FOUND, Kind.INVALID):
                # They are who they say, and named a mailbox that isn't there.
                return replies.err("there is no such mailbox", replies.PERMANENT)
            return reply
        self.identity = identity
        self.done = True
        LOGINS.labels("ok").inc()
        sizes = self.locked.snapshot.sizes
        log.info("pop3.login", account=identity.address, mechanism=mechanism, messages=len(sizes))
        return replies.ok(f"{len(sizes)} messages ({sum(sizes)} octets)")

    def _refuse(self, mechanism: str, error: PostroomError) -> bytes:
        LOGINS.labels(error.kind.lower()).inc()
        log.info(
            "pop3.login_refused",
            address=self.client.address,
            mechanism=mechanism,
            why=error.kind,
        )
        if error.kind is Kind.UNAUTHENTICATED:
            self._failures += 1
            self.done = self._failures >= self.admission.failures
        return replies.refusal(error)


def _token() -> str:
    return secrets.token_hex(TOKEN_OCTETS)


COMMANDS: dict[bytes, Row[Authorization]] = {
    b"CAPA": Row(command.no_arguments, Authorization.capa),
    b"USER": Row(command.text, Authorization.user),
    b"PASS": Row(command.text, Authorization.password),
    b"APOP": Row(command.name_and_digest, Authorization.apop),
    b"RPOP": Row(command.text, Authorization.rpop),
    b"AUTH": Row(command.sasl_start, Authorization.auth),
    b"STLS": Row(command.no_arguments, Authorization.stls),
    b"UTF8": Row(command.no_arguments, Authorization.unicode),
    b"LANG": Row(command.language_range, language),
    b"NOOP": Row(command.no_arguments, Authorization.noop),
    b"QUIT": Row(command.no_arguments, Authorization.quit),
}

TABLE = Table(
    COMMANDS,
    frozenset({b"STAT", b"LIST", b"RETR", b"DELE", b"RSET", b"TOP", b"UIDL"}),
)
