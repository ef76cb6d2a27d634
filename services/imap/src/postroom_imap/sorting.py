"""SORT and THREAD: what was found, and in what order (RFC 5256)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.messages import Messages
from postroom_imap.ports.searching import InUids, SortColumn
from postroom_imap.protocol.collation import Collation
from postroom_imap.protocol.commands.search_keys import SearchKey
from postroom_imap.protocol.commands.sorting import Algorithm, Criterion, SortKey
from postroom_imap.protocol.threading import (
    Forest,
    by_latest,
    by_references,
    by_subject,
    merge_subjects,
)
from postroom_imap.searching import MOST_RELEVANT, Found, LocalSearch, for_store, is_local
from postroom_imap.sort_columns import Columns, SortColumns, Value, values_of
from postroom_imap.tracker import Tracker

T = TypeVar("T")

# Of a mailbox of which less is found, only what is found is asked for.
_PART = 4
# More are put in order on a thread of their own, where they hold up nobody.
_FEW = 5_000

_COLUMNS = {
    SortKey.ARRIVAL: SortColumn.INTERNALDATE,
    SortKey.CC: SortColumn.CC,
    SortKey.DATE: SortColumn.SENT_AT,
    SortKey.DISPLAYFROM: SortColumn.DISPLAY_FROM,
    SortKey.DISPLAYTO: SortColumn.DISPLAY_TO,
    SortKey.FROM: SortColumn.FROM,
    SortKey.SIZE: SortColumn.SIZE,
    SortKey.SUBJECT: SortColumn.SUBJECT,
    SortKey.TO: SortColumn.TO,
}
_THREADED_BY = {
    Algorithm.ORDEREDSUBJECT: (SortColumn.SUBJECT, SortColumn.SENT_AT),
    Algorithm.REFERENCES: (
        SortColumn.MESSAGE_ID,
        SortColumn.REFERENCES,
        SortColumn.SENT_AT,
        SortColumn.SUBJECT,
        SortColumn.IS_REPLY,
    ),
    Algorithm.REFS: (
        SortColumn.MESSAGE_ID,
        SortColumn.REFERENCES,
        SortColumn.SENT_AT,
        SortColumn.INTERNALDATE,
    ),
}


@dataclass(frozen=True, slots=True)
class Sorting:
    """Finds messages with what they are sorted by."""

    messages: Messages
    columns: SortColumns

    async def sort(
        self,
        ticket: Ticket,
        tracker: Tracker,
        program: SearchKey,
        criteria: Sequence[Criterion],
        *,
        comparator: Collation,
        scored: bool,
    ) -> Found:
        """The messages that match, in the order asked for."""
        scored = scored or any(each.key is SortKey.RELEVANCY for each in criteria)
        wanted = [_COLUMNS[each.key] for each in criteria if each.key in _COLUMNS]
        found, columns = await self._find(
            ticket, tracker, program, wanted, comparator, scored=scored
        )

        def order() -> Found:
            places = list(range(len(found.positions)))
            for each in reversed(criteria):
                relevancy = each.key is SortKey.RELEVANCY
                values = found.scores if relevancy else columns[_COLUMNS[each.key]]
                key = cast("Sequence[int]", values).__getitem__
                # RFC 6203 section 5: the most relevant come first.
                places.sort(key=key, reverse=each.reverse != relevancy)
            positions = [found.positions[place] for place in places]
            return Found(positions, [found.scores[place] for place in places] if scored else ())

        if len(found.positions) <= _FEW:
            return order()
        return await asyncio.to_thread(order)

    async def thread(
        self,
        ticket: Ticket,
        tracker: Tracker,
        program: SearchKey,
        algorithm: Algorithm,
        *,
        comparator: Collation,
    ) -> tuple[Sequence[int], Forest]:
        """Positions of the messages that match, and their threads."""
        wanted = _THREADED_BY[algorithm]
        found, columns = await self._find(
            ticket, tracker, program, wanted, comparator, scored=False
        )
        if len(found.positions) <= _FEW:
            return found.positions, _threads(algorithm, columns)
        return found.positions, await asyncio.to_thread(_threads, algorithm, columns)

    async def _find(
        self,
        ticket: Ticket,
        tracker: Tracker,
        program: SearchKey,
        wanted: Sequence[SortColumn],
        comparator: Collation,
        *,
        scored: bool,
    ) -> tuple[Found, Columns]:
        """The messages that match, ascending, and columns of them; one call at most."""
        wanted = list(dict.fromkeys(wanted))
        local = LocalSearch(tracker).run(program) if is_local(program) else None
        kept = self.columns.covers(tracker, wanted, comparator)
        if local is not None and (kept or len(local) * _PART >= tracker.exists):
            await self.columns.load(ticket, tracker, wanted, comparator)
            scores = _certain(local, scored)
            return self._with_columns(tracker, local, scores, wanted, comparator)
        if local is None:
            key = for_store(program, ticket.account_id, tracker, int(time.time()))
        else:
            key = InUids(tracker.ranges_at(range(each, each + 1) for each in local))
        matches = await self.messages.search(
            ticket,
            tracker.view.mailbox_id,
            key,
            comparator=comparator,
            columns=() if kept else wanted,
            scored=scored and local is None,
        )
        positions = tracker.positions_of(matches.uids)
        scores = _certain(positions, scored)
        if scored and local is None:
            score = dict(zip(matches.uids, matches.scores, strict=True))
            scores = [score[tracker.uids[position]] for position in positions]
        if kept:
            return self._with_columns(tracker, positions, scores, wanted, comparator)
        columns: dict[SortColumn, Sequence[Value]] = {}
        for name, told in matches.columns.items():
            values = dict(zip(matches.uids, values_of(name, told), strict=True))
            columns[name] = [values[tracker.uids[position]] for position in positions]
        return Found(positions, scores), columns

    def _with_columns(
        self,
        tracker: Tracker,
        positions: Sequence[int],
        scores: Sequence[int],
        wanted: Sequence[SortColumn],
        comparator: Collation,
    ) -> tuple[Found, Columns]:
        uids = [tracker.uids[position] for position in positions]
        known = {name: self.columns.of(tracker, name, comparator, uids) for name in wanted}
        # What is expunged, though the session wasn't told, is found no more, as by the store.
        gone = {place for values in known.values() for place, v in enumerate(values) if v is None}
        columns = {
            name: [value for value in values if value is not None] if gone else values
            for name, values in known.items()
        }
        if gone:
            positions = [each for place, each in enumerate(positions) if place not in gone]
            scores = [each for place, each in enumerate(scores) if place not in gone]
        return Found(positions, scores), cast("Columns", columns)


def _certain(positions: Sequence[int], scored: bool) -> Sequence[int]:
    return [MOST_RELEVANT] * len(positions) if scored else ()


def _threads(algorithm: Algorithm, columns: Columns) -> Forest:
    if algorithm is Algorithm.ORDEREDSUBJECT:
        subjects = cast("Sequence[str]", columns[SortColumn.SUBJECT])
        return by_subject(subjects, cast("Sequence[int]", columns[SortColumn.SENT_AT]))
    ids = [each or None for each in columns[SortColumn.MESSAGE_ID]]
    references = cast("Sequence[Sequence[int]]", columns[SortColumn.REFERENCES])
    dates = cast("Sequence[int]", columns[SortColumn.SENT_AT])
    forest = by_references(ids, references, dates)
    if algorithm is Algorithm.REFS:
        return by_latest(forest, cast("Sequence[int]", columns[SortColumn.INTERNALDATE]))
    subjects = cast("Sequence[str]", columns[SortColumn.SUBJECT])
    replies = cast("Sequence[int]", columns[SortColumn.IS_REPLY])
    return merge_subjects(forest, subjects, replies, dates)
