"""What is remembered of those who send, by hashes: greylists and rates.

In few statements a call, and the rows of several in order of their keys, so that replicas don't
wait for each other in circles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, select, update

from postroom_store import tables
from postroom_store.database import Prepared, inserting
from postroom_store.destinations import chunks
from postroom_store.domain.greylist import Noted, Times, judge
from postroom_store.domain.rate import Window
from postroom_store.transaction import Transaction

STEP = 2000  # rows that are removed in one transaction

_g = tables.greylist.c
_r = tables.rates.c

_UPDATE_NOTED = Prepared(
    update(tables.greylist)
    .where(_g.key == bindparam("wanted"))
    .values(first_at=bindparam("first"), expires_at=bindparam("end"), passed=bindparam("through"))
)
_UPDATE_RATE = Prepared(
    update(tables.rates)
    .where(_r.key == bindparam("wanted"))
    .values(
        seconds=bindparam("length"),
        newest=bindparam("slot"),
        counts=bindparam("packed"),
        expires_at=bindparam("end"),
    )
)


def greylist(transaction: Transaction, keys: Sequence[bytes], times: Times) -> list[int]:
    """How long each has still to wait, in order; those that are new are noted."""
    known = {
        row[0]: Noted(row[1], row[2], row[3])
        for row in _rows(transaction, tables.greylist, keys, lock=False)
    }
    waits: dict[bytes, int] = {}
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for key in sorted(set(keys)):
        before = known.get(key)
        after, waits[key] = judge(before, transaction.now, times)
        if before is None:
            new.append(
                {
                    "key": key,
                    "first_at": after.first_at,
                    "expires_at": after.expires_at,
                    "passed": after.passed,
                }
            )
        elif after != before:
            changed.append(
                {
                    "wanted": key,
                    "first": after.first_at,
                    "end": after.expires_at,
                    "through": after.passed,
                }
            )
    if new:
        # Another replica may note the same at the same time: either will do.
        inserting(tables.greylist, tuple(new[0]), ignoring=True).run_many(
            transaction.connection, new
        )
    if changed:
        transaction.run(_UPDATE_NOTED, changed)
    return [waits[key] for key in keys]


@dataclass(frozen=True, slots=True)
class Counted:
    """An amount to be counted, unless that would be more than `most` within `seconds`."""

    key: bytes
    amount: int
    most: int
    seconds: int


def count(transaction: Transaction, counted: Sequence[Counted]) -> list[int]:
    """Count what there is room for; 0 for each that was, else the seconds until there is room."""
    keys = sorted({one.key for one in counted})
    empty = Window(1).encode()
    fresh = [
        {"key": key, "seconds": 1, "newest": 0, "counts": empty, "expires_at": transaction.now + 1}
        for key in keys
    ]
    if fresh:
        inserting(tables.rates, tuple(fresh[0]), ignoring=True).run_many(
            transaction.connection, fresh
        )
    windows = {
        row[0]: Window.decode(row[1], row[2], row[3])
        for row in _rows(transaction, tables.rates, keys, lock=True)
    }
    waits: list[int] = []
    touched: dict[bytes, None] = {}
    for one in counted:
        window = windows[one.key]
        if window.seconds != one.seconds:
            window = windows[one.key] = Window(one.seconds)
        wait = window.count(transaction.now, one.amount, one.most)
        if not wait and one.amount:
            touched[one.key] = None
        waits.append(wait)
    changed = [
        {
            "wanted": key,
            "length": windows[key].seconds,
            "slot": windows[key].newest,
            "packed": windows[key].encode(),
            "end": transaction.now + windows[key].seconds + windows[key].width,
        }
        for key in sorted(touched)
    ]
    if changed:
        transaction.run(_UPDATE_RATE, changed)
    return waits


def _rows(
    transaction: Transaction, table: Table, keys: Sequence[bytes], *, lock: bool
) -> Iterator[Any]:
    """The rows of some keys; locked in the order of the keys where that is asked."""
    for some in chunks(sorted(set(keys))):
        statement = select(table).where(table.c.key.in_(some)).order_by(table.c.key)
        if lock:
            statement = statement.with_for_update()
        for key, *rest in transaction.execute(statement):
            yield (bytes(key), *rest)


def forget(transaction: Transaction, most_noted: int, most_counted: int) -> int:
    """Remove some rows that are of no use any more, and of too many those that soon will be."""
    return _forget(transaction, tables.greylist, most_noted) + _forget(
        transaction, tables.rates, most_counted
    )


def _forget(transaction: Transaction, table: Table, most: int) -> int:
    column = table.c
    old = select(column.key).where(column.expires_at <= transaction.now).limit(STEP)
    removed = int(transaction.execute(delete(table).where(column.key.in_(old))).rowcount)
    if removed:
        return removed
    held = transaction.execute(select(func.count()).select_from(table)).scalar_one()
    if held <= most:
        return 0
    first = select(column.key).order_by(column.expires_at).limit(min(held - most, STEP))
    return int(transaction.execute(delete(table).where(column.key.in_(first))).rowcount)
