"""Commands on one mailbox by its name (RFC 9051 sections 6.3.2 to 6.3.8 and 6.3.11).

Names are decoded: text, not modified UTF-7.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.sequence_set import SequenceSet


class StatusItem(StrEnum):
    """What STATUS can tell; the value is the wire name."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    DELETED = "DELETED"  # RFC 9051
    SIZE = "SIZE"  # RFC 8438, RFC 9051
    DELETED_STORAGE = "DELETED-STORAGE"  # RFC 9208 section 4.1.4
    HIGHESTMODSEQ = "HIGHESTMODSEQ"  # RFC 7162 section 3.1.7
    MAILBOXID = "MAILBOXID"  # RFC 8474 section 4.3
    APPENDLIMIT = "APPENDLIMIT"  # RFC 7889 section 3.2


@dataclass(frozen=True, slots=True)
class Resync:
    """What a client still knows of a mailbox (RFC 7162 section 3.2.5).

    Attributes:
        uids: all that it knows; None: it doesn't say.
        matches: sequence numbers and UIDs that went together when it last looked.
    """

    uid_validity: int
    modseq: int
    uids: SequenceSet | None = None
    matches: tuple[SequenceSet, SequenceSet] | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT.

    Attributes:
        condstore: the client turns to modseqs (RFC 7162 section 3.1.8).
        annotate: it wants to hear of annotations that change (RFC 5257 section 4.2).
    """

    mailbox: str
    condstore: bool = False
    resync: Resync | None = None
    annotate: bool = False


@dataclass(frozen=True, slots=True)
class Examine(Select):
    """EXAMINE: SELECT, read-only."""


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE; a trailing hierarchy separator only declares that children will follow.

    ``uses`` are the special uses that it shall have (RFC 6154), as the client spelled them.
    """

    mailbox: str
    uses: tuple[str, ...] = ()


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


def _parse_select(kind: type[Select], cursor: Cursor) -> Select:
    """``SELECT mailbox [(parameters)]``."""
    mailbox = parse_mailbox(cursor)
    if not cursor.take(b" "):
        return kind(mailbox)
    resync: Resync | None = None

    def parameter() -> bytes:
        nonlocal resync
        word = cursor.word()
        if word == b"QRESYNC":
            cursor.space()
            resync = _resync(cursor)
        elif word not in (b"ANNOTATE", b"CONDSTORE"):
            raise SyntaxFault("Unknown parameter of SELECT")
        return word

    words = cursor.list_of(parameter)
    return kind(mailbox, b"CONDSTORE" in words, resync, b"ANNOTATE" in words)


parse_select, parse_examine = partial(_parse_select, Select), partial(_parse_select, Examine)


def _resync(cursor: Cursor) -> Resync:
    """``(uidvalidity modseq [known-uids] [(known-sequence-set known-uid-set)])``."""
    cursor.expect(b"(")
    uid_validity = cursor.number()
    cursor.space()
    modseq = cursor.number()
    uids = matches = None
    if cursor.at(b" ") and not cursor.at(b" ("):
        cursor.space()
        uids = cursor.sequence_set()
    if cursor.take(b" ("):
        numbers = cursor.sequence_set()
        cursor.space()
        matches = (numbers, cursor.sequence_set())
        cursor.expect(b")")
    cursor.expect(b")")
    if any(known is not None and known.has_star for known in (uids, *(matches or ()))):
        raise SyntaxFault("What is known has no *")
    return Resync(uid_validity, modseq, uids, matches)


def parse_create(cursor: Cursor) -> Create:
    """``CREATE mailbox [(USE (use-attr …))]`` (RFC 4466 section 2.2, RFC 6154 section 3)."""
    mailbox = parse_mailbox(cursor)
    if not cursor.take(b" "):
        return Create(mailbox)
    uses = [use for parameter in cursor.list_of(lambda: _use(cursor)) for use in parameter]
    return Create(mailbox, tuple(dict.fromkeys(uses)))


def _use(cursor: Cursor) -> tuple[str, ...]:
    if cursor.word() != b"USE":
        raise SyntaxFault("Unknown CREATE parameter")
    cursor.space()

    def attribute() -> str:
        cursor.expect(b"\\")
        return "\\" + cursor.atom()

    return cursor.list_of(attribute, empty=True)


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
    return Status(mailbox, parse_status_items(cursor))


def parse_status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    """``(item …)``, each item once."""

    def item() -> StatusItem:
        try:
            return StatusItem(cursor.word().decode())
        except ValueError:
            raise SyntaxFault("Unknown STATUS item") from None

    return tuple(dict.fromkeys(cursor.list_of(item)))
