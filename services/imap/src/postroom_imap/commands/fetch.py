"""FETCH, UID FETCH (RFC 3501 section 6.4.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext
from typing import cast

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap import replies
from postroom_imap.fetching import Fetching, Rows, read_ahead
from postroom_imap.items import ItemCache
from postroom_imap.keywords import SEEN
from postroom_imap.message_limit import cut, limited, refuses_all
from postroom_imap.plan import Plan, compile_plan
from postroom_imap.ports.columns import MOST_RANGES, Ranges
from postroom_imap.ports.messages import Batch, FlagMode
from postroom_imap.protocol import flag
from postroom_imap.protocol.commands import Fetch, FetchAttribute
from postroom_imap.protocol.commands.fetch import FetchModifiers
from postroom_imap.protocol.extension import Extension
from postroom_imap.protocol.responses import codes, messages
from postroom_imap.protocol.rights import KEEP_SEEN
from postroom_imap.protocol.sequence_set import SequenceSet
from postroom_imap.resync import vanished
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker

_ALL = FetchModifiers()


async def fetch(session: Session, tag: bytes, command: Fetch) -> None:
    tracker, modifiers = session.selected, command.modifiers or _ALL
    if not command.uid and command.sequence_set.exceeds(tracker.exists):
        session.reject(tag, "No message has such a number")
        return
    if modifiers.vanished and Extension.QRESYNC not in session.enabled:
        session.reject(tag, "Enable QRESYNC first")
        return
    items = command.items
    if modifiers.changed_since is not None:
        items = items.with_modseq()
    if FetchAttribute.MODSEQ in items.attributes:
        session.enable(Extension.CONDSTORE)
    positions = tracker.positions(command.sequence_set, command.uid)
    if modifiers.changed_since is not None:
        if modifiers.vanished:
            await _tell_vanished(session, command.sequence_set, modifiers.changed_since)
        positions = tracker.changed_since(positions, modifiers.changed_since)
    if modifiers.partial is not None:
        part = modifiers.partial.slice_of(sum(map(len, positions)))
        positions = cut(positions, part.start, part.stop)
        most = session.front.bounds.message_limit
        if refuses_all(session, tag, sum(map(len, positions)), most):
            return
    positions, code = limited(session, positions)
    gone = 0
    if positions:
        unseen = _unseen(session, positions) if items.sets_seen else ()
        plan = compile_plan(items, bool(unseen), session.dialect)
        try:
            gone = await _send(session, plan, positions, unseen, uid=command.uid)
        except PostroomError as error:
            if not plan.decodes or error.kind is not Kind.UNSUPPORTED:
                raise
            session.refuse(tag, replies.text_of(error), codes.UNKNOWN_CTE)
            return
    if gone and not command.uid:
        session.refuse(tag, "Some of the messages are gone", codes.EXPUNGE_ISSUED)
        return
    session.finish(tag, "FETCH completed", code, expunge=command.uid, uid=command.uid)


async def _tell_vanished(session: Session, uids: SequenceSet, since: int) -> None:
    """Which messages of a set were expunged since (RFC 7162 section 3.2.6)."""
    tracker = session.selected
    view = tracker.view
    gone = await session.front.messages.vanished(session.ticket, view.key, since)
    if told := vanished(tracker, gone, uids.resolve(view.uid_next - 1)):
        session.write(messages.vanished(told, earlier=True))


def _unseen(session: Session, positions: Sequence[range]) -> Ranges:
    """The messages that lack \\Seen; none where the person may not set it.

    Whoever may not reads them as they are (RFC 4314 section 4).
    """
    tracker = session.selected
    if tracker.read_only or KEEP_SEEN not in tracker.standing.rights:
        return ()
    rows = Rows(tracker, positions)
    unseen = [uid for uid, mask in zip(rows.uids, rows.flags, strict=True) if not mask & SEEN]
    ranges: Ranges = SequenceSet.of(unseen).ranges if unseen else ()
    # As few as the client named, where they lie apart; those that are seen stay as they are.
    return ranges if len(ranges) <= MOST_RANGES else tracker.ranges_at(positions)


async def _mark_seen(session: Session, unseen: Ranges) -> None:
    """Set \\Seen, by one call."""
    tracker, front = session.selected, session.front
    try:
        stored = await front.messages.store_flags(
            session.ticket, tracker.view.key, unseen, FlagMode.ADD, (flag.SEEN,)
        )
    except PostroomError as error:
        if error.kind is not Kind.DENIED:  # the right has just been taken away
            raise
        return
    await front.views.take(tracker.standing, stored.change, tracker)


async def _send(
    session: Session, plan: Plan, positions: Sequence[range], unseen: Ranges, *, uid: bool
) -> int:
    """Mark messages as seen, tell what others did, and write; answers how many were gone.

    A single message, which is what people open, is asked for at once: both calls travel together.
    """
    tracker = session.selected
    missing: Ranges = ()
    if unseen and sum(map(len, positions)) == 1 and not _walks(session, tracker, plan, positions):
        missing = _fetching(session, plan, Rows(tracker, positions)).look_up()
    async with _begun(_batches(session, plan, missing)) if missing else nullcontext() as batches:
        if unseen:
            await _mark_seen(session, unseen)
        # What others did comes first: it may hold a FLAGS response that these flags need.
        session.write(b"".join(tracker.tell(expunge=False, uid=uid)))
        return await send_messages(session, plan, positions, batches)


async def send_messages(
    session: Session,
    plan: Plan,
    positions: Sequence[range],
    batches: AsyncIterator[Batch] | None = None,
) -> int:
    """Write the responses; answers how many messages were gone.

    Args:
        batches: what the store has of the messages, where that was asked for already.
    """
    tracker, front = session.selected, session.front
    rows = Rows(tracker, positions)
    fetching = _fetching(session, plan, rows)
    missing = fetching.look_up()
    if missing and _walks(session, tracker, plan, positions):
        cache = _cache(session, plan)
        await read_ahead(front.messages, session.ticket, tracker, plan, positions[0].start, cache)
        missing = fetching.look_up()
    _note_walk(session, plan, positions)
    if not missing:
        return rows.gone + await fetching.write_all()
    if batches is not None:
        return rows.gone + await fetching.write_from(batches)
    async with aclosing(_batches(session, plan, missing)) as batches:
        return rows.gone + await fetching.write_from(batches)


def _cache(session: Session, plan: Plan) -> ItemCache:
    return session.front.bodies if plan.bodies else session.front.items


def _fetching(session: Session, plan: Plan, rows: Rows) -> Fetching:
    return Fetching(session.selected, plan, rows, _cache(session, plan), session)


@asynccontextmanager
async def _begun(batches: AsyncGenerator[Batch, None]) -> AsyncIterator[AsyncIterator[Batch]]:
    """Batches of which the first is asked for at once."""
    first = asyncio.ensure_future(anext(batches, None))

    async def each() -> AsyncIterator[Batch]:
        batch = await first
        while batch is not None:
            yield batch
            batch = await anext(batches, None)

    try:
        yield each()
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await batches.aclose()


async def _batches(session: Session, plan: Plan, uids: Ranges) -> AsyncGenerator[Batch, None]:
    """What the store has of the messages: by one call, unless they lie too far apart for one."""
    store, key = session.front.messages, session.selected.view.key
    for start in range(0, len(uids), MOST_RANGES):
        part = uids[start : start + MOST_RANGES]
        stream = store.fetch(
            session.ticket, key, part, plan.columns, plan.sections, plan.annotations
        )
        async with aclosing(cast("AsyncGenerator[Batch, None]", stream)) as batches:
            async for batch in batches:
                yield batch


def _walks(session: Session, tracker: Tracker, plan: Plan, positions: Sequence[range]) -> bool:
    """Whether the client fetches sections message by message, this one behind the last."""
    if (
        not (plan.bodies and plan.kept)
        or len(positions) != 1
        or len(positions[0]) != 1
        or session.walk is None
    ):
        return False
    last_plan, last_position = session.walk
    return last_plan.key == plan.key and positions[0].start == last_position + 1


def _note_walk(session: Session, plan: Plan, positions: Sequence[range]) -> None:
    if plan.bodies and len(positions) == 1 and len(positions[0]) == 1:
        session.walk = (plan, positions[0].start)
