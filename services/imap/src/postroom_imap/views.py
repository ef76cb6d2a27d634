"""The views of one process: opened once, shared, kept warm for a while after the last session."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_imap.ports.changes import Changes
from postroom_imap.ports.columns import Change, OpenedMailbox
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.mailboxes import Mailboxes
from postroom_imap.ports.messages import Messages
from postroom_imap.view import MailboxView

log = logs.logger(__name__)

Key = tuple[int, int]  # account id, mailbox id
Name = tuple[int, str]  # account id, name

REACH_SECONDS = 2.0  # how long a gap in a chain may stay before the mailbox is read anew
REPAIR_SECONDS = 15.0  # between two attempts to read one mailbox anew for those who idle
SWEEP_SECONDS = 30.0
MOST_CLAIMS = 20_000


@dataclass(frozen=True, slots=True)
class Warmth:
    """How long views without sessions are kept.

    Attributes:
        messages: in all of them together.
        seconds: since the last session left.
    """

    messages: int = 500_000
    seconds: float = 900.0


class Views:
    """Opens views and keeps them true.

    Args:
        clock: monotonic seconds.
    """

    def __init__(
        self,
        mailboxes: Mailboxes,
        messages: Messages,
        changes: Changes,
        warmth: Warmth,
        clock: Callable[[], float],
    ) -> None:
        self._mailboxes = mailboxes
        self._messages = messages
        self._changes = changes
        self._warmth = warmth
        self._clock = clock
        self._views: dict[Key, MailboxView] = {}
        self._names: dict[Name, Key] = {}
        self._idle: OrderedDict[Key, MailboxView] = OrderedDict()
        self._opening: dict[Name, asyncio.Task[MailboxView]] = {}
        self._claims: OrderedDict[Key, int] = OrderedDict()
        self._repairs: dict[MailboxView, asyncio.Task[None]] = {}

    async def acquire(self, ticket: Ticket, name: str) -> MailboxView:
        """The view of a mailbox, as new as the store's answer; `release` it in the end.

        A warm view costs one small call. Raises PostroomError NOT_FOUND.
        """
        view = await self._find_warm(ticket, name)
        if view is None:
            view = await self._open_once(ticket, name)
        key = (view.account_id, view.mailbox_id)
        if self._views.setdefault(key, view) is not view or view.gone:
            raise PostroomError(Kind.UNAVAILABLE, "the mailbox is changing hands; try again")
        view.name = name
        view.ticket = ticket
        view.sessions += 1
        self._idle.pop(key, None)
        return view

    def release(self, view: MailboxView) -> None:
        """A session has left."""
        view.sessions -= 1
        if view.sessions == 0:
            view.used_at = self._clock()
            self._idle[view.account_id, view.mailbox_id] = view
            self.sweep()

    def find(self, account_id: int, mailbox_id: int) -> MailboxView | None:
        """The view of a mailbox, if there is one."""
        return self._views.get((account_id, mailbox_id))

    def forget_names(self, account_id: int) -> None:
        """Names were given to other mailboxes: look them up again."""
        self._names = {name: key for name, key in self._names.items() if name[0] != account_id}

    async def take(
        self, view: MailboxView, ticket: Ticket, change: Change | None, origin: object
    ) -> None:
        """Apply what a session did to its mailbox; waits for what lies between, if need be."""
        if change is None:
            return
        view.follow(change, origin)
        await self.reach(view, ticket, change.modseq)

    def notice(self, account_id: int, change: Change | None) -> None:
        """Apply what a session did to another mailbox, if there is a view of it."""
        if change is None:
            return
        view = self.find(account_id, change.mailbox_id)
        if view is not None:
            view.follow(change)

    async def reach(self, view: MailboxView, ticket: Ticket, modseq: int) -> None:
        """Wait until a view has come to a modseq; read it anew where it doesn't come."""
        if view.modseq < modseq and not view.stale and not view.gone:
            reached = asyncio.Event()
            view.call_at(modseq, reached.set)
            try:
                async with asyncio.timeout(REACH_SECONDS):
                    await reached.wait()
            except TimeoutError:
                log.warning("view.gap", mailbox=view.mailbox_id)
        if (view.modseq < modseq or view.stale) and not view.gone:
            await self.reread(view, ticket)

    async def reread(self, view: MailboxView, ticket: Ticket) -> None:
        """Bring a view up to date from the store, and follow the mailbox again."""
        opened = await self._reopen(view, ticket)
        if opened is None:
            view.lose(temporary=False)
            return
        view.name = opened.name
        view.ticket = ticket
        view.replace(opened)
        self._changes.add(view)

    def renewed(self, view: MailboxView, ticket: Ticket) -> None:
        """A session has a fresh ticket: what the old one could not follow goes on with it."""
        self.repair(view, ticket)

    def repair(self, view: MailboxView, ticket: Ticket) -> None:
        """Bring a stale view up to date without anybody waiting for it, as often as it takes."""
        view.ticket = ticket
        if view.stale and not view.gone and view not in self._repairs:
            task = asyncio.create_task(self._repair(view))
            self._repairs[view] = task
            task.add_done_callback(lambda _: self._repairs.pop(view, None))

    def sweep(self) -> None:
        """Drop idle views: the oldest beyond the bound, and all that nobody came back to."""
        total = sum(map(_weight, self._idle.values()))
        limit = self._clock() - self._warmth.seconds
        while self._idle:
            key, view = next(iter(self._idle.items()))
            if total <= self._warmth.messages and view.used_at > limit and not view.gone:
                return
            total -= _weight(view)
            self._drop(key, view)

    async def sweep_forever(self) -> None:
        """Sweep now and then."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()

    async def _find_warm(self, ticket: Ticket, name: str) -> MailboxView | None:
        key = self._names.get((ticket.account_id, name))
        if key is None or key not in self._views:
            return None
        mailbox = await self._mailboxes.status(ticket, name)
        view = self._views.get((ticket.account_id, mailbox.mailbox_id))
        if view is None or view.gone or view.uid_validity != mailbox.uid_validity:
            return None
        await self.reach(view, ticket, mailbox.modseq)
        return None if view.gone else view

    async def _open_once(self, ticket: Ticket, name: str) -> MailboxView:
        """Open a mailbox; sessions that come meanwhile share the call."""
        key = (ticket.account_id, name)
        task = self._opening.get(key)
        if task is None:
            task = asyncio.create_task(self._open(ticket, name))
            self._opening[key] = task
            task.add_done_callback(lambda _: self._opening.pop(key, None))
        return await asyncio.shield(task)

    async def _open(self, ticket: Ticket, name: str) -> MailboxView:
        opened = await self._messages.open(ticket, name)
        key = (ticket.account_id, opened.mailbox_id)
        view = self._views.get(key)
        if view is not None and not view.gone and view.uid_validity == opened.uid_validity:
            lost = view.stale
            view.replace(opened)
            if lost:
                self._changes.add(view)
        else:
            if view is not None:
                self._drop(key, view)
            view = MailboxView(ticket, opened, self._claims.pop(key, None))
            self._views[key] = view
            self._idle[key] = view
            view.used_at = self._clock()
            self._changes.add(view)
        self._names[ticket.account_id, name] = key
        return view

    async def _reopen(self, view: MailboxView, ticket: Ticket) -> OpenedMailbox | None:
        """The mailbox read anew, under the name that it has now; None where it is gone."""
        for name in (view.name, None):
            try:
                name = name or await self._name_of(view.mailbox_id, ticket)
                opened = await self._messages.open(ticket, name)
            except PostroomError as error:
                if error.kind is not Kind.NOT_FOUND:
                    raise
            else:
                if opened.mailbox_id == view.mailbox_id:
                    return opened
        return None

    async def _name_of(self, mailbox_id: int, ticket: Ticket) -> str:
        for mailbox in await self._mailboxes.list(ticket):
            if mailbox.mailbox_id == mailbox_id:
                return mailbox.name
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")

    async def _repair(self, view: MailboxView) -> None:
        while view.stale and not view.gone and view.sessions:
            try:
                await self.reread(view, view.ticket)
            except PostroomError as error:
                log.warning("view.unrepaired", mailbox=view.mailbox_id, error=error.kind)
            # Also where it worked: a store that keeps refusing to be followed isn't asked at once.
            await asyncio.sleep(REPAIR_SECONDS)

    def _drop(self, key: Key, view: MailboxView) -> None:
        self._idle.pop(key, None)
        if self._views.get(key) is view:
            del self._views[key]
        self._changes.remove(view)
        self._names = {name: k for name, k in self._names.items() if k != key}
        self._claims[key] = view.unclaimed
        if len(self._claims) > MOST_CLAIMS:
            self._claims.popitem(last=False)


def _weight(view: MailboxView) -> int:
    """How much a view counts for, in messages: an empty one costs something too."""
    return len(view.uids) + 100
