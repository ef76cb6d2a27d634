"""Annotations of messages (RFC 5257): their rows, as messages come, are copied, and go.

Who holds a private annotation is part of its key, so that several people may annotate one message.
What is removed stays for a while as a row without a value, of which watchers are still told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import Connection, and_, bindparam, delete, func, or_, select

from postroom_store import tables
from postroom_store.database import Prepared
from postroom_store.domain import annotation_names as naming
from postroom_store.domain.change import Annotated
from postroom_store.metadata import MOST_VALUE_BYTES, REMOVED, SHARED
from postroom_store.transaction import Mailbox, Transaction
from postroom_store.uid_ranges import Ranges, range_choices

MOST_SETTINGS = 100  # in one call, or with one message
MOST_PATTERNS = 100  # in one call
MOST_OF_MESSAGE = 100  # that one person sees
MOST_BYTES_OF_MESSAGE = 1024 * 1024  # of those
MOST_BYTES = 64 * 1024 * 1024  # of one account
ROW_BYTES = 100  # that each annotation counts beside its value
MOST_REMOVED = 1000  # of one mailbox, that watchers can still be told of
MOST_TOLD = 10_000  # to a watcher that comes back
PORTION = 1000  # rows that are written at once
FEW = 500  # messages of one statement

_a = tables.message_annotations.c
IS_SET = _a.size != REMOVED
HERE = and_(_a.account_id == bindparam("account"), _a.mailbox_id == bindparam("mailbox"))
_BETWEEN = _a.uid.between(bindparam("first"), bindparam("last"))
_VISIBLE = or_(_a.holder_id == SHARED, _a.holder_id == bindparam("person"))

_ANY = Prepared(select(_a.uid).where(HERE).limit(1))
_FORGET = Prepared(delete(tables.message_annotations).where(HERE, _BETWEEN))
_FORGET_HOLDER = Prepared(
    delete(tables.message_annotations).where(HERE, _a.holder_id == bindparam("holder"))
)
_ALL = (
    select(_a.uid, _a.holder_id, _a.entry, _a.value)
    .where(HERE, IS_SET)
    .order_by(_a.uid, _a.entry, _a.holder_id)
)
_SEEN = (
    select(_a.uid, _a.holder_id, _a.entry, _a.value)
    .where(HERE, _a.uid.in_(bindparam("uids", expanding=True)), _VISIBLE, IS_SET)
    .order_by(_a.uid, _a.entry, _a.holder_id)
)
_WEIGHTS = Prepared(
    select(_a.uid, func.count(), func.sum(_a.size))
    .where(HERE, _BETWEEN, _VISIBLE, IS_SET)
    .group_by(_a.uid)
)
_SIZES = (
    select(_a.holder_id, func.count(), func.sum(_a.size)).where(HERE, IS_SET).group_by(_a.holder_id)
)
_HELD = Prepared(
    select(func.count(), func.coalesce(func.sum(_a.size), 0)).where(
        _a.account_id == bindparam("account"), IS_SET
    )
)
_CHANGED = Prepared(
    select(_a.uid, _a.entry, _a.holder_id)
    .where(HERE, _a.modseq > bindparam("since"))
    .order_by(_a.modseq, _a.uid, _a.entry)
    .limit(MOST_TOLD)
)


@dataclass(frozen=True, slots=True)
class Setting:
    """An annotation as it shall be.

    Attributes:
        holder: whose it is; SHARED.
        value: None removes it.
    """

    entry: str
    holder: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Annotation:
    """An annotation that is there."""

    entry: str
    holder: int
    value: bytes

    @property
    def shared(self) -> bool:
        return self.holder == SHARED


def check(settings: Sequence[Setting]) -> None:
    """Raise PostroomError, INVALID or TOO_LARGE, where a message can't have such annotations."""
    if len(settings) > MOST_SETTINGS:
        raise PostroomError(Kind.INVALID, f"more than {MOST_SETTINGS} annotations")
    if len({(one.entry, one.holder) for one in settings}) < len(settings):
        raise PostroomError(Kind.INVALID, "an annotation is set once")
    for one in settings:
        naming.check(one.entry, one.value)
        if one.value is not None and len(one.value) > MOST_VALUE_BYTES:
            text = f"an annotation has at most {MOST_VALUE_BYTES} bytes"
            raise PostroomError(Kind.TOO_LARGE, text)


def check_message(count: int, size: int) -> None:
    """Raise PostroomError LIMIT_EXCEEDED where one message would have too many annotations."""
    if count > MOST_OF_MESSAGE or size > MOST_BYTES_OF_MESSAGE:
        raise PostroomError(Kind.LIMIT_EXCEEDED, "the message has too many annotations")


def check_account(transaction: Transaction, account_id: int, count: int, size: int) -> None:
    """Raise PostroomError OVER_QUOTA where an account has no room for so many annotations more."""
    if count <= 0 and size <= 0:
        return
    ((held, held_bytes),) = transaction.rows(_HELD, {"account": account_id})
    if (held + count) * ROW_BYTES + int(held_bytes) + size > MOST_BYTES:
        raise PostroomError(Kind.OVER_QUOTA, "the account's annotations take too much room")


def check_copies(
    transaction: Transaction, source: Mailbox, ranges: Ranges, holders: Collection[int] | None
) -> None:
    """Raise PostroomError OVER_QUOTA where there is no room for copies of annotations."""
    count = size = 0
    here = {"account": source.account_id, "mailbox": source.mailbox_id}
    for chosen in range_choices(ranges, _a.uid):
        for holder, some, weight in transaction.execute(_SIZES.where(chosen), here):
            if holders is None or holder in holders:
                count, size = count + some, size + int(weight)
    check_account(transaction, source.account_id, count, size)


def has_any(transaction: Transaction, mailbox: Mailbox) -> bool:
    """Whether any message of a mailbox is annotated: mostly none is, and nothing is to be done."""
    here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    return transaction.row(_ANY, here) is not None


def add(
    transaction: Transaction,
    mailbox: Mailbox,
    uid: int,
    annotations: Iterable[Annotation | Setting],
    modseq: int,
) -> None:
    """Annotate a message that has none of these yet, or note that it has them no more."""
    for one in annotations:
        row = {
            "account_id": mailbox.account_id,
            "mailbox_id": mailbox.mailbox_id,
            "uid": uid,
            "holder_id": one.holder,
            "entry": one.entry,
            "size": REMOVED if one.value is None else len(one.value),
            "modseq": modseq,
            "value": one.value or b"",
        }
        transaction.add(tables.message_annotations, row)


def copy(
    transaction: Transaction,
    source: Mailbox,
    ranges: Ranges,
    target: Mailbox,
    uids: Mapping[int, int],
    holders: Collection[int] | None,
    modseq: int,
) -> None:
    """Annotate copies as their originals are (section 4.6).

    Args:
        uids: of the copies, by those of the originals.
        holders: whose annotations go along; None: everybody's.
    """
    here = {"account": source.account_id, "mailbox": source.mailbox_id}
    for chosen in range_choices(ranges, _a.uid):
        for uid, holder, entry, value in transaction.execute(_ALL.where(chosen), here):
            if uid in uids and (holders is None or holder in holders):
                copied = Annotation(entry, holder, bytes(value))
                add(transaction, target, uids[uid], [copied], modseq)


def forget(transaction: Transaction, mailbox: Mailbox, ranges: Ranges) -> None:
    """Remove all annotations of messages that go."""
    if has_any(transaction, mailbox):
        here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
        betweens = [here | {"first": first, "last": last} for first, last in ranges]
        transaction.run(_FORGET, betweens)


def forget_holder(transaction: Transaction, mailbox: Mailbox, holder: int) -> None:
    """Remove one person's private annotations of the messages of a mailbox."""
    here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    transaction.run(_FORGET_HOLDER, [here | {"holder": holder}])


# Reading.


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which annotations are asked for.

    Attributes:
        person: whose private ones are told, beside the shared ones.
        patterns: of names.
    """

    person: int
    patterns: tuple[str, ...]

    def holds(self, entry: str) -> bool:
        """Whether a name is among them."""
        return any(
            naming.matcher(pattern).matches(entry)
            if naming.is_pattern(pattern)
            else entry == pattern
            for pattern in self.patterns
        )


def weights(
    connection: Connection, here: Mapping[str, int], person: int
) -> dict[int, tuple[int, int]]:
    """How many annotations of messages somebody sees, and of how many bytes, by UID.

    Args:
        here: "account", "mailbox", "first" and "last" (UIDs).
    """
    rows = _WEIGHTS.rows(connection, {**here, "person": person})
    return {uid: (count, int(size)) for uid, count, size in rows}


def read(
    connection: Connection, here: Mapping[str, int], uids: Sequence[int], wanted: Wanted
) -> dict[int, list[Annotation]]:
    """Annotations of messages in order of their names, by UID.

    Args:
        here: "account" and "mailbox".
    """
    found: dict[int, list[Annotation]] = defaultdict(list)
    for start in range(0, len(uids), FEW):
        some = {**here, "person": wanted.person, "uids": uids[start : start + FEW]}
        for uid, holder, entry, value in connection.execute(_SEEN, some):
            if wanted.holds(entry):
                found[uid].append(Annotation(entry, holder, bytes(value)))
    return found


def values(
    connection: Connection, here: Mapping[str, int], pattern: str, holders: Sequence[int]
) -> Iterator[tuple[int, bytes]]:
    """The values of a mailbox's annotations whose names match, by UID.

    Args:
        here: "account" and "mailbox".
    """
    statement = select(_a.uid, _a.entry, _a.value).where(HERE, _a.holder_id.in_(holders), IS_SET)
    if not naming.is_pattern(pattern):
        statement = statement.where(_a.entry == pattern)
    wanted = Wanted(SHARED, (pattern,))
    for uid, entry, value in connection.execute(statement, here):
        if wanted.holds(entry):
            yield uid, bytes(value)


def changed(connection: Connection, account_id: int, mailbox_id: int, since: int) -> Annotated:
    """What was set or removed after a modseq, as far as it is known, at most MOST_TOLD."""
    parameters = {"account": account_id, "mailbox": mailbox_id, "since": since}
    told = Annotated()
    for uid, entry, holder in _CHANGED.rows(connection, parameters):
        told.uids.append(uid)
        told.entries.append(entry)
        told.holders.append(holder)
    return told
