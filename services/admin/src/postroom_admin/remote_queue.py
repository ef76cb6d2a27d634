"""What waits to be sent and what became of messages, at store over gRPC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from postroom.store.v1 import (
    delivery_pb2,
    queue_pb2,
    queue_pb2_grpc,
    trace_pb2,
    trace_pb2_grpc,
)
from postroom_chassis.rpc.client import Channel

from postroom_admin.model import (
    Attempt,
    DomainSummary,
    Outcome,
    Page,
    QueueEntry,
    QueueState,
    QueueSummary,
    Reception,
    ShownEntry,
    Suppression,
    Traced,
    TracedCopy,
    TracedEntry,
)

STATES = {
    queue_pb2.QueueEntry.STATE_WAITING: QueueState.WAITING,
    queue_pb2.QueueEntry.STATE_HELD: QueueState.HELD,
    queue_pb2.QueueEntry.STATE_LEASED: QueueState.SENDING,
}
OUTCOMES = {
    queue_pb2.OUTCOME_DELIVERED: Outcome.DELIVERED,
    queue_pb2.OUTCOME_RELAYED: Outcome.RELAYED,
    queue_pb2.OUTCOME_DEFERRED: Outcome.DEFERRED,
    queue_pb2.OUTCOME_FAILED: Outcome.FAILED,
}


class RemoteQueue:
    """ports.Queue at store."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(queue_pb2_grpc.QueueServiceStub)

    async def list(
        self, domain: str = "", page_token: str = "", page_size: int = 0
    ) -> Page[QueueEntry]:
        request = queue_pb2.ListQueueRequest(
            domain=domain, page_token=page_token, page_size=page_size
        )
        answer = await self._stub.List(request)
        return Page([_entry(entry) for entry in answer.entries], answer.next_page_token)

    async def show(self, queue_id: int) -> ShownEntry:
        answer = await self._stub.Show(queue_pb2.ShowQueueEntryRequest(queue_id=queue_id))
        return ShownEntry(_entry(answer.entry), _attempts(answer.attempts))

    async def summarize(self) -> QueueSummary:
        answer = await self._stub.Summarize(queue_pb2.SummarizeQueueRequest())
        return QueueSummary(tuple(_domain(one) for one in answer.domains), answer.total)

    async def hold(self, queue_ids: Sequence[int]) -> int:
        return (await self._stub.Hold(_entries(queue_ids))).changed

    async def release(self, queue_ids: Sequence[int]) -> int:
        return (await self._stub.Release(_entries(queue_ids))).changed

    async def retry(self, queue_ids: Sequence[int]) -> int:
        return (await self._stub.Retry(_entries(queue_ids))).changed

    async def cancel(self, queue_ids: Sequence[int]) -> int:
        return (await self._stub.Cancel(_entries(queue_ids))).changed

    async def list_suppressions(self, page_token: str = "") -> Page[Suppression]:
        request = queue_pb2.ListSuppressionsRequest(page_token=page_token)
        answer = await self._stub.ListSuppressions(request)
        found = [
            Suppression(one.address, one.reason, _time(one.created_at))
            for one in answer.suppressions
        ]
        return Page(found, answer.next_page_token)

    async def suppress(self, address: str, reason: str) -> None:
        await self._stub.Suppress(queue_pb2.SuppressRequest(address=address, reason=reason))

    async def unsuppress(self, address: str) -> None:
        await self._stub.Unsuppress(queue_pb2.UnsuppressRequest(address=address))


class RemoteTraces:
    """ports.Traces at store."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(trace_pb2_grpc.TraceServiceStub)

    async def trace(self, message_id: str) -> Traced:
        answer = await self._stub.Trace(trace_pb2.TraceRequest(message_id=message_id))
        return Traced(
            tuple(_copy(copy) for copy in answer.copies),
            tuple(_traced_entry(entry) for entry in answer.entries),
        )


def _entries(queue_ids: Iterable[int]) -> queue_pb2.QueueEntriesRequest:
    return queue_pb2.QueueEntriesRequest(queue_ids=queue_ids)


def _entry(entry: queue_pb2.QueueEntry) -> QueueEntry:
    return QueueEntry(
        queue_id=entry.queue_id,
        account_id=entry.account_id,
        sender=entry.sender,
        recipient=entry.recipient,
        state=STATES.get(entry.state, QueueState.WAITING),
        size=entry.size,
        created_at=_time(entry.created_at),
        next_attempt_at=_time(entry.next_attempt_at),
        attempts=entry.attempts,
        last_reply=entry.last_reply,
        message_id=entry.message_id,
        last_host=entry.last_host,
    )


def _attempts(attempts: Iterable[queue_pb2.Attempt]) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(
            _time(one.at), OUTCOMES.get(one.outcome, Outcome.UNKNOWN), one.reply, one.host, one.tls
        )
        for one in attempts
    )


def _domain(one: queue_pb2.SummarizeQueueResponse.Domain) -> DomainSummary:
    return DomainSummary(
        domain=one.domain,
        waiting=one.waiting,
        held=one.held,
        sending=one.leased,
        oldest=_time(one.oldest_at),
        retry_at=_time(one.retry_at) if one.retry_at else None,
        last_reply=one.last_reply,
    )


def _reception(reception: delivery_pb2.Reception) -> Reception:
    return Reception(reception.message_id, reception.client, reception.name, reception.verdict)


def _copy(copy: trace_pb2.TracedCopy) -> TracedCopy:
    return TracedCopy(
        account_id=copy.account_id,
        mailbox=copy.mailbox,
        uid=copy.uid,
        delivered_at=_time(copy.delivered_at),
        seen=copy.seen,
        expunged_at=_time(copy.expunged_at) if copy.expunged_at else None,
        sender=copy.sender,
        reception=_reception(copy.reception),
    )


def _traced_entry(entry: trace_pb2.TracedEntry) -> TracedEntry:
    return TracedEntry(
        queue_id=entry.queue_id,
        account_id=entry.account_id,
        sender=entry.sender,
        recipient=entry.recipient,
        created_at=_time(entry.created_at),
        state=STATES.get(entry.state),
        next_attempt_at=_time(entry.next_attempt_at),
        attempts=_attempts(entry.attempts),
        reception=_reception(entry.reception),
        cancelled_at=_time(entry.cancelled_at) if entry.cancelled_at else None,
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
