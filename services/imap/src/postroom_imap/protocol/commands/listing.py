"""LIST (RFC 9051 section 6.3.9, RFC 5258, RFC 5819, RFC 6154) and LSUB (RFC 3501 section 6.3.9)."""

from dataclasses import dataclass, field
from enum import StrEnum

from postroom_imap.protocol.commands.mailboxes import StatusItem, parse_status_items
from postroom_imap.protocol.commands.metadata import parse_entries
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.mailbox_name import canonical


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
    MYRIGHTS = "MYRIGHTS"  # RFC 8440


@dataclass(frozen=True, slots=True)
class List:
    """LIST; ``extended`` is true where the client used any syntax of RFC 5258.

    A single empty pattern in the plain form asks for the hierarchy delimiter. ``status`` and
    ``metadata`` are what STATUS and METADATA shall tell of each mailbox (RFC 5819, RFC 9590).
    """

    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[SelectionOption] = frozenset()
    returns: frozenset[ReturnOption] = frozenset()
    extended: bool = False
    status: tuple[StatusItem, ...] = ()
    metadata: tuple[str, ...] = ()


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
    returns = _returns(cursor) if returned else _Returns()
    patterns = tuple(_pattern(reference, pattern) for pattern in patterns)
    return List(
        reference,
        patterns,
        selection,
        frozenset(returns.options),
        selected or many or returned,
        returns.status,
        returns.metadata,
    )


def parse_rlist(cursor: Cursor) -> List:
    """``RLIST reference pattern`` (RFC 2193 section 5.1): LIST without what came later."""
    cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    return List(reference, (_pattern(reference, cursor.list_mailbox()),))


def parse_lsub(cursor: Cursor) -> Lsub:
    """``LSUB reference pattern``."""
    cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    return Lsub(reference, _pattern(reference, cursor.list_mailbox()))


def _selection(cursor: Cursor) -> frozenset[SelectionOption]:
    def option() -> SelectionOption:
        try:
            return SelectionOption(cursor.word().decode())
        except ValueError:
            raise _unknown() from None

    selection = frozenset(cursor.list_of(option, empty=True))
    if SelectionOption.RECURSIVEMATCH in selection and not selection & _RECURSION_NEEDS:
        raise SyntaxFault("RECURSIVEMATCH needs another selection option")
    cursor.space()
    return selection


def _patterns(cursor: Cursor) -> tuple[str, ...]:
    return cursor.list_of(cursor.list_mailbox, most=cursor.limits.patterns)


@dataclass(slots=True)
class _Returns:
    """What RETURN holds; a later STATUS takes the place of the one before."""

    options: set[ReturnOption] = field(default_factory=set)
    status: tuple[StatusItem, ...] = ()
    metadata: tuple[str, ...] = ()


def _returns(cursor: Cursor) -> _Returns:
    if cursor.word() != b"RETURN":
        raise SyntaxFault("Expected RETURN")
    cursor.space()
    returns = _Returns()

    def option() -> None:
        name = cursor.word().decode()
        if name == "STATUS":
            cursor.space()
            returns.status = parse_status_items(cursor)
            return
        if name == "METADATA":
            cursor.space()
            returns.metadata = parse_entries(cursor)
            return
        try:
            returns.options.add(ReturnOption(name))
        except ValueError:
            raise _unknown() from None

    cursor.list_of(option, empty=True)
    return returns


def _unknown() -> SyntaxFault:
    """An unknown option is an error (RFC 5258 section 3)."""
    return SyntaxFault("Unknown LIST option")


def _pattern(reference: str, pattern: str) -> str:
    return pattern if reference else canonical(pattern)
