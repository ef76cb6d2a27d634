"""A store without its RPC: an engine with the schema, a writer, a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from postroom_store.database import open_engine
from postroom_store.domain.change import WHOLE_ACCOUNT, Change
from postroom_store.migrations import migrate
from postroom_store.transaction import Transaction
from postroom_store.writer import Writer
from sqlalchemy import Connection, Engine

T = TypeVar("T")


@dataclass
class Store:
    """What stands behind a test; `published`: what mailboxes' watchers are told of."""

    engine: Engine
    writer: Writer
    published: list[tuple[int, Change]] = field(default_factory=list)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        return await self.writer.run(work)

    def read(self, work: Callable[[Connection], T]) -> T:
        with self.engine.connect() as connection:
            return work(connection)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    engine = open_engine(database_url, 4)
    migrate(engine)
    published: list[tuple[int, Change]] = []

    def publish(changes: list[tuple[int, Change]]) -> None:
        published.extend(one for one in changes if one[1].mailbox_id != WHOLE_ACCOUNT)

    made = Store(engine, Writer(engine, publish, 100), published)
    yield made
    made.writer.close()
    engine.dispose()
