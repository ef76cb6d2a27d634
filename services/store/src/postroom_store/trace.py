"""The life of a message, put together from what is kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, and_, case, or_, select

from postroom_store import queue, tables
from postroom_store.delivery import Arrival, bare
from postroom_store.domain.flags import SEEN
from postroom_store.ingest import hash_of
from postroom_store.settling import CANCELLED, Attempt

MOST = 1000  # of each kind

_r = tables.receptions.c
_s = tables.submissions.c
_e = tables.emails.c
_q = tables.queue.c
_f = tables.finished.c
_m = tables.mailboxes.c


@dataclass(frozen=True, slots=True)
class Copy:
    """A message in somebody's mailbox; see the proto."""

    account_id: int
    mailbox: str
    uid: int
    delivered_at: int
    seen: bool
    expunged_at: int
    sender: str
    arrival: Arrival


@dataclass(frozen=True, slots=True)
class Entry:
    """A message to an address elsewhere; `state` 0: it has left the queue. See the proto."""

    queue_id: int
    account_id: int
    sender: str
    recipient: str
    created_at: int
    state: int
    next_attempt_at: int
    attempts: Sequence[Attempt]
    arrival: Arrival
    cancelled_at: int = 0


def trace(connection: Connection, now: int, message_id: str) -> tuple[list[Copy], list[Entry]]:
    """All that is known of messages with a Message-ID, or with the id that their front gave."""
    name = bare(message_id)
    wanted = hash_of(name)
    return _copies(connection, wanted, name), _entries(connection, now, wanted, name)


def _found(table: Table, wanted: int) -> Any:
    return or_(table.c.message_hash == wanted, table.c.arrival_hash == wanted)


def _copies(connection: Connection, wanted: int, name: str) -> list[Copy]:
    # By account and email first: they are few, and lead to the rest by primary keys.
    statement = (
        select(
            _r.account_id,
            _r.email_id,
            _r.created_at,
            _r.sender,
            _r.arrival_id,
            _r.client,
            _r.name,
            _r.verdict,
        )
        .join_from(
            tables.receptions,
            tables.emails,
            and_(_e.account_id == _r.account_id, _e.email_id == _r.email_id),
        )
        # Hashes may be alike.
        .where(_found(tables.receptions, wanted))
        .where(or_(_e.message_id == name, _r.arrival_id.in_((name, f"<{name}>"))))
        .order_by(_r.created_at, _r.account_id)
        .limit(MOST)
    )
    found: list[Copy] = []
    for account_id, email_id, at, sender, *came in connection.execute(statement).fetchall():
        arrival = Arrival(*came)
        for mailbox, uid, flags, expunged_at in _places(connection, account_id, email_id):
            seen = bool(flags & SEEN)
            found.append(Copy(account_id, mailbox, uid, at, seen, expunged_at, sender, arrival))
    return found[:MOST]


def _places(connection: Connection, account_id: int, email_id: int) -> Iterable[Any]:
    """Where an email lies, and lay: mailbox, UID, flags, and when it was expunged or 0."""
    for table in (tables.placements, tables.tombstones):
        column = table.c
        statement = (
            select(_m.name, column.uid, column.flags, column.get("expunged_at", column.uid))
            .join_from(
                table,
                tables.mailboxes,
                and_(_m.account_id == column.account_id, _m.mailbox_id == column.mailbox_id),
            )
            .where(column.account_id == account_id, column.email_id == email_id)
            .limit(MOST)
        )
        for name, uid, flags, at in connection.execute(statement):
            yield name, uid, flags, at if table is tables.tombstones else 0


def _entries(connection: Connection, now: int, wanted: int, name: str) -> list[Entry]:
    statement = (
        select(
            _s.account_id,
            _s.submission_id,
            _s.message_hash,
            _s.arrival_id,
            _s.client,
            _s.name,
            _s.verdict,
        )
        .where(_found(tables.submissions, wanted))
        .order_by(_s.created_at)
        .limit(MOST)
    )
    found: list[Entry] = []
    for account_id, submission_id, message_hash, *came in connection.execute(statement).fetchall():
        arrival = Arrival(*came)
        if message_hash != wanted and bare(arrival.arrival_id) != name:
            continue
        rows = _of_submission(connection, now, account_id, submission_id, MOST - len(found))
        attempts = queue.attempts_of(connection, account_id, [row[0] for row in rows])
        for queue_id, sender, recipient, created_at, state, due, cancelled_at in rows:
            tried = attempts.get(queue_id, ())
            entry = Entry(
                queue_id,
                account_id,
                sender,
                recipient,
                created_at,
                state,
                due,
                tried,
                arrival,
                cancelled_at,
            )
            found.append(entry)
        if len(found) == MOST:
            break
    return found


def _of_submission(
    connection: Connection, now: int, account_id: int, submission_id: int, most: int
) -> list[Any]:
    """What waits of a submission, and what has left the queue: id, envelope, time, state, due, and
    when it was cancelled.
    """
    waiting = select(
        _q.queue_id, _q.sender, _q.recipient, _q.created_at, queue.STATE, _q.next_attempt_at
    ).where(_q.account_id == account_id, _q.submission_id == submission_id)
    cancelled_at = case((_f.outcome == CANCELLED, _f.finished_at), else_=0)
    left = select(_f.queue_id, _f.sender, _f.recipient, _f.created_at, cancelled_at).where(
        _f.account_id == account_id, _f.submission_id == submission_id
    )
    rows: list[Any] = [
        (*row, 0)
        for row in connection.execute(waiting.order_by(_q.queue_id).limit(most), {"now": now})
    ]
    room = most - len(rows)
    gone = connection.execute(left.order_by(_f.queue_id).limit(room)) if room else ()
    return rows + [(*row, 0, 0, cancelled) for *row, cancelled in gone]
