"""Search programs (RFC 9051 section 6.4.4): a tree of keys, evaluated to UIDs.

Keys on flags, dates and sizes are SQL over the mailbox's rows. Textual keys are substrings under
i;unicode-casemap: the index answers them for the messages it has whole, and the others are read and
looked at. A conjunction runs from cheap to dear, each key over what the ones before left. The text
of a message is what `search_text` says it is, with the index and without.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from postroom_mime import SearchText, header_matches, normalise, search_text
from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, select

from postroom_store import tables
from postroom_store.blobs import BlobFiles
from postroom_store.domain import flags as flagging
from postroom_store.messages import Ranges
from postroom_store.reading import find_mailbox
from postroom_store.search import index
from postroom_store.transaction import Mailbox

FEW = 500  # UIDs that are named in a statement; where it is about more, all are read

_p = tables.placements.c
_e = tables.emails.c


@dataclass(frozen=True, slots=True)
class AllOf:
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Not:
    key: Key


@dataclass(frozen=True, slots=True)
class Uids:
    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Flag:
    name: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A number of the message against a bound.

    Attributes:
        column: "size", "internaldate", "sent_at" or "modseq".
        low: inclusive; None: open.
        high: exclusive; None: open.
    """

    column: str
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Text:
    """A substring of some fields of SearchText."""

    fields: tuple[str, ...]
    value: str


Key = AllOf | AnyOf | Not | Uids | Flag | Compared | Header | Text

NUMBERS: dict[str, ColumnElement[Any]] = {
    "size": _p.size,
    "internaldate": _e.internaldate,
    # RFC 5256 section 2.2: without a usable Date, the internal date stands in.
    "sent_at": func.coalesce(_e.sent_at, _e.internaldate),
    "modseq": _p.modseq,
}


def search(
    connection: Connection, files: BlobFiles | None, account_id: int, mailbox_id: int, key: Key
) -> list[int]:
    """The UIDs that match, ascending. Raises PostroomError NOT_FOUND."""
    mailbox = find_mailbox(connection, account_id, mailbox_id)
    return sorted(_Search(connection, files, mailbox).run(key, None))


def cost(key: Key) -> int:
    """How dear a key is: 0 one statement, 1 a join, 2 the index, 3 also headers, 4 contents."""
    match key:
        case Uids() | Flag():
            return 0
        case Compared():
            return 1
        case Text(_, value):
            return 2 if index.can_find(normalise(value)) else 4
        case Header():
            return 3
        case Not(inner):
            return cost(inner)
        case AllOf(keys) | AnyOf(keys):
            return max(map(cost, keys), default=0)


class _Search:
    """One search over one mailbox, at one moment."""

    def __init__(self, connection: Connection, files: BlobFiles | None, mailbox: Mailbox) -> None:
        self._connection = connection
        self._files = files
        self._mailbox = mailbox
        self._here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
        self._all: set[int] | None = None

    def run(self, key: Key, among: set[int] | None) -> set[int]:
        """The UIDs that match, of some (None: of all)."""
        match key:
            case AllOf(keys):
                left = among
                for each in sorted(keys, key=cost):
                    left = self.run(each, left)
                    if not left:
                        return set()
                return self._those(left)
            case AnyOf(keys):
                found: set[int] = set()
                for each in sorted(keys, key=cost):
                    found |= self.run(each, None if among is None else among - found)
                return found
            case Not(inner):
                return self._those(among) - self.run(inner, among)
            case Uids(ranges):
                return self._within(ranges, among)
            case Flag() | Compared():
                return self._select(key, among)
            case Text():
                return self._text(key, among)
            case Header():
                return self._header(key, among)

    def _those(self, among: set[int] | None) -> set[int]:
        """Some UIDs, or all of the mailbox."""
        if among is not None:
            return among
        if self._all is None:
            statement = select(_p.uid).where(_HERE)
            self._all = set(self._connection.execute(statement, self._here).scalars())
        return self._all

    def _within(self, ranges: Ranges, among: set[int] | None) -> set[int]:
        if among is None and len(ranges) == 1:
            statement = select(_p.uid).where(_HERE, _p.uid.between(*ranges[0]))
            return set(self._connection.execute(statement, self._here).scalars())
        # Thousands of ranges are more than a statement can have.
        ordered = sorted(ranges)
        firsts = [first for first, _ in ordered]

        def is_within(uid: int) -> bool:
            number = bisect_right(firsts, uid)
            return number > 0 and uid <= ordered[number - 1][1]

        return set(filter(is_within, self._those(among)))

    def _select(self, key: Flag | Compared, among: set[int] | None) -> set[int]:
        joined = isinstance(key, Compared) and key.column in ("internaldate", "sent_at")
        statement = _rows(_p.uid) if joined else select(_p.uid).where(_HERE)
        return self._narrowed(statement.where(*self._condition(key)), among)

    def _narrowed(self, statement: Any, among: set[int] | None) -> set[int]:
        if among is not None and len(among) <= FEW:
            statement = statement.where(_p.uid.in_(among))
        found = set(self._connection.execute(statement, self._here).scalars())
        return found if among is None else found & among

    def _condition(self, key: Flag | Compared) -> list[ColumnElement[bool]]:
        match key:
            case Flag(name):
                mask = flagging.known_mask([name], self._mailbox.keywords)
                return [_p.flags.op("&")(mask) != 0]
            case Compared(column, low, high):
                number = NUMBERS[column]
                bounds = []
                if low is not None:
                    bounds.append(number >= low)
                if high is not None:
                    bounds.append(number < high)
                return bounds

    def _text(self, key: Text, among: set[int] | None) -> set[int]:
        wanted = normalise(key.value)
        if not wanted:
            return self._those(among)

        def matches(text: SearchText) -> bool:
            return any(wanted in getattr(text, field) for field in key.fields)

        if not index.can_find(wanted):
            return self._scan(matches, among, [])
        found = self._look_up(key.fields, [wanted], among)
        return found | self._scan(matches, among, [index.UNINDEXED])

    def _header(self, key: Header, among: set[int] | None) -> set[int]:
        wanted = normalise(key.value)

        def matches(text: SearchText) -> bool:
            return header_matches(text, key.field, wanted)

        # The index tells that both are in the header, not that they are in one line.
        phrases = [p for p in (f"{key.field.lower()}: ", wanted) if index.can_find(p)]
        found = self._look_up(("headers",), phrases, among) if phrases else among
        verified = self._scan(matches, found, [])
        return verified | self._scan(matches, among, [index.UNINDEXED])

    def _look_up(
        self, fields: Sequence[str], phrases: Sequence[str], among: set[int] | None
    ) -> set[int]:
        found = index.find(
            self._connection, self._mailbox.account_id, self._mailbox.mailbox_id, fields, phrases
        )
        return found if among is None else found & among

    def _scan(
        self,
        matches: Callable[[SearchText], bool],
        among: set[int] | None,
        conditions: Sequence[ColumnElement[bool]],
    ) -> set[int]:
        """Read messages and look."""
        statement = _rows(_p.uid, _e.digest).where(*conditions)
        if among is not None and len(among) <= FEW:
            statement = statement.where(_p.uid.in_(among))
        account_id = self._mailbox.account_id
        found: set[int] = set()
        for uid, digest in self._connection.execute(statement, self._here).fetchall():
            if among is None or uid in among:
                content = index.content_or_nothing(
                    self._connection, self._files, account_id, digest
                )
                if matches(search_text(content)):
                    found.add(uid)
        return found


_HERE = and_(_p.account_id == bindparam("account"), _p.mailbox_id == bindparam("mailbox"))
_JOINED = tables.placements.join(
    tables.emails, and_(_e.account_id == _p.account_id, _e.email_id == _p.email_id)
)


def _rows(*columns: ColumnElement[Any]) -> Any:
    return select(*columns).select_from(_JOINED).where(_HERE)
