"""Commands on messages of the selected mailbox, FETCH and SEARCH apart (RFC 3501 section 6.4).

``uid``: the set holds UIDs and responses name UIDs (section 6.4.8).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial

from postroom_imap.protocol.commands.annotation import AnnotationSetting, parse_annotations
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.sequence_set import MAX_NUMBER, SequenceSet


class StoreMode(StrEnum):
    """What STORE does with its flags; the value is the wire prefix."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@dataclass(frozen=True, slots=True)
class Check:
    """CHECK."""


@dataclass(frozen=True, slots=True)
class Close:
    """CLOSE: expunge silently, then leave the mailbox."""


@dataclass(frozen=True, slots=True)
class Unselect:
    """UNSELECT (RFC 3691): leave the mailbox, expunge nothing."""


@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE."""


@dataclass(frozen=True, slots=True)
class UidExpunge:
    """UID EXPUNGE (RFC 4315)."""

    uids: SequenceSet


@dataclass(frozen=True, slots=True)
class UidBatches:
    """UIDBATCHES: batches of ``size`` messages, the first to the last of ``batches`` or all."""

    size: int
    batches: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """STORE.

    Attributes:
        silent: no FETCH responses for what this command changed.
        flags: each once.
        unchanged_since: messages with a later modseq are left alone (RFC 7162 section 3.1.3).
        annotations: what is set in the place of flags (RFC 5257 section 4.5).
    """

    uid: bool
    sequence_set: SequenceSet
    mode: StoreMode
    silent: bool
    flags: tuple[str, ...]
    unchanged_since: int | None = None
    annotations: tuple[AnnotationSetting, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY."""

    uid: bool
    sequence_set: SequenceSet
    mailbox: str


@dataclass(frozen=True, slots=True)
class Move:
    """MOVE (RFC 6851)."""

    uid: bool
    sequence_set: SequenceSet
    mailbox: str


_STORE_ITEM = re.compile(rb"([+-]?)FLAGS(\.SILENT)? ", re.IGNORECASE)
_MEMOISED = 128  # octets; what clients repeat is shorter

_Change = tuple[StoreMode, bool, tuple[str, ...]]


def parse_uid_expunge(cursor: Cursor) -> UidExpunge:
    """``UID EXPUNGE sequence-set``."""
    cursor.space()
    return UidExpunge(cursor.sequence_set())


def parse_uid_batches(cursor: Cursor) -> UidBatches:
    """``UIDBATCHES size [first:last]``."""
    cursor.space()
    size = cursor.number()
    if not cursor.take(b" "):
        return UidBatches(_batch_number(size))
    first = cursor.number()
    cursor.expect(b":")
    return UidBatches(_batch_number(size), (_batch_number(first), _batch_number(cursor.number())))


def _batch_number(number: int) -> int:
    if not 1 <= number <= MAX_NUMBER:
        raise SyntaxFault("Not a number of batches or messages")
    return number


def _parse_store(uid: bool, cursor: Cursor) -> Store:
    """``STORE sequence-set [(modifiers)] [+-]FLAGS[.SILENT] flags``, or ``ANNOTATION (…)``.

    Flags stand in parentheses or bare.
    """
    cursor.space()
    sequence_set = cursor.sequence_set()
    cursor.space()
    unchanged_since = _unchanged_since(cursor) if cursor.at(b"(") else None
    if cursor.take_word(b"ANNOTATION"):
        annotations = parse_annotations(cursor)
        return Store(uid, sequence_set, StoreMode.REPLACE, True, (), unchanged_since, annotations)
    change = cursor.rest()
    parse = _memoised_change if len(change) <= _MEMOISED else _parse_change
    mode, silent, flags = parse(change, cursor.limits)
    return Store(uid, sequence_set, mode, silent, flags, unchanged_since)


def _unchanged_since(cursor: Cursor) -> int:
    """``(UNCHANGEDSINCE modseq)``, the only modifier there is."""
    cursor.expect(b"(")
    if cursor.word() != b"UNCHANGEDSINCE":
        raise SyntaxFault("Unknown modifier of STORE")
    cursor.space()
    modseq = cursor.number()
    cursor.expect(b")")
    cursor.space()
    return modseq


def _parse_change(change: bytes, limits: Limits) -> _Change:
    cursor = Cursor(change, 0, limits)
    sign, silent = cursor.match(_STORE_ITEM, "FLAGS").groups()
    flags = cursor.flag_list() if cursor.at(b"(") else _bare_flags(cursor)
    cursor.end()
    return StoreMode(sign.decode()), silent is not None, flags


_memoised_change = lru_cache(256)(_parse_change)


def _bare_flags(cursor: Cursor) -> tuple[str, ...]:
    flags = [cursor.flag()]
    while cursor.take(b" "):
        flags.append(cursor.flag())
        if len(flags) > cursor.limits.elements:
            raise SyntaxFault("Too many flags", b"LIMIT")
    return tuple(dict.fromkeys(flags))


def _parse_copy(uid: bool, cursor: Cursor) -> Copy:
    """``COPY sequence-set mailbox``."""
    return Copy(uid, *_destination(cursor))


def _parse_move(uid: bool, cursor: Cursor) -> Move:
    """``MOVE sequence-set mailbox``."""
    return Move(uid, *_destination(cursor))


def _destination(cursor: Cursor) -> tuple[SequenceSet, str]:
    cursor.space()
    sequence_set = cursor.sequence_set()
    cursor.space()
    return sequence_set, cursor.mailbox()


parse_store, parse_uid_store = partial(_parse_store, False), partial(_parse_store, True)
parse_copy, parse_uid_copy = partial(_parse_copy, False), partial(_parse_copy, True)
parse_move, parse_uid_move = partial(_parse_move, False), partial(_parse_move, True)
