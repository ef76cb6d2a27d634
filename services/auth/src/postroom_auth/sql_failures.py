"""Counts of failures in the database, which all replicas share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from postroom_auth.database import Database
from postroom_auth.domain.throttle import Pace, Record
from postroom_auth.tables import failures


class SqlFailures:
    """FailureCounts (see ports) over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, subjects: Collection[str]) -> Mapping[str, Record]:
        return await self._database.read(_read, subjects)

    async def add(self, subjects: Mapping[str, Pace], now: float) -> Mapping[str, Record]:
        return await self._database.write(_add, subjects, now)

    async def clear(self, subjects: Collection[str]) -> None:
        await self._database.write(_clear, subjects)

    async def clear_all_of(self, subject: str) -> None:
        await self._database.write(_clear_all_of, subject)

    async def prune(self, pace: Pace, now: float) -> None:
        """Remove what is forgotten by a pace."""
        await self._database.write(_prune, pace, now)


def _read(connection: sa.Connection, subjects: Collection[str]) -> dict[str, Record]:
    query = sa.select(failures).where(failures.c.subject.in_(subjects))
    rows = connection.execute(query)
    return {subject: Record(count, last) for subject, count, last in rows}


def _add(connection: sa.Connection, subjects: Mapping[str, Pace], now: float) -> dict[str, Record]:
    # In one order everywhere, so that two replicas don't wait for each other for ever.
    return {
        subject: _add_one(connection, subject, subjects[subject], now)
        for subject in sorted(subjects)
    }


def _forgotten(pace: Pace, now: float) -> sa.ColumnElement[bool]:
    """As Pace.forgotten says, of a row: a lock is remembered until its end."""
    long_ago = failures.c.last < now - max(pace.memory, pace.most)
    if not pace.lock_after:
        return long_ago
    over = failures.c.last < now - max(pace.memory, pace.pause(pace.lock_after))
    return sa.or_(over, sa.and_(long_ago, failures.c.count < pace.lock_after))


def _add_one(connection: sa.Connection, subject: str, pace: Pace, now: float) -> Record:
    insert: Any = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    long_ago = _forgotten(pace, now)
    statement = (
        insert(failures)
        .values(subject=subject, count=1, last=now)
        .on_conflict_do_update(
            index_elements=[failures.c.subject],
            set_={"count": sa.case((long_ago, 1), else_=failures.c.count + 1), "last": now},
        )
        .returning(failures.c.count)
    )
    return Record(int(connection.execute(statement).scalar_one()), now)


def _clear(connection: sa.Connection, subjects: Collection[str]) -> None:
    connection.execute(sa.delete(failures).where(failures.c.subject.in_(subjects)))


def _clear_all_of(connection: sa.Connection, subject: str) -> None:
    """Remove a subject and what begins with it and a space: its counts of known networks."""
    within = sa.and_(failures.c.subject >= f"{subject} ", failures.c.subject < f"{subject}!")
    connection.execute(sa.delete(failures).where(sa.or_(failures.c.subject == subject, within)))


def _prune(connection: sa.Connection, pace: Pace, now: float) -> None:
    connection.execute(sa.delete(failures).where(_forgotten(pace, now)))
