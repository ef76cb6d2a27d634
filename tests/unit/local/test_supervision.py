"""What has died is told and started again, less and less often."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy.local.child import Child, StartFailed
from deploy.local.supervision import FIRST_DELAY, LONGEST_DELAY, RECOVERED_SECONDS, Supervision

SECONDS = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def child(folder: Path, program: str) -> Child:
    return Child("imap", [sys.executable, "-c", program], {}, folder / "imap.log")


@pytest.fixture
def dying(tmp_path: Path) -> Child:
    """A process that says something and ends."""
    made = child(tmp_path, "print('out of memory'); raise SystemExit(3)")
    made.start()
    made.await_stop(SECONDS)
    return made


def test_a_death_is_told_with_the_last_lines(dying: Child) -> None:
    told: list[str] = []

    Supervision([dying], told.append, Clock()).look()

    (text,) = told
    assert text.startswith("imap exited with 3; starting it again in 0.5 s.")
    assert text.endswith("  out of memory")


def test_a_process_that_runs_is_left_alone(tmp_path: Path) -> None:
    running = child(tmp_path, "import time; time.sleep(600)")
    running.start()
    told: list[str] = []

    Supervision([running], told.append, Clock()).look()
    pid = running.pid
    running.kill()

    assert told == []
    assert running.pid == pid
    assert running.status == "was ended by SIGKILL"


def test_delays_double_up_to_the_longest(dying: Child) -> None:
    clock, delays = Clock(), []
    supervision = Supervision([dying], lambda _: None, clock)
    for _ in range(9):
        supervision.look()
        died, pid = clock.now, dying.pid
        while dying.pid == pid:
            clock.now += FIRST_DELAY
            supervision.look()
        delays.append(clock.now - died)
        dying.await_stop(SECONDS)

    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]


def test_a_long_life_is_forgiven(dying: Child) -> None:
    clock, told = Clock(), list[str]()
    supervision = Supervision([dying], told.append, clock)
    for _ in range(2):
        supervision.look()
        clock.now += FIRST_DELAY
        supervision.look()
        dying.await_stop(SECONDS)
        clock.now += RECOVERED_SECONDS

    assert all("again in 0.5 s" in text for text in told)


def test_an_end_before_readiness_is_told_at_once(tmp_path: Path) -> None:
    failing = Child(
        "smtp",
        [
            sys.executable,
            "-c",
            "raise SystemExit('POSTROOM_SMTP_HOSTNAME: not the name of a host')",
        ],
        {},
        tmp_path / "smtp.log",
        http_port=1,
    )
    failing.start()

    with pytest.raises(StartFailed, match=r"smtp exited with 1:\n  POSTROOM_SMTP_HOSTNAME: not"):
        failing.await_ready(deadline=float("inf"))


def test_the_log_before_a_start_is_not_told_again(dying: Child) -> None:
    dying.log.write_bytes(dying.log.read_bytes() + b"between two starts\n")

    dying.start()
    dying.await_stop(SECONDS)

    assert dying.tail() == "  out of memory"
