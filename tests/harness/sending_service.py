"""SendingService over a queue in memory, with what a worker needs beside it, so that a worker may
be a process of its own and die.

Calls can be held on their way: a worker waits for the answer to one that has been done, or hasn't.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import NoReturn

from postroom.auth.v1 import directory_pb2
from postroom.store.v1 import delivery_pb2, queue_pb2, sending_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call, Server
from postroom_smtp.protocol.envelope import Request
from postroom_smtp.sending.ports import (
    Attempt,
    Batch,
    Destination,
    Entry,
    Fate,
    Outcome,
    Settlement,
    Wish,
)

from tests.harness.queue import MemoryQueue
from tests.harness.services import Certificates

OUTCOME = {
    queue_pb2.OUTCOME_DELIVERED: Outcome.DELIVERED,
    queue_pb2.OUTCOME_RELAYED: Outcome.RELAYED,
    queue_pb2.OUTCOME_DEFERRED: Outcome.DEFERRED,
    queue_pb2.OUTCOME_FAILED: Outcome.FAILED,
}


class Held(Enum):
    """Where a call is stopped."""

    BEFORE = "nothing has been done"
    AFTER = "it has been done, and nobody has heard"


@dataclass
class Gate:
    """Stops calls of one name, once.

    Attributes:
        reached: one has been stopped.
    """

    name: str = ""
    where: Held = Held.BEFORE
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_(self, name: str, where: Held) -> None:
        if (name, where) == (self.name, self.where):
            self.name = ""
            self.reached.set()
            await asyncio.Event().wait()


class _InPart:
    """A service some of whose calls nobody makes here."""

    def __getattr__(self, name: str) -> Callable[[object, Call], Awaitable[NoReturn]]:
        async def unserved(request: object, call: Call) -> NoReturn:
            raise PostroomError(Kind.UNSUPPORTED, name)

        return unserved


class Sending(_InPart):
    """The RPC service."""

    def __init__(self, queue: MemoryQueue, gate: Gate) -> None:
        self._queue = queue
        self._gate = gate
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Wait until nobody asks for anything to send: who died asks no more."""
        await self._idle.wait()

    async def Lease(
        self, request: sending_pb2.LeaseRequest, call: Call
    ) -> sending_pb2.LeaseResponse:
        self._calls += 1
        self._idle.clear()
        try:
            return await self._lease(request)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def _lease(self, request: sending_pb2.LeaseRequest) -> sending_pb2.LeaseResponse:
        await self._gate.pass_("Lease", Held.BEFORE)
        wish = Wish(
            request.batches,
            request.entries,
            request.per_domain,
            request.lease_seconds,
            request.wait_seconds,
            {one.domain: one.batches for one in request.limits},
        )
        batches = await self._queue.lease(wish)
        if batches:
            await self._gate.pass_("Lease", Held.AFTER)
        return sending_pb2.LeaseResponse(batches=map(_batch, batches))

    async def Extend(
        self, request: sending_pb2.ExtendRequest, call: Call
    ) -> sending_pb2.ExtendResponse:
        lost = await self._queue.extend(list(request.lease_ids), request.lease_seconds)
        return sending_pb2.ExtendResponse(lost=lost)

    async def Read(
        self, request: sending_pb2.ReadEntryRequest, call: Call
    ) -> AsyncIterator[sending_pb2.ReadEntryResponse]:
        await self._gate.pass_("Read", Held.BEFORE)
        async for piece in self._queue.read(request.lease_id, request.queue_id):
            yield sending_pb2.ReadEntryResponse(data=piece)

    async def Settle(
        self, request: sending_pb2.SettleRequest, call: Call
    ) -> sending_pb2.SettleResponse:
        await self._gate.pass_("Settle", Held.BEFORE)
        lost: set[int] = set()
        for settlement in request.settlements:
            lost |= await self._queue.settle(_settlement(settlement))
        await self._gate.pass_("Settle", Held.AFTER)
        return sending_pb2.SettleResponse(lost=lost)


@dataclass
class Deliveries(_InPart):
    """The store's DeliveryService: takes each key once."""

    gate: Gate
    taken: dict[bytes, delivery_pb2.Delivery] = field(default_factory=dict)

    async def Deliver(
        self, request: delivery_pb2.DeliverRequest, call: Call
    ) -> delivery_pb2.DeliverResponse:
        await self.gate.pass_("Deliver", Held.BEFORE)
        for one in request.deliveries:
            self.taken.setdefault(one.idempotency_key, one)
        await self.gate.pass_("Deliver", Held.AFTER)
        results = [delivery_pb2.DeliveryResult() for _ in request.deliveries]
        return delivery_pb2.DeliverResponse(results=results)


class Directory(_InPart):
    """Auth's: everybody is here."""

    async def Resolve(
        self, request: directory_pb2.ResolveRequest, call: Call
    ) -> directory_pb2.ResolveResponse:
        return directory_pb2.ResolveResponse(
            resolutions=[
                directory_pb2.Resolution(
                    kind=directory_pb2.Resolution.KIND_LOCAL,
                    recipients=[directory_pb2.Recipient(account_id=7, address=address)],
                )
                for address in request.addresses
            ]
        )


@dataclass(frozen=True)
class Behind:
    """The services, and where they are."""

    queue: MemoryQueue
    gate: Gate
    sending: Sending
    deliveries: Deliveries
    certificates: Certificates
    store: int
    auth: int


@asynccontextmanager
async def serving(certificates: Certificates) -> AsyncIterator[Behind]:
    """Serve until the context ends."""
    queue, gate = MemoryQueue(), Gate()
    sending, deliveries = Sending(queue, gate), Deliveries(gate)
    store, auth = Server(certificates.tls("store")), Server(certificates.tls("auth"))
    store.add(sending_pb2.DESCRIPTOR.services_by_name["SendingService"], sending)
    store.add(delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"], deliveries)
    auth.add(directory_pb2.DESCRIPTOR.services_by_name["DirectoryService"], Directory())
    async with AsyncExitStack() as stack:
        ports = []
        for server in (store, auth):
            ports.append(await server.start("127.0.0.1:0"))
            stack.push_async_callback(server.stop, 0)
        yield Behind(queue, gate, sending, deliveries, certificates, *ports)


def _batch(batch: Batch) -> sending_pb2.Batch:
    # By identity: two messages may look the same.
    messages = {id(one.message): one.message for one in batch.entries}
    numbers = {key: number for number, key in enumerate(messages)}
    return sending_pb2.Batch(
        lease_id=batch.lease_id,
        domain=batch.domain,
        expires_at=batch.expires_at,
        failures=batch.failures,
        entries=[_entry(one, numbers[id(one.message)]) for one in batch.entries],
        messages=[
            sending_pb2.LeasedMessage(
                size=one.size,
                message_id=one.message_id,
                request=_request(one.request),
                eight_bit=one.eight_bit,
            )
            for one in messages.values()
        ],
    )


def _entry(entry: Entry, message: int) -> sending_pb2.LeasedEntry:
    return sending_pb2.LeasedEntry(
        queue_id=entry.queue_id,
        message=message,
        account_id=entry.account_id,
        sender=entry.sender,
        recipient=delivery_pb2.QueueRecipient(
            address=entry.recipient.address,
            original=entry.recipient.original,
            notify=[
                delivery_pb2.Notify.Value(f"NOTIFY_{one.name}") for one in entry.recipient.notify
            ],
            sender=entry.recipient.sender or "",
        ),
        created_at=entry.created_at,
        attempts=entry.attempts,
        delay_told=entry.delay_told,
        trace_id=entry.trace_id,
        suppressed=entry.suppressed,
    )


def _request(request: Request) -> delivery_pb2.Request:
    return delivery_pb2.Request(
        ret=delivery_pb2.Request.Return.Value(
            f"RETURN_{request.ret.name}" if request.ret else "RETURN_UNSPECIFIED"
        ),
        envid=request.envid,
        require_tls=request.require_tls,
        smtputf8=request.smtputf8,
        body={
            "7BIT": delivery_pb2.Request.BODY_UNSPECIFIED,
            "8BITMIME": delivery_pb2.Request.BODY_8BITMIME,
            "BINARYMIME": delivery_pb2.Request.BODY_BINARYMIME,
        }[request.body.value],
        hold_until=request.hold_until,
        deliver_by=request.deliver_by,
        by_returns=request.by_returns,
        priority=request.priority,
    )


def _settlement(settlement: sending_pb2.Settlement) -> Settlement:
    told = settlement.destination
    return Settlement(
        settlement.lease_id,
        tuple(
            Fate(
                one.queue_id,
                Attempt(
                    one.attempt.at,
                    OUTCOME[one.attempt.outcome],
                    one.attempt.reply,
                    one.attempt.host,
                    one.attempt.tls,
                ),
                one.next_attempt_at,
                one.delay_told,
                one.untried,
            )
            for one in settlement.entries
        ),
        settlement.ended,
        Destination(told.reached, told.retry_at, told.reply)
        if settlement.HasField("destination")
        else None,
    )
