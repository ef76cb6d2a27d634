"""The maildrop: a mailbox for one POP3 session at a time (RFC 1939 section 3), by a lease.

Each mailbox has a lease of its own, as each has UIDs of its own: somebody who reads another folder
is in nobody's way.
"""

from __future__ import annotations

import hmac
from collections.abc import Container, Iterator
from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import Connection, bindparam, delete, select, update

from postroom_store import messages, tables
from postroom_store.database import Prepared
from postroom_store.domain.flags import SEEN
from postroom_store.domain.names import INBOX, canonical
from postroom_store.reading import find_mailbox
from postroom_store.transaction import Mailbox, Transaction
from postroom_store.uid_ranges import ranges_of

_l = tables.leases.c
_p = tables.placements.c
_OF_ACCOUNT = _l.account_id == bindparam("account")
_OF_MAILBOX = _OF_ACCOUNT & (_l.mailbox_id == bindparam("mailbox"))
_FIND_LEASE = Prepared(select(_l.lease_id, _l.expires_at).where(_OF_MAILBOX))
_LEASES = Prepared(select(_l.mailbox_id, _l.lease_id).where(_OF_ACCOUNT))
FORGOTTEN_SECONDS = 86_400  # a session that hasn't renewed its lease for so long has ended


@dataclass(frozen=True, slots=True)
class Maildrop:
    """A snapshot of a mailbox, by UID."""

    mailbox_id: int
    uid_validity: int
    uids: list[int]
    sizes: list[int]


def lock(
    transaction: Transaction, account_id: int, name: str, lease_id: bytes, seconds: float
) -> int:
    """Take a maildrop, and answer the mailbox's id.

    Args:
        name: of the mailbox; empty: INBOX.

    Raises:
        PostroomError: IN_USE while another session has it; NOT_FOUND; INVALID.
    """
    mailbox_id = transaction.mailbox_named(account_id, canonical(name or INBOX)).mailbox_id
    here = {"account": account_id, "mailbox": mailbox_id}
    row = transaction.row(_FIND_LEASE, here)
    if row is not None and row[0] != lease_id and row[1] > transaction.now:
        raise PostroomError(Kind.IN_USE, "another session has the maildrop")
    values = {"lease_id": lease_id, "expires_at": int(transaction.now + seconds)}
    if row is None:
        forgotten = _l.expires_at < int(transaction.now - FORGOTTEN_SECONDS)
        statement = delete(tables.leases).where(_OF_ACCOUNT, forgotten)
        transaction.execute(statement, {"account": account_id})
        place = {"account_id": account_id, "mailbox_id": mailbox_id}
        transaction.add(tables.leases, place | values)
    else:
        transaction.execute(update(tables.leases).where(_OF_MAILBOX).values(values), here)
    return mailbox_id


def renew(transaction: Transaction, account_id: int, lease_id: bytes, seconds: float) -> None:
    """Keep a lease. Raises PostroomError LEASE_LOST."""
    transaction.account(account_id)
    mailbox_id = find(transaction.connection, account_id, lease_id)
    transaction.execute(
        update(tables.leases).where(_OF_MAILBOX).values(expires_at=int(transaction.now + seconds)),
        {"account": account_id, "mailbox": mailbox_id},
    )


def find(connection: Connection, account_id: int, lease_id: bytes) -> int:
    """The id of the mailbox that a session has. Raises PostroomError LEASE_LOST.

    A lease that ran out counts as long as nobody else took the maildrop.
    """
    for mailbox_id, known in _LEASES.rows(connection, {"account": account_id}):
        if hmac.compare_digest(bytes(known), lease_id):
            return int(mailbox_id)
    raise PostroomError(Kind.LEASE_LOST, "another session has had the maildrop since")


def snapshot(connection: Connection, account_id: int, mailbox_id: int) -> Maildrop:
    """A mailbox as it is now. Raises PostroomError NOT_FOUND."""
    mailbox = find_mailbox(connection, account_id, mailbox_id)
    statement = (
        select(_p.uid, _p.size)
        .where(_p.account_id == account_id, _p.mailbox_id == mailbox_id)
        .order_by(_p.uid)
    )
    rows = connection.execute(statement).fetchall()
    return Maildrop(
        mailbox_id,
        mailbox.uid_validity,
        [row[0] for row in rows],
        [row[1] for row in rows],
    )


@dataclass(frozen=True, slots=True)
class Update:
    """What a session leaves behind (RFC 1939 section 6).

    Attributes:
        deleted: UIDs that are removed.
        retrieved: UIDs that become \\Seen.
        expire_before: what is \\Seen and came in before is removed (Unix seconds); 0: nothing.
    """

    deleted: list[int]
    retrieved: list[int]
    expire_before: int


def commit(transaction: Transaction, account_id: int, lease_id: bytes, left: Update) -> int:
    """Remove messages, give the maildrop back, answer how many went.

    Raises PostroomError LEASE_LOST.
    """
    transaction.account(account_id)
    mailbox_id = find(transaction.connection, account_id, lease_id)
    mailbox = transaction.known_mailbox(account_id, mailbox_id)
    removed = 0
    if mailbox is not None and mailbox.selectable:
        removed = _update(transaction, mailbox, left)
    here = {"account": account_id, "mailbox": mailbox_id}
    transaction.execute(delete(tables.leases).where(_OF_MAILBOX), here)
    return removed


def _update(transaction: Transaction, mailbox: Mailbox, left: Update) -> int:
    read, going = set(left.retrieved), set(left.deleted)
    if left.expire_before:
        going.update(_expired(transaction, mailbox, read, left.expire_before))
    if seen := ranges_of(sorted(read - going)):
        messages.store_flags(transaction, mailbox, seen, "add", ["\\Seen"], None)
    if not going:
        return 0
    change = messages.remove(transaction, mailbox, ranges_of(sorted(going)))
    return len(change.expunged) if change else 0


def _expired(
    transaction: Transaction, mailbox: Mailbox, read: Container[int], before: int
) -> Iterator[int]:
    """UIDs of what was read, some of it only now, and came in before a time."""
    statement = select(_p.uid, _p.flags).where(
        _p.account_id == mailbox.account_id,
        _p.mailbox_id == mailbox.mailbox_id,
        _p.saved_at < before,
    )
    for uid, flags in transaction.execute(statement):
        if flags & SEEN or uid in read:
            yield uid
