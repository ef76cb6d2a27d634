"""Search programs (RFC 9051 section 6.4.4): a tree of keys, evaluated to UIDs.

Keys on flags, dates and sizes are SQL over the mailbox's rows. Textual keys are substrings under
i;unicode-casemap: the index answers them for the messages it has whole, and the others are read and
looked at. A conjunction runs from cheap to dear, each key over what the ones before left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from postroom_mime import SearchText, header_matches, normalise, search_text
from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, select

from postroom_store import tables
from postroom_store.blobs import BlobFiles
from postroom_store.domain import flags as flagging
from postroom_store.messages import Ranges
from postroom_store.reading import find_mailbox, read_content
from postroom_store.search import index
from postroom_store.transaction import Mailbox

PART = 500  # messages in one statement

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


@dataclass(frozen=True, slots=True)
class Candidate:
    uid: int
    email_id: int


def search(
    connection: Connection, files: BlobFiles | None, account_id: int, mailbox_id: int, key: Key
) -> list[int]:
    """The UIDs that match, ascending. Raises PostroomError NOT_FOUND."""
    mailbox = find_mailbox(connection, account_id, mailbox_id)
    return sorted(_Search(connection, files, mailbox).run(key, None))


def cost(key: Key) -> int:
    """How dear a key is: 0 one statement, 1 a join, 2 the index, 3 reading headers."""
    match key:
        case Uids() | Flag():
            return 0
        case Compared():
            return 1
        case Text():
            return 2
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

    def run(self, key: Key, among: set[int] | None) -> set[int]:
        """The UIDs that match, of some (None: of all)."""
        match key:
            case AllOf(keys):
                left = among
                for each in sorted(keys, key=cost):
                    left = self.run(each, left)
                    if not left:
                        return set()
                return self._all() if left is None else left
            case AnyOf(keys):
                found: set[int] = set()
                for each in sorted(keys, key=cost):
                    found |= self.run(each, among)
                return found
            case Not(inner):
                universe = self._all() if among is None else among
                return universe - self.run(inner, among)
            case Uids() | Flag() | Compared():
                found = self._select(self._condition(key), among)
                return found
            case Text():
                return self._text(key, among)
            case Header():
                return self._header(key, among)

    def _all(self) -> set[int]:
        return self._select([], None)

    def _select(
        self, conditions: Sequence[ColumnElement[bool]], among: set[int] | None
    ) -> set[int]:
        statement = _rows(_p.uid).where(*conditions)
        found = set(self._connection.execute(statement, self._here).scalars())
        return found if among is None else found & among

    def _condition(self, key: Uids | Flag | Compared) -> list[ColumnElement[bool]]:
        match key:
            case Uids(ranges):
                return [index.any_range(_p.uid, ranges)]
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
            return self._all() if among is None else among

        def matches(text: SearchText) -> bool:
            return any(wanted in getattr(text, field) for field in key.fields)

        hits = index.find(self._connection, self._mailbox.account_id, key.fields, wanted)
        if hits is None:  # too short for the index
            return self._scan(matches, among, [])
        found = self._placed(hits)
        found |= self._scan(matches, among, [_e.indexed != 1])
        return found if among is None else found & among

    def _header(self, key: Header, among: set[int] | None) -> set[int]:
        wanted = normalise(key.value)
        return self._scan(lambda text: header_matches(text, key.field, wanted), among, [])

    def _placed(self, email_ids: Sequence[int]) -> set[int]:
        """The UIDs of some emails in this mailbox."""
        found: set[int] = set()
        for start in range(0, len(email_ids), PART):
            part = email_ids[start : start + PART]
            statement = select(_p.uid).where(_HERE, _p.email_id.in_(part))
            found.update(self._connection.execute(statement, self._here).scalars())
        return found

    def _scan(
        self,
        matches: Callable[[SearchText], bool],
        among: set[int] | None,
        conditions: Sequence[ColumnElement[bool]],
    ) -> set[int]:
        """Read messages and look."""
        statement = _rows(_p.uid, _e.digest).where(*conditions).order_by(_p.uid)
        found: set[int] = set()
        for uid, digest in self._connection.execute(statement, self._here).fetchall():
            if among is not None and uid not in among:
                continue
            account_id = self._mailbox.account_id
            content = read_content(self._connection, self._files, account_id, digest)
            if matches(search_text(content)):
                found.add(uid)
        return found


_HERE = and_(_p.account_id == bindparam("account"), _p.mailbox_id == bindparam("mailbox"))
_JOINED = tables.placements.join(
    tables.emails, and_(_e.account_id == _p.account_id, _e.email_id == _p.email_id)
)


def _rows(*columns: ColumnElement[Any]) -> Any:
    return select(*columns).select_from(_JOINED).where(_HERE)
