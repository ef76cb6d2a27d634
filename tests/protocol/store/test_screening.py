"""What smtp's replicas remember of who sends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
from postroom.store.v1 import screening_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_store import screening, tables
from postroom_store.database import open_engine
from postroom_store.domain.rate import Window
from postroom_store.migrations import migrate
from postroom_store.transaction import Rows, Transaction
from sqlalchemy import func, insert, select, update

from .conftest import Callers

KEYS = [bytes([n]) * 16 for n in range(3)]


@pytest.fixture
def blobs() -> str:
    return "sql"


def greylist(*keys: bytes, delay: int = 300) -> screening_pb2.GreylistRequest:
    return screening_pb2.GreylistRequest(
        keys=keys, delay_seconds=delay, retry_seconds=3600, pass_seconds=86_400
    )


def counted(
    key: bytes, amount: int = 1, most: int = 10, seconds: int = 60
) -> screening_pb2.Counted:
    return screening_pb2.Counted(key=key, amount=amount, most=most, seconds=seconds)


async def count(store: Callers, *wanted: screening_pb2.Counted) -> list[int]:
    answer = await store.screening.Count(screening_pb2.CountRequest(counted=wanted))
    return list(answer.wait_seconds)


async def test_who_comes_back_in_time_is_known(store: Callers, database_url: str) -> None:
    first = list((await store.screening.Greylist(greylist(*KEYS, KEYS[0]))).wait_seconds)
    assert first == [300] * 4
    waits = (await store.screening.Greylist(greylist(KEYS[0]))).wait_seconds
    assert 290 <= waits[0] <= 300
    engine = open_engine(database_url, 1)
    with engine.begin() as connection:
        long_ago = update(tables.greylist).where(tables.greylist.c.key == KEYS[0])
        connection.execute(long_ago.values(first_at=int(time.time()) - 300))
    engine.dispose()
    for delay in (300, 3600):  # from now on it is known, whatever the delay
        answer = await store.screening.Greylist(greylist(*KEYS, delay=delay))
        assert answer.wait_seconds[0] == 0
        assert min(answer.wait_seconds[1:]) > 0


async def test_no_more_is_counted_than_there_is_room_for(store: Callers) -> None:
    assert await count(store, counted(KEYS[0], 4), counted(KEYS[0], 6), counted(KEYS[1])) == [
        0,
        0,
        0,
    ]
    (wait,) = await count(store, counted(KEYS[0]))
    assert 1 <= wait <= 64
    assert await count(store, counted(KEYS[0], 0)) == [0]
    first, second = await count(store, counted(KEYS[1], 9), counted(KEYS[1], 9))
    assert (first, second > 0) == (0, True)


async def test_callers_at_the_same_time_share_the_room(store: Callers) -> None:
    calls = [count(store, counted(KEYS[0], most=25), counted(KEYS[1], most=60)) for _ in range(50)]
    answers = await asyncio.gather(*calls)
    assert Counter(first == 0 for first, _ in answers) == {True: 25, False: 25}
    assert all(second == 0 for _, second in answers)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_replicas_share_the_room(store: Callers, database_url: str) -> None:
    """Two processes at once: the second one's count waits for the first one's commit. SQLite has
    one.
    """
    engine = open_engine(database_url, 1)
    with engine.begin() as connection:
        there = Transaction(connection, Rows())
        assert screening.count(there, [screening.Counted(KEYS[0], 10, 10, 60)]) == [0]
        here = asyncio.ensure_future(count(store, counted(KEYS[0])))
        await asyncio.sleep(0.2)
        assert not here.done()
    engine.dispose()
    assert (await here)[0] > 0


async def test_what_is_out_of_bounds_is_refused(store: Callers) -> None:
    for request in (greylist(b"short"), greylist(*[KEYS[0]] * 1001), greylist(delay=3601)):
        with pytest.raises(PostroomError) as refused:
            await store.screening.Greylist(request)
        assert refused.value.kind is Kind.INVALID
    for bad in (counted(b""), counted(KEYS[0], seconds=0), counted(KEYS[0], seconds=86_401)):
        with pytest.raises(PostroomError) as refused:
            await count(store, bad)
        assert refused.value.kind is Kind.INVALID
    assert await count(store) == []


def test_tables_stay_bounded(database_url: str) -> None:
    engine = open_engine(database_url, 1)
    migrate(engine)
    now = int(time.time())
    with engine.begin() as connection:
        noted = [
            {"key": n.to_bytes(16), "first_at": now, "expires_at": now - 5 + n, "passed": False}
            for n in range(30)
        ]
        connection.execute(insert(tables.greylist), noted)
        empty = {"seconds": 60, "newest": 0, "counts": Window(60).encode()}
        rates = [{"key": one["key"], "expires_at": one["expires_at"]} | empty for one in noted]
        connection.execute(insert(tables.rates), rates)
        transaction = Transaction(connection, Rows(), lambda: now)
        while screening.forget(transaction, 10, 20):
            pass
        left = [
            connection.execute(select(func.count(), func.min(table.c.expires_at))).one()
            for table in (tables.greylist, tables.rates)
        ]
    engine.dispose()
    # Those that were of no use go first, then those that soonest will be.
    assert [tuple(row) for row in left] == [(10, now + 15), (20, now + 5)]
