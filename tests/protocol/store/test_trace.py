"""The life of a message, and how long it is told."""

from __future__ import annotations

import time

import pytest
from postroom.store.v1 import admin_pb2, delivery_pb2, message_pb2, queue_pb2, trace_pb2
from postroom_chassis.errors import Kind
from postroom_store import tables
from postroom_store.database import Readers, open_engine
from postroom_store.depth import Depth, DepthGauge, measure
from prometheus_client import REGISTRY
from sqlalchemy import delete, func, select, update

from .conftest import ANN, Callers
from .test_sending import (
    DEFERRED,
    DELIVERED,
    HELLO,
    LATER,
    lease,
    refused,
    settle,
    settled,
    submit,
)

BOB = 8
RECEPTION = delivery_pb2.Reception(
    message_id="4f00.1@mx.example.org",
    client="192.0.2.9",
    name="mail.elsewhere.test",
    verdict="spf=pass smtp.mailfrom=elsewhere.test",
)


@pytest.fixture
def blobs() -> str:
    return "sql"


async def trace(store: Callers, message_id: str) -> trace_pb2.TraceResponse:
    return await store.trace.Trace(trace_pb2.TraceRequest(message_id=message_id))


async def deliver(store: Callers, *accounts: int, queue: tuple[str, ...] = ()) -> list[int]:
    return await submit(
        store,
        *queue,
        key=b"both",
        local=[delivery_pb2.LocalRecipient(account_id=account) for account in accounts],
        reception=RECEPTION,
    )


async def test_where_a_message_lies(store: Callers) -> None:
    await deliver(store, ANN, BOB)
    for name in ("hello@example.org", "<hello@example.org>", RECEPTION.message_id):
        found = await trace(store, name)
        assert [(copy.account_id, copy.mailbox, copy.uid) for copy in found.copies] == [
            (ANN, "INBOX", 1),
            (BOB, "INBOX", 1),
        ]
        assert not found.entries
    copy = found.copies[0]
    assert (copy.sender, copy.seen, copy.expunged_at) == ("ann@example.org", False, 0)
    assert copy.reception == RECEPTION
    assert abs(copy.delivered_at - time.time()) < 60
    opened = await store.open()
    uids = [message_pb2.UidRange(first=1, last=1)]
    flags = message_pb2.StoreFlagsRequest(
        idempotency_key=b"s",
        mailbox_id=opened.mailbox.mailbox_id,
        uids=uids,
        mode=message_pb2.StoreFlagsRequest.MODE_ADD,
        flags=["\\Seen", "\\Deleted"],
    )
    await store.messages.StoreFlags(flags, metadata=store.ticket())
    assert (await trace(store, "hello@example.org")).copies[0].seen
    expunge = message_pb2.ExpungeRequest(
        idempotency_key=b"e", mailbox_id=opened.mailbox.mailbox_id, uids=uids
    )
    await store.messages.Expunge(expunge, metadata=store.ticket())
    gone = (await trace(store, "hello@example.org")).copies
    assert {copy.account_id: copy.expunged_at > 0 for copy in gone} == {ANN: True, BOB: False}
    assert await refused(trace(store, "another@example.org")) is Kind.NOT_FOUND
    assert await refused(trace(store, "")) is Kind.INVALID


async def test_what_waits_and_what_was_tried(store: Callers) -> None:
    ids = await deliver(store, BOB, queue=("a@one.test", "b@one.test", "c@one.test"))
    (batch,) = await lease(store)
    later = settled(ids[1], DEFERRED, next_attempt_at=LATER)
    await settle(store, batch, settled(ids[0], DELIVERED), later, ended=True)
    await store.queue.Cancel(queue_pb2.QueueEntriesRequest(queue_ids=ids[2:]))
    found = await trace(store, RECEPTION.message_id)
    assert len(found.copies) == 1
    entries = {entry.recipient: entry for entry in found.entries}
    waiting = queue_pb2.QueueEntry.STATE_WAITING
    assert {name: entry.state for name, entry in entries.items()} == {
        "a@one.test": 0,
        "b@one.test": waiting,
        "c@one.test": 0,
    }
    assert [each.outcome for each in entries["a@one.test"].attempts] == [DELIVERED]
    assert list(entries["b@one.test"].attempts) == [later.attempt]
    assert entries["b@one.test"].next_attempt_at == LATER
    assert not entries["c@one.test"].attempts
    cancelled = {name: entry.cancelled_at > 0 for name, entry in entries.items()}
    assert cancelled == {"a@one.test": False, "b@one.test": False, "c@one.test": True}
    assert {entry.account_id for entry in entries.values()} == {ANN}
    assert all(entry.reception == RECEPTION for entry in entries.values())


async def test_the_past_is_told_for_a_while(store: Callers, database_url: str) -> None:
    ids = await submit(store, "a@one.test", "b@one.test")
    await submit(store, "c@two.test", key=b"other", content=HELLO + b"again")
    (one, two) = sorted(await lease(store), key=lambda batch: batch.domain)
    await settle(store, one, settled(ids[0], DELIVERED), ended=True)
    await settle(store, two, settled(two.entries[0].queue_id, DELIVERED), ended=True)
    engine = open_engine(database_url, 1)
    with engine.begin() as connection:
        for table, column in ((tables.finished, "finished_at"), (tables.batches, "expires_at")):
            connection.execute(update(table).values({column: int(time.time()) - 31 * 86_400}))
    answers = [a async for a in store.admin.CollectGarbage(admin_pb2.CollectGarbageRequest())]
    assert answers[-1].finished
    with engine.connect() as connection:
        left = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (tables.finished, tables.attempts, tables.submissions, tables.batches)
        }
    engine.dispose()
    # Of the first message an entry still waits.
    assert left == {"finished": 0, "attempts": 0, "submissions": 1, "batches": 0}
    (entry,) = (await trace(store, "hello@example.org")).entries
    assert entry.queue_id == ids[1]


async def test_the_queue_is_measured(store: Callers, database_url: str) -> None:
    ids = await submit(store, *[f"u{n}@one.test" for n in range(5)])
    await store.queue.Hold(queue_pb2.QueueEntriesRequest(queue_ids=ids[:2]))
    await lease(store, batches=1, entries=1)
    engine = open_engine(database_url, 1)
    now = int(time.time())
    with engine.connect() as connection:
        depth = measure(connection, now)
        later = measure(connection, now + 3600)
    assert depth.oldest_at is not None
    assert depth == Depth(2, 2, 1, depth.oldest_at, 1, 0)
    assert later == Depth(3, 2, 0, depth.oldest_at, 0, 0)
    readers = Readers(engine, 1)
    await DepthGauge(readers).update()
    readers.close()
    engine.dispose()
    told = {
        state: REGISTRY.get_sample_value("postroom_store_queue_entries", {"state": state})
        for state in ("waiting", "held", "leased")
    }
    assert told == {"waiting": 2, "held": 2, "leased": 1}


async def test_an_entry_without_its_message_is_a_fault(store: Callers, database_url: str) -> None:
    async def faults() -> list[str]:
        request = admin_pb2.CheckIntegrityRequest()
        answers = [answer async for answer in store.admin.CheckIntegrity(request)]
        return [fault for answer in answers for fault in answer.faults]

    await submit(store, "a@one.test")
    assert await faults() == []
    engine = open_engine(database_url, 1)
    with engine.begin() as connection:
        connection.execute(delete(tables.blobs))
    engine.dispose()
    assert await faults() == [f"account {ANN}: 1 entries of the queue without their content"]
