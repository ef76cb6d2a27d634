"""`postroom audit --follow`, where auth is away for a while."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from postroom_admin.cli import audit
from postroom_admin.model import AuditEntry, AuditFilter, Page
from postroom_admin.ports import Services
from postroom_chassis.errors import Kind, PostroomError

START = datetime(2020, 1, 1, tzinfo=UTC)
AWAY = PostroomError(Kind.UNAVAILABLE, "away")
ENOUGH = PostroomError(Kind.DENIED, "the test is over")


class FakeAuth:
    """Has entries by the second at which they were made; is asked a few times.

    Args:
        turns: how many entries there are at each time it is asked, or what it raises then.
    """

    def __init__(self, seconds: list[int], *turns: int | PostroomError) -> None:
        self._entries = [_entry(number, second) for number, second in enumerate(seconds)]
        self._turns = iter((*turns, ENOUGH))
        self._there: list[AuditEntry] = []

    async def audit(
        self, wanted: AuditFilter, page_token: str = "", page_size: int = 0
    ) -> Page[AuditEntry]:
        if not page_token:
            match next(self._turns):
                case int(count):
                    self._there = self._entries[:count]
                case fault:
                    raise fault
        found = [one for one in self._there[::-1] if one.at.timestamp() >= wanted.since]
        start = int(page_token or 0)
        end = start + page_size
        return Page(found[start:end], str(end) if end < len(found) else "")


def _entry(number: int, second: int) -> AuditEntry:
    at = START + timedelta(seconds=second)
    unknown: dict[str, Any] = dict.fromkeys(
        ("why", "protocol", "front", "mechanism", "credential", "client", "tls_version"), ""
    )
    return AuditEntry(number, at, "ann@example.org", "OK", times=1, **unknown)


async def followed(
    auth: FakeAuth, capsys: pytest.CaptureFixture[str], last: int = 100
) -> list[int]:
    """The numbers of the entries that are shown."""
    services = cast(Services, type("Only", (), {"credentials": auth}))
    with pytest.raises(PostroomError, match="the test is over"):
        await audit._follow(services, AuditFilter("", "", None, 0), last, True)
    return [json.loads(line)["entry_id"] for line in capsys.readouterr().out.splitlines()]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "FOLLOW_SECONDS", 0)


async def test_entries_of_the_time_without_auth_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    auth = FakeAuth([0, 60, 120, 3600], 1, AWAY, AWAY, 3, 4)
    assert await followed(auth, capsys) == [0, 1, 2, 3]


async def test_an_entry_that_comes_late_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = [0, 600, 600 - audit.OVERLAP_SECONDS, 610]
    assert await followed(FakeAuth(seconds, 1, 2, 3, 4, 4), capsys) == [0, 1, 2, 3]


async def test_no_more_of_the_past_than_was_asked_for_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await followed(FakeAuth([0, 1, 2, 3], 3, 3, 4), capsys, last=2) == [1, 2, 3]


async def test_more_than_a_page_at_once_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    auth = FakeAuth([0, *range(60, 2600)], 1, AWAY, 2541)
    assert await followed(auth, capsys) == list(range(2541))


async def test_where_there_was_nothing_everything_is_new(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await followed(FakeAuth([0], 0, 0, 1), capsys) == [0]
