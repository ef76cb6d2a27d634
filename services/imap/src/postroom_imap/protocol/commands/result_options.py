"""What SEARCH and SORT are asked to answer: ``RETURN (…)`` (RFC 4466 section 2.6.1, RFC 4731)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.sequence_set import MAX_NUMBER

_PARTIAL_RANGE = re.compile(rb"(-?)([1-9][0-9]{0,9}):(-?)([1-9][0-9]{0,9})(?![0-9])")


class ResultOption(StrEnum):
    """RFC 4731; RFC 5182 for SAVE, RFC 6203 for RELEVANCY, RFC 5267 for CONTEXT and UPDATE."""

    MIN = "MIN"
    MAX = "MAX"
    ALL = "ALL"
    COUNT = "COUNT"
    CONTEXT = "CONTEXT"
    SAVE = "SAVE"
    UPDATE = "UPDATE"
    RELEVANCY = "RELEVANCY"


@dataclass(frozen=True, slots=True)
class PartialRange:
    """Results by their place (RFC 9394 section 3.1): the first, or where ``last`` the last, is 1.

    ``low`` is never above ``high``; ``wire`` is the range as the client wrote it.
    """

    wire: bytes
    low: int
    high: int
    last: bool = False

    def slice_of(self, count: int) -> slice:
        """Where the range lies in ``count`` results."""
        if not self.last:
            return slice(self.low - 1, self.high)
        return slice(max(count - self.high, 0), max(count - self.low + 1, 0))


@dataclass(frozen=True, slots=True)
class ResultOptions:
    """The options of one command; RETURN () is ``ALL``."""

    options: frozenset[ResultOption]
    partial: PartialRange | None = None

    def __contains__(self, option: ResultOption) -> bool:
        return option in self.options

    @property
    def only_save(self) -> bool:
        """Whether nothing is to be answered (RFC 5182 section 1)."""
        return self.options == {ResultOption.SAVE} and self.partial is None


EVERYTHING = ResultOptions(frozenset({ResultOption.ALL}))


def parse_result_options(cursor: Cursor) -> ResultOptions | None:
    """``RETURN ( options ) SP`` where it comes next, else None."""
    if cursor.data[cursor.position : cursor.position + 7].upper() != b"RETURN ":
        return None
    cursor.position += 7
    partials: list[PartialRange] = []

    def option() -> ResultOption | None:
        word = cursor.word()
        if word == b"PARTIAL":
            cursor.space()
            partials.append(parse_partial_range(cursor))
            return None
        try:
            return ResultOption(word.decode("ascii"))
        except ValueError:
            raise SyntaxFault("Unknown result option") from None

    options = frozenset(filter(None, cursor.list_of(option, empty=True)))
    cursor.space()
    if len(partials) + (ResultOption.ALL in options) > 1:
        # RFC 9394 section 3.1
        raise SyntaxFault("Only one of PARTIAL and ALL can be asked for, and once")
    if not options and not partials:
        return EVERYTHING
    return ResultOptions(options, partials[0] if partials else None)


def parse_partial_range(cursor: Cursor) -> PartialRange:
    """``1:100`` or ``-1:-100`` (RFC 9394 section 4)."""
    found = cursor.match(_PARTIAL_RANGE, "a range of results")
    sign, first, other_sign, last = found.groups()
    low, high = sorted((int(first), int(last)))
    if sign != other_sign or high > MAX_NUMBER:
        raise SyntaxFault("Not a range of results")
    return PartialRange(found.group(), low, high, bool(sign))
