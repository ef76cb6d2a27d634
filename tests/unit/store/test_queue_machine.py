"""Leases of the queue against a model of them: whatever is done in whatever order.

What the model says of every entry, lease and destination, the tables must say after each step. And
each answer is what the model allows: nothing that isn't due, nothing that another lease holds, no
more of a domain than its limit, a probe where it wasn't reached; and not nothing where something
can be had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from postroom_chassis.errors import Kind, PostroomError
from postroom_store import destinations, leasing, queue, settling, tables
from postroom_store.database import open_engine
from postroom_store.delivery import HELD, LEASED, WAITING, Delivery, RemoteRecipient, deliver
from postroom_store.destinations import Wish
from postroom_store.ingest import Ingest
from postroom_store.migrations import migrate
from postroom_store.settling import Attempt, Outcome, Reached, Settled, Settlement
from postroom_store.transaction import Rows, Transaction
from sqlalchemy import Engine, delete, select

T = TypeVar("T")

BEGINNING = 1_700_000_000
DOMAINS = [f"{letter}.test" for letter in "abcd"]
ACCOUNTS = (0, 7)
CONTENT = Ingest(None, 0).prepare(b"Subject: hello\r\n\r\nHow are you?\r\n")

DOMAIN = st.sampled_from(DOMAINS)
LATER = st.integers(0, 120)


@dataclass
class Entry:
    """What is known of an entry. `holder`: the lease that holds it, or settled it last."""

    account_id: int
    domain: str
    due: int
    hold_until: int
    state: int = WAITING
    attempts: int = 0
    holder: bytes | None = None
    delay_told: bool = False


@dataclass
class Lease:
    domain: str
    ends_at: int
    failures: int
    entries: list[int]
    over: bool = False  # it has been ended


@dataclass
class Domain:
    failures: int = 0
    retry_at: int = 0


@dataclass
class Model:
    entries: dict[int, Entry] = field(default_factory=dict)
    leases: dict[bytes, Lease] = field(default_factory=dict)
    domains: dict[str, Domain] = field(default_factory=lambda: {d: Domain() for d in DOMAINS})
    finished: dict[int, bytes | None] = field(default_factory=dict)


class Machine(RuleBasedStateMachine):
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING
        self.turn = ""
        self.model = Model()
        self.woken: set[str] = set()

    @initialize()
    def empty(self) -> None:
        with self.engine.begin() as connection:
            for table in tables.metadata.tables.values():
                connection.execute(delete(table))

    def write(self, work: Callable[[Transaction], T]) -> T:
        with (
            self.engine.connect().execution_options(writing=True) as connection,
            connection.begin(),
        ):
            transaction = Transaction(connection, Rows(), lambda: self.now)
            answer = work(transaction)
            transaction.flush()
            self.woken = transaction.woken
            return answer

    # What the model knows.

    def active(self, domain: str) -> list[Lease]:
        return [
            lease
            for lease in self.model.leases.values()
            if lease.domain == domain and not lease.over and lease.ends_at > self.now
        ]

    def holds(self, lease_id: bytes, queue_id: int) -> bool:
        """Whether a lease may still settle an entry: it ran out at most, and nobody took over."""
        entry = self.model.entries.get(queue_id)
        return entry is not None and entry.state == LEASED and entry.holder == lease_id

    def leased(self, entry: Entry) -> bool:
        return entry.state == LEASED and entry.due > self.now

    def due_of(self, domain: str) -> list[int]:
        return [
            entry.due
            for entry in self.model.entries.values()
            if entry.domain == domain and entry.state != HELD
        ]

    def limit(self, domain: str, wish: Wish) -> int:
        limit = wish.limits.get(domain, wish.per_domain)
        return min(limit, 1) if self.model.domains[domain].failures else limit

    def free_at(self, domain: str, wish: Wish) -> int | None:
        """When something of a domain may be leased; None: never by itself."""
        known = self.model.domains[domain]
        limit = self.limit(domain, wish)
        due = self.due_of(domain)
        if not due or not limit:
            return None
        active = self.active(domain)
        # The first that ends makes room: the limit may be lower than it was.
        ends_at = min(lease.ends_at for lease in active) if len(active) >= limit else 0
        return max(min(due), known.retry_at, ends_at)

    def is_ready(self, domain: str, wish: Wish) -> bool:
        at = self.free_at(domain, wish)
        return at is not None and at <= self.now

    # What is done.

    @rule(later=st.integers(1, 90))
    def time_passes(self, later: int) -> None:
        self.now += later

    @rule(
        account_id=st.sampled_from(ACCOUNTS),
        domains=st.lists(DOMAIN, min_size=1, max_size=6),
        held_back=st.sampled_from([0, 0, 0, 50]),
    )
    def submit(self, account_id: int, domains: list[str], held_back: int) -> None:
        hold_until = self.now + held_back if held_back else 0
        delivery = Delivery(
            CONTENT,
            "ann@example.org",
            [],
            [RemoteRecipient(f"u@{domain}") for domain in domains],
            account_id,
            "",
            hold_until=hold_until,
        )
        ids = self.write(lambda t: deliver(t, delivery))
        for queue_id, domain in zip(ids, domains, strict=True):
            due = max(self.now, hold_until)
            self.model.entries[queue_id] = Entry(account_id, domain, due, hold_until)
        assert held_back or self.woken == set(domains)

    @rule(
        batches=st.integers(1, 6),
        entries=st.integers(1, 4),
        per_domain=st.integers(1, 3),
        seconds=st.integers(30, 120),
        limits=st.dictionaries(DOMAIN, st.integers(0, 2), max_size=2),
        only=st.none() | st.sets(DOMAIN),
        blind=st.booleans(),
    )
    def lease(
        self,
        batches: int,
        entries: int,
        per_domain: int,
        seconds: int,
        limits: dict[str, int],
        only: set[str] | None,
        blind: bool,
    ) -> None:
        wish = Wish("tests", batches, entries, per_domain, seconds, limits)
        looked_at = DOMAINS if only is None else only
        times = {domain: self.free_at(domain, wish) for domain in looked_at}
        known = {domain: at for domain, at in times.items() if at is not None}
        ready = {domain for domain, at in known.items() if at <= self.now}
        with self.engine.connect() as connection:
            seen = destinations.look(connection, wish, self.now, self.turn, only)
        assert set(seen.domains) <= ready
        assert len(seen.domains) == min(len(ready), batches)
        if not ready:
            assert seen.next_at == min(known.values(), default=None)
            return
        # Or as if others had been quicker since the look: nothing but the lease itself refuses.
        wanted = DOMAINS if blind else seen.domains
        got = self.write(lambda t: leasing.lease(t, wish, wanted))
        if got:
            self.turn = got[-1].domain
        leased = {batch.domain for batch in got}
        if blind:
            assert leased <= {d for d in DOMAINS if self.is_ready(d, wish)}
        else:
            assert leased == set(wanted)
        assert len(got) <= batches
        for batch in got:
            self._take(batch, wish)

    def _take(self, batch: leasing.Batch, wish: Wish) -> None:
        known = self.model.domains[batch.domain]
        assert known.retry_at <= self.now
        assert batch.failures == known.failures
        assert batch.expires_at == self.now + wish.lease_seconds
        assert 1 <= len(batch.entries) <= wish.entries
        for leased in batch.entries:
            entry = self.model.entries[leased.queue_id]
            assert (entry.domain, entry.state == HELD) == (batch.domain, False)
            assert entry.due <= self.now  # so no lease holds it
            assert (leased.attempts, leased.delay_told) == (entry.attempts, entry.delay_told)
            entry.state, entry.due, entry.holder = LEASED, batch.expires_at, batch.lease_id
        ids = [leased.queue_id for leased in batch.entries]
        self.model.leases[batch.lease_id] = Lease(
            batch.domain, batch.expires_at, batch.failures, ids
        )
        assert len(self.active(batch.domain)) <= self.limit(batch.domain, wish)

    @precondition(lambda self: self.model.leases)
    @rule(data=st.data(), ended=st.booleans(), repeated=st.booleans())
    def settle(self, data: st.DataObject, ended: bool, repeated: bool) -> None:
        lease_id = data.draw(st.sampled_from(list(self.model.leases)))
        lease = self.model.leases[lease_id]
        chosen = data.draw(st.sets(st.sampled_from(lease.entries)))
        entries = [self._settled(data, queue_id) for queue_id in sorted(chosen)]
        destination = data.draw(
            st.none() | st.builds(Reached, st.booleans(), LATER.map(lambda n: self.now + n))
        )
        settlement = Settlement(lease_id, entries, ended, destination)
        mine = {one.queue_id for one in entries if self.holds(lease_id, one.queue_id)}
        before = {one.queue_id for one in entries if self._settled_before(lease_id, one.queue_id)}
        outcomes = self.write(lambda t: settling.settle(t, [settlement]))
        assert set(outcomes.lost) == chosen - mine - before
        for one in entries:
            if one.queue_id in mine:
                self._note(lease_id, one)
        if destination is not None and not lease.over and lease.ends_at > self.now:
            known = self.model.domains[lease.domain]
            if destination.reached:
                known.failures = known.retry_at = 0
            else:
                known.failures = max(known.failures, lease.failures + 1)
                known.retry_at = max(known.retry_at, destination.retry_at)
        if ended:
            over, lease.over = lease.over, True
            for entry in self.model.entries.values():
                if entry.holder == lease_id and entry.state == LEASED:
                    entry.state, entry.holder, entry.due = WAITING, None, self.now
            if not over:
                assert lease.domain in self.woken
        if repeated:
            again = self.write(lambda t: settling.settle(t, [settlement]))
            assert set(again.lost) == chosen - mine - before
            assert not again.counts

    def _settled(self, data: st.DataObject, queue_id: int) -> Settled:
        outcome = data.draw(st.none() | st.sampled_from(list(Outcome)))
        attempt = None if outcome is None else Attempt(self.now, outcome, "said", "host", "tls")
        later = self.now + data.draw(LATER)
        return Settled(queue_id, attempt, later, data.draw(st.booleans()))

    def _settled_before(self, lease_id: bytes, queue_id: int) -> bool:
        entry = self.model.entries.get(queue_id)
        if entry is None:
            return self.model.finished[queue_id] == lease_id
        return entry.state != LEASED and entry.holder == lease_id

    def _note(self, lease_id: bytes, settled: Settled) -> None:
        entry = self.model.entries[settled.queue_id]
        if settled.attempt is not None and settled.attempt.outcome is not Outcome.DEFERRED:
            del self.model.entries[settled.queue_id]
            self.model.finished[settled.queue_id] = lease_id
            return
        entry.state, entry.due = WAITING, settled.next_attempt_at
        entry.attempts += settled.attempt is not None
        entry.delay_told |= settled.delay_told

    @precondition(lambda self: self.model.leases)
    @rule(data=st.data(), seconds=st.integers(30, 120))
    def extend(self, data: st.DataObject, seconds: int) -> None:
        chosen = data.draw(st.lists(st.sampled_from(list(self.model.leases)), max_size=3))
        wanted = [*chosen, b"nobody's"]
        running = [
            lease_id
            for lease_id in chosen
            if not self.model.leases[lease_id].over
            and self.model.leases[lease_id].ends_at > self.now
        ]
        lost = self.write(lambda t: leasing.extend(t, wanted, seconds))
        assert lost == [lease_id for lease_id in wanted if lease_id not in running]
        for lease_id in running:
            self.model.leases[lease_id].ends_at = self.now + seconds
            for entry in self.model.entries.values():
                if entry.state == LEASED and entry.holder == lease_id:
                    entry.due = self.now + seconds

    @precondition(lambda self: self.model.leases)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        lease_id = data.draw(st.sampled_from(list(self.model.leases)))
        queue_id = data.draw(st.sampled_from(self.model.leases[lease_id].entries))
        entry = self.model.entries.get(queue_id)
        held = entry is not None and self.leased(entry) and entry.holder == lease_id
        with self.engine.connect() as connection:
            wanted = (connection, None, self.now, lease_id, queue_id, 0)
            if held:
                piece, more = leasing.read_piece(*wanted)
                assert (len(piece), more) == (CONTENT.size, False)
                return
            with pytest.raises(PostroomError) as refused:
                leasing.read_piece(*wanted)
        assert refused.value.kind is Kind.CONFLICT

    def _administer(
        self,
        data: st.DataObject,
        work: Callable[[Transaction, int, Sequence[int]], int],
        change: Callable[[int, Entry], bool],
    ) -> None:
        account_id = data.draw(st.sampled_from(ACCOUNTS))
        own = [n for n, entry in self.model.entries.items() if entry.account_id == account_id]
        if not own:
            return
        chosen = sorted(data.draw(st.sets(st.sampled_from(own), min_size=1, max_size=4)))
        if any(self.leased(self.model.entries[queue_id]) for queue_id in chosen):
            with pytest.raises(PostroomError) as refused:
                self.write(lambda t: work(t, account_id, chosen))
            assert refused.value.kind is Kind.CONFLICT
            return
        changed = self.write(lambda t: work(t, account_id, chosen))
        assert changed == sum(change(n, self.model.entries[n]) for n in chosen)

    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        def change(_: int, entry: Entry) -> bool:
            if entry.state == HELD:
                return False
            entry.state, entry.holder = HELD, None
            return True

        self._administer(data, queue.hold, change)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        def change(_: int, entry: Entry) -> bool:
            if entry.state != HELD:
                return False
            entry.state, entry.due, entry.hold_until = WAITING, self.now, 0
            return True

        self._administer(data, queue.release, change)

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        def change(_: int, entry: Entry) -> bool:
            if entry.state == HELD:
                return False
            entry.state, entry.holder, entry.hold_until = WAITING, None, 0
            entry.due = min(entry.due, self.now)
            self.model.domains[entry.domain].retry_at = min(
                self.model.domains[entry.domain].retry_at, self.now
            )
            return True

        self._administer(data, queue.retry, change)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        def change(queue_id: int, _: Entry) -> bool:
            del self.model.entries[queue_id]
            self.model.finished[queue_id] = None
            return True

        self._administer(data, queue.cancel, change)

    @rule(domain=DOMAIN)
    def hasten(self, domain: str) -> None:
        assert self.write(lambda t: queue.hasten(t, domain)) is False
        for entry in self.model.entries.values():
            if entry.domain == domain and entry.state == WAITING and entry.hold_until <= self.now:
                entry.due = min(entry.due, self.now)
        known = self.model.domains[domain]
        known.retry_at = min(known.retry_at, self.now)

    @rule()
    def what_is_old_is_forgotten(self) -> None:
        before = self.now - 60
        self.write(lambda t: destinations.forget(t, before, 100))
        for lease in self.model.leases.values():
            if lease.ends_at < before:
                lease.over = True  # as far as its batch goes; what it holds it still settles
        with self.engine.connect() as connection:
            left = set(connection.execute(select(tables.destinations.c.domain)).scalars())
        for domain, known in self.model.domains.items():
            if domain not in left and known.failures:
                waiting = any(entry.domain == domain for entry in self.model.entries.values())
                assert (waiting, known.retry_at < before) == (False, True)
                known.failures = known.retry_at = 0

    # What must be so.

    @invariant()
    def the_tables_say_what_the_model_says(self) -> None:
        with self.engine.connect() as connection:
            rows: dict[int, Any] = {
                row.queue_id: row for row in connection.execute(select(tables.queue))
            }
            finished = {
                row.queue_id: row.lease_id for row in connection.execute(select(tables.finished))
            }
            tried = connection.execute(select(tables.attempts)).fetchall()
            failing = {
                row.domain: (row.failures, row.retry_at)
                for row in connection.execute(select(tables.destinations))
            }
        assert rows.keys() == self.model.entries.keys()
        assert finished == self.model.finished
        for queue_id, entry in self.model.entries.items():
            row = rows[queue_id]
            assert (row.state, row.next_attempt_at, row.attempts) == (
                entry.state,
                entry.due,
                entry.attempts,
            )
            assert (row.lease_id, bool(row.delay_told)) == (entry.holder, entry.delay_told)
            assert sum(each.queue_id == queue_id for each in tried) == entry.attempts
        for domain, known in self.model.domains.items():
            failures, retry_at = failing.get(domain, (0, 0))
            if known.failures or failures:
                assert failures == known.failures
                assert (retry_at > self.now, max(retry_at, self.now)) == (
                    known.retry_at > self.now,
                    max(known.retry_at, self.now),
                )

    @invariant()
    def nobody_holds_what_another_does(self) -> None:
        held = [
            queue_id
            for lease_id, lease in self.model.leases.items()
            for queue_id in lease.entries
            if self.holds(lease_id, queue_id)
        ]
        assert len(held) == len(set(held))


def test_leases_of_the_queue(database_url: str) -> None:
    opened = open_engine(database_url, 2)
    migrate(opened)

    class Here(Machine):
        engine = opened

    sqlite = database_url.startswith("sqlite")
    try:
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=60 if sqlite else 15,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        opened.dispose()
