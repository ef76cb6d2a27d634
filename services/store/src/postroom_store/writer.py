"""The group-commit writer: all that waits runs in one transaction, with one sync.

On SQLite one writer; on PostgreSQL a few, an account always on the same one.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from prometheus_client import Counter, Histogram
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from postroom_store.database import AWAY, driver_of, is_sqlite, unavailable
from postroom_store.domain.change import Change
from postroom_store.transaction import Rows, Transaction

log = logs.logger(__name__)
T = TypeVar("T")

BATCHES = Counter("postroom_store_batches_total", "Transactions committed")
BATCH_SIZE = Histogram(
    "postroom_store_batch_size",
    "Operations in a transaction",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200),
)
REPLAYS = Counter("postroom_store_replays_total", "Batches run again, one operation at a time")

CACHED_MAILBOXES = 20_000
NOT_NOW = "the database can't take this now"
ATTEMPTS = 4  # of one operation, where PostgreSQL chose it as a deadlock's or a race's victim

Operation = Callable[[Transaction], T]
Publish = Callable[[list[tuple[int, Change]]], None]
Notify = Callable[[Connection, list[tuple[int, Change]], set[str]], None]
Wake = Callable[[set[str]], None]


@dataclass(slots=True)
class _Pending(Generic[T]):
    work: Operation[T]
    durable: bool
    answer: asyncio.Future[T]


class Writer:
    """A thread that writes.

    Args:
        publish: told what changed, after each commit, in the loop of who asked for it.
        most: operations in one transaction.
        notify: tells other processes what changed and what can be sent, in the transaction.
        wake: told, like `publish`, of which destinations something can be sent.
    """

    def __init__(
        self,
        engine: Engine,
        publish: Publish,
        most: int,
        notify: Notify | None = None,
        wake: Wake | None = None,
    ) -> None:
        self._engine = engine
        self._notify = notify
        self._wake = wake
        self._publish = publish
        self._most = most
        self._sqlite = is_sqlite(engine)
        self._rows = Rows()
        self._durable = True  # as `database.open_engine` has it
        self._waiting: queue.SimpleQueue[_Pending[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def run(self, work: Operation[T], *, durable: bool = True) -> T:
        """Run an operation and answer what it answers once that is committed.

        Args:
            durable: False lets a power cut (not a crash) undo it: for batches of flag changes.

        Raises:
            PostroomError: what the operation raised; INTERNAL or UNAVAILABLE when the database
                failed.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # It is carried out even where its caller goes away.
        self._waiting.put(_Pending(work, durable, answer))
        return await answer

    def close(self) -> None:
        """Carry out what waits, then stop."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection: Connection | None = None
        while batch := self._take():
            try:
                connection = connection or self._engine.connect().execution_options(writing=True)
            except Exception as error:
                for pending in batch:
                    self._fail(pending, error)
                continue
            try:
                self._commit(connection, batch)
            except Exception as error:
                self._rows.clear()
                self._replay(connection, batch, error)
        if connection is not None:
            connection.close()

    def _take(self) -> list[_Pending[Any]]:
        first = self._waiting.get()
        if first is None:
            return []
        batch = [first]
        while len(batch) < self._most:
            try:
                another = self._waiting.get_nowait()
            except queue.Empty:
                break
            if another is None:
                self._waiting.put(None)
                break
            batch.append(another)
        return batch

    def _commit(self, connection: Any, batch: list[_Pending[Any]]) -> None:
        """Run a batch in one transaction; raises whatever makes that impossible."""
        if self._sqlite:
            durable = any(pending.durable for pending in batch)
            if durable is not self._durable:
                # By the driver: SQLAlchemy would begin a transaction, in which it can't be changed.
                driver_of(connection).execute(
                    f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}"
                )
                self._durable = durable
        if not self._sqlite or len(self._rows.mailboxes) > CACHED_MAILBOXES:
            self._rows.clear()
        outcomes: list[Any] = []
        with connection.begin():
            transaction = Transaction(connection, self._rows)
            for pending in batch:
                transaction.changed = False
                try:
                    outcomes.append(pending.work(transaction))
                except PostroomError as error:
                    if transaction.changed:
                        raise
                    outcomes.append(error)
            transaction.flush()
            if self._notify is not None:
                self._notify(connection, transaction.changes, transaction.woken)
        BATCHES.inc()
        BATCH_SIZE.observe(len(batch))
        # One call for the batch: each wakes the loop. What is committed is never run again, even
        # where the loop has ended meanwhile and nobody can be told.
        with suppress(RuntimeError):
            loop = batch[0].answer.get_loop()
            loop.call_soon_threadsafe(self._tell, transaction, batch, outcomes)

    def _tell(
        self, transaction: Transaction, batch: list[_Pending[Any]], outcomes: list[Any]
    ) -> None:
        self._publish(transaction.changes)
        if self._wake is not None and transaction.woken:
            self._wake(transaction.woken)
        for pending, outcome in zip(batch, outcomes, strict=True):
            _settle(pending.answer, outcome)

    def _replay(self, connection: Any, batch: list[_Pending[Any]], error: Exception) -> None:
        """Run each operation of a failed batch by itself: one's fault is not the others'."""
        REPLAYS.inc()
        for pending in batch:
            failure: Exception | None = error
            for _ in range(ATTEMPTS):
                try:
                    self._commit(connection, [pending])
                    failure = None
                    break
                except Exception as again:
                    failure = again
                    self._rows.clear()
                    if not isinstance(again, DBAPIError):
                        break
            if failure is not None:
                self._fail(pending, failure)

    def _fail(self, pending: _Pending[Any], failure: Exception) -> None:
        answer = pending.answer
        with suppress(RuntimeError):
            answer.get_loop().call_soon_threadsafe(_settle, answer, _told(failure))


class Writers:
    """The writers of a process; an account always gets the same one."""

    def __init__(self, writers: list[Writer]) -> None:
        self._writers = writers

    async def run(self, account_id: int, work: Operation[T], *, durable: bool = True) -> T:
        """Run an operation on an account's writer. See Writer.run."""
        writer = self._writers[account_id % len(self._writers)]
        return await writer.run(work, durable=durable)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def _settle(answer: asyncio.Future[Any], outcome: Any) -> None:
    if answer.done():  # who asked has gone
        return
    if isinstance(outcome, PostroomError):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


def _told(error: Exception) -> PostroomError:
    if isinstance(error, PostroomError):
        return error
    if isinstance(error, AWAY):
        return unavailable(error, NOT_NOW)
    log.error("store.write_failed", exc_info=error)
    if isinstance(error, DBAPIError):
        return PostroomError(Kind.UNAVAILABLE, NOT_NOW)
    return PostroomError(Kind.INTERNAL, "something went wrong here")
