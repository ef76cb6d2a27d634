"""The queue of several stores on one PostgreSQL; and of one that ends, or is brought up to date."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from postroom.store.v1 import delivery_pb2, delivery_pb2_grpc, sending_pb2, sending_pb2_grpc
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from postroom_store import destinations, leasing, tables
from postroom_store.__main__ import start
from postroom_store.database import Readers, open_engine
from postroom_store.delivery import Delivery, RemoteRecipient
from postroom_store.delivery import deliver as store_one
from postroom_store.destinations import Wish
from postroom_store.ingest import Ingest
from postroom_store.lookouts import Lookouts
from postroom_store.migrations import migrate
from postroom_store.rpc.sending import SendingService
from postroom_store.settings import StoreSettings
from postroom_store.transaction import Rows, Transaction
from postroom_store.writer import Writers

from tests.harness.services import Certificates, running

from .test_sending import wish

NOW = 1_700_000_000


@asynccontextmanager
async def store(certificates: Certificates, url: str) -> AsyncIterator[tuple[Any, Any]]:
    """A store, by the stubs of those who send and of those who deliver."""
    settings = StoreSettings(
        **certificates.settings("store"),
        database_url=url,
        ticket_public_keys=str(certificates.folder / "ticket.pub"),
    )
    async with AsyncExitStack() as stack:
        # The channel is closed last: what is answered while the store ends still arrives.
        channels = await stack.enter_async_context(AsyncExitStack())
        service = await stack.enter_async_context(running(settings, start))
        channel = await channels.enter_async_context(
            certificates.channel(service.ports["rpc"], "store", "smtp")
        )
        yield (
            channel.stub(sending_pb2_grpc.SendingServiceStub),
            channel.stub(delivery_pb2_grpc.DeliveryServiceStub),
        )


async def deliver(delivery: Any, *recipients: str) -> None:
    one = delivery_pb2.Delivery(
        idempotency_key=recipients[0].encode(),
        content=b"Subject: hello\r\n\r\n",
        queue=[delivery_pb2.QueueRecipient(address=recipient) for recipient in recipients],
    )
    answer = await delivery.Deliver(delivery_pb2.DeliverRequest(deliveries=[one]))
    assert answer.results[0].error_kind == ""


async def test_who_waits_is_woken_by_another_replica(
    certificates: Certificates, postgresql_url: str
) -> None:
    async with (
        store(certificates, postgresql_url) as (here, _),
        store(certificates, postgresql_url) as (there, delivery),
    ):
        for number in range(3):
            asked = asyncio.ensure_future(here.Lease(wish(wait_seconds=20)))
            await asyncio.sleep(0.1)
            assert not asked.done()
            began = time.monotonic()
            await deliver(delivery, f"a@{number}.test")
            (batch,) = (await asked).batches
            assert time.monotonic() - began < 10
        # What one leased is free again as soon as another settles it.
        asked = asyncio.ensure_future(here.Lease(wish(wait_seconds=20)))
        ended = sending_pb2.Settlement(lease_id=batch.lease_id, ended=True)
        began = time.monotonic()
        await there.Settle(sending_pb2.SettleRequest(settlements=[ended]))
        assert [one.domain for one in (await asked).batches] == ["2.test"]
        assert time.monotonic() - began < 10


async def test_a_limit_holds_over_all_replicas(
    certificates: Certificates, postgresql_url: str
) -> None:
    async with (
        store(certificates, postgresql_url) as (here, delivery),
        store(certificates, postgresql_url) as (there, _),
    ):
        await deliver(delivery, *[f"u{n}@one.test" for n in range(200)])
        calls = [
            stub.Lease(wish(worker=f"{n}", batches=2, entries=3, per_domain=7))
            for n in range(10)
            for stub in (here, there)
        ]
        answers = await asyncio.gather(*calls)
        batches = [batch for answer in answers for batch in answer.batches]
        assert len(batches) == 7
        ids = [entry.queue_id for batch in batches for entry in batch.entries]
        assert len(ids) == len(set(ids)) == 21


async def test_who_waits_is_let_go_by_a_store_that_ends(
    certificates: Certificates, sqlite_url: str
) -> None:
    began = time.monotonic()
    async with store(certificates, sqlite_url) as (sending, _):
        asked = asyncio.ensure_future(sending.Lease(wish(wait_seconds=20)))
        await asyncio.sleep(0.1)
    assert not (await asked).batches
    assert time.monotonic() - began < 15


async def test_a_store_that_ends_leases_nothing_more(
    sqlite_url: str,
) -> None:
    lookouts = Lookouts()
    engine = open_engine(sqlite_url, 1)
    readers, writers = Readers(engine, 1), Writers([])
    service = SendingService(readers, writers, None, lookouts)
    await lookouts.drain(1.0)
    with pytest.raises(PostroomError) as refused:
        await service.Lease(wish(wait_seconds=20), Call("smtp", None))
    assert refused.value.kind is Kind.UNAVAILABLE
    readers.close()
    engine.dispose()


def test_what_waited_before_is_leased(database_url: str) -> None:
    """Entries of a store that kept less of them."""
    engine = open_engine(database_url, 1)
    config = Config()
    config.set_main_option("script_location", "postroom_store:migrations")
    old = {
        "account_id": 7,
        "queue_id": 5,
        "sender": "ann@example.org",
        "recipient": "Bob@One.test",
        "domain": "one.test",
        "state": 1,
        "digest": b"d" * 32,
        "size": 100,
        "created_at": NOW - 10,
        "next_attempt_at": NOW - 10,
        "attempts": 0,
        "last_reply": "",
        "message_id": "x@example.org",
        "trace_id": "",
    }
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0012")
        table = sa.table("queue", *map(sa.column, old))
        connection.execute(sa.insert(table).values(old))
        command.upgrade(config, "head")
        transaction = Transaction(connection, Rows(), lambda: NOW)
        (batch,) = leasing.lease(transaction, Wish("tests", 1, 1, 1, 60), ["one.test"])
        transaction.flush()
        (entry,) = batch.entries
        assert (entry.queue_id, entry.recipient, entry.notify) == (5, "Bob@One.test", 0)
        assert batch.messages == [leasing.LeasedMessage(100, "x@example.org", b"", False)]
        (state,) = connection.execute(sa.select(tables.queue.c.state)).scalars()
        assert state == 3
    engine.dispose()


def test_a_lease_that_was_taken_over_is_over_by_every_clock(database_url: str) -> None:
    """Clocks of two replicas differ by seconds."""
    engine = open_engine(database_url, 1)
    migrate(engine)
    content = Ingest(None, 0).prepare(b"Subject: hello\r\n\r\nHow are you?\r\n")
    one = Delivery(content, "ann@example.org", [], [RemoteRecipient("bob@one.test")], 7, "")
    with engine.begin() as connection:

        def at(now: int) -> Transaction:
            return Transaction(connection, Rows(), lambda: now)

        transaction = at(NOW)
        store_one(transaction, one)
        transaction.flush()
        wished = Wish("tests", 1, 1, 1, 60)
        (first,) = leasing.lease(transaction, wished, ["one.test"])
        transaction.flush()
        ahead = at(NOW + 60)
        (second,) = leasing.lease(ahead, wished, ["one.test"])
        ahead.flush()
        behind = at(NOW + 58)
        assert leasing.extend(behind, [first.lease_id, second.lease_id], 60) == [first.lease_id]
        assert destinations.lock(behind, ["one.test"])["one.test"].active == 1
    engine.dispose()


@pytest.fixture
def blobs() -> str:
    return "sql"
