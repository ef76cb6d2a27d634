"""The queue of mail that goes elsewhere, as administrators see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    select,
    update,
)

from postroom_store import destinations, tables
from postroom_store.database import Prepared
from postroom_store.delivery import HELD, LEASED, WAITING, domain_of
from postroom_store.destinations import chunks
from postroom_store.settling import CANCELLED, Attempt, Outcome, finished_row
from postroom_store.transaction import Transaction

PAGE = 1000
MOST_DOMAINS = 1000
HASTENED = 1000  # entries that one transaction makes due

_q = tables.queue.c
_d = tables.destinations.c
_a = tables.attempts.c
_NOW: BindParameter[int] = bindparam("now")
# A lease that ran out gives back what it held: nobody needs to notice.
STATE = case((and_(_q.state == LEASED, _q.next_attempt_at <= _NOW), WAITING), else_=_q.state)
_FIELDS: tuple[ColumnElement[Any], ...] = (
    _q.queue_id,
    _q.account_id,
    _q.sender,
    _q.recipient,
    STATE,
    _q.size,
    _q.created_at,
    _q.next_attempt_at,
    _q.attempts,
    _q.last_reply,
    _q.message_id,
    _q.last_host,
)


_MAKE_DUE = Prepared(
    update(tables.queue)
    .where(_q.account_id == bindparam("account"), _q.queue_id == bindparam("entry"))
    .values(next_attempt_at=bindparam("due"))
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
    last_host: str


@dataclass(frozen=True, slots=True)
class Page:
    entries: list[Entry]
    after: int  # 0: the last page
    total: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits for a domain; see the proto."""

    domain: str
    waiting: int
    held: int
    leased: int
    oldest_at: int
    retry_at: int
    last_reply: str


def list_entries(connection: Connection, now: int, domain: str, after: int, size: int) -> Page:
    """A page of entries in order of age.

    Args:
        domain: of the recipients; empty for all.
    """
    chosen = [_q.domain == named(domain)] if domain else []
    total = connection.execute(select(func.count()).select_from(tables.queue).where(*chosen))
    rows = connection.execute(
        select(*_FIELDS).where(*chosen, _q.queue_id > after).order_by(_q.queue_id).limit(size + 1),
        {"now": now},
    ).fetchall()
    entries = [Entry(*row) for row in rows[:size]]
    more = entries[-1].queue_id if len(rows) > size else 0
    return Page(entries, more, int(total.scalar_one()))


def named(domain: str) -> str:
    """A domain as people write it, as the queue has it."""
    return domain_of(f"@{domain.strip()}")


def show(connection: Connection, now: int, queue_id: int) -> tuple[Entry, list[Attempt]]:
    """An entry with its attempts, oldest first. Raises PostroomError NOT_FOUND."""
    statement = select(*_FIELDS).where(_q.queue_id == queue_id)
    row = connection.execute(statement, {"now": now}).first()
    if row is None:
        raise PostroomError(Kind.NOT_FOUND, "the queue has no such entry")
    entry = Entry(*row)
    return entry, attempts_of(connection, entry.account_id, [queue_id]).get(queue_id, [])


def attempts_of(
    connection: Connection, account_id: int, queue_ids: Sequence[int]
) -> dict[int, list[Attempt]]:
    """The attempts that are kept of entries, oldest first, by entry."""
    found: dict[int, list[Attempt]] = {}
    for some in chunks(queue_ids):
        statement = (
            select(_a.queue_id, _a.at, _a.outcome, _a.reply, _a.host, _a.tls)
            .where(_a.account_id == account_id, _a.queue_id.in_(some))
            .order_by(_a.queue_id, _a.number)
        )
        for queue_id, at, outcome, *texts in connection.execute(statement):
            found.setdefault(queue_id, []).append(Attempt(at, Outcome(outcome), *texts))
    return found


def summarize(connection: Connection, now: int) -> tuple[list[Waiting], int]:
    """How much waits for each domain, those with the most first, and how much in all."""
    count = func.count()
    statement = (
        select(
            _q.domain,
            count.filter(STATE == WAITING),
            count.filter(STATE == HELD),
            count.filter(STATE == LEASED),
            func.min(_q.created_at),
        )
        .group_by(_q.domain)
        .order_by(count.desc(), _q.domain)
        .limit(MOST_DOMAINS)
    )
    rows: Sequence[Any] = connection.execute(statement, {"now": now}).fetchall()
    known: dict[str, tuple[int, str]] = {}
    for some in chunks([row[0] for row in rows]):
        found = select(_d.domain, _d.retry_at, _d.reply).where(_d.domain.in_(some))
        known.update({domain: (at, reply) for domain, at, reply in connection.execute(found)})
    domains = []
    for domain, waiting, held, leased, oldest_at in rows:
        retry_at, reply = known.get(domain, (0, ""))
        retry_at = retry_at if retry_at > now else 0
        domains.append(Waiting(domain, waiting, held, leased, oldest_at, retry_at, reply))
    total = connection.execute(select(count).select_from(tables.queue)).scalar_one()
    return domains, int(total)


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
    _refuse_leased(transaction, account_id, queue_ids)
    statement = (
        update(tables.queue)
        .where(_q.account_id == account_id, _q.queue_id.in_(queue_ids), _q.state != HELD)
        .values(state=HELD, lease_id=None)
    )
    return int(transaction.execute(statement).rowcount)


def release(transaction: Transaction, account_id: int, queue_ids: Sequence[int]) -> int:
    """Let held entries be tried at once. Raises PostroomError CONFLICT."""
    _refuse_leased(transaction, account_id, queue_ids)
    here = (_q.account_id == account_id, _q.queue_id.in_(queue_ids), _q.state == HELD)
    for domain in transaction.execute(select(_q.domain).where(*here).distinct()).scalars():
        transaction.wake(domain, transaction.now)
    statement = update(tables.queue).where(*here)
    values = {"state": WAITING, "next_attempt_at": transaction.now, "hold_until": 0}
    return int(transaction.execute(statement.values(values)).rowcount)


def retry(transaction: Transaction, account_id: int, queue_ids: Sequence[int]) -> int:
    """Let what waits be tried at once, and its destinations. Raises PostroomError CONFLICT."""
    _refuse_leased(transaction, account_id, queue_ids)
    here = (_q.account_id == account_id, _q.queue_id.in_(queue_ids), _q.state != HELD)
    domains = set(transaction.execute(select(_q.domain).where(*here).distinct()).scalars())
    statement = (
        update(tables.queue)
        .where(*here)
        .values(
            state=WAITING,
            lease_id=None,
            next_attempt_at=_due_by(transaction.now),
            hold_until=0,
        )
    )
    changed = int(transaction.execute(statement).rowcount)
    destinations.let_alone_no_more(transaction, domains)
    for domain in domains:
        transaction.wake(domain, transaction.now)
    return changed


def _due_by(now: int) -> ColumnElement[int]:
    """Now, or when an entry was due already: those that wait longest stay the first."""
    return case((_q.next_attempt_at < now, _q.next_attempt_at), else_=now)


def hasten(transaction: Transaction, domain: str) -> bool:
    """Let some of what waits for a domain be tried at once; tells whether there may be more.

    What its sender holds back (RFC 4865) stays: who asks is not who sent it.
    """
    rows = transaction.execute(
        select(_q.account_id, _q.queue_id)
        .where(
            _q.domain == domain,
            tables.IS_NOT_HELD,
            _q.state == WAITING,
            _q.next_attempt_at > transaction.now,
            _q.hold_until <= transaction.now,
        )
        .limit(HASTENED)
        .with_for_update(skip_locked=True)
    ).fetchall()
    if rows:
        changed = [{"account": row[0], "entry": row[1], "due": transaction.now} for row in rows]
        transaction.run(_MAKE_DUE, changed)
    destinations.let_alone_no_more(transaction, [domain])
    transaction.wake(domain, transaction.now)
    return len(rows) == HASTENED


def count_waiting(connection: Connection, domains: Sequence[str]) -> int:
    """How many entries of domains wait, those among them that are being sent."""
    return sum(
        connection.execute(
            select(func.count()).where(_q.domain.in_(some), tables.IS_NOT_HELD)
        ).scalar_one()
        for some in chunks(domains)
    )


def domains_below(connection: Connection, domain: str) -> list[str]:
    """A domain and its subdomains, as far as something waits for them."""
    tail = f".{domain}"
    walked = destinations.walk(connection)
    return [name for name, _ in walked if name == domain or name.endswith(tail)]


def cancel(transaction: Transaction, account_id: int, queue_ids: Sequence[int]) -> int:
    """Remove entries. Raises PostroomError CONFLICT."""
    _refuse_leased(transaction, account_id, queue_ids)
    here = (_q.account_id == account_id, _q.queue_id.in_(queue_ids))
    columns = (_q.account_id, _q.queue_id, _q.submission_id, _q.sender, _q.recipient)
    rows = transaction.execute(select(*columns, _q.created_at).where(*here)).fetchall()
    for row in rows:
        transaction.add(tables.finished, finished_row(row, transaction.now, CANCELLED, None))
    return int(transaction.execute(delete(tables.queue).where(*here)).rowcount)


def _refuse_leased(transaction: Transaction, account_id: int, queue_ids: Sequence[int]) -> None:
    """Raise PostroomError CONFLICT where a lease holds an entry; the others stay as they are."""
    transaction.account(account_id)
    # Locked: who leases passes over them until this is committed.
    statement = (
        select(_q.state, _q.next_attempt_at)
        .where(_q.account_id == account_id, _q.queue_id.in_(queue_ids))
        .order_by(_q.queue_id)
        .with_for_update()
    )
    for state, due in transaction.execute(statement):
        if state == LEASED and due > transaction.now:
            raise PostroomError(Kind.CONFLICT, "an entry is being sent just now")
