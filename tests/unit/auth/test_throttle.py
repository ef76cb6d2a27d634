"""How long guesses must wait, second by second."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import replace

import pytest
from postroom_auth.database import Database, open_engine
from postroom_auth.domain.auditing import SUCCEEDED, AuditEntry
from postroom_auth.domain.throttle import Failures, Pace, Record
from postroom_auth.migrating import migrate
from postroom_auth.ports import Subject
from postroom_auth.sql_audit import SqlAudit
from postroom_auth.sql_failures import SqlFailures
from postroom_auth.throttling import ACCOUNT, SharedThrottle
from postroom_chassis.errors import Kind, PostroomError

PACE = Pace(free=2, first=1.0, most=10.0, memory=100.0, subjects=3)
LENIENT = replace(PACE, free=100)


def test_waits_double_up_to_a_most() -> None:
    failures = Failures(PACE)
    waits = []
    for _ in range(8):
        failures.add("ann", now=0.0)
        waits.append(failures.wait("ann", now=0.0))
    assert waits == [0, 0, 1, 2, 4, 8, 10, 10]
    assert failures.wait("ann", now=9.5) == 0.5
    assert failures.wait("ann", now=10.0) == 0
    assert failures.wait("bob", now=0.0) == 0


def test_very_many_failures_do_not_overflow() -> None:
    failures = Failures(PACE)
    for _ in range(5000):
        failures.add("ann", now=0.0)
    assert failures.wait("ann", now=0.0) == 10


def test_failures_are_forgotten_after_a_while() -> None:
    failures = Failures(PACE)
    for _ in range(5):
        failures.add("ann", now=0.0)
    assert failures.wait("ann", now=101.0) == 0
    failures.add("ann", now=101.0)
    assert failures.wait("ann", now=101.0) == 0


def test_guesses_under_way_count_until_they_end() -> None:
    failures = Failures(PACE)
    for _ in range(3):
        failures.begin("ann")
    assert failures.wait("ann", now=0.0) == 1
    for _ in range(3):
        failures.end("ann")
    assert failures.wait("ann", now=0.0) == 0
    assert len(failures) == 0


def test_an_answer_is_older_than_what_has_come_to_be_known_since_it_was_asked_for() -> None:
    failures = Failures(PACE)
    failures.learn("ann", Record(4, 0.0), None)
    for late in (Record(3, 0.0), None):
        failures.learn("ann", late, None)
    known = failures.record("ann", now=0.0)
    assert known == Record(4, 0.0)
    failures.learn("ann", None, known)  # another replica has forgiven them
    assert failures.record("ann", now=0.0) is None


def test_very_many_failures_lock_for_long_and_are_not_forgotten_meanwhile() -> None:
    failures = Failures(replace(PACE, lock_after=4, lock=1000.0))
    for _ in range(4):
        failures.add("ann", now=0.0)
    assert failures.wait("ann", now=0.0) == 1000
    assert failures.wait("ann", now=999.0) == 1
    assert failures.wait("ann", now=1001.0) == 0
    assert len(failures) == 0


def test_memory_is_bounded_and_the_oldest_go_first() -> None:
    failures = Failures(PACE)
    for name in ("ann", "bob", "eve", "zoe"):
        for _ in range(3):
            failures.add(name, now=0.0)
    assert len(failures) == 3
    assert [failures.wait(name, now=0.0) for name in ("ann", "bob", "zoe")] == [0, 1, 1]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class House:
    """Replicas' throttles on one database."""

    def __init__(self, database: Database) -> None:
        self.clock = Clock()
        self.counts = SqlFailures(database)
        self.audit = SqlAudit(database)

    def replica(self, account: Pace = PACE, network: Pace = PACE) -> SharedThrottle:
        return SharedThrottle(self.counts, self.audit, account, network, self.clock)


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    database = Database(open_engine(database_url, 2), 2)
    try:
        await database.write(migrate)
        yield House(database)
    finally:
        database.close()


ANN = Subject("ann@example.org", "192.0.2.1")
EVE = Subject("ann@example.org", "198.51.100.7")
BOB = Subject("bob@example.org", "198.51.100.7")


async def guess(throttle: SharedThrottle, subject: Subject, *, right: bool = False) -> None:
    """What a check of a password does. Raises PostroomError RATE_LIMITED."""
    begun = await throttle.begin(subject)
    try:
        await throttle.learn(subject)
    except PostroomError:
        await throttle.withdrawn(begun)
        raise
    await (throttle.succeeded(subject, begun) if right else throttle.failed(subject, begun))


async def refused(throttle: SharedThrottle, subject: Subject) -> str:
    with pytest.raises(PostroomError) as error:
        await guess(throttle, subject)
    assert error.value.kind is Kind.RATE_LIMITED
    return error.value.message


async def test_the_text_tells_how_long_and_waiting_helps(house: House) -> None:
    throttle = house.replica()
    for _ in range(3):
        await guess(throttle, EVE)
    assert await refused(throttle, EVE) == "too many failures: try again in 1 seconds"
    house.clock.now = 1.0
    await throttle.begin(EVE)


async def test_replicas_count_together(house: House) -> None:
    one, other = house.replica(), house.replica()
    await guess(one, EVE)
    await guess(other, EVE)
    await guess(one, EVE)
    # Neither has seen more than two, which are free.
    for throttle in (other, one):
        assert await refused(throttle, EVE) == "too many failures: try again in 1 seconds"
    house.clock.now = 1.0
    await guess(other, EVE)
    assert await refused(one, EVE) == "too many failures: try again in 2 seconds"


async def test_replicas_count_networks_together(house: House) -> None:
    one, other = house.replica(), house.replica()
    for number, throttle in enumerate((one, other, one)):
        await guess(throttle, Subject(f"person{number}@example.org", EVE.network))
    for throttle in (one, other):
        await refused(throttle, BOB)
        await guess(throttle, Subject(BOB.account, "192.0.2.9"), right=True)


async def test_what_was_read_before_a_failure_does_not_undo_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttle, read = house.replica(), house.counts.read
    for _ in range(2):
        await guess(throttle, ANN)

    async def slow(subjects: Collection[str]) -> Mapping[str, Record]:
        monkeypatch.setattr(house.counts, "read", read)
        found = await read(subjects)
        await guess(throttle, ANN)
        return found

    monkeypatch.setattr(house.counts, "read", slow)
    with pytest.raises(PostroomError) as error:
        await throttle.learn(ANN)
    assert error.value.kind is Kind.RATE_LIMITED


async def test_success_forgives_on_every_replica(house: House) -> None:
    one, other = house.replica(), house.replica()
    for _ in range(2):
        await guess(one, ANN)
    await guess(other, ANN, right=True)
    stranger = Subject(ANN.account, "203.0.113.1")
    for _ in range(3):
        await guess(one, stranger)
    await refused(other, stranger)


async def test_a_lock_holds_on_every_replica_until_it_is_lifted(house: House) -> None:
    pace = replace(PACE, lock_after=4, lock=1000.0)
    one, other = house.replica(pace, LENIENT), house.replica(pace, LENIENT)
    for seconds in (0, 0, 0, 1):
        house.clock.now += seconds
        await guess(one, EVE)
    for throttle in (one, other):
        assert await refused(throttle, EVE) == "too many failures: try again in 1000 seconds"
    await house.counts.clear_all_of(ACCOUNT + EVE.account)
    house.clock.now += 1.0  # what makes somebody wait is looked up again after a second
    for throttle in (one, other):
        await guess(throttle, EVE)


async def test_a_lock_ends_with_its_time(house: House) -> None:
    pace = replace(PACE, lock_after=3, lock=1000.0)
    one, other = house.replica(pace, LENIENT), house.replica(pace, LENIENT)
    for _ in range(3):
        await guess(one, EVE)
    await refused(other, EVE)
    house.clock.now = 1000.5
    await guess(other, EVE)


async def test_where_nobody_fails_nothing_is_written(house: House) -> None:
    throttle = house.replica()
    written = []

    async def note(*_: object) -> dict[str, Record]:
        written.append("add")
        return {}

    house.counts.add = house.counts.clear = note  # type: ignore[method-assign]
    for _ in range(5):
        await guess(throttle, ANN, right=True)
    assert written == []


async def test_a_guess_without_an_outcome_is_not_counted(house: House) -> None:
    throttle = house.replica()
    for _ in range(10):
        await throttle.withdrawn(await throttle.begin(ANN))
    await throttle.check(ANN)


async def test_a_guess_ends_as_it_was_begun(house: House) -> None:
    throttle = house.replica(network=LENIENT)
    strange = await throttle.begin(ANN)
    await guess(throttle, ANN, right=True)
    for _ in range(2):
        await throttle.failed(ANN, await throttle.begin(ANN))
    # It was begun before the owner was known there: their own count has two, which are free.
    await throttle.failed(ANN, strange)
    await throttle.check(ANN)
    for _ in range(2):
        await guess(throttle, EVE)
    await refused(throttle, EVE)


async def test_where_nobody_is_named_the_network_alone_is_counted(house: House) -> None:
    pace = replace(PACE, free=0, lock_after=1, lock=1000.0)
    throttle = house.replica(pace)
    nobody = Subject(None, EVE.network)
    for _ in range(2):
        await throttle.failed(nobody)
        await throttle.learn(nobody)
    await throttle.succeeded(nobody)
    await throttle.failed(nobody)
    other = house.replica(pace)
    with pytest.raises(PostroomError):
        await other.learn(nobody)
    with pytest.raises(PostroomError):
        await other.check(nobody)
    for unnamed in (Subject("", "192.0.2.9"), Subject(None, "192.0.2.9")):
        await other.check(unnamed)


async def test_a_network_that_is_exempt_and_nobody_named_counts_nothing(house: House) -> None:
    exempt = [ipaddress.ip_network("198.51.100.0/24")]
    throttle = SharedThrottle(house.counts, house.audit, PACE, PACE, house.clock, exempt)
    for _ in range(10):
        await throttle.failed(Subject(None, EVE.network))
    await throttle.check(Subject(None, EVE.network))
    await throttle.learn(EVE)
    assert await house.counts.read(["network " + EVE.network]) == {}


async def test_an_owner_keeps_a_count_of_their_own(house: House) -> None:
    throttle = house.replica()
    await guess(throttle, ANN, right=True)
    for _ in range(3):
        await guess(throttle, EVE)
    await guess(throttle, ANN, right=True)
    # The owner's success forgives nothing of the stranger's failures.
    await refused(throttle, EVE)


async def test_an_owner_who_has_signed_in_by_another_replica_is_known(house: House) -> None:
    entry = AuditEntry(
        *(1, ANN.account, SUCCEEDED, "", "imap", "imap", "PLAIN", "password"),
        *("192.0.2.1", ANN.network, "TLSv1.3"),
    )
    await house.audit.write([entry])
    throttle = house.replica()
    for _ in range(3):
        await guess(throttle, EVE)
    await refused(throttle, EVE)
    await guess(throttle, ANN, right=True)


async def test_old_counts_are_removed_and_locks_when_they_are_over(house: House) -> None:
    pace = replace(PACE, lock_after=3, lock=1000.0)
    throttle = house.replica(pace, LENIENT)
    await guess(throttle, BOB)
    for _ in range(3):
        await guess(throttle, EVE)
    subjects = [ACCOUNT + BOB.account, ACCOUNT + EVE.account]
    for now, left in ((99.0, subjects), (101.0, subjects[1:]), (999.0, subjects[1:]), (1001.0, [])):
        await house.counts.prune(pace, now)
        assert set(await house.counts.read(subjects)) == set(left)
