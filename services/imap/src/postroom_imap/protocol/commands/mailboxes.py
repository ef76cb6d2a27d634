"""Commands on one mailbox by its name (RFC 3501 sections 6.3.1 to 6.3.7 and 6.3.10).

Names are decoded: text, not modified UTF-7.
"""

from dataclasses import dataclass
from enum import StrEnum

from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault


class StatusItem(StrEnum):
    """What STATUS can tell; the value is the wire name."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Examine:
    """EXAMINE: SELECT, read-only."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE; a trailing hierarchy separator only declares that children will follow."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    mailbox: str
    new_name: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS: each item once, in the client's order."""

    mailbox: str
    items: tuple[StatusItem, ...]


def parse_mailbox(cursor: Cursor) -> str:
    """``SP mailbox``: all that most commands on a mailbox take."""
    cursor.space()
    return cursor.mailbox()


def parse_select(cursor: Cursor) -> Select:
    """``SELECT mailbox``."""
    return Select(parse_mailbox(cursor))


def parse_examine(cursor: Cursor) -> Examine:
    """``EXAMINE mailbox``."""
    return Examine(parse_mailbox(cursor))


def parse_create(cursor: Cursor) -> Create:
    """``CREATE mailbox``."""
    return Create(parse_mailbox(cursor))


def parse_delete(cursor: Cursor) -> Delete:
    """``DELETE mailbox``."""
    return Delete(parse_mailbox(cursor))


def parse_rename(cursor: Cursor) -> Rename:
    """``RENAME mailbox mailbox``."""
    return Rename(parse_mailbox(cursor), parse_mailbox(cursor))


def parse_subscribe(cursor: Cursor) -> Subscribe:
    """``SUBSCRIBE mailbox``."""
    return Subscribe(parse_mailbox(cursor))


def parse_unsubscribe(cursor: Cursor) -> Unsubscribe:
    """``UNSUBSCRIBE mailbox``."""
    return Unsubscribe(parse_mailbox(cursor))


def parse_status(cursor: Cursor) -> Status:
    """``STATUS mailbox (item …)``."""
    mailbox = parse_mailbox(cursor)
    cursor.space()

    def item() -> StatusItem:
        try:
            return StatusItem(cursor.word().decode())
        except ValueError:
            raise SyntaxFault("Unknown STATUS item") from None

    return Status(mailbox, tuple(dict.fromkeys(cursor.list_of(item))))
