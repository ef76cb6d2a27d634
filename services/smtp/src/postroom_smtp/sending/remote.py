"""The queue over postroom.store.v1.SendingService.

What many connections settle at once travels together.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from operator import itemgetter
from typing import Any, cast

from postroom.store.v1 import delivery_pb2, queue_pb2, sending_pb2, sending_pb2_grpc
from postroom_chassis.rpc.client import UNARY_SECONDS, Channel
from postroom_chassis.rpc.coalesce import Coalescer
from postroom_chassis.rpc.repeating import repeat

from postroom_smtp.protocol.envelope import Body, Notify, Recipient, Request, Return
from postroom_smtp.sending.ports import Batch, Entry, Fate, Message, Outcome, Settlement, Wish

MOST_SETTLEMENTS = 100  # in a call, by contract
MOST_LEASES = 1_000  # in a call, by contract
MOST_LIMITS = 1_000  # in a call, by contract

RETURN = {
    delivery_pb2.Request.RETURN_FULL: Return.FULL,
    delivery_pb2.Request.RETURN_HEADERS: Return.HEADERS,
}
BODY = {
    delivery_pb2.Request.BODY_8BITMIME: Body.EIGHT_BIT,
    delivery_pb2.Request.BODY_BINARYMIME: Body.BINARY,
}
NOTIFY = {
    delivery_pb2.NOTIFY_NEVER: Notify.NEVER,
    delivery_pb2.NOTIFY_SUCCESS: Notify.SUCCESS,
    delivery_pb2.NOTIFY_FAILURE: Notify.FAILURE,
    delivery_pb2.NOTIFY_DELAY: Notify.DELAY,
}
OUTCOME = {
    Outcome.DELIVERED: queue_pb2.OUTCOME_DELIVERED,
    Outcome.RELAYED: queue_pb2.OUTCOME_RELAYED,
    Outcome.DEFERRED: queue_pb2.OUTCOME_DEFERRED,
    Outcome.FAILED: queue_pb2.OUTCOME_FAILED,
}


class RemoteQueue:
    """Queue over a channel to the store.

    Args:
        worker: names this process.
    """

    def __init__(self, store: Channel, worker: str) -> None:
        self._stub = store.stub(sending_pb2_grpc.SendingServiceStub)
        self._worker = worker
        self._settle = Coalescer(self._settle_many, most=MOST_SETTLEMENTS)

    async def lease(self, wish: Wish) -> Sequence[Batch]:
        request = sending_pb2.LeaseRequest(
            worker=self._worker,
            batches=wish.batches,
            entries=wish.entries,
            per_domain=wish.per_domain,
            lease_seconds=wish.lease_seconds,
            wait_seconds=wish.wait_seconds,
            limits=[
                sending_pb2.LeaseRequest.Limit(domain=domain, batches=batches)
                # Those that want nothing now first: others than these are only slowed down.
                for domain, batches in sorted(wish.limits.items(), key=itemgetter(1))[:MOST_LIMITS]
            ],
        )
        answer = await self._stub.Lease(request, timeout=wish.wait_seconds + UNARY_SECONDS)
        return [_batch(one) for one in answer.batches]

    async def extend(self, leases: Sequence[bytes], seconds: int) -> frozenset[bytes]:
        lost: set[bytes] = set()
        for at in range(0, len(leases), MOST_LEASES):
            request = sending_pb2.ExtendRequest(
                lease_ids=leases[at : at + MOST_LEASES], lease_seconds=seconds
            )
            lost.update((await self._stub.Extend(request)).lost)
        return frozenset(lost)

    async def read(self, lease_id: bytes, queue_id: int) -> AsyncIterator[bytes]:
        request = sending_pb2.ReadEntryRequest(lease_id=lease_id, queue_id=queue_id)
        pieces = cast(AsyncGenerator[sending_pb2.ReadEntryResponse, None], self._stub.Read(request))
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece.data

    async def settle(self, settlement: Settlement) -> frozenset[int]:
        return await self._settle(settlement)

    async def _settle_many(self, settlements: Sequence[Settlement]) -> list[frozenset[int]]:
        request = sending_pb2.SettleRequest(settlements=map(_settlement, settlements))
        lost = frozenset((await repeat(lambda: self._stub.Settle(request))).lost)
        return [
            lost.intersection(fate.queue_id for fate in settlement.fates)
            for settlement in settlements
        ]


def _batch(batch: sending_pb2.Batch) -> Batch:
    messages = [
        Message(one.size, one.message_id, _request(one.request), one.eight_bit)
        for one in batch.messages
    ]
    return Batch(
        batch.lease_id,
        batch.domain,
        batch.expires_at,
        batch.failures,
        tuple(_entry(one, messages[one.message]) for one in batch.entries),
    )


def _entry(entry: sending_pb2.LeasedEntry, message: Message) -> Entry:
    return Entry(
        entry.queue_id,
        message,
        entry.account_id,
        entry.sender,
        Recipient(
            entry.recipient.address,
            entry.recipient.original,
            frozenset(NOTIFY[each] for each in entry.recipient.notify if each in NOTIFY),
            entry.recipient.sender or None,
        ),
        entry.created_at,
        entry.attempts,
        entry.delay_told,
        entry.trace_id,
        entry.suppressed,
    )


def _request(request: delivery_pb2.Request) -> Request:
    return Request(
        RETURN.get(request.ret),
        request.envid,
        request.require_tls,
        request.smtputf8,
        BODY.get(request.body, Body.SEVEN_BIT),
        request.hold_until,
        request.deliver_by,
        request.by_returns,
        request.priority,
        request.tls_optional,
    )


def _settlement(settlement: Settlement) -> sending_pb2.Settlement:
    encoded = sending_pb2.Settlement(
        lease_id=settlement.lease_id,
        entries=map(_settled, settlement.fates),
        ended=settlement.ended,
    )
    if settlement.destination is not None:
        encoded.destination.reached = settlement.destination.reached
        encoded.destination.retry_at = settlement.destination.retry_at
        encoded.destination.reply = settlement.destination.reply
    return encoded


def _settled(fate: Fate) -> Any:
    return sending_pb2.SettledEntry(
        queue_id=fate.queue_id,
        attempt=queue_pb2.Attempt(
            at=fate.attempt.at,
            outcome=OUTCOME[fate.attempt.outcome],
            reply=fate.attempt.reply,
            host=fate.attempt.host,
            tls=fate.attempt.tls,
        ),
        next_attempt_at=fate.next_attempt_at,
        delay_told=fate.delay_told,
        untried=fate.untried,
    )
