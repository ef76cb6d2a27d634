"""The queue as those who send see it, over RPC, on both databases."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from postroom.store.v1 import delivery_pb2, message_pb2, queue_pb2, sending_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from postroom_store.database import Readers, open_engine
from postroom_store.lookouts import Lookouts
from postroom_store.migrations import migrate
from postroom_store.rpc.sending import SendingService
from postroom_store.transaction import Transaction
from postroom_store.writer import Writer, Writers

from .conftest import ANN, Callers

HELLO = b"From: ann@example.org\r\nMessage-ID: <hello@example.org>\r\n\r\nHow are you?\r\n"
LARGE = b"Subject: large\r\n\r\n" + bytes(range(1, 256)) * 24_000  # 6 MB
LATER = int(time.time()) + 3600
DELIVERED = queue_pb2.OUTCOME_DELIVERED
DEFERRED = queue_pb2.OUTCOME_DEFERRED
FAILED = queue_pb2.OUTCOME_FAILED


@pytest.fixture(params=["sql"])
def blobs(request: pytest.FixtureRequest) -> str:
    """Where contents lie matters to one test, which says so."""
    return str(request.param)


async def submit(store: Callers, *recipients: str, key: bytes = b"", **fields: object) -> list[int]:
    """Queue a message for some recipients; answers the entries' ids."""
    delivery = delivery_pb2.Delivery(
        idempotency_key=key or "".join(recipients).encode()[:60],
        sender="ann@example.org",
        queue=[delivery_pb2.QueueRecipient(address=recipient) for recipient in recipients],
        submitter_ticket=store.certificates.ticket(ANN, scope="submit"),
    )
    delivery.MergeFrom(delivery_pb2.Delivery(**fields))  # type: ignore[arg-type]
    if not delivery.WhichOneof("source"):
        delivery.content = HELLO
    answer = await store.delivery.Deliver(delivery_pb2.DeliverRequest(deliveries=[delivery]))
    assert answer.results[0].error_kind == "", answer.results[0]
    return list(answer.results[0].queue_ids)


def wish(**fields: object) -> sending_pb2.LeaseRequest:
    request = sending_pb2.LeaseRequest(
        worker="tests", batches=10, entries=10, per_domain=10, lease_seconds=60
    )
    request.MergeFrom(sending_pb2.LeaseRequest(**fields))  # type: ignore[arg-type]
    return request


async def lease(store: Callers, **fields: object) -> list[sending_pb2.Batch]:
    return list((await store.sending.Lease(wish(**fields))).batches)


async def settle(
    store: Callers, batch: sending_pb2.Batch, *entries: sending_pb2.SettledEntry, **fields: object
) -> list[int]:
    """Settle entries of a batch; answers those that are lost."""
    one = sending_pb2.Settlement(lease_id=batch.lease_id, entries=entries, **fields)  # type: ignore[arg-type]
    request = sending_pb2.SettleRequest(settlements=[one])
    return list((await store.sending.Settle(request)).lost)


def settled(queue_id: int, outcome: int, **fields: object) -> sending_pb2.SettledEntry:
    attempt = queue_pb2.Attempt(
        at=1000,
        outcome=outcome,  # type: ignore[arg-type]
        reply="250 2.0.0 yes",
        host="mx.elsewhere.test [192.0.2.1]",
        tls="TLSv1.3 dane",
    )
    return sending_pb2.SettledEntry(queue_id=queue_id, attempt=attempt, **fields)  # type: ignore[arg-type]


async def content(store: Callers, batch: sending_pb2.Batch, queue_id: int) -> bytes:
    request = sending_pb2.ReadEntryRequest(lease_id=batch.lease_id, queue_id=queue_id)
    return b"".join([answer.data async for answer in store.sending.Read(request)])


async def waiting(store: Callers) -> dict[str, queue_pb2.QueueEntry]:
    """What the queue has, by recipient."""
    page = await store.queue.List(queue_pb2.ListQueueRequest())
    return {entry.recipient: entry for entry in page.entries}


async def refused(attempt: object) -> Kind:
    with pytest.raises(PostroomError) as error:
        await attempt  # type: ignore[misc]
    return error.value.kind


async def test_all_that_was_asked_is_leased(store: Callers) -> None:
    asked = delivery_pb2.Request(
        ret=delivery_pb2.Request.RETURN_HEADERS,
        envid="QQ314159",
        require_tls=True,
        smtputf8=True,
        body=delivery_pb2.Request.BODY_8BITMIME,
        deliver_by=LATER,
        by_returns=True,
        priority=-3,
    )
    recipient = delivery_pb2.QueueRecipient(
        address="Bob@Elsewhere.TEST",
        original="rfc822;Bob@elsewhere.test",
        notify=[delivery_pb2.NOTIFY_SUCCESS, delivery_pb2.NOTIFY_DELAY],
        sender="srs0=x@example.org",
    )
    message = HELLO + "Grüße\r\n".encode()
    (queue_id,) = await submit(
        store, key=b"k", queue=[recipient], request=asked, content=message, trace_id="ab" * 16
    )
    (batch,) = await lease(store)
    assert (batch.domain, batch.failures, len(batch.lease_id)) == ("elsewhere.test", 0, 16)
    assert time.time() + 50 < batch.expires_at <= time.time() + 61
    (leased,) = batch.messages
    assert leased == sending_pb2.LeasedMessage(
        size=len(message), message_id="hello@example.org", request=asked, eight_bit=True
    )
    (entry,) = batch.entries
    assert entry == sending_pb2.LeasedEntry(
        queue_id=queue_id,
        account_id=ANN,
        sender="ann@example.org",
        recipient=recipient,
        created_at=entry.created_at,
        trace_id="ab" * 16,
    )
    assert await content(store, batch, queue_id) == message
    assert await lease(store) == []


async def test_entries_of_one_message_stand_together(store: Callers) -> None:
    first = await submit(store, "a@one.test", "x@two.test", "b@one.test", "c@one.test")
    second = await submit(store, "d@one.test", key=b"2", content=b"Subject: second\r\n\r\n")
    batches = {batch.domain: batch for batch in await lease(store)}
    assert set(batches) == {"one.test", "two.test"}
    one = batches["one.test"]
    assert [entry.message for entry in one.entries] in ([0, 0, 0, 1], [0, 1, 1, 1])
    assert len(one.messages) == 2
    assert {entry.queue_id for entry in one.entries} == {*first, *second} - {first[1]}


@pytest.mark.parametrize("blobs", ["sql", "fs"], indirect=True)
async def test_a_large_message_comes_in_pieces(store: Callers) -> None:
    async def pieces() -> AsyncIterator[message_pb2.UploadRequest]:
        for start in range(0, len(LARGE), 500_000):
            yield message_pb2.UploadRequest(data=LARGE[start : start + 500_000])

    uploaded = await store.delivery.Upload(pieces())
    (queue_id,) = await submit(store, "a@one.test", upload_id=uploaded.upload_id)
    (batch,) = await lease(store)
    assert batch.messages[0].eight_bit
    assert await content(store, batch, queue_id) == LARGE


async def test_whoever_holds_no_lease_reads_nothing(store: Callers) -> None:
    queue_id, other = await submit(store, "a@one.test", "b@two.test")
    one, two = await lease(store)
    if one.domain != "one.test":
        one, two = two, one
    assert await refused(content(store, one, other)) is Kind.CONFLICT
    stranger = sending_pb2.Batch(lease_id=bytes(16))
    assert await refused(content(store, stranger, queue_id)) is Kind.CONFLICT
    assert await settle(store, one, settled(queue_id, DELIVERED)) == []
    assert await refused(content(store, one, queue_id)) is Kind.CONFLICT


async def test_what_was_delivered_or_failed_is_gone(store: Callers) -> None:
    ids = await submit(store, "a@one.test", "b@one.test", "c@one.test", "d@one.test")
    (batch,) = await lease(store)
    entries = [
        settled(ids[0], DELIVERED),
        settled(ids[1], FAILED),
        settled(ids[2], DEFERRED, next_attempt_at=LATER, delay_told=True),
    ]
    assert await settle(store, batch, *entries) == []
    # Once more, as after a lost answer: nothing is counted twice, and nothing is lost.
    assert await settle(store, batch, *entries, ended=True) == []
    left = await waiting(store)
    assert set(left) == {"c@one.test", "d@one.test"}
    deferred, untouched = left["c@one.test"], left["d@one.test"]
    assert (deferred.attempts, deferred.next_attempt_at) == (1, LATER)
    assert deferred.last_reply == "250 2.0.0 yes"
    assert deferred.last_host == "mx.elsewhere.test [192.0.2.1]"
    assert (untouched.attempts, untouched.state) == (0, queue_pb2.QueueEntry.STATE_WAITING)
    shown = await store.queue.Show(queue_pb2.ShowQueueEntryRequest(queue_id=ids[2]))
    assert list(shown.attempts) == [entries[2].attempt]
    (again,) = await lease(store)
    assert [entry.queue_id for entry in again.entries] == [ids[3]]
    assert await settle(store, batch, settled(ids[3], DELIVERED)) == [ids[3]]
    assert set(await waiting(store)) == {"c@one.test", "d@one.test"}


async def test_a_domain_has_no_more_batches_than_its_limit(store: Callers) -> None:
    await submit(store, *[f"u{n}@one.test" for n in range(50)])
    await submit(store, "a@two.test")
    batches = await lease(store, per_domain=3)
    assert sorted(batch.domain for batch in batches) == ["one.test"] * 3 + ["two.test"]
    assert await lease(store, worker="another", per_domain=3) == []
    # Whoever asks for more gets what is missing; whoever wants none, none.
    limits = [sending_pb2.LeaseRequest.Limit(domain="One.Test", batches=4)]
    assert len(await lease(store, per_domain=3, limits=limits)) == 1
    limits[0].batches = 0
    assert await lease(store, per_domain=10, limits=limits) == []
    ended = next(batch for batch in batches if batch.domain == "one.test")
    await settle(store, ended, ended=True)
    (freed,) = await lease(store, per_domain=4)
    assert freed.domain == "one.test"


async def test_no_domain_keeps_the_others_waiting(store: Callers) -> None:
    await submit(store, *[f"u{n}@big.test" for n in range(100)])
    await submit(store, *[f"u@{n}.small.test" for n in range(5)])
    batches = await lease(store, batches=6, entries=5)
    assert len({batch.domain for batch in batches}) == 6
    seen = [(await lease(store, batches=1, entries=5))[0].domain for _ in range(2)]
    assert seen == ["big.test"] * 2


async def test_turns_go_round(store: Callers) -> None:
    await submit(store, *[f"u{n}@{domain}.test" for domain in "abc" for n in range(4)])
    turns = [(await lease(store, batches=1, entries=1))[0].domain[0] for _ in range(9)]
    assert sorted(turns[:3]) == sorted(turns[3:6]) == sorted(turns[6:]) == ["a", "b", "c"]


async def test_a_destination_that_was_not_reached_is_probed(store: Callers) -> None:
    ids = await submit(store, *[f"u{n}@dead.test" for n in range(30)])
    first, second, *_ = await lease(store, batches=2)
    soon = int(time.time()) + 2
    down = sending_pb2.Destination(retry_at=soon, reply="connection refused")
    untried = [
        sending_pb2.SettledEntry(queue_id=entry.queue_id, untried=True) for entry in first.entries
    ]
    for _ in range(2):
        assert await settle(store, first, *untried, destination=down) == []
    assert await settle(store, first, ended=True) == []
    # What was under way at the same time is the same failure.
    assert await settle(store, second, ended=True, destination=down) == []
    assert await lease(store) == []
    (summary,) = (await store.queue.Summarize(queue_pb2.SummarizeQueueRequest())).domains
    assert (summary.domain, summary.waiting, summary.retry_at) == ("dead.test", 30, soon)
    assert summary.last_reply == "connection refused"
    # It is asked for while it is left alone, and comes by itself when that is over: one batch.
    (probe,) = await lease(store, wait_seconds=10)
    assert time.time() >= soon
    assert probe.failures == 1
    assert {entry.attempts for entry in probe.entries} == {0}
    assert await lease(store) == []
    done = [settled(entry.queue_id, DELIVERED) for entry in probe.entries]
    assert (
        await settle(store, probe, *done, destination=sending_pb2.Destination(reached=True)) == []
    )
    rest = await lease(store)
    assert {batch.failures for batch in rest} == {0}
    assert sum(len(batch.entries) for batch in rest) == len(ids) - len(done)


async def test_waiting_ends_with_what_comes(store: Callers) -> None:
    began = time.monotonic()
    asked = asyncio.ensure_future(lease(store, wait_seconds=20))
    await asyncio.sleep(0.1)
    assert not asked.done()
    await submit(store, "a@one.test")
    (batch,) = await asked
    assert time.monotonic() - began < 10
    asked = asyncio.ensure_future(lease(store, wait_seconds=20))
    await settle(store, batch, ended=True)
    (again,) = await asked
    assert again.entries[0].queue_id == batch.entries[0].queue_id
    # By time: what is deferred for two seconds.
    soon = int(time.time()) + 2
    asked = asyncio.ensure_future(lease(store, wait_seconds=20))
    await settle(store, again, settled(again.entries[0].queue_id, DEFERRED, next_attempt_at=soon))
    (third,) = await asked
    assert soon <= time.time() < soon + 10
    assert third.entries[0].attempts == 1
    assert await lease(store, wait_seconds=1) == []


async def test_leases_last_as_long_as_they_are_extended(store: Callers) -> None:
    await submit(store, "a@one.test")
    (batch,) = await lease(store)
    extend = sending_pb2.ExtendRequest(lease_ids=[batch.lease_id, b"nothing"], lease_seconds=600)
    assert list((await store.sending.Extend(extend)).lost) == [b"nothing"]
    (entry,) = (await waiting(store)).values()
    assert entry.state == queue_pb2.QueueEntry.STATE_LEASED
    assert entry.next_attempt_at > time.time() + 500
    await settle(store, batch, ended=True)
    assert len((await store.sending.Extend(extend)).lost) == 2


async def test_administrators_and_workers(store: Callers) -> None:
    ids = await submit(store, "a@one.test", "b@one.test")
    entries = queue_pb2.QueueEntriesRequest(queue_ids=ids[:1])
    assert (await store.queue.Hold(entries)).changed == 1
    (batch,) = await lease(store)
    assert [entry.queue_id for entry in batch.entries] == ids[1:]
    sent = queue_pb2.QueueEntriesRequest(queue_ids=ids[1:])
    for change in (store.queue.Hold, store.queue.Release, store.queue.Retry, store.queue.Cancel):
        assert await refused(change(sent)) is Kind.CONFLICT
    asked = asyncio.ensure_future(lease(store, wait_seconds=20))
    assert (await store.queue.Release(entries)).changed == 1
    (other,) = await asked
    assert [entry.queue_id for entry in other.entries] == ids[:1]
    late = settled(ids[0], DEFERRED, next_attempt_at=LATER)
    down = sending_pb2.Destination(retry_at=LATER, reply="no route to host")
    await settle(store, other, late, ended=True, destination=down)
    await settle(store, batch, ended=True)
    assert await lease(store) == []
    asked = asyncio.ensure_future(lease(store, wait_seconds=20))
    assert (await store.queue.Retry(entries)).changed == 1
    (probe,) = await asked
    assert {entry.queue_id for entry in probe.entries} == set(ids)


async def test_a_domain_is_hastened(store: Callers) -> None:
    held_back = delivery_pb2.Request(hold_until=LATER)
    await submit(store, "later@one.test", key=b"1", request=held_back)
    await submit(store, "a@one.test", "b@sub.one.test", "c@anyone.test")
    for batch in await lease(store):
        entries = [
            settled(entry.queue_id, DEFERRED, next_attempt_at=LATER) for entry in batch.entries
        ]
        await settle(store, batch, *entries, ended=True)
    assert await lease(store) == []
    answer = await store.sending.Hasten(sending_pb2.HastenRequest(domain="ONE.test"))
    assert answer.waiting == 2
    (batch,) = await lease(store)
    assert [entry.recipient.address for entry in batch.entries] == ["a@one.test"]
    answer = await store.sending.Hasten(
        sending_pb2.HastenRequest(domain="one.test", subdomains=True)
    )
    assert answer.waiting == 3
    (batch,) = await lease(store)
    assert batch.domain == "sub.one.test"
    assert (await store.sending.Hasten(sending_pb2.HastenRequest(domain="no.test"))).waiting == 0


async def test_nothing_is_sent_to_suppressed_addresses(store: Callers) -> None:
    await submit(store, "a@one.test", "b@one.test")
    for reason in ("it bounced", "it bounced twice"):
        await store.queue.Suppress(queue_pb2.SuppressRequest(address="A@One.Test", reason=reason))
    (listed,) = (
        await store.queue.ListSuppressions(queue_pb2.ListSuppressionsRequest())
    ).suppressions
    assert (listed.address, listed.reason) == ("a@one.test", "it bounced twice")
    (batch,) = await lease(store)
    assert {entry.recipient.address: entry.suppressed for entry in batch.entries} == {
        "a@one.test": True,
        "b@one.test": False,
    }
    gone = queue_pb2.UnsuppressRequest(address="a@one.test")
    await store.queue.Unsuppress(gone)
    assert await refused(store.queue.Unsuppress(gone)) is Kind.NOT_FOUND
    assert (
        await refused(store.queue.Suppress(queue_pb2.SuppressRequest(address="x"))) is Kind.INVALID
    )


async def test_what_has_priority_goes_ahead(store: Callers) -> None:
    for priority in (0, -9, 4, 2):
        request = delivery_pb2.Request(priority=priority)
        await submit(store, f"p{priority}@one.test", key=b"%d" % priority, request=request)
    names = [
        batch.entries[0].recipient.address
        for _ in range(4)
        for batch in await lease(store, batches=1, entries=1)
    ]
    assert names[:2] == ["p4@one.test", "p2@one.test"]
    assert set(names[2:]) == {"p0@one.test", "p-9@one.test"}


async def test_what_nobody_waits_for_is_given_back(store: Callers, database_url: str) -> None:
    """A caller that goes away while its lease is being written."""
    engine = open_engine(database_url, 2)
    migrate(engine)
    readers, writer = Readers(engine, 1), Writer(engine, lambda _changes: None, 10)
    service = SendingService(readers, Writers([writer]), None, Lookouts())
    await submit(store, "a@one.test")
    written, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def last(transaction: Transaction) -> None:
        loop.call_soon_threadsafe(written.set)
        go_on.wait(30)

    looked = service._readers.run

    async def then_keep_it_waiting(work: Any) -> Any:
        found = await looked(work)
        behind.append(asyncio.ensure_future(writer.run(last)))
        await written.wait()
        return found

    behind: list[asyncio.Future[None]] = []
    readers.run = then_keep_it_waiting  # type: ignore[method-assign]
    asked = asyncio.ensure_future(service.Lease(wish(), Call("smtp", None)))
    await written.wait()
    while not service._leasing.locked() or writer._waiting.empty():  # noqa: ASYNC110
        await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    go_on.set()
    while service._returning:
        await asyncio.gather(*service._returning)
    await asyncio.gather(*behind)
    readers.close()
    writer.close()
    engine.dispose()
    (entry,) = (await waiting(store)).values()
    assert entry.state == queue_pb2.QueueEntry.STATE_WAITING
    assert [batch.domain for batch in await lease(store)] == ["one.test"]


async def test_what_is_out_of_bounds_is_refused(store: Callers) -> None:
    for bad in (
        {"worker": "x" * 256},
        {"batches": 101},
        {"entries": 1001},
        {"lease_seconds": 3601},
        {"wait_seconds": 21},
    ):
        assert await refused(lease(store, **bad)) is Kind.INVALID
    batch = sending_pb2.Batch(lease_id=b"x")
    assert await refused(settle(store, batch, sending_pb2.SettledEntry(queue_id=1))) is Kind.INVALID
    never = [delivery_pb2.NOTIFY_NEVER, delivery_pb2.NOTIFY_DELAY]
    for recipient in (
        delivery_pb2.QueueRecipient(address="a@one.test", notify=never),
        delivery_pb2.QueueRecipient(address="a@"),
        delivery_pb2.QueueRecipient(address="a" * 2000 + "@one.test"),
    ):
        delivery = delivery_pb2.Delivery(idempotency_key=b"k", content=HELLO, queue=[recipient])
        answer = await store.delivery.Deliver(delivery_pb2.DeliverRequest(deliveries=[delivery]))
        assert answer.results[0].error_kind == "INVALID"
