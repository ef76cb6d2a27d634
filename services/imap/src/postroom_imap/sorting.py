"""SORT and THREAD: what was found, and in what order (RFC 5256)."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from postroom_imap.ports.columns import uid_array
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.messages import Messages
from postroom_imap.ports.searching import InUids, SortColumn
from postroom_imap.protocol.collation import Collation
from postroom_imap.protocol.commands.annotation import AnnotationColumn
from postroom_imap.protocol.commands.search_keys import SearchKey
from postroom_imap.protocol.commands.sorting import Algorithm, Criterion, SortKey
from postroom_imap.protocol.responses.searching import thread_response
from postroom_imap.protocol.sequence_set import runs
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


Annotated: TypeAlias = Mapping[AnnotationColumn, Sequence[Value]]
_Key: TypeAlias = tuple[int, int, Algorithm, Collation, bool]


@dataclass(frozen=True, slots=True)
class _Place:
    """Which messages an answer is about, and where a session counts them."""

    positions: Sequence[int]
    uids: array[int]


class ThreadAnswers:
    """The last THREAD response of each mailbox that was threaded last."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._known: OrderedDict[_Key, tuple[_Place, bytes]] = OrderedDict()

    def get(self, key: _Key, place: _Place) -> bytes | None:
        """The response, if it is about the same messages."""
        known = self._known.get(key)
        if known is None or known[0] != place:
            return None
        self._known.move_to_end(key)
        return known[1]

    def put(self, key: _Key, place: _Place, response: bytes) -> None:
        """Keep a response in the place of the one before."""
        if key in self._known:
            self._bytes -= _weight(self._known.pop(key))
        self._known[key] = (place, response)
        self._bytes += _weight(self._known[key])
        while self._bytes > self._most_bytes:
            _, dropped = self._known.popitem(last=False)
            self._bytes -= _weight(dropped)


def _weight(known: tuple[_Place, bytes]) -> int:
    place, response = known
    positions = 0 if isinstance(place.positions, range) else 40 * len(place.positions)
    return 500 + positions + 4 * len(place.uids) + len(response)


@dataclass(frozen=True, slots=True)
class Sorting:
    """Finds messages with what they are sorted by."""

    messages: Messages
    columns: SortColumns
    threads: ThreadAnswers

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
        annotations = [each.annotation for each in criteria if each.annotation is not None]
        found, columns, annotated = await self._find(
            ticket,
            tracker,
            program,
            wanted,
            comparator,
            scored=scored,
            annotations=list(dict.fromkeys(annotations)),
        )

        def order() -> Found:
            places = list(range(len(found.positions)))
            for each in reversed(criteria):
                relevancy = each.key is SortKey.RELEVANCY
                values: Sequence[Value]
                if each.annotation is not None:
                    values = annotated[each.annotation]
                else:
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
        uid: bool,
    ) -> bytes:
        """The response that tells the threads of the messages that match.

        Clients ask for the threads of a whole mailbox again and again; the last answer about a
        mailbox is kept, as long as the same messages stand in the same places.
        """
        view = tracker.view
        key = (view.account_id, view.mailbox_id, algorithm, comparator, uid)
        local = LocalSearch(tracker).run(program) if is_local(program) else None
        if local is not None:
            place = _Place(local, tracker.uids_at(runs(local)) if local else uid_array())
            if (known := self.threads.get(key, place)) is not None:
                return known
        wanted = _THREADED_BY[algorithm]
        found, columns, _ = await self._find(
            ticket, tracker, program, wanted, comparator, scored=False
        )
        numbers = [tracker.uids[each] if uid else each + 1 for each in found.positions]

        def answer() -> bytes:
            return thread_response(_threads(algorithm, columns), numbers)

        few = len(numbers) <= _FEW
        response = answer() if few else await asyncio.to_thread(answer)
        if local is not None and len(found.positions) == len(local):
            self.threads.put(key, place, response)
        return response

    async def _find(
        self,
        ticket: Ticket,
        tracker: Tracker,
        program: SearchKey,
        wanted: Sequence[SortColumn],
        comparator: Collation,
        *,
        scored: bool,
        annotations: Sequence[AnnotationColumn] = (),
    ) -> tuple[Found, Columns, Annotated]:
        """The messages that match, ascending, and columns of them; one call at most.

        Args:
            annotations: columns that change, so that they are never kept.
        """
        wanted = list(dict.fromkeys(wanted))
        local = LocalSearch(tracker).run(program) if is_local(program) else None
        kept = not annotations and self.columns.covers(tracker, wanted, comparator)
        much = local is not None and not annotations and len(local) * _PART >= tracker.exists
        if local is not None and (kept or much):
            await self.columns.load(ticket, tracker, wanted, comparator)
            scores = _certain(local, scored)
            return (*self._with_columns(tracker, local, scores, wanted, comparator), {})
        if local is None:
            key = for_store(program, tracker.view.account_id, tracker, int(time.time()))
        else:
            key = InUids(tracker.ranges_at(range(each, each + 1) for each in local))
        matches = await self.messages.search(
            ticket,
            tracker.view.key,
            key,
            comparator=comparator,
            columns=() if kept else wanted,
            annotations=annotations,
            scored=scored and local is None,
        )
        positions = tracker.positions_of(matches.uids)
        scores = _certain(positions, scored)
        if scored and local is None:
            score = dict(zip(matches.uids, matches.scores, strict=True))
            scores = [score[tracker.uids[position]] for position in positions]
        if kept:
            return (*self._with_columns(tracker, positions, scores, wanted, comparator), {})
        columns: dict[SortColumn, Sequence[Value]] = {}
        for name, told in matches.columns.items():
            values = dict(zip(matches.uids, values_of(name, told), strict=True))
            columns[name] = [values[tracker.uids[position]] for position in positions]
        annotated: dict[AnnotationColumn, Sequence[Value]] = {}
        for each, texts in zip(annotations, matches.annotations, strict=True):
            text = dict(zip(matches.uids, texts, strict=True))
            annotated[each] = [text[tracker.uids[position]] for position in positions]
        return Found(positions, scores), columns, annotated

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
