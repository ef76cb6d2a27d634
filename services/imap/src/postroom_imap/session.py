"""One client's session: read a command, run its handler, write; every error ends up here.

The driver's loop is the whole of the control flow; what a command does is in `commands/`. A
handler writes its untagged responses and its tagged one through the session, raises PostroomError
where a port did, and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

import structlog
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.language import DEFAULT, speak
from postroom_chassis.net.client import Client
from postroom_chassis.net.connection import Connection, Draining, TimedOut
from postroom_chassis.net.deflate import MalformedDeflate
from postroom_chassis.net.stream import EndOfStream
from postroom_chassis.net.tls import ServerTls
from postroom_chassis.rpc import progress
from postroom_chassis.tickets import RENEW_RETRY_SECONDS, may_go_on, renewal_delay
from prometheus_client import Counter, Histogram

from postroom_imap import capabilities, replies
from postroom_imap.accounts import AccountViews
from postroom_imap.bounds import Bounds
from postroom_imap.dialect import PLAIN, Dialect
from postroom_imap.fetching import BrokenResponse
from postroom_imap.items import ItemCache
from postroom_imap.plan import Plan
from postroom_imap.ports.directory import Directory
from postroom_imap.ports.identity import Authenticator, Ticket
from postroom_imap.ports.mailboxes import Mailboxes
from postroom_imap.ports.messages import Messages
from postroom_imap.ports.quotas import Quotas
from postroom_imap.ports.urls import Urls
from postroom_imap.protocol import collation
from postroom_imap.protocol.commands import (
    Append,
    Command,
    Examine,
    Logout,
    Replace,
    Select,
    Unauthenticate,
    Unselect,
)
from postroom_imap.protocol.extension import IMPLIED, Extension
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.reading import read_command
from postroom_imap.protocol.responses import codes, status
from postroom_imap.protocol.state import State
from postroom_imap.protocol.table import Request
from postroom_imap.sorting import Sorting
from postroom_imap.tracker import Heed, Tracker
from postroom_imap.views import Views

log = logs.logger(__name__)

COMMANDS = Counter("postroom_imap_commands_total", "Commands answered", ["command", "outcome"])
SECONDS = Histogram(
    "postroom_imap_command_seconds",
    "How long commands took, without the wait for the client",
    ["command"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
)

REFUSED = status.bye("Too many connections; come back soon", codes.UNAVAILABLE)
LARGEST_ITEM = 64 * 1024  # of what the caches keep
LARGEST_BODY = 256 * 1024

TURN_COMMANDS = 32  # commands of one client that may run before the others get a turn
TURN_BYTES = 32 * 1024  # of one answer: half a millisecond of rendering

# What the selected mailbox has come to, these need not know: they leave it.
_LEAVING = (Logout, Unauthenticate, Unselect, Select, Examine)
# These look themselves, once what they bring is read: an answer before would be lost in it.
_RECEIVING = (Append, Replace)
_UTF8 = frozenset({Extension.IMAP4REV2, Extension.UTF8_ACCEPT})
_ENDS = (Draining, TimedOut, BrokenResponse, ConnectionError, EndOfStream)

Handler = Callable[["Session", bytes, Any], Awaitable[None]]


class Goodbye(Exception):
    """The session ends after this last response, or after none."""

    def __init__(self, farewell: bytes = b"") -> None:
        super().__init__()
        self.farewell = farewell


class StartOver(Exception):
    """The client has left its account, and may sign in to another (RFC 8437)."""


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """What all sessions of a process share.

    Attributes:
        tls: for STARTTLS; None where it isn't offered.
        server_annotations: what the operator tells everybody (RFC 5464 section 3.2.1.1).
        items: rendered envelopes, structures, chosen header fields.
        bodies: sections, apart, so that a walk over bodies doesn't push out the rest.
    """

    authenticator: Authenticator
    mailboxes: Mailboxes
    messages: Messages
    views: Views
    accounts: AccountViews
    quotas: Quotas
    directory: Directory
    urls: Urls
    sorting: Sorting
    items: ItemCache
    bodies: ItemCache
    bounds: Bounds
    handlers: dict[type[Command], Handler]
    tls: ServerTls | None = None
    server_annotations: Mapping[str, bytes] = field(default_factory=dict)

    async def serve(self, connection: Connection) -> None:
        """Serve one connection to its end."""
        session: Session | None = Session(self, connection)
        while session is not None:
            session = await session.run()


class Notifier(Protocol):
    """What a session hears of by NOTIFY; `heed` is that of the selected mailbox.

    Attributes:
        idling: the session is in IDLE.
    """

    idling: bool

    @property
    def heed(self) -> Heed: ...

    def resume(self) -> None:
        """A command is done."""

    async def settle(self) -> None:
        """A command is to run: wait until what is being told is told."""

    def own(self, name: str) -> None:
        """The session is about to change this name itself."""

    def renewed(self) -> None:
        """The session has a fresh ticket."""

    def close(self) -> None:
        """Listen no more."""


class KeptResults(Protocol):
    """Results of searches in the selected mailbox that are kept true (RFC 5267)."""

    async def refresh(self) -> None:
        """Tell what the news that the session was told mean to them."""

    @property
    def busy(self) -> bool:
        """Whether `refresh_soon` has yet to end: the session is to be told nothing meanwhile."""

    def refresh_soon(self, then: Callable[[], None]) -> None:
        """The same, where nobody can wait for it; then do something."""

    async def settle(self) -> None:
        """Wait for what `refresh_soon` began."""

    def close(self) -> None:
        """The mailbox is left."""


class Session:
    """One connection and what it stands for.

    Attributes:
        ticket: whose session it is, once somebody has signed in.
        tracker: the selected mailbox.
        comparator: how texts are compared (RFC 5255 section 4).
        enabled: what the client has enabled.
        dialect: what that changes in what it is told of messages.
        contexts: results that are kept true, once there are any.
        notification: what it wants to hear of, once it has said so (RFC 5465).
        interruptible: nothing is being answered, so that the session may end at once.
        walk: the plan and the position of the last fetch of one message: the next one may show
            that the client walks through the mailbox.
    """

    __slots__ = (
        "__weakref__",
        "_answered",
        "_bad",
        "_expired",
        "_failures",
        "_greeted",
        "_limits",
        "_progress_at",
        "_refused",
        "_renewal",
        "_running",
        "_turn_bytes",
        "comparator",
        "connection",
        "contexts",
        "dialect",
        "enabled",
        "front",
        "interruptible",
        "notification",
        "state",
        "ticket_or_none",
        "tracker",
        "walk",
    )

    def __init__(self, front: Front, connection: Connection) -> None:
        self.front = front
        self.connection = connection
        self.state = State.NOT_AUTHENTICATED
        self.ticket_or_none: Ticket | None = None
        self.tracker: Tracker | None = None
        self.walk: tuple[Plan, int] | None = None
        self.comparator = collation.DEFAULT
        self.enabled: frozenset[Extension] = frozenset()
        self.dialect = PLAIN
        self.notification: Notifier | None = None
        self.contexts: KeptResults | None = None
        self._limits: Limits = front.bounds.commands_before_login
        self._bad = 0
        self._failures = 0
        self._greeted = False
        self._answered = 0
        self._turn_bytes = 0
        self._refused = False
        self._expired = False
        self.interruptible = False
        self._running = b""  # the tag of the command in hand
        self._progress_at = 0.0
        self._renewal: asyncio.TimerHandle | asyncio.Task[None] | None = None

    async def run(self) -> Session | None:
        """Greet, serve commands, say goodbye.

        Answers the session that the connection goes on with, as if it were new, where the client
        has left its account.
        """
        progress.hear(self._hear_progress)
        try:
            if not self._greeted:
                await self._greet()
            while True:
                await self._serve_command()
        except Goodbye as goodbye:
            self.write(goodbye.farewell)
        except StartOver:
            return self._start_over()
        except Draining:
            self.write(status.bye("The server is going down; come back soon", codes.UNAVAILABLE))
        except TimedOut:
            self.write(status.bye("Nothing was heard from you for too long"))
        except MalformedDeflate:
            self.write(status.bye("What is sent can't be inflated", codes.CLIENT_BUG))
        except BrokenResponse:
            log.warning("fetch.broken")
            self.connection.abort()
        finally:
            if self.notification is not None:
                self.notification.close()
            self.unselect()
            if self._renewal is not None:
                self._renewal.cancel()
        return None

    def _start_over(self) -> Session:
        """Nothing that was true of the account stays; what speaks of an attack does."""
        log.info("imap.unauthenticated")
        speak(DEFAULT)  # RFC 8437 section 4.1
        structlog.contextvars.unbind_contextvars("account")
        session = Session(self.front, self.connection)
        session._greeted = True
        session._bad, session._failures = self._bad, self._failures
        return session

    # -- what handlers use

    @property
    def ticket(self) -> Ticket:
        """Whose session it is; the table of commands lets nobody ask before that is known."""
        if self.ticket_or_none is None:
            raise PostroomError(Kind.UNAUTHENTICATED, "nobody has signed in")
        return self.ticket_or_none

    @property
    def selected(self) -> Tracker:
        """The selected mailbox; the table of commands lets nobody ask without one."""
        if self.tracker is None:
            raise PostroomError(Kind.INVALID, "no mailbox is selected")
        return self.tracker

    @property
    def client(self) -> Client:
        """The connection as authentication sees it."""
        return Client.of(self.connection)

    @property
    def secure(self) -> bool:
        """Whether nobody on the way can read what is said."""
        return self.connection.tls is not None or self.connection.peer.loopback

    @property
    def may_login(self) -> bool:
        """Whether credentials may travel on this connection."""
        return self.secure or self.front.bounds.cleartext_login

    @property
    def tls_offered(self) -> bool:
        """Whether STARTTLS can be used now."""
        return self.front.tls is not None and self.connection.tls is None

    @property
    def rev2(self) -> bool:
        """Whether the client speaks IMAP4rev2 (RFC 9051), and has said so."""
        return Extension.IMAP4REV2 in self.enabled

    @property
    def utf8(self) -> bool:
        """Whether mailbox names are UTF-8 both ways (RFC 9051 section 5.1, RFC 9755 section 3)."""
        return self._limits.utf8_names

    def enable(self, extension: Extension) -> None:
        """The client asked for an extension, for the rest of the connection.

        One that turns to modseqs with a mailbox selected is told where that stands (RFC 7162
        section 3.1.1).
        """
        followed = self.dialect.modseq
        self.enabled |= {extension, *IMPLIED.get(extension, ())}
        self.dialect = Dialect.of(self.enabled)
        if extension in _UTF8:
            self._limits = replace(self._limits, utf8_names=True)
        if self.tracker is None:
            return
        self.tracker.dialect = self.dialect
        if self.dialect.modseq and not followed:
            code = codes.highest_modseq(self.tracker.modseq_told)
            self.write(status.untagged_ok("Highest", code))

    def notify(self, notification: Notifier) -> None:
        """What the client wants to hear of, in the place of what it wanted before."""
        if self.notification is not None:
            self.notification.close()
        self.notification = notification
        if self.tracker is not None:
            self.tracker.heed = notification.heed

    @property
    def limits(self) -> Limits:
        """On what is read of commands."""
        return self._limits

    def write(self, data: bytes) -> None:
        """Send."""
        if data:
            self._turn_bytes += len(data)
            self.connection.write(data)

    async def breathe(self) -> None:
        """Wait for a slow client, and let other sessions run now and then."""
        await self.connection.drain()
        if self._turn_bytes >= TURN_BYTES:
            self._turn_bytes = 0
            await asyncio.sleep(0)

    def finish(
        self,
        tag: bytes,
        text: str,
        code: bytes | None = None,
        *,
        before: bytes = b"",
        expunge: bool = True,
        uid: bool = False,
    ) -> None:
        """Answer OK, after what there is to tell of the selected mailbox.

        Args:
            before: untagged responses of the command itself.
            expunge: sequence numbers may shift now (RFC 3501 section 7.4.1).
            uid: a UID command: FETCH responses name UIDs.
        """
        done = status.ok(tag, text, code)
        if self.tracker is not None:
            done = b"".join((before, *self.tracker.tell(expunge=expunge, uid=uid), done))
        elif before:
            done = before + done
        self.connection.write(done)

    def refuse(self, tag: bytes, text: str, code: bytes | None = None) -> None:
        """Answer NO."""
        self._refused = True
        self.write(status.no(tag, text, code))

    def reject(self, tag: bytes, text: str, code: bytes | None = None) -> None:
        """Answer BAD; too many of them end the session."""
        self.complain(InvalidCommand(tag, text, code))

    def complain(self, invalid: InvalidCommand) -> None:
        """Answer what couldn't be obeyed. Raises Goodbye after too much of it."""
        self._refused = True
        self.write(invalid.reply())
        if invalid.fatal:
            raise Goodbye
        self._bad += 1
        if self._bad >= self.front.bounds.bad_commands:
            raise Goodbye(status.bye("Too many bad commands", codes.CLIENT_BUG))

    def select(self, tracker: Tracker) -> None:
        """A mailbox is selected; its view was acquired."""
        self.unselect()
        self.tracker = tracker
        self.state = State.SELECTED

    def unselect(self) -> None:
        """No mailbox is selected any more."""
        if self.contexts is not None:
            self.contexts.close()
            self.contexts = None
        if self.tracker is not None:
            self.front.views.release(self.tracker.standing)
            self.tracker = None
            self.walk = None
            self.state = State.AUTHENTICATED

    def sign_in(self, ticket: Ticket) -> None:
        """Somebody has authenticated."""
        self.ticket_or_none = ticket
        self.state = State.AUTHENTICATED
        self._limits = self.front.bounds.commands
        structlog.contextvars.bind_contextvars(account=ticket.account_id)
        log.info("imap.login", address=ticket.address, peer=self.connection.peer.address)
        self._plan_renewal()

    async def refresh(self) -> None:
        """What auth knows of the account has changed: take it up now."""
        self.ticket_or_none = await self.front.authenticator.renew(self.ticket)

    async def fail_login(self, tag: bytes, error: PostroomError) -> None:
        """Answer a refused login; too many of them end the session."""
        log.info("imap.login_refused", peer=self.connection.peer.address, why=error.kind)
        self._refused = True
        wrong = error.kind in (Kind.UNAUTHENTICATED, Kind.INVALID)
        self.write(replies.refusal(tag, error, codes.AUTHENTICATION_FAILED if wrong else None))
        self._failures += wrong
        if self._failures >= self.front.bounds.login_failures:
            raise Goodbye(status.bye("Too many refused logins"))

    # -- the loop

    async def _greet(self) -> None:
        if self.connection.draining:
            raise Draining
        names = await self.capabilities()
        self.write(status.untagged_ok("Postroom is ready", codes.capability(names)))

    async def capabilities(self) -> list[str]:
        """What the session can do now."""
        if self.ticket_or_none is not None:
            return capabilities.after_login(
                self.front.bounds, compressed=self.connection.compressed
            )
        mechanisms: tuple[str, ...] = ()
        if self.may_login:
            try:
                mechanisms = await self.front.authenticator.mechanisms(self.client)
            except PostroomError as error:
                log.warning("imap.mechanisms_unknown", error=error.kind)
        return capabilities.before_login(
            tls_offered=self.tls_offered, may_login=self.may_login, mechanisms=mechanisms
        )

    async def _serve_command(self) -> None:
        connection, bounds = self.connection, self.front.bounds
        reading = read_command(connection.stream, self._limits, self.state, connection.write)
        signed_in = self.ticket_or_none is not None
        seconds = bounds.autologout_seconds if signed_in else bounds.login_seconds
        self.interruptible = True
        if self.notification is not None:
            self.notification.resume()
        request = await connection.read(reading, seconds, boundary=True)
        self.interruptible = False
        if self.notification is not None:
            await self.notification.settle()
        if isinstance(request, InvalidCommand):
            self.complain(request)
        else:
            await self._answer(request)
            self._running = b""
            if self.contexts is not None:
                await self.contexts.refresh()
        self._answered += 1
        if self._answered % TURN_COMMANDS == 0:
            await asyncio.sleep(0)
        await connection.drain()
        if self._expired:
            raise Goodbye(_expired())

    async def _answer(self, request: Request) -> None:
        name = type(request.command).__name__
        started = time.perf_counter()
        self._running, self._progress_at = request.tag, started
        self._refused = False
        try:
            if self.dialect.uid_only and not getattr(request.command, "uid", True):
                self.reject(request.tag, "Name messages by UID", codes.UID_REQUIRED)
                return
            if not isinstance(request.command, (*_LEAVING, *_RECEIVING)):
                await self.check_view()
            await self.front.handlers[type(request.command)](self, request.tag, request.command)
        except PostroomError as error:
            self._fail(request.tag, error)
        except (Goodbye, StartOver, *_ENDS):
            raise
        except Exception:
            log.exception("imap.command_failed", command=name)
            self._refused = True
            text = "Something went wrong here; it was logged"
            self.write(status.no(request.tag, text, codes.SERVER_BUG))
        answered, refused, seconds = _meters(name)
        (refused if self._refused else answered).inc()
        seconds.observe(time.perf_counter() - started)

    def _hear_progress(self, done: int, goal: int) -> None:
        """The store tells how far the command in hand has come (RFC 9585)."""
        now = time.perf_counter()
        if not self._running or done >= goal:
            return
        if now - self._progress_at < self.front.bounds.progress_seconds:
            return
        self._progress_at = now
        code = codes.in_progress(self._running, done, goal)
        self.connection.write(status.untagged_ok("Still at work", code))

    async def check_view(self) -> None:
        """The selected mailbox may be gone, or its view may need to be read anew.

        Raises Goodbye, PostroomError.
        """
        if self.tracker is None:
            return
        if self.tracker.view.stale or self.tracker.standing.uncertain:
            await self.front.views.settle(self.tracker.standing)
        if farewell := self.tracker.farewell():
            raise Goodbye(farewell)

    def _fail(self, tag: bytes, error: PostroomError) -> None:
        self._refused = True
        if error.kind in (Kind.EXPIRED, Kind.UNAUTHENTICATED) and self.ticket_or_none is not None:
            raise Goodbye(replies.refusal(tag, error) + _expired())
        if error.kind in (Kind.INTERNAL, Kind.UNAVAILABLE, Kind.DEADLINE):
            log.warning("imap.store_failed", kind=error.kind, error=error.message)
        tracker = self.tracker
        told = b"".join(tracker.tell(expunge=False)) if tracker is not None else b""
        self.write(told + replies.refusal(tag, error))

    # -- renewal of the ticket

    def _plan_renewal(self) -> None:
        self._renew_in(renewal_delay(self.ticket.expires_at, self.ticket.renew_seconds))

    def _renew_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._renewal = loop.call_later(seconds, self._start_renewal)

    def _start_renewal(self) -> None:
        self._renewal = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        try:
            self.ticket_or_none = await self.front.authenticator.renew(self.ticket)
        except PostroomError as error:
            if may_go_on(error, self.ticket.expires_at):
                self._renew_in(RENEW_RETRY_SECONDS)
                return
            log.info("imap.renewal_refused", why=error.kind)
            self._expired = True
            if self.interruptible:
                self.write(_expired())
                self.connection.close()
            return
        if self.tracker is not None:
            self.front.views.renewed(self.tracker.standing, self.ticket)
        if self.notification is not None:
            self.notification.renewed()
        self._plan_renewal()


@lru_cache(256)
def _meters(name: str) -> tuple[Counter, Counter, Histogram]:
    """The meters of one command: answered, refused, seconds."""
    return COMMANDS.labels(name, "ok"), COMMANDS.labels(name, "refused"), SECONDS.labels(name)


def _expired() -> bytes:
    return status.bye("Sign in again: the session's authority has ended", codes.EXPIRED)
