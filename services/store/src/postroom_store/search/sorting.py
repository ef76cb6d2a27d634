"""What messages are sorted and threaded by, as columns (RFC 5256, RFC 5957).

Who asks sorts: the columns never change, so that a front that keeps them sorts without a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from postroom_mime import sort_keys
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
HEADER = "header"
MODSEQ = "modseq"
READABLE = {**SORTABLE, HEADER: _e.header, MODSEQ: _p.modseq}
# The texts that a collation is about, as `SortKeys` has them.
KEYS = {
    "subject": "subject",
    "from": "from_",
    "to": "to",
    "cc": "cc",
    "display_from": "display_from",
    "display_to": "display_to",
}


def read_columns(
    connection: Connection,
    here: Mapping[str, int],
    uids: Sequence[int],
    columns: Sequence[str],
    check_time: Callable[[], None],
    order: Callable[[str], str] | None = None,
) -> list[list[Any]]:
    """The UIDs of those messages (ascending) that are there, and their columns.

    Args:
        here: "account" and "mailbox".
        columns: of SORTABLE, or MODSEQ.
        order: what a collation makes of texts, where it is another than that of the columns.
    """
    mapped = [name for name in columns if order is not None and name in KEYS]
    kept = tuple(name for name in columns if name not in mapped)
    # Of a header all keys are made that another collation has.
    asked = (*kept, HEADER) if mapped else kept
    rows = _rows(connection, here, uids, asked, check_time) if uids else []
    if not rows:
        return [[] for _ in range(1 + len(columns))]
    told, *data = (list(column) for column in zip(*rows, strict=True))
    found = dict(zip(asked, data, strict=True))
    if mapped and order is not None:
        keys = []
        for header in found.pop(HEADER):
            check_time()
            keys.append(sort_keys(bytes(header), order))
        found |= {name: [getattr(one, KEYS[name]) for one in keys] for name in mapped}
    return [told, *(found[name] for name in columns)]


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
        select(_p.uid, *(READABLE[name] for name in columns))
        .select_from(source)
        .where(_p.account_id == bindparam("account"), _p.mailbox_id == bindparam("mailbox"))
        .order_by(_p.uid)
    )
