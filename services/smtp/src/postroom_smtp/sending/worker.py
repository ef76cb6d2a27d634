"""A worker: leases what is due, has it sent, and keeps the leases alive meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from prometheus_client import Gauge

from postroom_smtp.sending.courier import Courier
from postroom_smtp.sending.pace import Pace
from postroom_smtp.sending.passage import Lease
from postroom_smtp.sending.ports import Batch, Queue, Settlement, Wish

log = logs.logger(__name__)

UNDER_WAY = Gauge("postroom_smtp_batches_under_way", "Batches that are being sent")

MOST_BATCHES = 100  # that are leased at once, by contract
WAIT_SECONDS = 5  # for something to send; also how long a drain may have to wait for the store
MOST_WAITING = 2  # times as many batches as are sent may wait for connections
MARGIN_SECONDS = 2.0  # before a lease's end at which nothing more is begun with it
FAULT_SECONDS = 1.0  # after which a store that failed is asked again
MOST_FAULT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """How much a worker takes on.

    Attributes:
        batches: at a time: about as many connections.
        entries: of a batch.
        per_domain: batches of a domain, of all workers together.
        lease_seconds: for which a batch is ours, without word from us.
    """

    batches: int = 200
    entries: int = 100
    per_domain: int = 10
    lease_seconds: int = 120


class Worker:
    """Sends until it is drained."""

    def __init__(
        self,
        queue: Queue,
        courier: Courier,
        pace: Pace,
        load: Load,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._courier = courier
        self._pace = pace
        self._load = load
        self._clock = clock
        self._leases: dict[bytes, tuple[Lease, asyncio.Task[None]]] = {}
        self._room = courier.news
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to send."""
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._extend())]

    async def drain(self, seconds: float) -> None:
        """Lease nothing more. The messages under way have so long to come to their end; the rest
        waits for others.
        """
        self._stopping.set()
        self._courier.draining = True
        self._room.set()
        deadline = self._clock() + seconds
        if self._tasks:
            # A call that is under way may lease something, which others would wait for.
            await asyncio.wait(self._tasks[:1], timeout=seconds)
        under_way = [task for _, task in self._leases.values()]
        if under_way:
            await asyncio.wait(under_way, timeout=max(deadline - self._clock(), 0))
        self._courier.leaving.set()
        for task in under_way:
            task.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*under_way, *self._tasks, return_exceptions=True)
        self._courier.pool.close()

    async def _work(self) -> None:
        faults = 0
        while not self._stopping.is_set():
            if (room := self._free) <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            began = self._clock()
            try:
                batches = await self._queue.lease(self._wish(room))
                faults = 0
            except PostroomError as error:
                log.warning("smtp.lease_failed", error=str(error))
                await self._pause(min(FAULT_SECONDS * 2**faults, MOST_FAULT_SECONDS))
                faults = min(faults + 1, 10)
                continue
            for batch in batches:
                self._begin(batch, began)

    @property
    def _free(self) -> int:
        """How many more batches may be taken on. Those that wait for a connection, perhaps to who
        is dead, take no room from the others, as long as they aren't too many.
        """
        leased, most = len(self._leases), self._load.batches
        waiting = min(self._courier.connecting, MOST_WAITING * most)
        return most + waiting - leased

    def _wish(self, room: int) -> Wish:
        load = self._load
        return Wish(
            min(room, MOST_BATCHES),
            load.entries,
            load.per_domain,
            load.lease_seconds,
            WAIT_SECONDS,
            self._pace.limits(),
        )

    def _begin(self, batch: Batch, asked_at: float) -> None:
        # The lease began after the call for it: it lasts longer than we think, and never shorter.
        until = asked_at + self._load.lease_seconds - MARGIN_SECONDS
        lease = Lease(batch.lease_id, until, self._clock)
        if self._stopping.is_set():
            sending = self._give_back(lease)
        else:
            sending = self._courier.send(batch, lease)
        task = asyncio.create_task(sending)
        self._leases[lease.id] = lease, task
        UNDER_WAY.set(len(self._leases))
        task.add_done_callback(lambda done: self._ended(lease, done))

    async def _give_back(self, lease: Lease) -> None:
        try:
            await self._queue.settle(Settlement(lease.id, ended=True))
        except PostroomError as error:
            log.warning("smtp.lease_not_ended", error=str(error))

    def _ended(self, lease: Lease, task: asyncio.Task[None]) -> None:
        del self._leases[lease.id]
        UNDER_WAY.set(len(self._leases))
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("smtp.sending_broke", error=repr(error), exc_info=error)

    async def _extend(self) -> None:
        """Keep leases alive, and drop what is lost."""
        while True:
            await asyncio.sleep(self._load.lease_seconds / 4)
            now = self._clock()
            for lease, task in list(self._leases.values()):
                if now >= lease.until:
                    give_up(lease, task)
            held = [lease.id for lease, _ in self._leases.values() if not lease.over]
            if not held:
                continue
            try:
                lost = await self._queue.extend(held, self._load.lease_seconds)
            except PostroomError as error:
                log.warning("smtp.extension_failed", error=str(error))
                continue
            for lease_id in held:
                if lease_id not in self._leases:
                    continue
                lease, task = self._leases[lease_id]
                if lease_id in lost:
                    log.warning("smtp.lease_lost")
                    give_up(lease, task)
                else:
                    lease.until = now + self._load.lease_seconds - MARGIN_SECONDS

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass


def give_up(lease: Lease, task: asyncio.Task[None]) -> None:
    """Nothing more is sent by a lease. What is known is told all the same, so it is said once."""
    if not lease.over:
        lease.over = True
        task.cancel()
