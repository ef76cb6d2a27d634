"""Removing what is kept for a time, when that is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError

from postroom_auth.domain.throttle import Pace
from postroom_auth.sql_audit import SqlAudit
from postroom_auth.sql_failures import SqlFailures

log = logs.logger(__name__)

EVERY_SECONDS = 600.0
MOST_STEPS = 1000  # of one turn
BETWEEN_SECONDS = 0.1  # so that sign-ins get the database, too


class Housekeeping:
    """Looks after the audit and the failures, now and then.

    Args:
        audit_seconds: how long an entry is kept.
        audit_entries: how many are kept.
        pace: by which failures are forgotten.
        clock: Unix seconds.
    """

    def __init__(
        self,
        audit: SqlAudit,
        failures: SqlFailures,
        audit_seconds: float,
        audit_entries: int,
        pace: Pace,
        clock: Callable[[], float],
    ) -> None:
        self._audit = audit
        self._failures = failures
        self._audit_seconds = audit_seconds
        self._audit_entries = audit_entries
        self._pace = pace
        self._clock = clock
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def clean(self) -> None:
        """Remove all that is over."""
        now = self._clock()
        await self._failures.prune(self._pace, now)
        before = int((now - self._audit_seconds) * 1000)
        for _ in range(MOST_STEPS):
            if not await self._audit.prune(before, self._audit_entries):
                return
            await asyncio.sleep(BETWEEN_SECONDS)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.clean()
            except PostroomError as error:
                log.warning("housekeeping.put_off", error=error.message)
