"""Ranges of UIDs, as calls name messages: made of UIDs, looked into, and put into statements."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from sqlalchemy import ColumnElement, or_

from postroom_store import tables

MOST_RANGES = 400  # in one statement; more are taken in several

Ranges = Sequence[tuple[int, int]]  # the first and the last UID of each

_UID = tables.placements.c.uid


def ranges_of(uids: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending UIDs as ranges of neighbours."""
    ranges: list[tuple[int, int]] = []
    first = last = -1
    for uid in uids:
        if uid != last + 1:
            if first >= 0:
                ranges.append((first, last))
            first = uid
        last = uid
    if first >= 0:
        ranges.append((first, last))
    return ranges


def is_within(ranges: Ranges) -> Callable[[int], bool]:
    """Whether a UID is in one of some ranges, in any order."""
    ordered = sorted(ranges)
    firsts = [first for first, _ in ordered]
    lasts = list(accumulate((last for _, last in ordered), max))

    def holds(uid: int) -> bool:
        number = bisect_right(firsts, uid)
        return number > 0 and uid <= lasts[number - 1]

    return holds


def range_choices(ranges: Ranges, uid: ColumnElement[int] = _UID) -> list[ColumnElement[bool]]:
    """Conditions on UIDs, one a statement, that together choose some ranges."""
    if len(ranges) == 1:
        first, last = ranges[0]
        return [uid == first if first == last else uid.between(first, last)]
    return [
        or_(
            uid.in_([first for first, last in part if first == last]),
            *(uid.between(first, last) for first, last in part if first != last),
        )
        for part in (ranges[n : n + MOST_RANGES] for n in range(0, len(ranges), MOST_RANGES))
    ]
