"""Greylisting (RFC 6647): what comes for the first time waits, and may come back within a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

REFRESH_PART = 16  # of the time for which one is known: less than that more isn't worth a write


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds: how long a first attempt is put off, within which time it must come back, and for
    how long one that came back is known.
    """

    delay: int
    retry: int
    known: int


@dataclass(frozen=True, slots=True)
class Noted:
    """What is remembered of a key, until `expires_at` (Unix seconds)."""

    first_at: int
    expires_at: int
    passed: bool = False


def judge(noted: Noted | None, now: int, times: Times) -> tuple[Noted, int]:
    """What is to be remembered, and how many seconds it has still to wait; 0: it may pass."""
    if noted is None or noted.expires_at <= now:
        noted = Noted(now, now + times.retry)
    if not noted.passed and (wait := noted.first_at + times.delay - now) > 0:
        return noted, wait
    until = now + times.known
    if noted.passed and until - noted.expires_at < times.known // REFRESH_PART:
        return noted, 0
    return replace(noted, expires_at=until, passed=True), 0
