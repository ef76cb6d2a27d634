"""Keeping the audit without anybody waiting for it.

Entries are put into a queue that is bounded, and written by a task of their own, a batch at a time:
an entry is in the database within a second. Where the database is away they wait; beyond the bound
the newest are counted and dropped (the log still has its line of each). So the audit can't hold up
or fail a sign-in.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from prometheus_client import Counter

from postroom_auth.domain.auditing import AuditEntry
from postroom_auth.ports import Audit

log = logs.logger(__name__)

BATCH_SECONDS = 0.25
RETRY_SECONDS = 1.0
BATCH = 1000
QUEUE = 20_000
CLOSE_SECONDS = 5.0
DROPPED = Counter("postroom_auth_audit_dropped_total", "Entries of the audit that were lost")


class AuditTrail:
    """Takes entries and has them written.

    Args:
        audit: where to.
        also: what is written lazily with them.
    """

    def __init__(self, audit: Audit, also: Callable[[], Awaitable[None]]) -> None:
        self._audit = audit
        self._also = also
        self._entries: list[AuditEntry] = []
        self._some = asyncio.Event()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def record(self, entry: AuditEntry) -> None:
        """Keep an entry."""
        if len(self._entries) >= QUEUE:
            DROPPED.inc()
            return
        self._entries.append(entry)
        self._some.set()

    async def close(self) -> None:
        """Write what is left, if the database takes it."""
        self._closing.set()
        self._some.set()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                # A batch that is being written is not cut off: it would be written once more.
                await asyncio.shield(self._task)
                while self._entries:
                    await self._write()
                await self._also()
        except (PostroomError, TimeoutError) as error:
            log.warning("audit.not_written", entries=len(self._entries), error=str(error))
        finally:
            self._task.cancel()

    async def _run(self) -> None:
        while await self._pause(BATCH_SECONDS):
            try:
                await self._write()
                await self._also()
            except Exception as error:  # whatever it is, the next entries are to be written
                log.warning("audit.not_written", entries=len(self._entries), error=str(error))
                await self._pause(RETRY_SECONDS)

    async def _pause(self, seconds: float) -> bool:
        """Wait until there is something, and then for a while; whether there is more to come."""
        await self._some.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        return not self._closing.is_set()

    async def _write(self) -> None:
        batch = self._entries[:BATCH]
        await self._audit.write(folded(batch))
        del self._entries[: len(batch)]
        if not self._entries:
            self._some.clear()


def folded(entries: Sequence[AuditEntry]) -> list[AuditEntry]:
    """Entries, those that are alike but for their time as one: a flood of attempts doesn't push
    everything else out."""
    times = Tally(replace(entry, at=0) for entry in entries)
    first: dict[AuditEntry, AuditEntry] = {}
    for entry in entries:
        alike = replace(entry, at=0)
        first.setdefault(alike, replace(entry, times=times[alike]))
    return list(first.values())
