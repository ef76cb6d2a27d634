"""The queue and the lives of messages over real gRPC with mutual TLS, against a store of a few
lines.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from postroom.store.v1 import delivery_pb2, queue_pb2, trace_pb2
from postroom_admin.model import (
    Attempt,
    Outcome,
    QueueState,
    Reception,
    Suppression,
    every,
)
from postroom_admin.remote_queue import RemoteQueue, RemoteTraces
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.server import Call, Server

from tests.harness.services import Certificates

ENTRY = queue_pb2.QueueEntry(
    queue_id=7,
    account_id=3,
    sender="ann@example.org",
    recipient="x@Example.com",
    state=queue_pb2.QueueEntry.STATE_LEASED,
    size=1000,
    created_at=100,
    next_attempt_at=200,
    attempts=2,
    last_reply="451 later",
    message_id="<1@example.org>",
    last_host="mx.example.com [192.0.2.1]",
)
TRIED = queue_pb2.Attempt(
    at=150, outcome=queue_pb2.OUTCOME_DEFERRED, reply="451 later", host="mx", tls="TLSv1.3 dane"
)
CAME = delivery_pb2.Reception(message_id="abc", client="192.0.2.7", name="x", verdict="spf=pass")


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass
class Queue:
    """What was asked, in words; answers that are always the same."""

    asked: list[str] = field(default_factory=list)

    async def List(
        self, request: queue_pb2.ListQueueRequest, call: Call
    ) -> queue_pb2.ListQueueResponse:
        self.asked.append(f"list {request.domain} {request.page_token!r} {request.page_size}")
        return queue_pb2.ListQueueResponse(entries=[ENTRY], next_page_token="next")

    async def Show(
        self, request: queue_pb2.ShowQueueEntryRequest, call: Call
    ) -> queue_pb2.ShowQueueEntryResponse:
        if request.queue_id != 7:
            raise PostroomError(Kind.NOT_FOUND, f"there is no entry {request.queue_id}")
        unknown = queue_pb2.Attempt(at=160, reply="?")
        return queue_pb2.ShowQueueEntryResponse(entry=ENTRY, attempts=[TRIED, unknown])

    async def Summarize(
        self, request: queue_pb2.SummarizeQueueRequest, call: Call
    ) -> queue_pb2.SummarizeQueueResponse:
        domain = queue_pb2.SummarizeQueueResponse.Domain
        return queue_pb2.SummarizeQueueResponse(
            domains=[
                domain(
                    domain="example.com",
                    waiting=5,
                    held=1,
                    leased=2,
                    oldest_at=100,
                    retry_at=300,
                    last_reply="connection refused",
                ),
                domain(domain="example.net", waiting=1, oldest_at=100),
            ],
            total=9,
        )

    async def Hold(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return self._change("hold", request)

    async def Release(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return self._change("release", request)

    async def Retry(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return self._change("retry", request)

    async def Cancel(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return self._change("cancel", request)

    async def ListSuppressions(
        self, request: queue_pb2.ListSuppressionsRequest, call: Call
    ) -> queue_pb2.ListSuppressionsResponse:
        names = ("c", "d") if request.page_token else ("a", "b")
        found = [
            queue_pb2.Suppression(address=f"{name}@x", reason="left", created_at=100)
            for name in names
        ]
        return queue_pb2.ListSuppressionsResponse(
            suppressions=found, next_page_token="" if request.page_token else "next"
        )

    async def Suppress(
        self, request: queue_pb2.SuppressRequest, call: Call
    ) -> queue_pb2.SuppressResponse:
        self.asked.append(f"suppress {request.address} {request.reason}")
        return queue_pb2.SuppressResponse()

    async def Unsuppress(
        self, request: queue_pb2.UnsuppressRequest, call: Call
    ) -> queue_pb2.UnsuppressResponse:
        self.asked.append(f"unsuppress {request.address}")
        return queue_pb2.UnsuppressResponse()

    def _change(
        self, what: str, request: queue_pb2.QueueEntriesRequest
    ) -> queue_pb2.QueueEntriesResponse:
        self.asked.append(f"{what} {list(request.queue_ids)}")
        return queue_pb2.QueueEntriesResponse(changed=len(request.queue_ids))


class Traces:
    async def Trace(self, request: trace_pb2.TraceRequest, call: Call) -> trace_pb2.TraceResponse:
        if request.message_id != "1@example.org":
            raise PostroomError(Kind.NOT_FOUND, "nothing is known of it")
        copy = trace_pb2.TracedCopy(
            account_id=3,
            mailbox="INBOX",
            uid=5,
            delivered_at=100,
            seen=True,
            expunged_at=400,
            sender="ann@example.org",
            reception=CAME,
        )
        left = trace_pb2.TracedEntry(queue_id=7, recipient="x@example.com", attempts=[TRIED])
        waits = trace_pb2.TracedEntry(state=queue_pb2.QueueEntry.STATE_HELD, reception=CAME)
        cancelled = trace_pb2.TracedEntry(cancelled_at=300)
        return trace_pb2.TraceResponse(copies=[copy], entries=[left, waits, cancelled])


@dataclass(frozen=True)
class Store:
    queue: RemoteQueue
    traces: RemoteTraces
    asked: list[str]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def store(certificates: Certificates, tmp_path: Path) -> AsyncIterator[Store]:
    queue = Queue()
    async with AsyncExitStack() as stack:
        server = Server(certificates.tls("store"))
        server.add(queue_pb2.DESCRIPTOR.services_by_name["QueueService"], queue)
        server.add(trace_pb2.DESCRIPTOR.services_by_name["TraceService"], Traces())
        port = await server.start("127.0.0.1:0")
        stack.push_async_callback(server.stop, 0)
        channel = Channel(f"127.0.0.1:{port}", "store", certificates.tls("admin"))
        stack.push_async_callback(channel.close)
        yield Store(RemoteQueue(channel), RemoteTraces(channel), queue.asked)


async def test_entries(store: Store) -> None:
    page = await store.queue.list("example.com", "token", 10)
    assert page.next_page_token == "next"
    (entry,) = page.items
    assert (entry.queue_id, entry.state, entry.domain) == (7, QueueState.SENDING, "example.com")
    assert (entry.created_at, entry.next_attempt_at) == (at(100), at(200))
    assert (entry.last_reply, entry.last_host) == ("451 later", "mx.example.com [192.0.2.1]")
    shown = await store.queue.show(7)
    assert shown.entry == entry
    assert shown.attempts == (
        Attempt(at(150), Outcome.DEFERRED, "451 later", "mx", "TLSv1.3 dane"),
        Attempt(at(160), Outcome.UNKNOWN, "?", "", ""),
    )
    with pytest.raises(PostroomError) as missing:
        await store.queue.show(8)
    assert missing.value.kind is Kind.NOT_FOUND


async def test_the_summary(store: Store) -> None:
    summary = await store.queue.summarize()
    assert summary.total == 9
    one, two = summary.domains
    assert (one.domain, one.waiting, one.held, one.sending) == ("example.com", 5, 1, 2)
    assert (one.oldest, one.retry_at, one.last_reply) == (at(100), at(300), "connection refused")
    assert two.retry_at is None


async def test_changes(store: Store) -> None:
    for change in (
        store.queue.hold,
        store.queue.release,
        store.queue.retry,
        store.queue.cancel,
    ):
        assert await change([1, 2]) == 2
    await store.queue.suppress("x@y", "left")
    await store.queue.unsuppress("x@y")
    assert store.asked == [
        "hold [1, 2]",
        "release [1, 2]",
        "retry [1, 2]",
        "cancel [1, 2]",
        "suppress x@y left",
        "unsuppress x@y",
    ]


async def test_suppressions_in_pages(store: Store) -> None:
    found = [one async for one in every(store.queue.list_suppressions)]
    assert [one.address for one in found] == ["a@x", "b@x", "c@x", "d@x"]
    assert found[0] == Suppression("a@x", "left", at(100))


async def test_a_life(store: Store) -> None:
    traced = await store.traces.trace("1@example.org")
    (copy,) = traced.copies
    came = Reception("abc", "192.0.2.7", "x", "spf=pass")
    assert (copy.mailbox, copy.uid, copy.seen, copy.expunged_at) == ("INBOX", 5, True, at(400))
    assert (copy.delivered_at, copy.sender, copy.reception) == (at(100), "ann@example.org", came)
    left, waits, cancelled = traced.entries
    assert (left.queue_id, left.recipient, left.state) == (7, "x@example.com", None)
    assert left.attempts == (Attempt(at(150), Outcome.DEFERRED, "451 later", "mx", "TLSv1.3 dane"),)
    assert (waits.state, waits.reception) == (QueueState.HELD, came)
    assert (left.cancelled_at, cancelled.cancelled_at) == (None, at(300))
    with pytest.raises(PostroomError) as missing:
        await store.traces.trace("2@example.org")
    assert missing.value.kind is Kind.NOT_FOUND
