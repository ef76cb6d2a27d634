"""What one session hears of by NOTIFY (RFC 5465), while it runs a command and while it doesn't.

Events come from the change stream at any time. Between two commands they are told at once; while a
command runs, or the client doesn't read, they gather: of each mailbox what its counts were when
they were told last, so that however much happens takes no more room, and the lines of other events
up to a number, beyond which the client is told that it missed some (section 5.8).

Liberties: what the session itself appends or copies is told as if another had done it. Only the
account's own mailboxes are watched. "Inboxes" is INBOX, where mail is delivered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from postroom_chassis.net.connection import TimedOut

from postroom_imap.accounts import (
    AccountEvent,
    AccountView,
    Annotated,
    Counted,
    Named,
    Subscribed,
)
from postroom_imap.commands.fetch import send_messages
from postroom_imap.commands.list import listing_attributes
from postroom_imap.commands.status import describe
from postroom_imap.fetching import BrokenResponse
from postroom_imap.plan import compile_plan
from postroom_imap.ports.mailboxes import Mailbox
from postroom_imap.protocol.commands import StatusItem
from postroom_imap.protocol.commands.notify import (
    MESSAGE_EVENTS,
    SELECTED_SCOPES,
    Event,
    EventGroup,
    Scope,
)
from postroom_imap.protocol.extension import Extension
from postroom_imap.protocol.mailbox_name import DELIMITER, INBOX
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.mailboxes import list_response, old_name
from postroom_imap.protocol.responses.metadata import changed_metadata_response
from postroom_imap.protocol.responses.status import untagged_ok
from postroom_imap.session import Session
from postroom_imap.tracker import Heed, Tracker

log = logs.logger(__name__)

MOST_LINES = 1000  # that wait to be told
OWN_SECONDS = 3.0  # in which the news of what a session did itself come back to it

_FLAGS = frozenset({Event.FLAG_CHANGE, Event.ANNOTATION_CHANGE})
_NOTHING: frozenset[Event] = frozenset()


class Notification:
    """A session's wishes, and what waits to be told.

    Attributes:
        idling: the session is in IDLE, where sequence numbers may shift.
    """

    __slots__ = (
        "_account",
        "_counts",
        "_fetched",
        "_groups",
        "_heard",
        "_lines",
        "_own",
        "_selected",
        "_session",
        "_task",
        "idling",
    )

    def __init__(self, session: Session, groups: Sequence[EventGroup]) -> None:
        self._session = session
        self._groups = [group for group in groups if group.scope not in SELECTED_SCOPES]
        self._selected = next((g for g in groups if g.scope in SELECTED_SCOPES), None)
        self._account: AccountView | None = None
        self._counts: dict[int, Mailbox] = {}
        self._lines: list[bytes] = []
        self._own: dict[str, float] = {}
        self._heard: Tracker | None = None
        self._fetched = 0
        self._task: asyncio.Task[None] | None = None
        self.idling = False

    async def start(self) -> None:
        """Begin to listen. Raises PostroomError UNAVAILABLE."""
        session = self._session
        if any(group.events for group in self._groups):
            watch = session.front.accounts.watch
            self._account = await watch(session.ticket, self._hear)

    # -- what the session calls

    def statuses(self) -> bytes:
        """STATUS of each mailbox whose messages are watched (section 3.1)."""
        if self._account is None:
            return b""
        told = []
        for mailbox in self._account.mailboxes.values():
            if not mailbox.selectable or self._is_selected(mailbox):
                continue
            if events := self._wanted(mailbox) & MESSAGE_EVENTS:
                items = [StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UIDVALIDITY]
                if events & _FLAGS:
                    items.append(StatusItem.HIGHESTMODSEQ)
                told.append(describe(self._session, mailbox.name, mailbox, items))
        return b"".join(told)

    def resume(self) -> None:
        """A command is done: what has gathered is told, and what happens from now on as it does."""
        tracker = self._session.tracker
        if tracker is not self._heard:
            self._unlisten()
            self._heard = tracker
            if tracker is not None:
                tracker.heed = self.heed
                tracker.view.listen(self._tell)
                self._fetched = tracker.last_uid
        self._tell()

    async def settle(self) -> None:
        """Wait until what is being told is told: a command is to run."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def own(self, name: str) -> None:
        """The session is about to change this name itself, of which it need not be told."""
        if len(self._own) < MOST_LINES:
            self._own[name] = time.monotonic() + OWN_SECONDS

    def renewed(self) -> None:
        """The session has a fresh ticket."""
        if self._account is not None:
            self._session.front.accounts.renewed(self._account, self._session.ticket)

    def close(self) -> None:
        """Listen no more."""
        self._unlisten()
        if self._account is not None:
            self._session.front.accounts.leave(self._account, self._hear)
            self._account = None
        if self._task is not None:
            self._task.cancel()

    @property
    def heed(self) -> Heed:
        """What is told of the selected mailbox, within commands too (section 3.1)."""
        events = self._selected.events if self._selected is not None else _NOTHING
        if not events:
            return Heed.NOTHING
        heed = Heed.MESSAGES
        if Event.FLAG_CHANGE in events:
            heed |= Heed.FLAGS
        return heed | Heed.ANNOTATIONS if Event.ANNOTATION_CHANGE in events else heed

    # -- hearing

    def _hear(self, events: Sequence[AccountEvent]) -> None:
        for event in events:
            match event:
                case Counted():
                    if self._wanted(event.after) & MESSAGE_EVENTS:
                        self._counts.setdefault(event.after.mailbox_id, event.before)
                case Named():
                    self._hear_name(event)
                case Subscribed():
                    self._hear_subscription(event)
                case Annotated():
                    self._hear_annotations(event)
        if len(self._lines) > MOST_LINES:
            self._overflow()
        self._tell()

    def _hear_name(self, event: Named) -> None:
        mailbox = event.mailbox or self._find(event.name)
        wanted = self._wanted(mailbox)
        if event.old_name:
            wanted |= self._wanted(Mailbox(mailbox.mailbox_id, event.old_name))
        if Event.MAILBOX_NAME not in wanted or self._did(event.name):
            return
        extended = [old_name(event.old_name, utf8=self._session.utf8)] if event.old_name else []
        self._lines.append(self._list(mailbox, extended))

    def _hear_subscription(self, event: Subscribed) -> None:
        mailbox = self._find(event.name)
        # What was unsubscribed just now was among "subscribed" until then.
        wanted = self._wanted(mailbox) | self._of_scope(Scope.SUBSCRIBED)
        if Event.SUBSCRIPTION_CHANGE in wanted and not self._did(event.name):
            self._lines.append(self._list(mailbox, []))

    def _hear_annotations(self, event: Annotated) -> None:
        if event.name:
            wanted = Event.MAILBOX_METADATA_CHANGE in self._wanted(self._find(event.name))
        else:
            wanted = any(Event.SERVER_METADATA_CHANGE in group.events for group in self._groups)
        if wanted and not self._did(event.name):
            utf8 = self._session.utf8
            self._lines.append(changed_metadata_response(event.name, event.entries, utf8=utf8))

    def _find(self, name: str) -> Mailbox:
        found = self._account.mailboxes.get(name) if self._account is not None else None
        return found or Mailbox(0, name, selectable=False)

    def _list(self, mailbox: Mailbox, extended: Sequence[bytes]) -> bytes:
        parents = self._account.parents if self._account is not None else frozenset()
        attributes = listing_attributes(mailbox, mailbox.name in parents, tell_subscribed=True)
        return list_response(mailbox.name, attributes, extended, utf8=self._session.utf8)

    def _wanted(self, mailbox: Mailbox) -> frozenset[Event]:
        """The events that are wanted of a mailbox; several groups may name it."""
        events = _NOTHING
        for group in self._groups:
            if not group.events <= events and _covers(group, mailbox):
                events |= group.events
        return events

    def _of_scope(self, scope: Scope) -> frozenset[Event]:
        found = [group.events for group in self._groups if group.scope is scope]
        return _NOTHING.union(*found)

    def _did(self, name: str) -> bool:
        """Whether the session did this itself."""
        expires = self._own.pop(name, 0.0)
        return expires > time.monotonic()

    def _is_selected(self, mailbox: Mailbox) -> bool:
        tracker = self._session.tracker
        key = (self._session.ticket.account_id, mailbox.mailbox_id)
        return tracker is not None and tracker.view.key == key

    # -- telling

    def _tell(self) -> None:
        """Tell what there is, if the session is between commands and the client reads."""
        session = self._session
        if not session.interruptible or self._task is not None or session.connection.closed:
            return
        if session.connection.congested:
            self._start(self._wait_for_client())
            return
        self._tell_selected()
        counts, self._counts = self._counts, {}
        lines, self._lines = self._lines, []
        told = [self._count(mailbox_id, before) for mailbox_id, before in counts.items()]
        session.write(b"".join((*lines, *told)))
        if self._has_fresh():
            self._start(self._fetch())

    def _tell_selected(self) -> None:
        tracker, session = self._session.tracker, self._session
        if tracker is None or tracker is not self._heard:
            return
        if tracker.view.stale or tracker.standing.uncertain:
            session.front.views.repair(tracker.standing)
        if farewell := tracker.farewell():
            session.write(farewell)
            session.connection.close()
            return
        delayed = self._selected is not None and self._selected.scope is Scope.SELECTED_DELAYED
        session.write(b"".join(tracker.tell(expunge=self.idling or not delayed)))

    def _count(self, mailbox_id: int, before: Mailbox) -> bytes:
        """STATUS of what has changed since a mailbox was told of last (sections 5.1 to 5.3)."""
        after = self._account.by_id(mailbox_id) if self._account is not None else None
        if after is None or self._is_selected(after) or not after.selectable:
            return b""
        events = self._wanted(after)
        came = max(after.uid_next - before.uid_next, 0)
        moved = came or after.messages != before.messages
        items: list[StatusItem] = []
        if after.uid_validity != before.uid_validity:
            items = [StatusItem.UIDVALIDITY, StatusItem.UIDNEXT, StatusItem.MESSAGES]
        elif moved:
            items = [StatusItem.UIDNEXT, StatusItem.MESSAGES]
        elif events & _FLAGS and self._follows_modseqs:
            items = [StatusItem.UIDVALIDITY]
        if events & _FLAGS and after.unseen != before.unseen:
            items.append(StatusItem.UNSEEN)
        if items and self._follows_modseqs:
            items.append(StatusItem.HIGHESTMODSEQ)
        return describe(self._session, after.name, after, items) if items else b""

    @property
    def _follows_modseqs(self) -> bool:
        return Extension.CONDSTORE in self._session.enabled

    def _overflow(self) -> None:
        """Behave as after NOTIFY NONE (section 5.8)."""
        self.close()
        self._task = None
        self._groups, self._selected = [], None
        self._counts = {}
        text = "Too much happens; ask again"
        self._lines = [untagged_ok(text, codes.NOTIFICATION_OVERFLOW)]

    # -- fetching of new messages

    def _has_fresh(self) -> bool:
        tracker = self._heard
        if tracker is None or self._selected is None or self._selected.items is None:
            return False
        return tracker.last_uid > self._fetched

    async def _fetch(self) -> None:
        """What the client wants to see of each new message of the selected mailbox."""
        tracker, group = self._heard, self._selected
        if tracker is None or group is None or group.items is None:
            return
        since, self._fetched = self._fetched, tracker.last_uid
        plan = compile_plan(group.items, False, self._session.dialect)
        await send_messages(self._session, plan, [tracker.after(since)])

    async def _wait_for_client(self) -> None:
        """Until it has read most of what it was told."""
        while self._session.connection.congested:
            await self._session.connection.drain()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self._task = asyncio.create_task(self._carry_out(work))

    async def _carry_out(self, work: Coroutine[None, None, None]) -> None:
        connection = self._session.connection
        try:
            await work
        except PostroomError as error:
            log.warning("notify.unfetched", why=error.kind)
        except (BrokenResponse, TimedOut, ConnectionError):
            connection.abort()
        self._task = None
        self._tell()

    def _unlisten(self) -> None:
        if self._heard is not None:
            self._heard.view.unlisten(self._tell)
            self._heard = None


def _covers(group: EventGroup, mailbox: Mailbox) -> bool:
    return _COVERS[group.scope](group, mailbox)


def _is_below(group: EventGroup, mailbox: Mailbox) -> bool:
    return any(
        mailbox.name == top or mailbox.name.startswith(top + DELIMITER) for top in group.mailboxes
    )


_COVERS: dict[Scope, Callable[[EventGroup, Mailbox], bool]] = {
    Scope.INBOXES: lambda _, mailbox: mailbox.name == INBOX,
    Scope.PERSONAL: lambda _group, _mailbox: True,
    Scope.SUBSCRIBED: lambda _, mailbox: mailbox.subscribed,
    Scope.SUBTREE: _is_below,
    Scope.MAILBOXES: lambda group, mailbox: mailbox.name in group.mailboxes,
}
