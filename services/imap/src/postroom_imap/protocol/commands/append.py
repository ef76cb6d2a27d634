"""APPEND (RFC 3501 section 6.3.11) and REPLACE (RFC 8508).

What is parsed here is how they begin, up to the mailbox. Their messages are read as they come, by
`protocol.appending`: a command may bring many (RFC 3502), each large.
"""

import re
from dataclasses import dataclass
from functools import partial

from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault

_LITERAL = re.compile(rb"(~?)\{([0-9]+)(\+?)\}\Z")
_TOO_MANY_DIGITS = 19
UNBOUNDED = 2**63  # stands for any size that no one means

# What goes before a mailbox name that comes as a literal.
APPEND_MAILBOX = re.compile(rb" (?=\{)")
REPLACE_MAILBOX = re.compile(rb" (?:[0-9]+|\*) (?=\{)")


@dataclass(frozen=True, slots=True)
class Literal:
    """An announced literal.

    ``{size}`` waits for a continuation request, ``{size+}`` does not (RFC 7888); ``~{size}`` may
    hold NUL (RFC 3516).
    """

    size: int
    synchronizing: bool
    eight_bit: bool = False


@dataclass(frozen=True, slots=True)
class Append:
    """``APPEND mailbox``; ``messages`` is the rest of the line."""

    mailbox: str
    messages: bytes


@dataclass(frozen=True, slots=True)
class Replace:
    """``REPLACE``, ``UID REPLACE``; ``number`` None stands for ``*``."""

    by_uid: bool
    number: int | None
    mailbox: str
    message: bytes


def announced_literal(line: bytes) -> Literal | None:
    """The literal that ``line`` (without its end) announces, if it does."""
    found = _LITERAL.search(line)
    if found is None:
        return None
    tilde, digits, plus = found.groups()
    size = int(digits) if len(digits) < _TOO_MANY_DIGITS else UNBOUNDED
    return Literal(size, synchronizing=not plus, eight_bit=bool(tilde))


def parse_append(cursor: Cursor) -> Append:
    """``APPEND mailbox`` and what follows."""
    cursor.space()
    return Append(cursor.mailbox(), cursor.rest())


def _parse_replace(by_uid: bool, cursor: Cursor) -> Replace:
    """``REPLACE seq-number mailbox`` and what follows."""
    cursor.space()
    number = None if cursor.take(b"*") else cursor.number()
    if number == 0:
        raise SyntaxFault("No message has the number 0")
    cursor.space()
    return Replace(by_uid, number, cursor.mailbox(), cursor.rest())


parse_replace, parse_uid_replace = partial(_parse_replace, False), partial(_parse_replace, True)
