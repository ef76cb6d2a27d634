"""Searches and sorts whose results are kept true (RFC 5267 section 4.3), as long as the mailbox is
selected.

What a session is told of messages decides what it hears of its contexts: those that go are taken
out before EXPUNGE or VANISHED says so, those that come or change after EXISTS and FETCH have said
so. Only what changed is looked at again, by one call at most for each context.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError

from postroom_imap.protocol.collation import Collation
from postroom_imap.protocol.commands.search_keys import (
    AllKey,
    AndKey,
    FuzzyKey,
    NotKey,
    OrKey,
    SearchKey,
    SequenceKey,
    UidKey,
)
from postroom_imap.protocol.commands.sorting import Criterion
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.searching import add_to, remove_from
from postroom_imap.protocol.responses.status import untagged_no
from postroom_imap.protocol.sequence_set import SequenceSet
from postroom_imap.searching import Found, find
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker

log = logs.logger(__name__)

MOST_CONTEXTS = 10  # of one session
MOST_RESULTS = 100_000  # of one context


@dataclass(slots=True)
class Context:
    """One result that is kept true.

    Attributes:
        tag: of the command that asked for it.
        uid: messages are called by UID.
        criteria: what they are sorted by; nothing for SEARCH.
        uids: of the messages, in order.
    """

    tag: bytes
    uid: bool
    program: SearchKey
    criteria: Sequence[Criterion]
    comparator: Collation
    uids: list[int]


class Contexts:
    """The contexts of one session, in one mailbox."""

    def __init__(self, session: Session, tracker: Tracker) -> None:
        self._session = session
        self._tracker = tracker
        self._contexts: dict[bytes, Context] = {}
        self._seen = tracker.told
        self._last_uid = tracker.last_uid
        self._task: asyncio.Task[None] | None = None
        tracker.leaving = self._leave

    def add(self, context: Context) -> bool:
        """Keep a result true from now on; says whether there is room for it."""
        full = len(self._contexts) >= MOST_CONTEXTS and context.tag not in self._contexts
        # What is in a result may change, but not the order of what is in it.
        ordered = any(each.annotation is not None for each in context.criteria)
        if full or ordered or len(context.uids) > MOST_RESULTS:
            return False
        self._contexts[context.tag] = replace(
            context, program=by_uids(self._tracker, context.program)
        )
        return True

    def cancel(self, tags: Sequence[bytes]) -> None:
        """Keep some no more (RFC 5267 section 4.3.5)."""
        for tag in tags:
            self._contexts.pop(tag, None)

    def close(self) -> None:
        """The mailbox is left."""
        self._contexts.clear()
        self._tracker.leaving = None
        if self._task is not None:
            self._task.cancel()

    @property
    def busy(self) -> bool:
        """Whether `refresh_soon` has yet to end: the session is to be told nothing meanwhile."""
        return self._task is not None and not self._task.done()

    def refresh_soon(self, then: Callable[[], None]) -> None:
        """The same as `refresh`, where nobody can wait for it; then do something."""
        if self._contexts and self._seen != self._tracker.told:
            self._task = asyncio.create_task(self.refresh())
            self._task.add_done_callback(lambda task: None if task.cancelled() else then())

    async def settle(self) -> None:
        """Wait for what `refresh_soon` began."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> None:
        """Tell what the news that the session was told mean to its contexts."""
        tracker = self._tracker
        if not self._contexts or self._seen == tracker.told:
            return
        changed = self._changed()
        self._seen, self._last_uid = tracker.told, tracker.last_uid
        if not changed:
            return
        for context in list(self._contexts.values()):
            try:
                await self._look_again(context, changed)
            except PostroomError as error:
                # What can't be kept true is given up; the client may ask anew.
                log.info("context.given_up", why=error.kind)
                self._contexts.pop(context.tag, None)
                text = "The result can't be kept true any more"
                self._session.write(untagged_no(text, codes.no_update(context.tag)))

    def _changed(self) -> list[int]:
        """UIDs of the messages that may have come into a result, or out of it."""
        tracker = self._tracker
        news = tracker.view.news_since(self._seen[1])
        uids = tracker.uids[: tracker.exists]
        if news is None:
            return uids.tolist()
        fresh = uids[tracker.after(self._last_uid).start :]
        flagged = {uid for one in news for uid in one.flagged if uid <= self._last_uid}
        flagged |= {uid for one in news for uid, _, _ in one.annotated if uid <= self._last_uid}
        return [*sorted(uid for uid in flagged if tracker.position(uid) >= 0), *fresh]

    async def _look_again(self, context: Context, changed: list[int]) -> None:
        session, tracker = self._session, self._tracker
        program = AndKey((UidKey(SequenceSet.of(changed)), context.program))
        found = await find(
            session.front.messages,
            session.ticket,
            tracker,
            program,
            context.comparator,
            scored=False,
        )
        matching = {tracker.uids[position] for position in found.positions}
        there = set(context.uids)
        removed = [uid for uid in changed if uid in there and uid not in matching]
        added = [uid for uid in changed if uid not in there and uid in matching]
        self._tell(context, self._take_out(context, removed), remove_from)
        if added:
            self._tell(context, await self._put_in(context, added), add_to)

    def _leave(self, uids: Sequence[int]) -> list[bytes]:
        """What is told before messages are (ascending)."""
        told: list[bytes] = []
        for context in self._contexts.values():
            there = set(context.uids)
            if places := self._take_out(context, [uid for uid in uids if uid in there]):
                told.append(remove_from(context.tag, places, uid=context.uid))
        return told

    def _take_out(self, context: Context, uids: Sequence[int]) -> list[tuple[int, list[int]]]:
        """Places and the messages that leave them, to be taken out one after the other."""
        if not uids:
            return []
        gone = set(uids)
        places: list[tuple[int, list[int]]]
        if context.criteria:
            numbered = [(place, uid) for place, uid in enumerate(context.uids, 1) if uid in gone]
            places = [(place, self._names(context, [uid])) for place, uid in reversed(numbered)]
        else:
            places = [(0, self._names(context, uids))]
        context.uids = [uid for uid in context.uids if uid not in gone]
        return places

    async def _put_in(self, context: Context, uids: list[int]) -> list[tuple[int, list[int]]]:
        """Places and the messages that come there, to be put in one after the other."""
        if not context.criteria:
            context.uids = sorted([*context.uids, *uids])
            return [(0, self._names(context, uids))]
        session, tracker = self._session, self._tracker
        everything = UidKey(SequenceSet.of(sorted([*context.uids, *uids])))
        found = await session.front.sorting.sort(
            session.ticket,
            tracker,
            everything,
            context.criteria,
            comparator=context.comparator,
            scored=False,
        )
        context.uids = [tracker.uids[position] for position in found.positions]
        fresh = set(uids)
        return [
            (place, self._names(context, [uid]))
            for place, uid in enumerate(context.uids, 1)
            if uid in fresh
        ]

    def _tell(
        self, context: Context, places: list[tuple[int, list[int]]], response: _Response
    ) -> None:
        if places:
            self._session.write(response(context.tag, places, uid=context.uid))

    def _names(self, context: Context, uids: Sequence[int]) -> list[int]:
        if context.uid:
            return list(uids)
        return [self._tracker.position(uid) + 1 for uid in uids]


def keep(
    session: Session,
    tag: bytes,
    program: SearchKey,
    found: Found,
    *,
    uid: bool,
    criteria: Sequence[Criterion] = (),
) -> None:
    """Keep the result of a command true from now on, or say that it isn't."""
    tracker = session.selected
    contexts = session.contexts
    if not isinstance(contexts, Contexts):
        contexts = session.contexts = Contexts(session, tracker)
    uids = [tracker.uids[position] for position in found.positions]
    if not contexts.add(Context(tag, uid, program, criteria, session.comparator, uids)):
        session.write(untagged_no("That is too much to be kept true", codes.no_update(tag)))


class _Response(Protocol):
    def __call__(
        self, tag: bytes, places: Sequence[tuple[int, Sequence[int]]], *, uid: bool
    ) -> bytes: ...


def by_uids(tracker: Tracker, program: SearchKey) -> SearchKey:
    """A program that means the same when numbers have shifted and `$` stands for others."""
    match program:
        case AndKey(keys):
            return AndKey(tuple(by_uids(tracker, key) for key in keys))
        case OrKey(keys):
            return OrKey(tuple(by_uids(tracker, key) for key in keys))
        case NotKey(inner):
            return NotKey(by_uids(tracker, inner))
        case FuzzyKey(inner):
            return FuzzyKey(by_uids(tracker, inner))
        case SequenceKey(numbers):
            uids = tracker.uids_at(tracker.positions(numbers, uid=False))
            return UidKey(SequenceSet.of(uids)) if uids else NotKey(AllKey())
        case UidKey(numbers) if numbers.saved:
            return UidKey(SequenceSet.of(tracker.saved)) if tracker.saved else NotKey(AllKey())
    return program
