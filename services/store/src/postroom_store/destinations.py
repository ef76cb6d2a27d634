"""Destinations: which have something to send, and what may be leased of them.

What waits is found domain by domain, in two steps of an index each, so that a look costs what the
domains with waiting mail cost, however much there is for each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection, bindparam, delete, func, select, text, update

from postroom_store import tables
from postroom_store.database import Prepared, inserting
from postroom_store.ingest import storable
from postroom_store.transaction import Transaction

T = TypeVar("T")

STEP = 250  # domains that are looked at together
CHUNK = 500  # names in one statement
MOST_REPLY = 1000  # characters that are kept of what went wrong

_q = tables.queue.c
_d = tables.destinations.c
_b = tables.batches.c

_OF_DOMAIN = "FROM queue WHERE queue.state <> 2 AND queue.domain"
# The domains after one, with the time at which the first of their entries is due. Each is sought in
# the index by itself: neither database skips over the entries of a domain by its own.
_WALK = Prepared(
    text(
        "WITH RECURSIVE walk(domain) AS ("  # noqa: S608
        f"SELECT (SELECT min(queue.domain) {_OF_DOMAIN} > :after) UNION ALL "
        f"SELECT (SELECT min(queue.domain) {_OF_DOMAIN} > walk.domain) "
        "FROM walk WHERE walk.domain IS NOT NULL) "
        "SELECT walk.domain, "
        f"(SELECT min(queue.next_attempt_at) {_OF_DOMAIN} = walk.domain) "
        "FROM walk WHERE walk.domain IS NOT NULL LIMIT :most"
    )
)
_DUE_AT = Prepared(
    select(func.min(_q.next_attempt_at)).where(tables.IS_NOT_HELD, _q.domain == bindparam("wanted"))
)
_FAILING = Prepared(
    select(_d.domain, _d.failures, _d.retry_at).where(text("destinations.failures > 0"))
)
_ACTIVE = Prepared(
    select(_b.domain, func.count(), func.min(_b.expires_at))
    .where(_b.expires_at > bindparam("now"))
    .group_by(_b.domain)
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a worker would lease.

    Attributes:
        batches: at most; of `entries` each at most.
        per_domain: how many batches of a domain may be leased at a time, whoever holds them;
            `limits`: of some it is another number.
    """

    worker: str
    batches: int
    entries: int
    per_domain: int
    lease_seconds: int
    limits: Mapping[str, int] = field(default_factory=dict)

    def limit(self, domain: str, failures: int) -> int:
        """How many batches of a domain may be leased: of one that wasn't reached, a probe."""
        limit = self.limits.get(domain, self.per_domain)
        return min(limit, 1) if failures else limit


@dataclass(frozen=True, slots=True)
class Standing:
    """How a destination stands.

    Attributes:
        failures: attempts in a row that didn't reach it.
        retry_at: it is left alone until then.
        active: batches of it that are leased; the first of their leases ends at `ends_at`.
    """

    failures: int = 0
    retry_at: int = 0
    active: int = 0
    ends_at: int = 0


UNKNOWN = Standing()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a look found.

    Attributes:
        domains: of which something may be leased, in the order of their turns.
        next_at: when something more may, unless something happens before; None: nothing is known.
    """

    domains: Sequence[str]
    next_at: int | None


def look(
    connection: Connection, wish: Wish, now: int, after: str, only: Collection[str] | None
) -> Outlook:
    """What may be leased, of as many domains as batches are wanted.

    Args:
        after: the domain that had the last turn: the others come first.
        only: the domains that are looked at; None: all.
    """
    standings = _standings(connection, now)
    found: list[str] = []
    times: list[int] = []
    waiting = walk(connection, after) if only is None else _due_of(connection, only)
    for domain, due in waiting:
        standing = standings.get(domain, UNKNOWN)
        limit = wish.limit(domain, standing.failures)
        free_at = standing.ends_at if standing.active >= limit else 0
        at = max(due, standing.retry_at, free_at)
        if limit == 0:
            continue
        if at > now:
            times.append(at)
            continue
        found.append(domain)
        if len(found) == wish.batches:
            break
    return Outlook(found, min(times, default=None))


def walk(connection: Connection, after: str = "") -> Iterator[tuple[str, int]]:
    """Every domain with entries that aren't held, and when the first is due; once round.

    Args:
        after: where to begin; those up to it come last.
    """
    first, turned = None, not after
    while True:
        rows = _WALK.rows(connection, {"after": after, "most": STEP})
        for domain, due in rows:
            if turned and domain == first:
                return
            yield domain, due
            first = domain if first is None else first
        if len(rows) == STEP:
            after = rows[-1][0]
        elif turned:
            return
        else:
            after, turned = "", True


def _due_of(connection: Connection, domains: Collection[str]) -> Iterator[tuple[str, int]]:
    for domain in sorted(domains):
        row = _DUE_AT.row(connection, {"wanted": domain})
        if row is not None and row[0] is not None:
            yield domain, row[0]


def _standings(connection: Connection, now: int) -> dict[str, Standing]:
    """The destinations that something is known of: those that fail, and those with leases."""
    failing = {row[0]: row[1:] for row in _FAILING.rows(connection, {})}
    active = {row[0]: row[1:] for row in _ACTIVE.rows(connection, {"now": now})}
    return {
        domain: Standing(*failing.get(domain, (0, 0)), *active.get(domain, (0, 0)))
        for domain in failing.keys() | active.keys()
    }


def lock(transaction: Transaction, domains: Sequence[str]) -> dict[str, Standing]:
    """How destinations stand, locked until the commit; those that another has locked are left out.

    On SQLite nobody else writes, and what isn't written can't be locked.
    """
    if not transaction.exclusive:
        known = set(transaction.execute(select(_d.domain).where(_d.domain.in_(domains))).scalars())
        missing = sorted(set(domains) - known)
        rows = [{"domain": domain} | _reached(transaction.now) for domain in missing]
        if rows:
            inserting(tables.destinations, tuple(rows[0]), ignoring=True).run_many(
                transaction.connection, rows
            )
    statement = (
        select(_d.domain, _d.failures, _d.retry_at)
        .where(_d.domain.in_(domains))
        .with_for_update(skip_locked=True)
    )
    failing = {row[0]: row[1:] for row in transaction.execute(statement)}
    # Counted in a statement of its own: it sees what was committed before the lock was had.
    active = {
        row[0]: row[1:]
        for row in transaction.execute(
            select(_b.domain, func.count(), func.min(_b.expires_at))
            .where(_b.domain.in_(domains), _b.expires_at > transaction.now)
            .group_by(_b.domain)
        )
    }
    return {
        domain: Standing(*failing.get(domain, (0, 0)), *active.get(domain, (0, 0)))
        for domain in domains
        if transaction.exclusive or domain in failing
    }


def _reached(now: int) -> dict[str, object]:
    return {"failures": 0, "retry_at": 0, "reply": "", "changed_at": now}


_REACHED = Prepared(
    update(tables.destinations)
    .where(_d.domain == bindparam("wanted"), text("destinations.failures > 0"))
    .values(failures=0, retry_at=0, reply="", changed_at=bindparam("now"))
)
_FIND = Prepared(
    select(_d.failures, _d.retry_at).where(_d.domain == bindparam("wanted")).with_for_update()
)
_NOT_REACHED = Prepared(
    update(tables.destinations)
    .where(_d.domain == bindparam("wanted"))
    .values(
        failures=bindparam("fails"),
        retry_at=bindparam("retry"),
        reply=bindparam("why"),
        changed_at=bindparam("now"),
    )
)


def note_reached(transaction: Transaction, domain: str) -> None:
    """A destination was reached: what it wasn't before is forgotten."""
    transaction.run(_REACHED, [{"wanted": domain, "now": transaction.now}])


def note_failure(
    transaction: Transaction, domain: str, failures: int, retry_at: int, reply: str
) -> None:
    """A destination wasn't reached.

    Args:
        failures: as they were when the batch was leased that failed. So those that were under way
            at the same time are one failure, and so is one that is told twice.
        retry_at: it is left alone until then.
    """
    row = _reached(transaction.now) | {"domain": domain}
    inserting(tables.destinations, tuple(row), ignoring=True).run(transaction.connection, row)
    known = transaction.row(_FIND, {"wanted": domain}) or (0, 0)
    values = {
        "wanted": domain,
        "fails": max(known[0], failures + 1),
        "retry": max(known[1], retry_at),
        "why": storable(reply)[:MOST_REPLY],
        "now": transaction.now,
    }
    transaction.run(_NOT_REACHED, [values])


def let_alone_no_more(transaction: Transaction, domains: Collection[str]) -> None:
    """Let destinations that fail be tried at once, by a probe each."""
    for some in chunks(sorted(domains)):
        transaction.execute(
            update(tables.destinations)
            .where(_d.domain.in_(some), _d.retry_at > transaction.now)
            .values(retry_at=0, changed_at=transaction.now)
        )


def forget(transaction: Transaction, before: int, most: int) -> int:
    """Forget some batches that ended, and destinations that nothing is known of any more."""
    old = select(_b.lease_id).where(_b.expires_at < before).limit(most)
    ended = transaction.execute(delete(tables.batches).where(_b.lease_id.in_(old))).rowcount
    # One that fails is remembered as long as something waits for it, and a while longer.
    idle = (
        select(_d.domain)
        .where(_d.changed_at < before, _d.retry_at < before)
        .where(~select(_q.queue_id).where(_q.domain == _d.domain).exists())
        .limit(most)
    )
    names = list(transaction.execute(idle).scalars())
    if names:
        statement = delete(tables.destinations).where(_d.domain.in_(names), _d.changed_at < before)
        transaction.execute(statement)
    return int(ended) + len(names)


def chunks(names: Sequence[T]) -> Iterator[Sequence[T]]:
    """Names, as many at a time as a statement takes."""
    for start in range(0, len(names), CHUNK):
        yield names[start : start + CHUNK]
