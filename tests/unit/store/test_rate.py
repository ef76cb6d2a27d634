"""Rates: no window has more than its limit, and room comes when it is said to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from postroom_store.domain.greylist import Noted, Times, judge
from postroom_store.domain.rate import SLOTS, Window

SECONDS = st.integers(1, 86_400)
STEPS = st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 7)), max_size=60)


@given(SECONDS, st.integers(1, 20), STEPS)
def test_no_window_has_more_than_its_limit(
    seconds: int, most: int, steps: list[tuple[int, int]]
) -> None:
    now, window = 1_700_000_000, Window(seconds)
    counted: list[tuple[int, int]] = []
    for later, amount in steps:
        now += later
        window = Window.decode(seconds, window.newest, window.encode())
        held = sum(each for at, each in counted if at + seconds > now)
        wait = window.count(now, amount, most)
        if wait:
            assert amount > 0
            assert 1 <= wait <= seconds + window.width
            if amount <= most:
                # That long it waits, at most, if nobody else comes.
                assert (
                    Window.decode(seconds, window.newest, window.encode()).count(
                        now + wait, amount, most
                    )
                    == 0
                )
        else:
            assert held + amount <= most
            counted.append((now, amount))


@given(SECONDS)
def test_room_comes_a_slot_late_at_most(seconds: int) -> None:
    window = Window(seconds)
    now = 1_700_000_000
    assert window.count(now, 5, 5) == 0
    assert window.count(now, 1, 5) <= seconds + -(-seconds // SLOTS)
    assert window.count(now + seconds + window.width, 5, 5) == 0


def test_more_than_there_ever_is_room_for() -> None:
    assert Window(60).count(1000, 6, 5) == 60
    assert Window(60).count(1000, 1, 0) == 60


def test_a_clock_that_is_behind_forgets_nothing() -> None:
    window = Window(160)
    assert window.count(10_000, 5, 5) == 0
    assert window.count(9_900, 1, 5) > 160


TIMES = Times(delay=300, retry=3600, known=86_400)


def test_what_comes_for_the_first_time_waits() -> None:
    noted, wait = judge(None, 1000, TIMES)
    assert (noted, wait) == (Noted(1000, 4600), 300)
    assert judge(noted, 1100, TIMES) == (noted, 200)  # too early changes nothing
    passed, wait = judge(noted, 1300, TIMES)
    assert (passed, wait) == (Noted(1000, 1300 + 86_400, passed=True), 0)
    assert judge(passed, 1301, TIMES) == (passed, 0)
    renewed, wait = judge(passed, 50_000, TIMES)
    assert (renewed.expires_at, wait) == (50_000 + 86_400, 0)
    # Too late is the first time.
    assert judge(noted, 4600, TIMES) == (Noted(4600, 8200), 300)
    assert judge(renewed, 50_000 + 86_400, TIMES)[1] == 300


def test_no_delay_lets_all_pass() -> None:
    assert judge(None, 1000, Times(0, 3600, 86_400)) == (Noted(1000, 87_400, passed=True), 0)
