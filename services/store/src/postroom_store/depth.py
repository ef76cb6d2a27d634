"""How much is in the queue, counted now and then for those who look at metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from prometheus_client import Gauge
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from postroom_store import tables
from postroom_store.database import Readers

log = logs.logger(__name__)

ENTRIES = Gauge("postroom_store_queue_entries", "Entries of the queue", ["state"])
OLDEST = Gauge("postroom_store_queue_oldest_seconds", "Age of the oldest entry of the queue")
LEASES = Gauge("postroom_store_queue_leases", "Batches that are leased")
FAILING = Gauge(
    "postroom_store_queue_failing_destinations", "Destinations that weren't reached when last tried"
)

EVERY_SECONDS = 15.0

_q = tables.queue.c
_b = tables.batches.c


@dataclass(frozen=True, slots=True)
class Depth:
    """See the metrics."""

    waiting: int
    held: int
    leased: int
    oldest_at: int | None
    leases: int
    failing: int


def measure(connection: Connection, now: int) -> Depth:
    """Count: each part by an index of its own."""

    def count(*conditions: object) -> int:
        statement = select(func.count()).select_from(tables.queue).where(*conditions)  # type: ignore[arg-type]
        return int(connection.execute(statement).scalar_one())

    live = count(tables.IS_NOT_HELD)
    leased = count(tables.IS_LEASED, _q.next_attempt_at > now)
    oldest = select(_q.created_at).order_by(_q.queue_id).limit(1)
    leases = select(func.count()).where(_b.expires_at > now)
    failing = select(func.count()).select_from(tables.destinations).where(text("failures > 0"))
    return Depth(
        live - leased,
        count() - live,
        leased,
        connection.execute(oldest).scalar(),
        int(connection.execute(leases).scalar_one()),
        int(connection.execute(failing).scalar_one()),
    )


class DepthGauge:
    """Keeps the metrics of the queue up to date, until cancelled."""

    def __init__(self, readers: Readers, clock: Callable[[], float] = time.time) -> None:
        self._readers = readers
        self._clock = clock

    async def run(self) -> None:
        while True:
            try:
                await self.update()
            except (PostroomError, DBAPIError) as error:
                log.warning("queue.not_counted", error=type(error).__name__)
            await asyncio.sleep(EVERY_SECONDS)

    async def update(self) -> None:
        now = int(self._clock())
        depth = await self._readers.run(lambda c: measure(c, now))
        for state in ("waiting", "held", "leased"):
            ENTRIES.labels(state).set(getattr(depth, state))
        OLDEST.set(0 if depth.oldest_at is None else max(now - depth.oldest_at, 0))
        LEASES.set(depth.leases)
        FAILING.set(depth.failing)
