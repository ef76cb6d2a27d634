"""What became of leased entries.

An entry is settled by the lease that holds it and by no other. A lease that ran out still settles
what nobody has leased since: it was sent, after all. Whatever is settled keeps the lease's id, so
that a settlement which is repeated is known as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from postroom_store import destinations, tables
from postroom_store.database import Prepared
from postroom_store.delivery import WAITING
from postroom_store.destinations import MOST_REPLY, chunks
from postroom_store.ingest import storable
from postroom_store.leasing import give_back
from postroom_store.transaction import Transaction

MOST_ATTEMPTS = 100  # of an entry are kept, the latest
MOST_HOST = 300
MOST_TLS = 100

_q = tables.queue.c
_f = tables.finished.c
_a = tables.attempts.c
_b = tables.batches.c


class Outcome(IntEnum):
    """See the proto."""

    DELIVERED = 1
    RELAYED = 2
    DEFERRED = 3
    FAILED = 4


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to send one entry."""

    at: int
    outcome: Outcome
    reply: str = ""
    host: str = ""
    tls: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an entry; without an attempt it waits again, and none is counted."""

    queue_id: int
    attempt: Attempt | None
    next_attempt_at: int = 0
    delay_told: bool = False


@dataclass(frozen=True, slots=True)
class Reached:
    """Whether a destination was reached, and if not, until when it is left alone, and why."""

    reached: bool
    retry_at: int = 0
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of entries of one lease; see the proto."""

    lease_id: bytes
    entries: Sequence[Settled]
    ended: bool = False
    destination: Reached | None = None


@dataclass(slots=True)
class Outcomes:
    """What a settlement did.

    Attributes:
        lost: entries that its leases don't hold.
        counts: entries by outcome.
    """

    lost: list[int] = field(default_factory=list)
    counts: Counter[Outcome] = field(default_factory=Counter)


_FIND_BATCH = Prepared(
    select(_b.domain, _b.expires_at, _b.failures)
    .where(_b.lease_id == bindparam("lease"))
    .with_for_update()
)
_HELD = Prepared(
    select(
        _q.queue_id,
        _q.account_id,
        _q.domain,
        _q.attempts,
        _q.submission_id,
        _q.sender,
        _q.recipient,
        _q.created_at,
    )
    .where(_q.lease_id == bindparam("lease"), tables.IS_LEASED)
    .order_by(_q.queue_id)
    .with_for_update()
)
_ENTRY = (_q.account_id == bindparam("account"), _q.queue_id == bindparam("entry"))
_DEFER = Prepared(
    update(tables.queue)
    .where(*_ENTRY)
    .values(
        state=WAITING,
        next_attempt_at=bindparam("due"),
        attempts=bindparam("count"),
        last_reply=bindparam("reply"),
        last_host=bindparam("host"),
        delay_told=_q.delay_told.op("OR")(bindparam("told")),
    )
)
_PUT_BACK = Prepared(
    update(tables.queue)
    .where(*_ENTRY)
    .values(
        state=WAITING,
        next_attempt_at=bindparam("due"),
        delay_told=_q.delay_told.op("OR")(bindparam("told")),
    )
)
_REMOVE = Prepared(delete(tables.queue).where(*_ENTRY))
_FORGET_ATTEMPT = Prepared(
    delete(tables.attempts).where(
        _a.account_id == bindparam("account"),
        _a.queue_id == bindparam("entry"),
        _a.number == bindparam("old"),
    )
)


def settle(transaction: Transaction, settlements: Sequence[Settlement]) -> Outcomes:
    """Note what became of entries, and of the destinations that they were for."""
    outcomes = Outcomes()
    for settlement in settlements:
        _settle(transaction, settlement, outcomes)
    return outcomes


def _settle(transaction: Transaction, settlement: Settlement, outcomes: Outcomes) -> None:
    lease = {"lease": settlement.lease_id}
    batch = transaction.row(_FIND_BATCH, lease)
    held = {row[0]: row for row in transaction.rows(_HELD, lease)}
    domains = {row[2] for row in held.values()} | ({batch[0]} if batch else set())
    unknown: list[int] = []
    work = _Work()
    for entry in settlement.entries:
        row = held.pop(entry.queue_id, None)
        if row is None:
            unknown.append(entry.queue_id)
        else:
            work.add(transaction.now, settlement.lease_id, entry, row)
            if entry.attempt is not None:
                outcomes.counts[entry.attempt.outcome] += 1
    work.write(transaction)
    known = _settled_before(transaction, settlement.lease_id, unknown)
    outcomes.lost += (queue_id for queue_id in unknown if queue_id not in known)
    due = min(work.due, default=None)
    if settlement.destination is not None and batch and batch[1] > transaction.now:
        _note(transaction, batch[0], batch[2], settlement.destination)
        due = transaction.now
    if settlement.ended:
        give_back(transaction, settlement.lease_id)
        due = transaction.now
    if due is not None:
        for domain in domains:
            transaction.wake(domain, due)


class _Work:
    """The rows that a settlement changes, so that each table is written once."""

    def __init__(self) -> None:
        self.due: list[int] = []
        self._deferred: list[dict[str, Any]] = []
        self._put_back: list[dict[str, Any]] = []
        self._removed: list[dict[str, Any]] = []
        self._forgotten: list[dict[str, Any]] = []
        self._attempts: list[dict[str, Any]] = []
        self._finished: list[dict[str, Any]] = []

    def add(self, now: int, lease_id: bytes, entry: Settled, row: Any) -> None:
        _, account_id, _, count, submission_id, sender, recipient, created_at = row
        key = {"account": account_id, "entry": entry.queue_id}
        due = {"due": max(entry.next_attempt_at, now), "told": entry.delay_told}
        attempt = entry.attempt
        if attempt is None:
            self._put_back.append(key | due)
            self.due.append(due["due"])
            return
        kept = {
            "account_id": account_id,
            "queue_id": entry.queue_id,
            "number": count + 1,
            "at": attempt.at or now,
            "outcome": int(attempt.outcome),
            "reply": storable(attempt.reply)[:MOST_REPLY],
            "host": storable(attempt.host)[:MOST_HOST],
            "tls": storable(attempt.tls)[:MOST_TLS],
        }
        self._attempts.append(kept)
        if count >= MOST_ATTEMPTS:
            self._forgotten.append(key | {"old": count + 1 - MOST_ATTEMPTS})
        if attempt.outcome is Outcome.DEFERRED:
            said = {"reply": kept["reply"], "host": kept["host"], "count": count + 1}
            self._deferred.append(key | due | said)
            self.due.append(due["due"])
            return
        self._removed.append(key)
        self._finished.append(
            finished_row(
                (account_id, entry.queue_id, submission_id, sender, recipient, created_at),
                now,
                int(attempt.outcome),
                lease_id,
            )
        )

    def write(self, transaction: Transaction) -> None:
        for table, rows in ((tables.attempts, self._attempts), (tables.finished, self._finished)):
            for row in rows:
                transaction.add(table, row)
        for statement, changed in (
            (_DEFER, self._deferred),
            (_PUT_BACK, self._put_back),
            (_REMOVE, self._removed),
            (_FORGET_ATTEMPT, self._forgotten),
        ):
            if changed:
                transaction.run(statement, changed)


CANCELLED = 0  # the outcome of an entry that was removed


def finished_row(
    entry: Sequence[Any], now: int, outcome: int, lease_id: bytes | None
) -> dict[str, Any]:
    """What is kept of an entry that leaves the queue.

    Args:
        entry: account id, queue id, submission id, sender, recipient, time.
    """
    names = ("account_id", "queue_id", "submission_id", "sender", "recipient", "created_at")
    row = dict(zip(names, entry, strict=True))
    return row | {"finished_at": now, "outcome": outcome, "lease_id": lease_id}


def _settled_before(
    transaction: Transaction, lease_id: bytes, queue_ids: Iterable[int]
) -> Collection[int]:
    """Those of some entries that the lease has settled already."""
    known: set[int] = set()
    for some in chunks(list(queue_ids)):
        finished = select(_f.queue_id).where(_f.queue_id.in_(some), _f.lease_id == lease_id)
        known.update(transaction.execute(finished).scalars())
        waiting = select(_q.queue_id).where(_q.queue_id.in_(some), _q.lease_id == lease_id)
        known.update(transaction.execute(waiting).scalars())
    return known


def _note(transaction: Transaction, domain: str, failures: int, destination: Reached) -> None:
    if destination.reached:
        destinations.note_reached(transaction, domain)
        return
    destinations.note_failure(
        transaction, domain, failures, destination.retry_at, destination.reply
    )
