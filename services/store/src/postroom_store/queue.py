"""The queue of mail that goes elsewhere, as administrators see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import Connection, delete, func, select, update

from postroom_store import tables
from postroom_store.delivery import HELD, LEASED, WAITING
from postroom_store.transaction import Transaction

PAGE = 1000

_q = tables.queue.c
_FIELDS = (
    _q.queue_id,
    _q.account_id,
    _q.sender,
    _q.recipient,
    _q.state,
    _q.size,
    _q.created_at,
    _q.next_attempt_at,
    _q.attempts,
    _q.last_reply,
    _q.message_id,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One recipient of one message that waits to be sent; times are Unix seconds."""

    queue_id: int
    account_id: int
    sender: str
    recipient: str
    state: int
    size: int
    created_at: int
    next_attempt_at: int
    attempts: int
    last_reply: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Page:
    entries: list[Entry]
    after: int  # 0: the last page
    total: int


def list_entries(connection: Connection, domain: str, after: int, size: int) -> Page:
    """A page of entries in order of age.

    Args:
        domain: of the recipients; empty for all.
    """
    chosen = [_q.domain == domain.lower()] if domain else []
    total = connection.execute(select(func.count()).select_from(tables.queue).where(*chosen))
    rows = connection.execute(
        select(*_FIELDS).where(*chosen, _q.queue_id > after).order_by(_q.queue_id).limit(size + 1)
    ).fetchall()
    entries = [Entry(*row) for row in rows[:size]]
    more = entries[-1].queue_id if len(rows) > size else 0
    return Page(entries, more, int(total.scalar_one()))


def owners(connection: Connection, queue_ids: Sequence[int]) -> dict[int, list[int]]:
    """The entries by the account that they stand under. Raises PostroomError NOT_FOUND."""
    statement = select(_q.account_id, _q.queue_id).where(_q.queue_id.in_(queue_ids))
    found: dict[int, list[int]] = {}
    for account_id, queue_id in connection.execute(statement):
        found.setdefault(account_id, []).append(queue_id)
    if sum(map(len, found.values())) < len(set(queue_ids)):
        raise PostroomError(Kind.NOT_FOUND, "the queue has no such entry")
    return found


def hold(transaction: Transaction, account_id: int, queue_ids: Sequence[int]) -> int:
    """Keep entries from being tried. Raises PostroomError CONFLICT."""
    return _set_state(transaction, account_id, queue_ids, HELD)


def release(transaction: Transaction, account_id: int, queue_ids: Sequence[int]) -> int:
    """Let held entries be tried at once. Raises PostroomError CONFLICT."""
    return _set_state(transaction, account_id, queue_ids, WAITING)


def cancel(transaction: Transaction, account_id: int, queue_ids: Sequence[int]) -> int:
    """Remove entries. Raises PostroomError CONFLICT."""
    _refuse_leased(transaction, account_id, queue_ids)
    statement = delete(tables.queue).where(_q.account_id == account_id, _q.queue_id.in_(queue_ids))
    return int(transaction.execute(statement).rowcount)


def _set_state(
    transaction: Transaction, account_id: int, queue_ids: Sequence[int], state: int
) -> int:
    _refuse_leased(transaction, account_id, queue_ids)
    statement = (
        update(tables.queue)
        .where(_q.account_id == account_id, _q.queue_id.in_(queue_ids), _q.state != state)
        .values(state=state, next_attempt_at=transaction.now)
    )
    return int(transaction.execute(statement).rowcount)


def _refuse_leased(transaction: Transaction, account_id: int, queue_ids: Sequence[int]) -> None:
    transaction.account(account_id)
    statement = select(_q.queue_id).where(
        _q.account_id == account_id, _q.queue_id.in_(queue_ids), _q.state == LEASED
    )
    if transaction.execute(statement).first() is not None:
        raise PostroomError(Kind.CONFLICT, "an entry is being sent just now")
