"""A large queue: looking for what may be sent costs what the domains cost, and not the mail."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from postroom_store import depth, destinations, leasing, settling, tables
from postroom_store.database import Prepared, driver_of, is_sqlite, open_engine
from postroom_store.delivery import WAITING
from postroom_store.destinations import Wish
from postroom_store.migrations import migrate
from postroom_store.settling import Attempt, Outcome, Reached, Settled, Settlement
from postroom_store.transaction import Rows, Transaction
from sqlalchemy import Connection, Engine, insert, text

NOW = 1_700_000_000
DOMAINS = 200
DEAD = 100
EACH = 50  # entries
WISH = Wish("tests", 10, 10, 4, 300)
ALL = Wish("tests", 10_000, 10, 4, 300)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = open_engine(database_url, 2)
    migrate(made)
    yield made
    made.dispose()


def fill(engine: Engine, each: int) -> None:
    rows = [
        {
            "account_id": n % 7,
            "queue_id": (NOW - 500) << 30 | n,
            "sender": "ann@example.org",
            "recipient": f"u{n}@d{n % DOMAINS}.test",
            "domain": f"d{n % DOMAINS}.test",
            "state": WAITING,
            "digest": bytes(32),
            "size": 1000,
            "created_at": NOW - 500,
            "next_attempt_at": NOW - 500 + n % 400,
            "attempts": 0,
            "last_reply": "",
            "message_id": "x@example.org",
            "trace_id": "",
            "submission_id": n,
        }
        for n in range(DOMAINS * each)
    ]
    dead = [
        {
            "domain": f"d{n}.test",
            "failures": 3,
            "retry_at": NOW + 10_000,
            "reply": "no",
            "changed_at": NOW,
        }
        for n in range(DEAD)
    ]
    with engine.begin() as connection:
        connection.execute(insert(tables.queue), rows)
        connection.execute(insert(tables.destinations), dead)
    if not is_sqlite(engine):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def transaction(connection: Connection) -> Transaction:
    return Transaction(connection, Rows(), lambda: NOW)


def plan(connection: Connection, statement: Prepared, **parameters: object) -> str:
    """How the database carries out a statement, just as it gets it."""
    explain = "EXPLAIN QUERY PLAN " if is_sqlite(connection) else "EXPLAIN "
    sent, constants = statement._text(connection)
    rows = driver_of(connection).execute(explain + sent, constants | parameters).fetchall()
    return "\n".join(str(row[-1]) for row in rows)


def test_each_step_has_its_index(engine: Engine) -> None:
    fill(engine, EACH)
    some = {"wanted": "d7.test", "now": NOW, "most": 10}
    with engine.connect() as connection:
        for index, found in (
            ("queue_due", plan(connection, destinations._WALK, after="", most=250)),
            ("queue_due", plan(connection, destinations._DUE_AT, wanted="d7.test")),
            ("queue_due", plan(connection, leasing._DUE, **some)),
            ("queue_leased", plan(connection, settling._HELD, lease=bytes(16))),
        ):
            assert index in found
            assert "Seq Scan on queue" not in found
            assert "SCAN queue\n" not in found


def test_the_live_half_drains(engine: Engine) -> None:
    fill(engine, EACH)
    turn, sent, looks = "", 0, 0
    domains: set[str] = set()
    while True:
        with engine.connect() as connection:
            seen = destinations.look(connection, WISH, NOW, turn, None)
        if not seen.domains:
            break
        looks += 1
        with (
            engine.connect().execution_options(writing=True) as connection,
            connection.begin(),
        ):
            work = transaction(connection)
            batches = leasing.lease(work, WISH, seen.domains)
            assert len(batches) == len(seen.domains)
            turn = batches[-1].domain
            work.flush()
            taken = Attempt(NOW, Outcome.DELIVERED)
            settlements = [
                Settlement(
                    batch.lease_id,
                    [Settled(entry.queue_id, taken) for entry in batch.entries],
                    True,
                    Reached(True),
                )
                for batch in batches
            ]
            assert settling.settle(work, settlements).lost == []
            work.flush()
        sent += sum(len(batch.entries) for batch in batches)
        domains.update(batch.domain for batch in batches)
    assert sent == (DOMAINS - DEAD) * EACH
    assert domains == {f"d{n}.test" for n in range(DEAD, DOMAINS)}
    assert looks == sent // (WISH.entries * WISH.batches)
    # The dead half waits for its time, without a row changed.
    assert seen.next_at == NOW + 10_000
    with engine.connect() as connection:
        assert depth.measure(connection, NOW).waiting == DEAD * EACH
        later = destinations.look(connection, ALL, NOW + 10_000, "", None)
    assert len(later.domains) == DEAD


def test_a_look_costs_what_the_domains_cost(engine: Engine) -> None:
    """Ten times the mail, for as many domains, takes no longer; by far not ten times as long."""
    fill(engine, EACH // 10)
    before = look_seconds(engine)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM queue"))
        connection.execute(text("DELETE FROM destinations"))
    fill(engine, EACH)
    assert look_seconds(engine) < before * 4


def look_seconds(engine: Engine) -> float:
    """The quickest of some looks."""
    times = []
    with engine.connect() as connection:
        for _ in range(9):
            began = time.perf_counter()
            assert len(destinations.look(connection, ALL, NOW, "", None).domains) == DOMAINS - DEAD
            times.append(time.perf_counter() - began)
    return min(times)
