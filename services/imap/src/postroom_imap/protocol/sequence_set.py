"""Sets of message numbers, sequence numbers and UIDs alike (RFC 3501 section 9, ``sequence-set``).

A set is kept as sorted ranges that neither overlap nor touch. ``*`` is the number ``STAR``, one
above the largest that the wire can carry, so that ranges order and merge by plain comparison: what
a merged set selects among existing messages is what the client's set selects.

``$`` stands for the messages that a search saved (RFC 5182): ``SAVED_RESULT``, which whoever keeps
them puts in place.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

MAX_NUMBER = 4_294_967_295  # nz-number is an unsigned 32-bit integer
STAR = MAX_NUMBER + 1

Range = tuple[int, int]

_NUMBER = rb"(?:\*|[1-9][0-9]{0,9})"
_RANGE = rb"%b(?::%b)?" % (_NUMBER, _NUMBER)
_SEQUENCE_SET = re.compile(rb"%b(?:,%b)*" % (_RANGE, _RANGE))


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Sorted, disjoint, non-adjacent inclusive ranges; ``STAR`` stands for ``*``.

    ``saved`` makes it ``$``: it has no ranges, since only the session knows what it stands for.
    """

    ranges: tuple[Range, ...]
    saved: bool = False

    def __post_init__(self) -> None:
        for low, high in self.ranges:
            if not 1 <= low <= high <= STAR:
                raise ValueError("a range runs from 1 or more upwards")
        for (_, high), (low, _) in pairwise(self.ranges):
            if low <= high + 1:
                raise ValueError("ranges must be sorted, with a gap between them")

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """The set that ``text`` denotes; raises ValueError where it is none."""
        if text.isdigit() and 1 <= (number := int(text[:11])) <= MAX_NUMBER and text[0] != 0x30:
            return cls(((number, number),))
        if not _SEQUENCE_SET.fullmatch(text):
            raise ValueError("not a sequence set")
        return cls(_merge(sorted(_parse_range(part) for part in text.split(b","))))

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Self:
        """The compact set of ``numbers``, which may come in any order and repeat."""
        return cls(_merge((number, number) for number in sorted(numbers)))

    def __bytes__(self) -> bytes:
        """The wire form, as short as it gets: ``1:3,5``."""
        return (
            b"$"
            if self.saved
            else b",".join(
                _number(low) if low == high else b"%b:%b" % (_number(low), _number(high))
                for low, high in self.ranges
            )
        )

    def __bool__(self) -> bool:
        return self.saved or bool(self.ranges)

    @property
    def has_star(self) -> bool:
        """Whether the set's meaning depends on the largest number in use."""
        return bool(self.ranges) and self.ranges[-1][1] == STAR

    def resolve(self, largest: int) -> tuple[Range, ...]:
        """The ranges cut to 1..``largest`` with ``*`` replaced; none where ``largest`` is 0.

        ``559:*`` holds the largest number in use even where that is below 559 (RFC 3501 section
        6.4.8).
        """
        if largest < 1 or not self.ranges:
            return ()
        if self.ranges[-1][1] <= largest:
            return self.ranges
        cut = (
            (min(low, largest) if high == STAR else low, min(high, largest))
            for low, high in self.ranges
        )
        return _merge(sorted((low, high) for low, high in cut if low <= high))

    def exceeds(self, largest: int) -> bool:
        """Whether a number other than ``*`` is above ``largest``: an error for sequence numbers.

        ``n:*`` is never too large as long as there is a message at all: it holds the last one.
        """
        if largest < 1:
            return bool(self.ranges)
        return any(largest < high < STAR for _, high in self.ranges)

    def contains(self, number: int, largest: int) -> bool:
        """Whether ``number`` (at most ``largest``) is in the set."""
        return any(low <= number <= high for low, high in self.resolve(largest))

    def slices(self, uids: Sequence[int]) -> list[range]:
        """Index ranges of ``uids`` (ascending, all in use) whose UIDs are in the set, in order.

        Costs two bisections a range whatever its width, so 1:4294967295 is as cheap as 1.
        """
        found: list[range] = []
        start = 0
        for low, high in self.resolve(uids[-1] if uids else 0):
            start = bisect_left(uids, low, start)
            stop = bisect_right(uids, high, start)
            if start < stop:
                found.append(range(start, stop))
            start = stop
        return found

    def select(self, uids: Sequence[int]) -> list[int]:
        """Those of ``uids`` (ascending, all in use) that are in the set, ascending."""
        return [uid for part in self.slices(uids) for uid in uids[part.start : part.stop]]


SAVED_RESULT = SequenceSet((), saved=True)


def in_order(numbers: Iterable[int]) -> bytes:
    """The wire form of numbers that keeps their order; only ascending runs make ranges.

    Nothing for no numbers, which the grammar has no set for.
    """
    return b",".join(
        b"%d" % run.start if len(run) == 1 else b"%d:%d" % (run.start, run.stop - 1)
        for run in runs(numbers)
    )


def runs(numbers: Iterable[int]) -> Iterator[range]:
    """Runs in which each number is one more than the one before."""
    rest = iter(numbers)
    for low in rest:
        high = low
        for number in rest:
            if number != high + 1:
                yield range(low, high + 1)
                low = number
            high = number
        yield range(low, high + 1)


def _parse_range(text: bytes) -> Range:
    first, colon, last = text.partition(b":")
    low = _parse_number(first)
    high = _parse_number(last) if colon else low
    return (low, high) if low <= high else (high, low)


def _parse_number(text: bytes) -> int:
    number = STAR if text == b"*" else int(text)
    if number > STAR or (number == STAR and text != b"*"):
        raise ValueError("a message number has 32 bits")
    return number


def _merge(ranges: Iterable[Range]) -> tuple[Range, ...]:
    merged: list[Range] = []
    for low, high in ranges:
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def _number(number: int) -> bytes:
    return b"*" if number == STAR else b"%d" % number
