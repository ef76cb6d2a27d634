"""The views of one process: opened once, shared, kept warm for a while after the last session."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_imap.ports.changes import Changes
from postroom_imap.ports.columns import Change, MailboxKey
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.mailboxes import Mailboxes
from postroom_imap.ports.messages import Messages
from postroom_imap.standing import Standing
from postroom_imap.view import MailboxView

log = logs.logger(__name__)

_Found = tuple[MailboxView, str, int]  # and what the person may do, as of a modseq
_Name = tuple[int, str]  # whose it is, and the name

REACH_SECONDS = 2.0  # how long a gap in a chain may stay before the mailbox is read anew
REPAIR_SECONDS = 15.0  # between two attempts to read one mailbox anew for those who idle
SWEEP_SECONDS = 30.0
MOST_CLAIMS = 20_000

_LOST = frozenset({Kind.NOT_FOUND, Kind.DENIED})  # the mailbox is gone, or the right to read it


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
        self._views: dict[MailboxKey, MailboxView] = {}
        self._names: dict[_Name, MailboxKey] = {}
        self._idle: OrderedDict[MailboxKey, MailboxView] = OrderedDict()
        self._opening: dict[_Name, asyncio.Task[_Found]] = {}
        self._claims: OrderedDict[MailboxKey, int] = OrderedDict()
        self._repairs: dict[MailboxView | Standing, asyncio.Task[None]] = {}

    async def acquire(self, ticket: Ticket, name: str) -> Standing:
        """Somebody at a mailbox, as new as the store's answer; `release` it in the end.

        A warm view costs one small call. Raises PostroomError: NOT_FOUND, DENIED.
        """
        found = await self._find_warm(ticket, name)
        if found is None:
            found = await self._open_once(ticket, name)
        view, rights, modseq = found
        if self._views.setdefault(view.key, view) is not view or view.gone:
            raise PostroomError(Kind.UNAVAILABLE, "the mailbox is changing hands; try again")
        standing = view.standings.get(ticket.account_id)
        if standing is None:
            standing = Standing(view, ticket, name, rights, modseq)
            view.standings[ticket.account_id] = standing
            if len(view.standings) > 1 and not view.stale:
                self._changes.add(view)  # for one person more
        standing.learn(rights, modseq)
        standing.name = name
        standing.sessions += 1
        self._use(standing, ticket)
        view.sessions += 1
        self._idle.pop(view.key, None)
        return standing

    def release(self, standing: Standing) -> None:
        """A session has left."""
        view = standing.view
        view.sessions -= 1
        standing.sessions -= 1
        if standing.sessions == 0:
            view.standings.pop(standing.ticket.account_id, None)
            if view.standings and view.ticket is standing.ticket:
                view.ticket = _by_trust(view)[0].ticket
        if view.sessions == 0:
            view.used_at = self._clock()
            self._idle[view.key] = view
            self.sweep()

    def find(self, key: MailboxKey) -> MailboxView | None:
        """The view of a mailbox, if there is one."""
        return self._views.get(key)

    def forget_names(self, account_id: int) -> None:
        """Names were given to other mailboxes: look them up again."""
        self._names = {name: key for name, key in self._names.items() if name[0] != account_id}

    async def take(self, standing: Standing, change: Change | None, origin: object) -> None:
        """Apply what a session did to its mailbox; waits for what lies between, if need be."""
        if change is None:
            return
        standing.view.follow(change, origin)
        await self.reach(standing, change.modseq)
        if standing.uncertain:
            with suppress(PostroomError):  # what was done is done: it is told later then
                await self.settle(standing)

    def notice(self, ticket: Ticket, change: Change | None) -> None:
        """Apply what somebody did to another mailbox, if there is a view of it."""
        if change is None:
            return
        view = self.find(change.key(ticket.account_id))
        if view is not None:
            view.follow(change)

    async def reach(self, standing: Standing, modseq: int) -> None:
        """Wait until a view has come to a modseq; read it anew where it doesn't come."""
        view = standing.view
        if view.modseq < modseq and not view.stale and not view.gone:
            reached = asyncio.Event()
            view.call_at(modseq, reached.set)
            try:
                async with asyncio.timeout(REACH_SECONDS):
                    await reached.wait()
            except TimeoutError:
                log.warning("view.gap", mailbox=view.mailbox_id)
        if (view.modseq < modseq or view.stale) and not view.gone:
            await self.reread(standing)

    async def reread(self, standing: Standing) -> None:
        """Bring a view up to date from the store, and follow the mailbox again.

        Whoever may not read it any more learns that, and leaves it to the others.
        """
        view = standing.view
        try:
            opened = await self._messages.open(standing.ticket, view.key)
        except PostroomError as error:
            if error.kind not in _LOST or (error.kind is Kind.DENIED and not standing.guest):
                raise
            if standing.guest:
                standing.end()
                view.call_listeners()
            else:
                view.lose(temporary=False)
            return
        if opened.uid_validity != view.uid_validity:
            view.lose(temporary=False)
            return
        view.ticket = standing.ticket
        standing.learn(opened.rights, opened.modseq)
        view.replace(opened)
        self._changes.add(view)
        view.call_listeners()  # what others may do may be uncertain now, though nothing else is new

    async def settle(self, standing: Standing) -> None:
        """See to it that a view is true, and that what the person may do is certain.

        Costs a call where the stream broke or an ACL changed, else nothing.
        """
        view = standing.view
        if view.stale and not view.gone:
            await self.reach(standing, view.modseq)
        while standing.uncertain and not (view.gone or view.stale):
            asked_at = view.rights_modseq
            try:
                rights = await self._mailboxes.rights(standing.ticket, view.key)
            except PostroomError as error:
                if error.kind not in _LOST:
                    raise
                rights = ""
            standing.learn(rights, asked_at)
            view.call_listeners()

    def renewed(self, standing: Standing, ticket: Ticket) -> None:
        """A session has a fresh ticket: what the old one could not follow goes on with it."""
        self._use(standing, ticket)
        self.repair(standing)

    def repair(self, standing: Standing) -> None:
        """Settle somebody's view without anybody waiting for it, as often as it takes."""
        view = standing.view
        if view.gone:
            return
        if view.stale:
            self._start(view, partial(self._repair, view))
        elif standing.uncertain:
            self._start(standing, partial(self._ascertain, standing))

    def _start(
        self, what: MailboxView | Standing, work: Callable[[], Coroutine[None, None, None]]
    ) -> None:
        if what not in self._repairs:
            self._repairs[what] = task = asyncio.create_task(work())
            task.add_done_callback(lambda _: self._repairs.pop(what, None))

    def _use(self, standing: Standing, ticket: Ticket) -> None:
        """Ask with a fresh ticket; about a view, with the owner's, rather than with a guest's."""
        view = standing.view
        standing.ticket = ticket
        if not standing.guest or view.account_id not in view.standings:
            view.ticket = ticket

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

    async def _find_warm(self, ticket: Ticket, name: str) -> _Found | None:
        key = self._names.get((ticket.account_id, name))
        if key is None or key not in self._views:
            return None
        mailbox = await self._mailboxes.status(ticket, name)
        view = self._views.get((mailbox.owner or ticket.account_id, mailbox.mailbox_id))
        if view is None or view.gone or view.uid_validity != mailbox.uid_validity:
            return None
        comer = Standing(view, ticket, name, mailbox.rights, mailbox.modseq)
        await self.reach(comer, mailbox.modseq)
        return None if view.gone or comer.ended else (view, comer.rights, comer.known_at)

    async def _open_once(self, ticket: Ticket, name: str) -> _Found:
        """Open a mailbox; sessions of a person that come meanwhile share the call."""
        key = (ticket.account_id, name)
        task = self._opening.get(key)
        if task is None:
            task = asyncio.create_task(self._open(ticket, name))
            self._opening[key] = task
            task.add_done_callback(lambda _: self._opening.pop(key, None))
        return await asyncio.shield(task)

    async def _open(self, ticket: Ticket, name: str) -> _Found:
        opened = await self._messages.open(ticket, name)
        key = (opened.owner or ticket.account_id, opened.mailbox_id)
        view = self._views.get(key)
        if view is not None and not view.gone and view.uid_validity == opened.uid_validity:
            lost = view.stale
            view.replace(opened)
            if lost:
                view.ticket = ticket
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
        return view, opened.rights, opened.modseq

    async def _repair(self, view: MailboxView) -> None:
        while view.stale and not view.gone and view.sessions:
            lost = await self._try_each(view)
            # Also where it worked: a store that keeps refusing to be followed isn't asked at once,
            # unless it was one person that it refused.
            if not lost or view.stale:
                await asyncio.sleep(REPAIR_SECONDS)

    async def _try_each(self, view: MailboxView) -> bool:
        """Read a view anew with the first ticket that may; says whether somebody's may not."""
        lost = False
        for standing in _by_trust(view):
            if standing.ended:
                continue
            try:
                await self.reread(standing)
            except PostroomError as error:
                log.warning("view.unrepaired", mailbox=view.mailbox_id, error=error.kind)
            lost = lost or standing.ended
            if not view.stale or view.gone:
                break
        return lost

    async def _ascertain(self, standing: Standing) -> None:
        while standing.uncertain and not standing.ended and standing.sessions:
            if standing.view.gone:
                return
            try:
                await self.settle(standing)
            except PostroomError as error:
                log.warning("view.uncertain", mailbox=standing.view.mailbox_id, error=error.kind)
                await asyncio.sleep(REPAIR_SECONDS)

    def _drop(self, key: MailboxKey, view: MailboxView) -> None:
        self._idle.pop(key, None)
        if self._views.get(key) is view:
            del self._views[key]
        self._changes.remove(view)
        self._names = {name: k for name, k in self._names.items() if k != key}
        self._claims[key] = view.unclaimed
        if len(self._claims) > MOST_CLAIMS:
            self._claims.popitem(last=False)


def _by_trust(view: MailboxView) -> list[Standing]:
    """Those who have a view open: the owner first, then whose rights are certain."""
    return sorted(view.standings.values(), key=lambda s: (s.guest, s.ended, s.uncertain))


def _weight(view: MailboxView) -> int:
    """How much a view counts for, in messages: an empty one costs something too."""
    return len(view.uids) + 100
