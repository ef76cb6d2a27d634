"""Annotations (RFC 5464): read in a reader's thread, changed in a transaction.

Mailbox 0 is the server as an account sees it. Who holds a private annotation is part of its key, so
that several people may annotate one mailbox.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
)

from postroom_store import tables
from postroom_store.domain import entries as naming
from postroom_store.domain import names, special_uses
from postroom_store.special_use import take_away
from postroom_store.transaction import (
    FIND_MAILBOX_NAMED,
    Mailbox,
    Transaction,
    mailbox_of_row,
)

SERVER = 0  # in the place of a mailbox's id
SHARED = 0  # in the place of a holder's id
MOST_ENTRIES = 100  # in one call
MOST_VALUE_BYTES = 65_536
MOST_OF_MAILBOX = 200  # that one person sees
MOST_BYTES = 16 * 1024 * 1024  # of one account

REMOVED = -1  # in the place of a size
MOST_REMOVED = 200  # of one mailbox, that watchers can still be told of

Values = Mapping[str, bytes | None]

_a = tables.mailbox_annotations.c
_IS_SET = _a.size != REMOVED


@dataclass(slots=True)
class Found:
    """What was asked for.

    Attributes:
        values: by entry, in order.
        longest: bytes of the longest value that was left out.
    """

    values: dict[str, bytes] = field(default_factory=dict)
    longest: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for.

    Attributes:
        entries: canonical.
        depth: how many levels below these; None for all.
        most_bytes: longer values are left out.
    """

    entries: Sequence[str]
    depth: int | None = 0
    most_bytes: int | None = None

    def holds(self, entry: str) -> bool:
        """Whether an entry is among them."""
        return any(self._below(entry, top) for top in self.entries)

    def _below(self, entry: str, top: str) -> bool:
        if entry == top:
            return True
        rest = entry.removeprefix(top + "/")
        return rest != entry and (self.depth is None or rest.count("/") < self.depth)

    def condition(self) -> ColumnElement[bool]:
        """Rows that may be among them."""
        tops = _a.entry.in_(self.entries)
        if self.depth == 0:
            return tops
        # A range: "0" follows "/".
        return or_(tops, *((_a.entry > f"{top}/") & (_a.entry < f"{top}0") for top in self.entries))


def read(
    connection: Connection, account_id: int, name: str, holder_id: int, wanted: Wanted
) -> Found:
    """Annotations of a mailbox, or of the server where the name is empty.

    Raises PostroomError: NOT_FOUND, INVALID.
    """
    mailbox = _find(connection, account_id, name) if name else None
    where = and_(
        _visible(account_id, holder_id, mailbox.mailbox_id if mailbox else SERVER), _IS_SET
    )
    statement = select(_a.entry, _a.value).where(where, wanted.condition())
    values = {entry: bytes(value) for entry, value in connection.execute(statement)}
    if mailbox is not None and mailbox.special_use and holder_id == account_id:
        values[naming.SPECIAL_USE] = _uses_of(mailbox)
    found = Found()
    for entry in filter(wanted.holds, sorted(values)):
        value = values[entry]
        if wanted.most_bytes is not None and len(value) > wanted.most_bytes:
            found.longest = max(found.longest, len(value))
        else:
            found.values[entry] = value
    return found


def read_all(
    connection: Connection, account_id: int, holder_id: int, entries: Sequence[str]
) -> dict[int, dict[str, bytes]]:
    """Some annotations of every mailbox, by its id; special uses apart."""
    found: dict[int, dict[str, bytes]] = defaultdict(dict)
    if not entries:
        return found
    where = and_(_visible(account_id, holder_id), _IS_SET, _a.entry.in_(entries))
    statement = select(_a.mailbox_id, _a.entry, _a.value).where(where).order_by(_a.entry)
    for mailbox_id, entry, value in connection.execute(statement):
        found[mailbox_id][entry] = bytes(value)
    return found


def with_uses(
    values: Mapping[str, bytes], mailbox: Mailbox, entries: Sequence[str]
) -> Mapping[str, bytes]:
    """Annotations of a mailbox with its special uses, where these are asked for."""
    if naming.SPECIAL_USE not in entries or not mailbox.special_use:
        return values
    return {**values, naming.SPECIAL_USE: _uses_of(mailbox)}


def _uses_of(mailbox: Mailbox) -> bytes:
    return special_uses.attributes_of(mailbox.special_use).encode("ascii")


def write(
    transaction: Transaction, account_id: int, name: str, holder_id: int, values: Values
) -> None:
    """Set annotations, and remove those whose value is None.

    Raises PostroomError: NOT_FOUND, TOO_LARGE, LIMIT_EXCEEDED, OVER_QUOTA; DENIED for shared ones
    of the server, and for special uses in another's account; UNSUPPORTED for a special use that
    can't be.
    """
    if naming.SPECIAL_USE in values and holder_id != account_id:
        raise PostroomError(Kind.DENIED, "special uses are the owner's to give")
    account = transaction.account(account_id)
    if not name:
        _write_server(transaction, account_id, holder_id, values)
        return
    mailbox = _of_name(transaction, account_id, name)
    kept = dict(values)
    text = kept.pop(naming.SPECIAL_USE, None) or b""
    uses = special_uses.mask_of_attributes(text.decode("ascii", "replace"))
    if uses and (name == names.INBOX or not mailbox.selectable):
        raise PostroomError(Kind.UNSUPPORTED, "this mailbox can have no special use")
    _check(transaction, account_id, holder_id, mailbox.mailbox_id, kept)
    modseq = transaction.change_annotations(account)
    _replace(transaction, account_id, holder_id, mailbox.mailbox_id, kept, modseq)
    if naming.SPECIAL_USE in values:
        transaction.change_tree(account)
        take_away(transaction, account_id, uses)
        mailbox = _of_name(transaction, account_id, name)
        mailbox.special_use = uses
        transaction.touch_mailbox(mailbox)


def _write_server(
    transaction: Transaction, account_id: int, holder_id: int, values: Values
) -> None:
    if not all(map(naming.is_private, values)):
        raise PostroomError(Kind.DENIED, "the server's shared annotations are its administrator's")
    _check(transaction, account_id, holder_id, SERVER, values)
    modseq = transaction.change_annotations(transaction.account(account_id))
    _replace(transaction, account_id, holder_id, SERVER, values, modseq)


def _check(
    transaction: Transaction, account_id: int, holder_id: int, mailbox_id: int, values: Values
) -> None:
    sizes = [len(value) for value in values.values() if value is not None]
    if sizes and max(sizes) > MOST_VALUE_BYTES:
        most = MOST_VALUE_BYTES
        raise PostroomError(Kind.TOO_LARGE, f"an annotation has at most {most} bytes")
    if not sizes:
        return
    replaced = _a.entry.in_(list(values))
    others = select(func.count()).where(
        _visible(account_id, holder_id, mailbox_id), _IS_SET, not_(replaced)
    )
    if transaction.execute(others).scalar_one() + len(sizes) > MOST_OF_MAILBOX:
        raise PostroomError(Kind.LIMIT_EXCEEDED, "there are too many annotations here")
    held = transaction.execute(_HELD, {"account": account_id}).scalar_one()
    if int(held) + sum(sizes) > MOST_BYTES:
        raise PostroomError(Kind.OVER_QUOTA, "the account's annotations take too much room")


_HELD = select(func.coalesce(func.sum(_a.size), 0)).where(
    _a.account_id == bindparam("account"), _IS_SET
)


def _replace(
    transaction: Transaction,
    account_id: int,
    holder_id: int,
    mailbox_id: int,
    values: Values,
    modseq: int,
) -> None:
    if not values:
        return
    here = _visible(account_id, holder_id, mailbox_id)
    transaction.execute(delete(tables.mailbox_annotations).where(here, _a.entry.in_(list(values))))
    for entry, value in values.items():
        row = {
            "account_id": account_id,
            "mailbox_id": mailbox_id,
            "holder_id": holder_id if naming.is_private(entry) else SHARED,
            "entry": entry,
            "value": value or b"",
            "size": REMOVED if value is None else len(value),
            "modseq": modseq,
        }
        transaction.add(tables.mailbox_annotations, row)
    if None in values.values():
        removed = and_(here, not_(_IS_SET))
        if transaction.execute(select(func.count()).where(removed)).scalar_one() > MOST_REMOVED:
            forgotten = delete(tables.mailbox_annotations).where(removed, _a.modseq < modseq)
            transaction.execute(forgotten)


def changed(
    connection: Connection, account_id: int, holder_id: int, since: int
) -> dict[int, list[str]]:
    """Names of the annotations that were set or removed after a modseq, by mailbox."""
    where = and_(_visible(account_id, holder_id), _a.modseq > since)
    statement = select(_a.mailbox_id, _a.entry).where(where).order_by(_a.mailbox_id, _a.entry)
    found: dict[int, list[str]] = defaultdict(list)
    for mailbox_id, entry in connection.execute(statement):
        found[mailbox_id].append(entry)
    return found


def copy(transaction: Transaction, source: Mailbox, target: Mailbox) -> None:
    """Give a mailbox the annotations of another (RFC 5464 section 4.1: a rename of INBOX)."""
    names_ = ("account_id", "mailbox_id", "holder_id", "entry", "value", "size", "modseq")
    columns = [literal(target.mailbox_id) if name == "mailbox_id" else _a[name] for name in names_]
    rows = select(*columns).where(
        _a.account_id == source.account_id, _a.mailbox_id == source.mailbox_id, _IS_SET
    )
    transaction.execute(insert(tables.mailbox_annotations).from_select(names_, rows))


def remove(transaction: Transaction, mailbox: Mailbox) -> None:
    """Remove whatever annotations a mailbox has, whoever holds them."""
    statement = delete(tables.mailbox_annotations).where(
        _a.account_id == mailbox.account_id, _a.mailbox_id == mailbox.mailbox_id
    )
    transaction.execute(statement)


def forget_holder(transaction: Transaction, mailbox: Mailbox, holder_id: int) -> None:
    """Remove one person's private annotations of a mailbox."""
    statement = delete(tables.mailbox_annotations).where(
        _a.account_id == mailbox.account_id,
        _a.mailbox_id == mailbox.mailbox_id,
        _a.holder_id == holder_id,
    )
    transaction.execute(statement)


def _visible(account_id: int, holder_id: int, mailbox_id: int | None = None) -> ColumnElement[bool]:
    """What one person sees: of one mailbox, or of all."""
    conditions = [_a.account_id == account_id, _a.holder_id.in_((SHARED, holder_id))]
    if mailbox_id is not None:
        conditions.append(_a.mailbox_id == mailbox_id)
    return and_(*conditions)


def _find(connection: Connection, account_id: int, name: str) -> Mailbox:
    parameters = {"account": account_id, "wanted": names.canonical(name)}
    row = FIND_MAILBOX_NAMED.row(connection, parameters)
    if row is None:
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
    return mailbox_of_row(row)


def _of_name(transaction: Transaction, account_id: int, name: str) -> Mailbox:
    mailbox = transaction.find_mailbox(account_id, names.canonical(name))
    if mailbox is None:
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
    return mailbox
