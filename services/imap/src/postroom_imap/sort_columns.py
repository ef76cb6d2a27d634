"""What messages are sorted and threaded by, kept of mailboxes that somebody sorts.

The columns of a message never change, so that a mailbox that was sorted once is sorted again
without a call, or with one that asks for what has come since.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from postroom_imap.ports.columns import uid_array
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.messages import Messages
from postroom_imap.ports.searching import NUMERIC, InUids, SortColumn
from postroom_imap.protocol.collation import DEFAULT, Collation
from postroom_imap.tracker import Tracker

# Numbers, texts, and of message ids their hashes: ids are long, and only compared.
Value: TypeAlias = int | str | tuple[int, ...]
Columns: TypeAlias = Mapping[SortColumn, Sequence[Value]]

# Account, mailbox, column, and what its texts are mapped by.
_Key: TypeAlias = tuple[int, int, SortColumn, Collation]

_TEXTS = frozenset(SortColumn) - NUMERIC - {SortColumn.MESSAGE_ID, SortColumn.REFERENCES}
_FEW_EXPUNGED = 1_000
_VALUE_BYTES = 64  # a number or a tuple, its place in a list, and its UID


@dataclass(slots=True)
class _Column:
    """One column of a mailbox, up to some UID; may hold messages that were expunged since."""

    uids: array[int] = field(default_factory=uid_array)
    values: list[Value] = field(default_factory=list)
    size: int = 0

    @property
    def last_uid(self) -> int:
        return self.uids[-1] if self.uids else 0


class SortColumns:
    """Columns of mailboxes, those that were used last.

    Args:
        messages: where they come from.
        most_bytes: what is kept, as far as it can be told.
    """

    def __init__(self, messages: Messages, most_bytes: int) -> None:
        self._messages = messages
        self._most_bytes = most_bytes
        self._known: OrderedDict[_Key, _Column] = OrderedDict()
        self._bytes = 0

    def covers(
        self, tracker: Tracker, columns: Sequence[SortColumn], comparator: Collation
    ) -> bool:
        """Whether the columns of all messages that a session knows are kept."""
        last = tracker.last_uid
        return all(self._column(tracker, each, comparator).last_uid >= last for each in columns)

    async def load(
        self,
        ticket: Ticket,
        tracker: Tracker,
        columns: Sequence[SortColumn],
        comparator: Collation,
    ) -> None:
        """Get what is missing for all messages that a session knows, in one call at most."""
        last = tracker.last_uid
        for each in columns:
            self._forget_if_old(_key(tracker, each, comparator), tracker.exists)
        known = {each: self._column(tracker, each, comparator).last_uid for each in columns}
        missing = [each for each in columns if known[each] < last]
        if not missing:
            return
        found = await self._messages.search(
            ticket,
            tracker.view.key,
            InUids([(min(known[each] for each in missing) + 1, last)]),
            comparator=comparator,
            columns=missing,
        )
        for name, values in found.columns.items():
            key = _key(tracker, name, comparator)
            self._extend(key, found.uids, values_of(name, values))
        self._drop_some()

    def of(
        self, tracker: Tracker, column: SortColumn, comparator: Collation, uids: Sequence[int]
    ) -> list[Value | None]:
        """The values of messages; None for what was expunged before it was looked at."""
        known = self._column(tracker, column, comparator)
        values = dict(zip(known.uids, known.values, strict=True))
        return list(map(values.get, uids))

    def _column(self, tracker: Tracker, name: SortColumn, comparator: Collation) -> _Column:
        key = _key(tracker, name, comparator)
        column = self._known.get(key)
        if column is None:
            return _Column()
        self._known.move_to_end(key)
        return column

    def _extend(self, key: _Key, uids: Sequence[int], values: Sequence[Value]) -> None:
        column = self._known.setdefault(key, _Column())
        known = column.last_uid  # another session may have got some of this meanwhile
        fresh = [(uid, value) for uid, value in zip(uids, values, strict=True) if uid > known]
        column.uids.extend(uid for uid, _ in fresh)
        column.values += [value for _, value in fresh]
        size = sum(_VALUE_BYTES + _size(value) for _, value in fresh)
        column.size += size
        self._bytes += size

    def _forget_if_old(self, key: _Key, exists: int) -> None:
        """Begin anew where most of what is kept was expunged."""
        if key in self._known and len(self._known[key].uids) > 2 * exists + _FEW_EXPUNGED:
            self._forget(key)

    def _drop_some(self) -> None:
        while self._bytes > self._most_bytes and len(self._known) > 1:
            self._forget(next(iter(self._known)))

    def _forget(self, key: _Key) -> None:
        self._bytes -= self._known.pop(key).size


def _key(tracker: Tracker, name: SortColumn, comparator: Collation) -> _Key:
    mapped = comparator if name in _TEXTS else DEFAULT
    return tracker.view.account_id, tracker.view.mailbox_id, name, mapped


def values_of(name: SortColumn, told: Sequence[int] | Sequence[str]) -> list[Value]:
    """A column as it is kept, of what the store told."""
    if name in NUMERIC:
        return list(told)
    texts = [str(each) for each in told]
    match name:
        case SortColumn.MESSAGE_ID:
            return [hash(text) if text else 0 for text in texts]
        case SortColumn.REFERENCES:
            return [tuple(map(hash, text.split(" "))) if text else () for text in texts]
    same: dict[str, Value] = {}
    return [same.setdefault(text, text) for text in texts]


def _size(value: Value) -> int:
    match value:
        case str():
            return len(value)
        case tuple():
            return 40 * len(value)
    return 0
