"""One database, SQLite or PostgreSQL, whose blocking calls run in threads of their own.

Reads run outside of transactions, each statement by itself; writes in one transaction each. Errors
leave as PostroomError: UNAVAILABLE where the database is away or too busy, ALREADY_EXISTS and
CONFLICT where a constraint found what a check before it could not have seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.postgresql import CONNECTION

log = logs.logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

STATEMENT_SECONDS = 10
READS = "postroom_reads"
FOREIGN_KEY_STATES = frozenset({"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"})


def open_engine(url: str, threads: int) -> sa.Engine:
    """An engine for a database URL; nothing connects yet.

    Raises:
        ValueError: the URL names no engine that is supported.
    """
    parsed = sa.make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return _open_sqlite(parsed, threads)
        case "postgresql":
            return sa.create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                pool_size=threads,
                max_overflow=0,
                hide_parameters=True,  # errors are logged, and parameters may be secrets
                pool_pre_ping=True,  # a server that is there again has none of the old ones
                connect_args={
                    **CONNECTION,
                    "options": f"-c statement_timeout={STATEMENT_SECONDS}s",
                },
            )
        case other:
            raise ValueError(f"{other} is neither sqlite nor postgresql")


def _open_sqlite(url: sa.URL, threads: int) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise ValueError("a SQLite database needs a file")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        url,
        pool_size=threads,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"timeout": STATEMENT_SECONDS, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: object, _record: object) -> None:
        # The driver must not begin transactions by itself: it would begin them as readers, and a
        # reader that comes to write may find that it can't.
        connection.isolation_level = None  # type: ignore[attr-defined]
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get(READS):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


class Database:
    """Runs functions that take a connection, in threads."""

    def __init__(self, engine: sa.Engine, threads: int) -> None:
        self.engine = engine
        # On SQLite the driver commits each statement anyway (see `_open_sqlite`).
        alone = {READS: True} if engine.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
        self._reading = engine.execution_options(**alone)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="database")

    async def read(
        self,
        work: Callable[Concatenate[sa.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What a function reads; asked twice where the connection turns out to be broken."""
        return await self._run(
            partial(self._read, lambda connection: work(connection, *args, **kwargs))
        )

    async def write(
        self,
        work: Callable[Concatenate[sa.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a function in a transaction: committed when it returns, undone when it raises."""
        return await self._run(
            partial(self._write, lambda connection: work(connection, *args, **kwargs))
        )

    async def ping(self) -> None:
        """Raises PostroomError UNAVAILABLE where the database doesn't answer."""
        await self.read(_ping)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self.engine.dispose()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            return self._read_once(work)
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise _told(error) from error
        # The server has restarted: the pool has dropped its old connections by now.
        try:
            return self._read_once(work)
        except sa.exc.DBAPIError as error:
            raise _told(error) from error

    def _read_once(self, work: Callable[[sa.Connection], T]) -> T:
        with self._reading.connect() as connection:
            return work(connection)

    def _write(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            with self.engine.begin() as connection:
                return work(connection)
        except sa.exc.DBAPIError as error:
            raise _told(error) from error


def _ping(connection: sa.Connection) -> None:
    connection.execute(sa.select(1))


def _told(error: sa.exc.DBAPIError) -> Exception:
    """The error as callers know it; a mistake in a statement stays what it is."""
    if isinstance(error, sa.exc.IntegrityError):
        return _constraint(error)
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        log.warning("database.unavailable", error=str(error.orig))
        return PostroomError(Kind.UNAVAILABLE, "the directory can't be asked now")
    return error


def _constraint(error: sa.exc.IntegrityError) -> PostroomError:
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", "")
    if state in FOREIGN_KEY_STATES:
        return PostroomError(Kind.CONFLICT, "something that this depends on has just changed")
    return PostroomError(Kind.ALREADY_EXISTS, "somebody has just made it")
