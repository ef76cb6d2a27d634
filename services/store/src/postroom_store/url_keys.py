"""The keys by which the URLs of mailboxes are authorized (RFC 4467 section 2.2)."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, Select, delete, select

from postroom_store import tables
from postroom_store.transaction import Mailbox, Transaction

KEY_BYTES = 32

_k = tables.url_keys.c


def fresh() -> bytes:
    """A key that nothing was ever authorized by."""
    return secrets.token_bytes(KEY_BYTES)


def _select(account_id: int, mailbox_id: int) -> Select[Any]:
    return select(_k.key).where(_k.account_id == account_id, _k.mailbox_id == mailbox_id)


def find(connection: Connection, account_id: int, mailbox_id: int) -> bytes | None:
    """The key of a mailbox, if it has one."""
    key = connection.execute(_select(account_id, mailbox_id)).scalar()
    return None if key is None else bytes(key)


def provide(transaction: Transaction, mailbox: Mailbox) -> bytes:
    """The key of a mailbox, made where it has none."""
    transaction.flush()
    key = find(transaction.connection, mailbox.account_id, mailbox.mailbox_id)
    if key is None:
        key = fresh()
        row = {"account_id": mailbox.account_id, "mailbox_id": mailbox.mailbox_id, "key": key}
        transaction.add(tables.url_keys, row)
    return key


def forget(transaction: Transaction, account_id: int, mailbox: Mailbox | None = None) -> None:
    """Forget the key of a mailbox, or of all that an account has."""
    transaction.account(account_id)
    statement = delete(tables.url_keys).where(_k.account_id == account_id)
    if mailbox is not None:
        statement = statement.where(_k.mailbox_id == mailbox.mailbox_id)
    transaction.execute(statement)
