"""Engines: one way to SQLite and to PostgreSQL, and what differs between them, all in this file."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.postgresql import CONNECTION
from sqlalchemy import Connection, Engine, bindparam, create_engine, event, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.schema import Table
from sqlalchemy.sql import ClauseElement

log = logs.logger(__name__)
T = TypeVar("T")

SQLITE_CACHE_KIB = 64 * 1024
SQLITE_MMAP_BYTES = 1024 * 1024 * 1024
PAGE_BYTES = 8192  # a row of derived columns fits one page
AWAY = (OperationalError, InterfaceError)


def open_engine(url: str, pool_size: int) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://...`, whatever driver that names."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database:
            raise ValueError("SQLite needs a file")
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            hide_parameters=True,  # they are people's mail, and errors are logged
            connect_args={"check_same_thread": False, "timeout": 30},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args=dict(CONNECTION),
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say
    for pragma in (
        f"page_size={PAGE_BYTES}",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"cache_size=-{SQLITE_CACHE_KIB}",
        f"mmap_size={SQLITE_MMAP_BYTES}",
        "temp_store=MEMORY",
        "wal_autocheckpoint=4000",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    statement = "BEGIN IMMEDIATE" if writing else "BEGIN"
    try:
        driver_of(connection).execute(statement)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _told(connection, statement, error) from error


def unavailable(error: DBAPIError, told: str) -> PostroomError:
    """What callers are told of an error in AWAY, which is logged: they may come again."""
    log.warning("database.unavailable", error=str(error.orig))
    return PostroomError(Kind.UNAVAILABLE, told)


def driver_of(connection: Connection) -> Any:
    """The driver's own connection: sqlite3's or psycopg's."""
    return connection.connection.dbapi_connection


def is_sqlite(connection: Connection | Engine) -> bool:
    return connection.dialect.name == "sqlite"


class Prepared:
    """A statement of SQLAlchemy's, compiled once for each database and run by the driver itself.

    SQLAlchemy's own execution costs 20 to 70 microseconds a statement, more than SQLite takes for
    most of ours. Parameters go by name, rows come as plain tuples; bytes, text, numbers and None
    are what both drivers take as they are.

    Args:
        statement: or what makes it for a dialect, where the two databases differ.
    """

    __slots__ = ("_statement", "_texts")

    def __init__(self, statement: ClauseElement | Callable[[Dialect], ClauseElement]) -> None:
        self._statement = statement
        self._texts: dict[str, tuple[str, dict[str, Any]]] = {}

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows. Raises DBAPIError."""
        return self._run(connection, parameters).fetchall()  # type: ignore[no-any-return]

    def row(self, connection: Connection, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first row. Raises DBAPIError."""
        return self._run(connection, parameters).fetchone()  # type: ignore[no-any-return]

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> int:
        """How many rows were changed. Raises DBAPIError."""
        return int(self._run(connection, parameters).rowcount)

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run for each row of parameters. Raises DBAPIError."""
        if len(rows) == 1:
            self._run(connection, rows[0])
            return
        text, constants = self._text(connection)
        driver = driver_of(connection)
        if constants:
            rows = [{**constants, **row} for row in rows]
        try:
            driver.cursor().executemany(text, rows)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _told(connection, text, error) from error

    def _run(self, connection: Connection, parameters: Mapping[str, Any]) -> Any:
        text, constants = self._text(connection)
        driver = driver_of(connection)
        try:
            return driver.execute(text, {**constants, **parameters} if constants else parameters)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _told(connection, text, error) from error

    def _text(self, connection: Connection) -> tuple[str, dict[str, Any]]:
        """The statement for a driver, and the values that stand in it."""
        dialect = connection.dialect
        known = self._texts.get(dialect.name)
        if known is None:
            made = self._statement
            statement = made if isinstance(made, ClauseElement) else made(dialect)
            # By name in both: sqlite3's usual style would need the parameters in order.
            named = sqlite.dialect(paramstyle="named") if dialect.name == "sqlite" else dialect
            compiled = statement.compile(dialect=named)
            constants = {n: value for n, value in compiled.params.items() if value is not None}
            known = self._texts[dialect.name] = (str(compiled), constants)
        return known


def _told(connection: Connection, text: str, error: Exception) -> Exception:
    """What SQLAlchemy would have raised; a lost connection is not used again."""
    dialect = connection.dialect
    base = dialect.loaded_dbapi.Error
    lost = dialect.is_disconnect(error, driver_of(connection), None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(error)
    return DBAPIError.instance(text, None, error, base, connection_invalidated=lost)


@cache
def inserting(table: Table, columns: tuple[str, ...], ignoring: bool = False) -> Prepared:
    """INSERT of rows; where it ignores, a row is left alone whose key is there already."""
    values: dict[str, Any] = {name: bindparam(name) for name in columns}

    def statement(dialect: Dialect) -> ClauseElement:
        if not ignoring:
            return insert(table).values(values)
        if dialect.name == "sqlite":
            return sqlite.insert(table).values(values).on_conflict_do_nothing()
        return postgresql.insert(table).values(values).on_conflict_do_nothing()

    return Prepared(statement)


class Unheard(Exception):
    """Nobody listens any more."""


class Readers:
    """Threads that read, each call in a transaction of its own: one moment's view."""

    def __init__(self, engine: Engine, threads: int) -> None:
        if not is_sqlite(engine):
            # PostgreSQL shows each statement another moment otherwise. It comes with BEGIN.
            engine = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        self.engine = engine
        self._waiting: queue.SimpleQueue[_Reading | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"reader-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[Connection], T]) -> T:
        """What `work` answers, from a reader's thread.

        Raises what `work` does; PostroomError UNAVAILABLE where the database is away.
        """
        # By hand: an executor's futures and locks cost twice what passing it over does.
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put(_Reading(work, answer))
        return await answer

    async def tell(
        self, work: Callable[[Connection, Callable[[T], None]], None]
    ) -> AsyncGenerator[T, None]:
        """What `work` tells, by a call of what it is given, as it tells it.

        Raises what `work` does. Nothing holds it back: it tells no more than may be kept.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[T | None] = asyncio.Queue()
        heard = True

        def tell(one: T) -> None:
            if not heard:
                raise Unheard
            loop.call_soon_threadsafe(told.put_nowait, one)

        running = asyncio.ensure_future(self.run(lambda connection: work(connection, tell)))
        running.add_done_callback(lambda _: told.put_nowait(None))
        try:
            while (one := await told.get()) is not None:
                yield one
            await running
        finally:
            heard = False
            running.cancel()

    def close(self) -> None:
        """Carry out what waits, then stop."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        if not is_sqlite(self.engine):
            # From the pool each time: it notices connections that the server has closed.
            while reading := self._waiting.get():
                reading.carry_out(self._read)
            return
        # A file doesn't go away, and the pool costs more than a small read does.
        kept: Connection | None = None

        def read(work: Callable[[Connection], Any]) -> Any:
            nonlocal kept
            kept = kept or self.engine.connect()
            with kept.begin():
                return work(kept)

        while reading := self._waiting.get():
            reading.carry_out(read)
        if kept is not None:
            kept.close()

    def _read(self, work: Callable[[Connection], Any]) -> Any:
        with self.engine.connect() as connection:
            return work(connection)


@dataclass(slots=True)
class _Reading:
    work: Callable[[Connection], Any]
    answer: asyncio.Future[Any]

    def carry_out(self, read: Callable[[Callable[[Connection], Any]], Any]) -> None:
        if self.answer.cancelled():
            return
        outcome: Any
        failure: Exception | None
        try:
            outcome, failure = read(self.work), None
        except AWAY as error:
            outcome, failure = None, unavailable(error, "the database can't be read now")
        except Exception as error:
            outcome, failure = None, error
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            self.answer.get_loop().call_soon_threadsafe(self._settle, outcome, failure)

    def _settle(self, outcome: Any, failure: Exception | None) -> None:
        if self.answer.done():
            return
        if failure is not None:
            self.answer.set_exception(failure)
        else:
            self.answer.set_result(outcome)
