"""The maildrop: INBOX for one POP3 session at a time (RFC 1939 section 3), by a lease."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import Connection, bindparam, delete, select, update

from postroom_store import messages, tables
from postroom_store.database import Prepared
from postroom_store.domain.names import INBOX
from postroom_store.reading import find_mailbox_named
from postroom_store.transaction import Transaction

_l = tables.leases.c
_p = tables.placements.c
_OF_ACCOUNT = _l.account_id == bindparam("account")
_FIND_LEASE = Prepared(select(_l.lease_id, _l.expires_at).where(_OF_ACCOUNT))


@dataclass(frozen=True, slots=True)
class Maildrop:
    """A snapshot of INBOX, by UID."""

    mailbox_id: int
    uid_validity: int
    uids: list[int]
    sizes: list[int]


def lock(transaction: Transaction, account_id: int, lease_id: bytes, seconds: float) -> None:
    """Take the maildrop. Raises PostroomError IN_USE while another session has it."""
    transaction.account(account_id)
    row = transaction.row(_FIND_LEASE, {"account": account_id})
    if row is not None and row[0] != lease_id and row[1] > transaction.now:
        raise PostroomError(Kind.IN_USE, "another session has the maildrop")
    values = {"lease_id": lease_id, "expires_at": int(transaction.now + seconds)}
    if row is None:
        transaction.add(tables.leases, {"account_id": account_id} | values)
    else:
        transaction.execute(
            update(tables.leases).where(_OF_ACCOUNT).values(values), {"account": account_id}
        )


def renew(transaction: Transaction, account_id: int, lease_id: bytes, seconds: float) -> None:
    """Keep a lease. Raises PostroomError LEASE_LOST."""
    transaction.account(account_id)
    check(transaction.connection, account_id, lease_id)
    transaction.execute(
        update(tables.leases).where(_OF_ACCOUNT).values(expires_at=int(transaction.now + seconds)),
        {"account": account_id},
    )


def check(connection: Connection, account_id: int, lease_id: bytes) -> None:
    """Raise PostroomError LEASE_LOST unless a session has the maildrop.

    A lease that ran out counts as long as nobody else took the maildrop.
    """
    row = _FIND_LEASE.row(connection, {"account": account_id})
    if row is None or not hmac.compare_digest(bytes(row[0]), lease_id):
        raise PostroomError(Kind.LEASE_LOST, "another session has had the maildrop since")


def snapshot(connection: Connection, account_id: int) -> Maildrop:
    """INBOX as it is now."""
    mailbox = find_mailbox_named(connection, account_id, INBOX)
    statement = (
        select(_p.uid, _p.size)
        .where(_p.account_id == account_id, _p.mailbox_id == mailbox.mailbox_id)
        .order_by(_p.uid)
    )
    rows = connection.execute(statement).fetchall()
    return Maildrop(
        mailbox.mailbox_id,
        mailbox.uid_validity,
        [row[0] for row in rows],
        [row[1] for row in rows],
    )


def commit(transaction: Transaction, account_id: int, lease_id: bytes, uids: list[int]) -> int:
    """Remove messages, give the maildrop back, answer how many went.

    Raises PostroomError LEASE_LOST.
    """
    transaction.account(account_id)
    check(transaction.connection, account_id, lease_id)
    removed = 0
    if uids:
        mailbox = transaction.mailbox_named(account_id, INBOX)
        change = messages.remove(transaction, mailbox, messages.ranges_of(sorted(uids)))
        removed = len(change.expunged) if change else 0
    transaction.execute(delete(tables.leases).where(_OF_ACCOUNT), {"account": account_id})
    return removed
