"""LIST and LSUB (RFC 3501 sections 6.3.8, 6.3.9), with what RFC 5258 and RFC 6154 add to LIST."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.mailbox_name import canonical

Option = TypeVar("Option", bound=StrEnum)


class SelectionOption(StrEnum):
    """Which mailboxes an extended LIST picks."""

    SUBSCRIBED = "SUBSCRIBED"
    REMOTE = "REMOTE"
    RECURSIVEMATCH = "RECURSIVEMATCH"
    SPECIAL_USE = "SPECIAL-USE"


class ReturnOption(StrEnum):
    """What an extended LIST tells of each mailbox beyond its name."""

    SUBSCRIBED = "SUBSCRIBED"
    CHILDREN = "CHILDREN"
    SPECIAL_USE = "SPECIAL-USE"


@dataclass(frozen=True, slots=True)
class List:
    """LIST; ``extended`` is true where the client used any syntax of RFC 5258.

    A single empty pattern in the plain form asks for the hierarchy delimiter.
    """

    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[SelectionOption] = frozenset()
    returns: frozenset[ReturnOption] = frozenset()
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Lsub:
    """LSUB."""

    reference: str
    pattern: str


# RFC 5258 section 3.1: RECURSIVEMATCH modifies one of these, and is an error without.
_RECURSION_NEEDS = frozenset({SelectionOption.SUBSCRIBED, SelectionOption.SPECIAL_USE})


def parse_list(cursor: Cursor) -> List:
    """``LIST [(selection)] reference pattern|(patterns) [RETURN (options)]``."""
    cursor.space()
    selected = cursor.at(b"(")
    selection = _selection(cursor) if selected else frozenset()
    reference = cursor.mailbox()
    cursor.space()
    many = cursor.at(b"(")
    patterns = _patterns(cursor) if many else (cursor.list_mailbox(),)
    returned = cursor.take(b" ")
    returns = _returns(cursor) if returned else frozenset()
    patterns = tuple(_pattern(reference, pattern) for pattern in patterns)
    return List(reference, patterns, selection, returns, selected or many or returned)


def parse_lsub(cursor: Cursor) -> Lsub:
    """``LSUB reference pattern``."""
    cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    return Lsub(reference, _pattern(reference, cursor.list_mailbox()))


def _selection(cursor: Cursor) -> frozenset[SelectionOption]:
    selection = _options(cursor, SelectionOption)
    if SelectionOption.RECURSIVEMATCH in selection and not selection & _RECURSION_NEEDS:
        raise SyntaxFault("RECURSIVEMATCH needs another selection option")
    cursor.space()
    return selection


def _patterns(cursor: Cursor) -> tuple[str, ...]:
    return cursor.list_of(cursor.list_mailbox, most=cursor.limits.patterns)


def _returns(cursor: Cursor) -> frozenset[ReturnOption]:
    if cursor.word() != b"RETURN":
        raise SyntaxFault("Expected RETURN")
    cursor.space()
    return _options(cursor, ReturnOption)


def _pattern(reference: str, pattern: str) -> str:
    return pattern if reference else canonical(pattern)


def _options(cursor: Cursor, kind: type[Option]) -> frozenset[Option]:
    """Options in parentheses; an unknown one is an error (RFC 5258 section 3)."""

    def option() -> Option:
        try:
            return kind(cursor.word().decode())
        except ValueError:
            raise SyntaxFault("Unknown LIST option") from None

    return frozenset(cursor.list_of(option, empty=True))
