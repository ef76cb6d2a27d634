"""When progress is told."""

from __future__ import annotations

import pytest
from postroom_store import progress
from postroom_store.progress import Progress


def test_it_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    told: list[tuple[int, int]] = []
    made = Progress(lambda done, goal: told.append((done, goal)), 10)
    made.at(1)
    assert told == []
    now += progress.SECONDS
    made.at(2)
    made.at(3)
    assert told == [(2, 10)]
    now += progress.SECONDS
    made.at(10)  # the end is no progress
    made.at(9)
    assert told == [(2, 10), (9, 10)]
