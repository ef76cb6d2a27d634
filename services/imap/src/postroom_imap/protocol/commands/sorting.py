"""SORT and THREAD (RFC 5256): the commands and their parsers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from postroom_imap.protocol.commands.annotation import AnnotationColumn, parse_column
from postroom_imap.protocol.commands.result_options import ResultOptions, parse_result_options
from postroom_imap.protocol.commands.search import parse_program
from postroom_imap.protocol.commands.search_keys import SearchKey
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault

MOST_ANNOTATIONS = 20  # that one command sorts by


class SortKey(StrEnum):
    """RFC 5256 section 3; RFC 5957 for those of display names, RFC 6203 for RELEVANCY.

    ANNOTATION: RFC 5257 section 4.9.
    """

    ANNOTATION = "ANNOTATION"
    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    DISPLAYFROM = "DISPLAYFROM"
    DISPLAYTO = "DISPLAYTO"
    FROM = "FROM"
    RELEVANCY = "RELEVANCY"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One of the things that messages are sorted by; ``annotation``: which, where it is one."""

    key: SortKey
    reverse: bool = False
    annotation: AnnotationColumn | None = None


class Algorithm(StrEnum):
    """RFC 5256 section 3; draft-ietf-morg-inthread for REFS."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"
    REFS = "REFS"


@dataclass(frozen=True, slots=True)
class Sort:
    """SORT, UID SORT; ``result`` is None without RETURN (RFC 5267)."""

    uid: bool
    criteria: tuple[Criterion, ...]
    charset: str
    program: SearchKey
    result: ResultOptions | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """THREAD, UID THREAD."""

    uid: bool
    algorithm: Algorithm
    charset: str
    program: SearchKey


def _parse_sort(uid: bool, cursor: Cursor) -> Sort:
    """``SORT [RETURN (…)] (criterion …) charset key …``."""
    cursor.space()
    result = parse_result_options(cursor)
    criteria = cursor.list_of(lambda: _criterion(cursor))
    if len({each.annotation for each in criteria}) > MOST_ANNOTATIONS:
        raise SyntaxFault("Too many annotations to sort by", b"LIMIT")
    cursor.space()
    charset = _charset(cursor)
    scored = any(each.key is SortKey.RELEVANCY for each in criteria)
    program = parse_program(cursor, charset, result, scored=scored)
    return Sort(uid, criteria, charset, program, result)


def _parse_thread(uid: bool, cursor: Cursor) -> Thread:
    """``THREAD algorithm charset key …``."""
    cursor.space()
    try:
        algorithm = Algorithm(cursor.word().decode("ascii"))
    except ValueError:
        raise SyntaxFault("Unknown threading algorithm") from None
    cursor.space()
    charset = _charset(cursor)
    return Thread(uid, algorithm, charset, parse_program(cursor, charset))


parse_sort, parse_uid_sort = partial(_parse_sort, False), partial(_parse_sort, True)
parse_thread, parse_uid_thread = partial(_parse_thread, False), partial(_parse_thread, True)


def _criterion(cursor: Cursor) -> Criterion:
    word = cursor.word()
    reverse = word == b"REVERSE"
    if reverse:
        cursor.space()
        word = cursor.word()
    try:
        key = SortKey(word.decode("ascii"))
    except ValueError:
        raise SyntaxFault("Unknown sort key") from None
    if key is not SortKey.ANNOTATION:
        return Criterion(key, reverse)
    cursor.space()
    return Criterion(key, reverse, parse_column(cursor))


def _charset(cursor: Cursor) -> str:
    charset = cursor.astring().upper().decode("ascii", "replace")
    cursor.space()
    return charset
