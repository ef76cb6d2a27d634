"""Leases of what waits to be sent: batches of entries for one domain, each for one connection.

A lease's id is what its holder knows and nobody can guess. An entry carries the id of the lease
that holds it, and is due when that lease ends: so a lease that runs out needs nobody to notice it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import Connection, and_, bindparam, func, literal, select, update

from postroom_store import destinations, suppression, tables
from postroom_store.blobs import BlobFiles
from postroom_store.database import Prepared
from postroom_store.delivery import LEASED, WAITING
from postroom_store.destinations import Standing, Wish, chunks
from postroom_store.reading import read_content
from postroom_store.transaction import Transaction

LEASE_BYTES = 16
MOST_LEASED = 5000  # entries in one call: some 30 ms of the writer's time, and a few MB
PIECE_BYTES = 1024 * 1024
PIECES_READ = 4  # that are unpacked together: a large content is unpacked from its beginning

_q = tables.queue.c
_s = tables.submissions.c
_b = tables.batches.c

_DUE = Prepared(
    select(
        _q.account_id,
        _q.queue_id,
        _q.submission_id,
        _q.digest,
        _q.sender,
        _q.recipient,
        _q.own_sender,
        _q.original,
        _q.notify,
        _q.created_at,
        _q.attempts,
        _q.delay_told,
        _q.trace_id,
        _q.size,
        _q.message_id,
        func.coalesce(_s.request, literal(b"")),
        func.coalesce(_s.eight_bit, False),
        _q.state,
        _q.lease_id,
    )
    .select_from(tables.queue)
    .outerjoin(
        tables.submissions,
        and_(_s.account_id == _q.account_id, _s.submission_id == _q.submission_id),
    )
    .where(
        _q.domain == bindparam("wanted"),
        tables.IS_NOT_HELD,
        _q.next_attempt_at <= bindparam("now"),
    )
    .order_by(_q.next_attempt_at, _q.submission_id)
    .limit(bindparam("most"))
    .with_for_update(of=tables.queue, skip_locked=True)
)
_LEASE = Prepared(
    update(tables.queue)
    .where(_q.account_id == bindparam("account"), _q.queue_id == bindparam("entry"))
    .values(state=LEASED, lease_id=bindparam("lease"), next_attempt_at=bindparam("end"))
)
_FIND_LEASED = Prepared(
    select(_q.account_id, _q.digest, _q.size).where(
        _q.queue_id == bindparam("entry"),
        _q.lease_id == bindparam("lease"),
        tables.IS_LEASED,
        _q.next_attempt_at > bindparam("now"),
    )
)


@dataclass(frozen=True, slots=True)
class LeasedMessage:
    """See the proto."""

    size: int
    message_id: str
    request: bytes
    eight_bit: bool


@dataclass(frozen=True, slots=True)
class LeasedEntry:
    """See the proto; `recipient`, `original`, `notify` and `own_sender` are delivery.proto's."""

    queue_id: int
    message: int
    account_id: int
    sender: str
    recipient: str
    own_sender: str
    original: str
    notify: int
    created_at: int
    attempts: int
    delay_told: bool
    trace_id: str
    suppressed: bool


@dataclass(slots=True)
class Batch:
    """What one worker sends over one connection."""

    lease_id: bytes
    domain: str
    expires_at: int
    failures: int
    entries: list[LeasedEntry] = field(default_factory=list)
    messages: list[LeasedMessage] = field(default_factory=list)


def lease(transaction: Transaction, wish: Wish, domains: Sequence[str]) -> list[Batch]:
    """Lease what is due of some domains: a batch of each, and more where there is room."""
    standings = destinations.lock(transaction, domains)
    left = MOST_LEASED
    batches: list[Batch] = []
    rows: list[tuple[Batch, Any]] = []
    for domain, count in _shares(transaction.now, wish, standings).items():
        found = _due(transaction, domain, min(count * wish.entries, left))
        left -= len(found)
        for start in range(0, len(found), wish.entries):
            some = found[start : start + wish.entries]
            batch = _batch(transaction, wish, domain, standings[domain])
            batches.append(batch)
            rows += ((batch, row) for row in _together(some))
        if not left:
            break
    _fill(transaction, rows)
    return batches


def _shares(now: int, wish: Wish, standings: dict[str, Standing]) -> dict[str, int]:
    """How many batches of each domain: in turns, so that none has two before each has one."""
    room = {
        domain: wish.limit(domain, standing.failures) - standing.active
        for domain, standing in standings.items()
        if standing.retry_at <= now
    }
    room = {domain: free for domain, free in room.items() if free > 0}
    shares = dict.fromkeys(room, 0)
    left = wish.batches
    while left and room:
        for domain in list(room):
            shares[domain] += 1
            room[domain] -= 1
            if not room[domain]:
                del room[domain]
            left -= 1
            if not left:
                break
    return {domain: share for domain, share in shares.items() if share}


def _due(transaction: Transaction, domain: str, most: int) -> list[Any]:
    parameters = {"wanted": domain, "now": transaction.now, "most": most}
    return transaction.rows(_DUE, parameters)


def _together(rows: Sequence[Any]) -> Iterator[Any]:
    """Rows of one message stand together."""
    messages: dict[Any, list[Any]] = {}
    for row in rows:
        messages.setdefault(_message_of(row), []).append(row)
    for some in messages.values():
        yield from some


def _message_of(row: Any) -> tuple[int, object]:
    return row[0], row[2] or bytes(row[3])


def _batch(transaction: Transaction, wish: Wish, domain: str, standing: Standing) -> Batch:
    batch = Batch(
        secrets.token_bytes(LEASE_BYTES),
        domain,
        transaction.now + wish.lease_seconds,
        standing.failures,
    )
    row = {
        "lease_id": batch.lease_id,
        "domain": domain,
        "worker": wish.worker,
        "leased_at": transaction.now,
        "expires_at": batch.expires_at,
        "failures": standing.failures,
    }
    transaction.add(tables.batches, row)
    return batch


def _fill(transaction: Transaction, rows: Sequence[tuple[Batch, Any]]) -> None:
    """Put entries into the batches that they are leased in."""
    if not rows:
        return
    _end_before(transaction, [row for _, row in rows])
    suppressed = suppression.among(transaction, {row[5] for _, row in rows})
    places: dict[tuple[bytes, tuple[int, object]], int] = {}
    changed: list[dict[str, Any]] = []
    for batch, row in rows:
        key = (batch.lease_id, _message_of(row))
        if key not in places:
            places[key] = len(batch.messages)
            batch.messages.append(LeasedMessage(row[13], row[14], bytes(row[15]), bool(row[16])))
        entry = LeasedEntry(
            row[1],
            places[key],
            row[0],
            sender=row[4],
            recipient=row[5],
            own_sender=row[6],
            original=row[7],
            notify=row[8],
            created_at=row[9],
            attempts=row[10],
            delay_told=bool(row[11]),
            trace_id=row[12],
            suppressed=suppression.key_of(row[5]) in suppressed,
        )
        batch.entries.append(entry)
        changed.append(
            {
                "account": row[0],
                "entry": row[1],
                "lease": batch.lease_id,
                "end": batch.expires_at,
            }
        )
    transaction.run(_LEASE, changed)


def _end_before(transaction: Transaction, rows: Sequence[Any]) -> None:
    """End the leases that entries are taken over from, for everybody: by another's clock they may
    not be over yet. Their rows stay for what is still settled by them.
    """
    before = sorted({bytes(row[18]) for row in rows if row[17] == LEASED and row[18]})
    for some in chunks(before):
        ended = update(tables.batches).where(_b.lease_id.in_(some), _b.expires_at > 0)
        transaction.execute(ended.values(expires_at=0))


def extend(transaction: Transaction, lease_ids: Sequence[bytes], seconds: int) -> list[bytes]:
    """Make leases last from now on; answers those that have ended."""
    held: set[bytes] = set()
    for some in chunks(sorted(set(lease_ids))):
        running = select(_b.lease_id).where(_b.lease_id.in_(some), _b.expires_at > transaction.now)
        found = [
            bytes(lease_id) for lease_id in transaction.execute(running.with_for_update()).scalars()
        ]
        end = transaction.now + seconds
        transaction.execute(
            update(tables.batches).where(_b.lease_id.in_(found)).values(expires_at=end)
        )
        transaction.execute(
            update(tables.queue)
            .where(_q.lease_id.in_(found), tables.IS_LEASED)
            .values(next_attempt_at=end)
        )
        held.update(found)
    return [lease_id for lease_id in lease_ids if lease_id not in held]


def read_piece(
    connection: Connection,
    files: BlobFiles | None,
    now: int,
    lease_id: bytes,
    queue_id: int,
    start: int,
) -> tuple[bytes, bool]:
    """Some of a leased entry's message, and whether there is more.

    Raises PostroomError CONFLICT where the lease doesn't hold it (any more).
    """
    row = _FIND_LEASED.row(connection, {"entry": queue_id, "lease": lease_id, "now": now})
    if row is None:
        raise PostroomError(Kind.CONFLICT, "the lease doesn't hold this entry")
    account_id, digest, size = row
    end = min(start + PIECES_READ * PIECE_BYTES, size)
    return read_content(connection, files, account_id, bytes(digest), start, end), end < size


def give_back(transaction: Transaction, lease_id: bytes) -> None:
    """End a lease: what it still holds waits again, due at once."""
    transaction.execute(
        update(tables.queue)
        .where(_q.lease_id == lease_id, tables.IS_LEASED)
        .values(state=WAITING, lease_id=None, next_attempt_at=transaction.now)
    )
    transaction.execute(tables.batches.delete().where(_b.lease_id == lease_id))
