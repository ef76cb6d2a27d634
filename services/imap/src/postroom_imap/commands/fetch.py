"""FETCH, UID FETCH (RFC 3501 section 6.4.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import cast

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap import replies
from postroom_imap.fetching import Fetching, Rows, read_ahead
from postroom_imap.keywords import SEEN
from postroom_imap.message_limit import cut, limited, refuses_all
from postroom_imap.plan import Plan, compile_plan
from postroom_imap.ports.columns import MOST_RANGES, Ranges
from postroom_imap.ports.messages import Batch, FlagMode
from postroom_imap.protocol import flag
from postroom_imap.protocol.commands import Fetch, FetchAttribute, FetchItems
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
        marked = items.sets_seen and await _mark_seen(session, items, positions)
        # What others did comes first: it may hold a FLAGS response that these flags need.
        session.write(b"".join(tracker.tell(expunge=False, uid=command.uid)))
        plan = compile_plan(items, marked, session.dialect)
        try:
            gone = await send_messages(session, plan, positions)
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


async def _mark_seen(session: Session, items: FetchItems, positions: Sequence[range]) -> bool:
    """Set \\Seen on those messages that lack it, by one call; says whether there were any.

    A single message, which is what people open, is fetched meanwhile: both calls travel together.
    Whoever may not reads them as they are (RFC 4314 section 4).
    """
    tracker, front = session.selected, session.front
    if tracker.read_only or KEEP_SEEN not in tracker.standing.rights:
        return False
    rows = Rows(tracker, positions)
    unseen = [uid for uid, mask in zip(rows.uids, rows.flags, strict=True) if not mask & SEEN]
    if not unseen:
        return False
    view = tracker.view
    ranges: Ranges = SequenceSet.of(unseen).ranges
    if len(ranges) > MOST_RANGES:
        ranges = tracker.ranges_at(positions)  # as few as the client named; the seen stay as is
    storing = front.messages.store_flags(
        session.ticket, view.key, ranges, FlagMode.ADD, (flag.SEEN,)
    )
    try:
        if len(rows) == 1:
            stored, _ = await asyncio.gather(storing, _look(session, items, positions[0].start))
        else:
            stored = await storing
    except PostroomError as error:
        if error.kind is not Kind.DENIED:
            raise
        return False
    await front.views.take(tracker.standing, stored.change, tracker)
    return True


async def _look(session: Session, items: FetchItems, position: int) -> None:
    """Bring a message into the cache, unless it is there or too large for it."""
    tracker, front = session.selected, session.front
    plan = compile_plan(items, False, session.dialect)
    cache = front.bodies if plan.bodies else front.items
    rows = Rows(tracker, [range(position, position + 1)])
    if not plan.kept or not Fetching(tracker, plan, rows, cache, session).look_up():
        return
    with suppress(PostroomError):  # the fetch that follows tells why
        await read_ahead(front.messages, session.ticket, tracker, plan, position, cache, most=1)


async def send_messages(session: Session, plan: Plan, positions: Sequence[range]) -> int:
    """Write the responses; answers how many messages were gone."""
    tracker, front = session.selected, session.front
    cache = front.bodies if plan.bodies else front.items
    rows = Rows(tracker, positions)
    fetching = Fetching(tracker, plan, rows, cache, session)
    missing = fetching.look_up()
    if missing and _walks(session, tracker, plan, positions):
        await read_ahead(front.messages, session.ticket, tracker, plan, positions[0].start, cache)
        missing = fetching.look_up()
    _note_walk(session, plan, positions)
    if not missing:
        return rows.gone + await fetching.write_all()
    async with aclosing(_batches(session, plan, missing)) as batches:
        return rows.gone + await fetching.write_from(batches)


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
