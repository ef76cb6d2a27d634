"""APPEND (RFC 3501 section 6.3.11): its head is a command, its message is a stream that follows."""

import re
from dataclasses import dataclass

from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.date_time import DateTime
from postroom_imap.protocol.invalid import SyntaxFault

_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}\Z")
_TOO_MANY_DIGITS = 19
UNBOUNDED = 2**63  # stands for any size that no one means


@dataclass(frozen=True, slots=True)
class Literal:
    """An announced literal: ``{size}`` waits for a continuation request, ``{size+}`` does not."""

    size: int
    synchronizing: bool


@dataclass(frozen=True, slots=True)
class Append:
    """The head of APPEND; ``message`` announces the bytes that come next on the stream.

    ``internal_date`` None: the time of arrival.
    """

    mailbox: str
    flags: tuple[str, ...]
    internal_date: DateTime | None
    message: Literal


def announced_literal(line: bytes) -> Literal | None:
    """The literal that ``line`` (without its end) announces, if it does."""
    found = _LITERAL.search(line)
    if found is None:
        return None
    digits, plus = found.groups()
    size = int(digits) if len(digits) < _TOO_MANY_DIGITS else UNBOUNDED
    return Literal(size, synchronizing=not plus)


def parse_append(cursor: Cursor) -> Append:
    """``APPEND mailbox [(flags)] ["date-time"] {size}``, up to the announcement of the message."""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    flags: tuple[str, ...] = ()
    if cursor.at(b"("):
        flags = cursor.flag_list()
        cursor.space()
    internal_date = None
    if cursor.at(b'"'):
        internal_date = _date_time(cursor)
        cursor.space()
    return Append(mailbox, flags, internal_date, _message(cursor))


def _date_time(cursor: Cursor) -> DateTime:
    try:
        return DateTime.parse(cursor.string())
    except ValueError:
        raise SyntaxFault("Not a valid date-time") from None


def _message(cursor: Cursor) -> Literal:
    literal = announced_literal(cursor.rest()) if cursor.at(b"{") else None
    if literal is None:
        raise SyntaxFault("Expected a literal")
    return literal
