"""kill -9 of the store while mail is queued, leased and settled: nothing is lost, nothing is sent
twice that a lease can prevent, and no attempt is counted twice. On PostgreSQL with two replicas.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from postroom.store.v1 import (
    delivery_pb2,
    delivery_pb2_grpc,
    queue_pb2,
    queue_pb2_grpc,
    sending_pb2,
    sending_pb2_grpc,
)
from postroom_chassis.errors import PostroomError
from postroom_chassis.rpc.client import Channel
from postroom_store import tables
from postroom_store.database import open_engine
from sqlalchemy import update

from tests.harness.services import Certificates

T = TypeVar("T")

DOMAINS = 6
SUBMITTERS = 3
RECIPIENTS = 3
SOME_SECONDS = 0.02  # from one message of a submitter to its next
WORKERS = 4
PER_DOMAIN = 8  # what is leased in answers that are lost counts until the leases end
KILLS = 6
BETWEEN = 25  # entries that are settled from one kill to the next
SECONDS = 120.0


class Replica:
    """A store of its own process, which is killed and comes back."""

    def __init__(self, certificates: Certificates, environment: dict[str, str]) -> None:
        self._certificates = certificates
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._channels: list[Channel] = []
        self.sending: Any = None
        self.delivery: Any = None
        self.queue: Any = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "postroom_store",
            env={**os.environ, **self._environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1024 * 1024,
        )
        port = await self._port(self._process)
        smtp, admin = (
            Channel(f"127.0.0.1:{port}", "store", self._certificates.tls(caller))
            for caller in ("smtp", "admin")
        )
        self._channels += (smtp, admin)
        self.sending = smtp.stub(sending_pb2_grpc.SendingServiceStub)
        self.delivery = smtp.stub(delivery_pb2_grpc.DeliveryServiceStub)
        self.queue = admin.stub(queue_pb2_grpc.QueueServiceStub)

    async def _port(self, process: asyncio.subprocess.Process) -> int:
        assert process.stdout is not None
        said = b""
        while line := await process.stdout.readline():
            said += line
            if b"service.ready" in line:
                self._reading = asyncio.create_task(_read_on(process.stdout))
                return int(json.loads(line)["ports"]["rpc"])
        raise AssertionError(said.decode())

    async def kill(self) -> None:
        assert self._process is not None
        assert self._reading is not None
        self._process.kill()
        await self._process.wait()
        await self._reading

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()
        for channel in self._channels:
            await channel.close()


async def _read_on(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


@asynccontextmanager
async def replicas(
    certificates: Certificates, database_url: str, folder: Path
) -> AsyncIterator[list[Replica]]:
    tls = certificates.tls("store")
    environment = {
        "POSTROOM_STORE_RPC_LISTEN": "127.0.0.1:0",
        "POSTROOM_STORE_HTTP_PORT": "0",
        "POSTROOM_STORE_DATABASE_URL": database_url,
        "POSTROOM_STORE_TICKET_PUBLIC_KEYS": str(certificates.folder / "ticket.pub"),
        "POSTROOM_STORE_LOG_FORMAT": "json",
        "POSTROOM_RPC_CERTIFICATE": str(tls.certificate),
        "POSTROOM_RPC_KEY": str(tls.key),
        "POSTROOM_RPC_AUTHORITY": str(tls.authority),
    }
    made = [
        Replica(certificates, environment)
        for _ in range(1 if database_url.startswith("sqlite") else 2)
    ]
    async with AsyncExitStack() as stack:
        for replica in made:
            stack.push_async_callback(replica.close)
            await replica.start()
        yield made


class Traffic:
    """Who submits and who sends, with what they know to have been done.

    Attributes:
        accepted: recipients by the ids of the entries that were acknowledged.
        delivered, deferred: how often each entry was, as a peer would tell.
        in_hand: entries that a worker sends just now.
    """

    def __init__(self, stores: list[Replica]) -> None:
        self._stores = stores
        self.accepted: dict[int, str] = {}
        self.delivered: Counter[int] = Counter()
        self.deferred: Counter[int] = Counter()
        self.in_hand: set[int] = set()
        self.settled = 0
        self.moved = asyncio.Condition()
        self.leasing = True
        self._numbers = itertools.count()

    async def until_answered(self, call: Callable[[Replica], Awaitable[T]]) -> T:
        """Repeat a call at whatever replica is there until there is an answer."""
        while True:
            try:
                return await call(random.choice(self._stores))
            except PostroomError:
                await asyncio.sleep(0.02)

    async def submit_until(self, over: asyncio.Task[None]) -> None:
        """Submit message after message, until something is over."""
        while not over.done():
            await self._submit(next(self._numbers))
            await asyncio.sleep(SOME_SECONDS)

    async def _submit(self, number: int) -> None:
        names = [f"u{number}-{n}@d{(number + n) % DOMAINS}.test" for n in range(RECIPIENTS)]
        request = delivery_pb2.DeliverRequest(
            deliveries=[
                delivery_pb2.Delivery(
                    idempotency_key=b"message %d" % number,
                    sender="ann@example.org",
                    content=b"Subject: %d\r\n\r\n" % number,
                    queue=[delivery_pb2.QueueRecipient(address=name) for name in names],
                )
            ]
        )
        answer = await self.until_answered(lambda store: store.delivery.Deliver(request))
        assert answer.results[0].error_kind == ""
        self.accepted.update(zip(answer.results[0].queue_ids, names, strict=True))

    async def work(self, name: str) -> None:
        request = sending_pb2.LeaseRequest(
            worker=name,
            batches=1,
            entries=3,
            per_domain=PER_DOMAIN,
            lease_seconds=600,
            wait_seconds=1,
        )
        while self.leasing:
            try:
                answer = await random.choice(self._stores).sending.Lease(request)
            except PostroomError:
                await asyncio.sleep(0.02)
                continue
            for batch in answer.batches:
                await self._send(batch)

    async def _send(self, batch: sending_pb2.Batch) -> None:
        settlement = sending_pb2.Settlement(lease_id=batch.lease_id, ended=True)
        for entry in batch.entries:
            assert entry.queue_id not in self.in_hand
            self.in_hand.add(entry.queue_id)
            assert entry.attempts == self.deferred[entry.queue_id]
            first = not entry.attempts and entry.queue_id % 3 == 0
            attempt = queue_pb2.Attempt(
                at=1, outcome=queue_pb2.OUTCOME_DEFERRED if first else queue_pb2.OUTCOME_DELIVERED
            )
            (self.deferred if first else self.delivered)[entry.queue_id] += 1
            settlement.entries.add(queue_id=entry.queue_id, attempt=attempt, next_attempt_at=1)
        await asyncio.sleep(0.005)  # what a peer takes: others work meanwhile
        # It may be settled, and leased by another, long before the answer comes here.
        self.in_hand.difference_update(entry.queue_id for entry in batch.entries)
        request = sending_pb2.SettleRequest(settlements=[settlement])
        answer = await self.until_answered(lambda store: store.sending.Settle(request))
        assert not answer.lost
        async with self.moved:
            self.settled += len(batch.entries)
            self.moved.notify_all()

    async def kill(self) -> None:
        for number in range(KILLS):
            goal = self.settled + BETWEEN
            async with self.moved:
                await self.moved.wait_for(lambda goal=goal: self.settled >= goal)  # type: ignore[misc]
            victim = self._stores[number % len(self._stores)]
            await victim.kill()
            await victim.start()


async def test_nothing_is_lost_or_sent_twice(
    certificates: Certificates, database_url: str, tmp_path: Path
) -> None:
    async with (
        asyncio.timeout(SECONDS),
        replicas(certificates, database_url, tmp_path) as stores,
        asyncio.TaskGroup() as tasks,
    ):
        traffic = Traffic(stores)
        workers = [tasks.create_task(traffic.work(f"w{n}")) for n in range(WORKERS)]
        killing = tasks.create_task(traffic.kill())
        await asyncio.gather(*(traffic.submit_until(killing) for _ in range(SUBMITTERS)))
        traffic.leasing = False
        await asyncio.gather(*workers)
        # Batches whose answers were lost with the store come back when their leases end: now.
        for store in stores:
            await store.kill()
        engine = open_engine(database_url, 1)
        with engine.begin() as connection:
            queue, batches = tables.queue, tables.batches
            connection.execute(update(queue).where(queue.c.state == 3).values(next_attempt_at=1))
            connection.execute(update(batches).values(expires_at=1))
        engine.dispose()
        for store in stores:
            await store.start()
        traffic.leasing = True
        workers = [tasks.create_task(traffic.work(f"w{n}")) for n in range(WORKERS)]
        async with traffic.moved:
            goal = len(traffic.accepted)
            await traffic.moved.wait_for(lambda: traffic.delivered.total() >= goal)
        traffic.leasing = False
        await asyncio.gather(*workers)
        left = await stores[0].queue.List(queue_pb2.ListQueueRequest())
        assert left.total == 0
        assert traffic.delivered == dict.fromkeys(traffic.accepted, 1)
        first = {queue_id for queue_id in traffic.accepted if queue_id % 3 == 0}
        assert traffic.deferred == dict.fromkeys(first, 1)
