"""Runs a compiled FETCH: live columns from the view, the rest from the cache or the store.

What goes out is written in chunks with a pause for the others after each, so that a fetch of
everything holds neither the loop nor the memory: what is in hand is one batch of the store, the
chunk being written, and references to what the cache had.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol, cast

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap.items import ItemCache
from postroom_imap.plan import Part, Plan
from postroom_imap.ports.columns import Ranges
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.messages import Batch, Form, Messages
from postroom_imap.protocol.object_id import EMAIL_ID
from postroom_imap.protocol.responses.strings import literal_announcement
from postroom_imap.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

LIVE_ROWS = 2000  # responses in one chunk: a millisecond of rendering
WHOLE_ROWS = 400
CHUNK_BYTES = 256 * 1024
AHEAD_MESSAGES = 64
AHEAD_BYTES = 1024 * 1024
MOST_DERIVED = 8 * 1024 * 1024  # a header that fields are chosen from; what is beyond is left out


class BrokenResponse(Exception):
    """A response was begun and can't be finished: the connection must end."""


class Output(Protocol):
    """Where responses go."""

    def write(self, data: bytes) -> None:
        """Send."""

    async def breathe(self) -> None:
        """Wait for a slow client, and let other sessions run now and then."""


class Rows:
    """The messages of one fetch, as of its start: numbers, UIDs, flags, modseqs, email ids.

    Attributes:
        gone: how many of the wanted messages another session has expunged.
    """

    __slots__ = ("email_ids", "flags", "gone", "modseqs", "numbers", "uids")

    def __init__(self, tracker: Tracker, positions: Sequence[range]) -> None:
        view = tracker.view
        uids = tracker.uids_at(positions)
        self.gone = 0
        self.numbers: Sequence[int]
        if tracker.aligned:
            self.uids = uids
            self.numbers = _numbers(positions)
            self.flags = _slices(view.flags, positions)
            self.modseqs = _slices(view.modseqs, positions)
            self.email_ids = _slices(view.email_ids, positions)
        else:
            indexes = view.indexes(uids)
            self.gone = len(uids) - len(indexes)
            self.uids = array("I", [view.uids[index] for index in indexes])
            self.numbers = [tracker.position(uid) + 1 for uid in self.uids]
            self.flags = array("Q", [view.flags[index] for index in indexes])
            self.modseqs = array("Q", [view.modseqs[index] for index in indexes])
            self.email_ids = array("Q", [view.email_ids[index] for index in indexes])
        if tracker.recent and len(self.uids):
            self.flags = tracker.mark_recent(self.uids, self.flags)

    def __len__(self) -> int:
        return len(self.uids)


def _numbers(positions: Sequence[range]) -> Sequence[int]:
    if len(positions) == 1:
        return range(positions[0].start + 1, positions[0].stop + 1)
    return [position + 1 for part in positions for position in part]


def _slices(column: array[int], positions: Sequence[range]) -> array[int]:
    taken = array(column.typecode)
    for part in positions:
        taken.extend(column[part.start : part.stop])
    return taken


class Fetching:
    """One FETCH under way: `look_up`, then `write_all` or `write_from` the store's stream."""

    def __init__(
        self, tracker: Tracker, plan: Plan, rows: Rows, cache: ItemCache, output: Output
    ) -> None:
        self._view = tracker.view
        self._plan = plan
        self._rows = rows
        self._cache = cache
        self._output = output
        self._found: list[bytes | None] = []

    def look_up(self) -> Ranges:
        """Take from the cache what it has; answers the UIDs that are missing."""
        if not self._plan.parts:
            return ()
        if self._plan.kept:
            key = (self._view.account_id, self._plan.key)
            self._found = self._cache.get_many(*key, self._rows.email_ids)
        else:
            self._found = [None] * len(self._rows)
        missing = [index for index, rest in enumerate(self._found) if rest is None]
        return _uid_ranges(self._rows.uids, missing)

    async def write_all(self) -> int:
        """Write every message, nothing being missing; answers how many were gone."""
        return await self._write(0, len(self._rows))

    async def write_from(self, batches: AsyncIterator[Batch]) -> int:
        """Write every message while the missing ones come in; answers how many were gone."""
        done = gone = 0
        while (batch := await anext(batches, None)) is not None:
            whole = len(batch.uids) - _is_partial(batch)
            self._take(batch, whole, done)
            if whole < len(batch.uids):
                index = bisect_left(self._rows.uids, batch.uids[-1], done)
                gone += await self._write(done, index)
                await self._write_large(index, batch, batches)
                done = index + 1
            elif batch.uids:
                stop = bisect_left(self._rows.uids, batch.uids[-1] + 1, done)
                gone += await self._write(done, stop)
                done = stop
        return gone + await self._write(done, len(self._rows))

    def _take(self, batch: Batch, whole: int, start: int) -> None:
        """Put the first `whole` messages' data of a batch beside the messages, and keep them."""
        account_id, key = self._view.account_id, self._plan.key
        rendered = self._plan.render(batch, account_id)[:whole]
        rows, found, cache = self._rows, self._found, self._cache
        uids = array("I", batch.uids[:whole])
        start = bisect_left(rows.uids, uids[0], start) if uids else start
        stop = start + len(uids)
        if rows.uids[start:stop] == uids:
            found[start:stop] = rendered
            if self._plan.kept:
                cache.put_many(account_id, key, rows.email_ids[start:stop], rendered)
            return
        for uid, rest in zip(uids, rendered, strict=True):
            start = bisect_left(rows.uids, uid, start)
            if start < len(found) and rows.uids[start] == uid:
                found[start] = rest
                if self._plan.kept:
                    cache.put(account_id, key, rows.email_ids[start], rest)

    async def _write(self, start: int, stop: int) -> int:
        """Write messages start to stop, which are all there is of them; forget them."""
        step = WHOLE_ROWS if self._plan.parts else LIVE_ROWS
        gone = 0
        for first in range(start, stop, step):
            last = min(first + step, stop)
            lines = self._lines(first, last)
            gone += last - first - len(lines)
            if self._plan.parts:
                self._found[first:last] = [None] * (last - first)
            await self._write_lines(lines)
        return gone

    def _lines(self, start: int, stop: int) -> list[bytes]:
        plan = self._plan
        columns = self._live_columns(start, stop)
        template = plan.template
        if not plan.parts:
            return [template % row for row in zip(*columns, strict=False)]
        rest = self._found[start:stop]
        columns.append(rest)
        if plan.alone:
            rows = zip(*columns, strict=False)
            return [template % row if row[-1] else b"" for row in rows if row[-1] is not None]
        if None in rest:
            return [template % row for row in zip(*columns, strict=False) if row[-1] is not None]
        return [template % row for row in zip(*columns, strict=False)]

    def _live_columns(self, start: int, stop: int) -> list[Iterable[object]]:
        """What the plan's live template takes."""
        rows, plan, view = self._rows, self._plan, self._view
        columns: list[Iterable[object]]
        columns = [(rows.uids if plan.uid_only else rows.numbers)[start:stop]]
        if plan.uid:
            columns.append(rows.uids[start:stop])
        if plan.flags:
            columns.append(map(view.keywords.__getitem__, rows.flags[start:stop]))
        if plan.modseq:
            columns.append(rows.modseqs[start:stop])
        if plan.email_id:
            columns.append(EMAIL_ID % (view.account_id, e) for e in rows.email_ids[start:stop])
        return columns

    async def _write_lines(self, lines: list[bytes]) -> None:
        chunk: list[bytes] = []
        size = 0
        if sum(map(len, lines)) <= CHUNK_BYTES:
            self._output.write(b"".join(lines))
            await self._output.breathe()
            return
        for line in lines:
            chunk.append(line)
            size += len(line)
            if size >= CHUNK_BYTES:
                self._output.write(b"".join(chunk))
                await self._output.breathe()
                chunk, size = [], 0
        self._output.write(b"".join(chunk))
        await self._output.breathe()

    # A message with a section that comes in pieces.

    async def _write_large(self, index: int, batch: Batch, batches: AsyncIterator[Batch]) -> None:
        write = self._output.write
        last = _last_of(batch)
        (live,) = zip(*self._live_columns(index, index + 1), strict=True)
        pieces = [self._plan.live_template % live]
        separator = b"" if pieces[0].endswith(b"(") else b" "
        collected: dict[int, bytes] = {}  # of sections that several parts are derived from
        for number, part in enumerate(self._plan.parts, 1):
            if part.annotation is not None:
                pieces += cast("Iterable[bytes]", part.values(last, self._view.account_id))
                continue
            pieces.append(separator + part.name + b" ")
            separator = b" "
            section = batch.sections[part.section] if part.section >= 0 else None
            if section is None or not section.rest:
                (value,) = part.values(last, self._view.account_id)
                pieces.append(b"%d" % value if isinstance(value, int) else value)
                continue
            if part.select is not None:
                whole = collected.pop(part.section, None)
                if whole is None:
                    whole = await self._collect(part, batch, batches)
                if any(part.section == later.section for later in self._plan.parts[number:]):
                    collected[part.section] = whole
                write(b"".join((*pieces, part.render(whole))))
                pieces = []
                await self._output.breathe()
                continue
            if part.form is Form.DECODED:
                pieces.append(b"~")  # a NUL may come yet
            pieces += (literal_announcement(section.rest), section.data[-1] or b"")
            write(b"".join(pieces))
            pieces = []
            await self._pass_on(part.section, batches)
        write(b"".join((*pieces, b")\r\n")))
        await self._output.breathe()

    async def _pass_on(self, section: int, batches: AsyncIterator[Batch]) -> None:
        async for data in _pieces(section, batches):
            await self._output.breathe()
            self._output.write(data)

    async def _collect(self, part: Part, batch: Batch, batches: AsyncIterator[Batch]) -> bytes:
        whole = bytearray(batch.sections[part.section].data[-1] or b"")
        async for data in _pieces(part.section, batches):
            if len(whole) < MOST_DERIVED:
                whole += data
        return bytes(whole)


async def _pieces(section: int, batches: AsyncIterator[Batch]) -> AsyncIterator[bytes]:
    """What is left of a section whose first piece came."""
    more = True
    while more:
        try:
            batch = await anext(batches)
        except (StopAsyncIteration, PostroomError) as error:
            raise BrokenResponse from error
        found = batch.sections[section]
        more = bool(found.rest)
        yield found.data[-1] or b""


def _is_partial(batch: Batch) -> bool:
    return any(section.rest for section in batch.sections)


def _last_of(batch: Batch) -> Batch:
    """The batch's last message alone."""
    columns = {column: values[-1:] for column, values in batch.columns.items()}
    sections = [type(section)(section.data[-1:]) for section in batch.sections]
    return Batch(batch.uids[-1:], columns, sections, batch.annotations[-1:])


def _uid_ranges(uids: array[int], indexes: Sequence[int]) -> Ranges:
    """UIDs by index as ranges that hold no other of `uids`."""
    ranges: list[tuple[int, int]] = []
    previous = -2
    for index in indexes:
        if index == previous + 1:
            ranges[-1] = (ranges[-1][0], uids[index])
        else:
            ranges.append((uids[index], uids[index]))
        previous = index
    return ranges


async def read_ahead(
    messages: Messages,
    ticket: Ticket,
    tracker: Tracker,
    plan: Plan,
    position: int,
    cache: ItemCache,
) -> None:
    """Fetch a message and those behind it into the cache, up to a number and a size."""
    view = tracker.view
    stop = min(position + AHEAD_MESSAGES, tracker.exists)
    uids = ((tracker.uids[position], tracker.uids[stop - 1]),)
    stream = messages.fetch(ticket, view.key, uids, plan.columns, plan.sections)
    size = 0
    async with aclosing(cast("AsyncGenerator[Batch, None]", stream)) as batches:
        while (batch := await _next_ahead(batches)) is not None:
            if _is_partial(batch):
                return
            for uid, rest in zip(batch.uids, plan.render(batch, view.account_id), strict=True):
                if (index := view.index(uid)) >= 0:
                    cache.put(view.account_id, plan.key, view.email_ids[index], rest)
                size += len(rest)
            if size >= AHEAD_BYTES:
                return


async def _next_ahead(batches: AsyncIterator[Batch]) -> Batch | None:
    """The next batch; None where one of the messages, perhaps not the wanted one, is refused."""
    try:
        return await anext(batches, None)
    except PostroomError as error:
        if error.kind is not Kind.UNSUPPORTED:
            raise
        return None
