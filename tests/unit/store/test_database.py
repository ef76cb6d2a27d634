"""Readers: each call sees one moment. And what is told where there is no database."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_store import tables
from postroom_store.database import Prepared, Readers, open_engine
from postroom_store.migrations import migrate
from postroom_store.writer import Writer
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.exc import DBAPIError

from .conftest import Store

COUNT = Prepared(select(func.count()).select_from(tables.accounts))


async def test_what_is_committed_meanwhile_is_not_seen(store: Store) -> None:
    readers = Readers(store.engine, 1)
    begun, written = threading.Event(), threading.Event()
    seen: list[int] = []

    def look(connection: Connection) -> None:
        for _ in range(2):
            seen.extend(row[0] for row in COUNT.rows(connection, {}))
            seen.append(
                connection.execute(select(func.count(tables.accounts.c.account_id))).scalar_one()
            )
            begun.set()
            assert written.wait(30)

    looking = asyncio.ensure_future(readers.run(look))
    assert await asyncio.to_thread(begun.wait, 30)
    await store.write(lambda transaction: transaction.account(7))
    written.set()
    await looking
    assert seen == [0, 0, 0, 0]
    await readers.run(look)
    assert seen[4:] == [1, 1, 1, 1]
    readers.close()


async def test_readers_write_nothing(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url, 1)
    migrate(engine)
    readers = Readers(engine, 1)
    with pytest.raises(DBAPIError, match="read-only"):
        await readers.run(lambda connection: connection.execute(delete(tables.accounts)))
    readers.close()
    engine.dispose()


async def test_a_database_that_is_away_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    engine = open_engine(f"postgresql://store@127.0.0.1:{port}/store", 1)
    readers, writer = Readers(engine, 1), Writer(engine, lambda _changes: None, 10)
    with pytest.raises(PostroomError) as unread:
        await readers.run(lambda connection: COUNT.rows(connection, {}))
    with pytest.raises(PostroomError) as unwritten:
        await writer.run(lambda transaction: transaction.account(7))
    assert (unread.value.kind, unwritten.value.kind) == (Kind.UNAVAILABLE, Kind.UNAVAILABLE)
    readers.close()
    writer.close()
    engine.dispose()
