"""How long guesses must wait, second by second."""

from __future__ import annotations

import pytest
from postroom_auth.domain.throttle import Failures, Pace
from postroom_auth.ports import Subject
from postroom_auth.throttling import MemoryThrottle
from postroom_chassis.errors import Kind, PostroomError

PACE = Pace(free=2, first=1.0, most=10.0, memory=100.0, subjects=3)


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


def test_what_was_no_failure_is_taken_back() -> None:
    failures = Failures(PACE)
    for _ in range(3):
        failures.add("ann", now=0.0)
    failures.take_back("ann")
    assert failures.wait("ann", now=0.0) == 0
    for _ in range(5):
        failures.take_back("ann")
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


async def test_the_text_tells_how_long_and_waiting_helps() -> None:
    clock = Clock()
    throttle = MemoryThrottle(PACE, PACE, clock)
    eve = Subject("ann@example.org", "198.51.100.7")
    for _ in range(3):
        await throttle.begin(eve)
        await throttle.failed(eve)
    with pytest.raises(PostroomError) as refused:
        await throttle.begin(eve)
    assert refused.value.kind is Kind.RATE_LIMITED
    assert refused.value.message == "too many failures: try again in 1 seconds"
    clock.now = 1.0
    await throttle.begin(eve)


async def test_a_guess_without_an_outcome_is_not_counted() -> None:
    throttle = MemoryThrottle(PACE, PACE, Clock())
    ann = Subject("ann@example.org", "192.0.2.1")
    for _ in range(10):
        await throttle.begin(ann)
        await throttle.withdrawn(ann)
    await throttle.check(ann)


async def test_an_owner_keeps_a_count_of_their_own() -> None:
    throttle = MemoryThrottle(PACE, PACE, Clock())
    ann, eve = Subject("ann", "192.0.2.1"), Subject("ann", "198.51.100.7")
    await throttle.begin(ann)
    await throttle.succeeded(ann)
    for _ in range(3):
        await throttle.begin(eve)
        await throttle.failed(eve)
    await throttle.begin(ann)
    await throttle.succeeded(ann)
    # The owner's success forgives nothing of the stranger's failures.
    with pytest.raises(PostroomError):
        await throttle.begin(eve)
