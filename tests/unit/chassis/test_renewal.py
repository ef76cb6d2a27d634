"""When a front renews tickets, and what it does where it can't."""

from __future__ import annotations

import time

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.tickets import RENEW_AT, may_go_on, renewal_delay

SOONEST, LATEST = RENEW_AT


@pytest.mark.parametrize(
    ("lasts", "renew_seconds", "there_is"),
    [(300, 0, 300), (300, 60, 60), (60, 300, 60), (0, 0, 1), (-100, 60, 1)],
)
def test_a_ticket_is_renewed_within_the_time_that_there_is(
    lasts: int, renew_seconds: int, there_is: int
) -> None:
    delay = renewal_delay(int(time.time()) + lasts, renew_seconds)
    assert SOONEST * (there_is - 2) <= delay <= LATEST * there_is


@pytest.mark.parametrize("kind", Kind)
def test_while_auth_is_away_a_ticket_is_good_for_as_long_as_it_says(kind: Kind) -> None:
    refusal = PostroomError(kind, "no")
    assert may_go_on(refusal, int(time.time()) + 60) is refusal.temporary
    assert not may_go_on(refusal, int(time.time()) - 1)
