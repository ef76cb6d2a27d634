"""What messages are sorted and threaded by, as columns (RFC 5256, RFC 5957).

Who asks sorts: the columns never change, so that a front that keeps them sorts without a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    cast,
    func,
    select,
)

from postroom_store import tables
from postroom_store.database import Prepared

FEW = 500  # messages of one statement
SPARSE = 4  # messages of which more than every fourth is wanted are read as a range

_p = tables.placements.c
_e = tables.emails.c

# By the names that the API gives them.
SORTABLE: dict[str, ColumnElement[Any]] = {
    # RFC 5256 section 2.2: without a usable Date, the internal date stands in.
    "sent_at": func.coalesce(_e.sent_at, _e.internaldate),
    "internaldate": _e.internaldate,
    "size": _p.size,
    "subject": _e.base_subject,
    "from": _e.sort_from,
    "to": _e.sort_to,
    "cc": _e.sort_cc,
    "display_from": _e.display_from,
    "display_to": _e.display_to,
    "message_id": _e.message_id,
    "references": _e.references,
    "is_reply": cast(_e.is_reply, Integer),
}


def read_columns(
    connection: Connection,
    here: Mapping[str, int],
    uids: Sequence[int],
    columns: Sequence[str],
    check_time: Callable[[], None],
) -> list[list[Any]]:
    """The UIDs of those messages (ascending) that are there, and their columns.

    Args:
        here: "account" and "mailbox".
        columns: of SORTABLE.
    """
    rows = _rows(connection, here, uids, tuple(columns), check_time) if uids else []
    if not rows:
        return [[] for _ in range(1 + len(columns))]
    return [list(column) for column in zip(*rows, strict=True)]


def _rows(
    connection: Connection,
    here: Mapping[str, int],
    uids: Sequence[int],
    columns: tuple[str, ...],
    check_time: Callable[[], None],
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(uids), FEW):
        check_time()
        some = uids[start : start + FEW]
        first, last = some[0], some[-1]
        if last - first < SPARSE * len(some):
            found = _between(columns).rows(connection, {**here, "first": first, "last": last})
            if len(found) != len(some):
                wanted = frozenset(some)
                found = [row for row in found if row[0] in wanted]
            rows += found
        else:
            named = connection.execute(_named(columns), {**here, "uids": some}).fetchall()
            rows += map(tuple, named)
    return rows


@lru_cache(maxsize=64)
def _between(columns: tuple[str, ...]) -> Prepared:
    return Prepared(_select(columns).where(_p.uid.between(bindparam("first"), bindparam("last"))))


@lru_cache(maxsize=64)
def _named(columns: tuple[str, ...]) -> Select[Any]:
    return _select(columns).where(_p.uid.in_(bindparam("uids", expanding=True)))


def _select(columns: tuple[str, ...]) -> Select[Any]:
    source = tables.placements.join(
        tables.emails, and_(_e.account_id == _p.account_id, _e.email_id == _p.email_id)
    )
    return (
        select(_p.uid, *(SORTABLE[name] for name in columns))
        .select_from(source)
        .where(_p.account_id == bindparam("account"), _p.mailbox_id == bindparam("mailbox"))
        .order_by(_p.uid)
    )
