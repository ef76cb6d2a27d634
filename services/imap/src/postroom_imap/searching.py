"""SEARCH: answered from the view where it can be, else put to the store with UIDs for numbers.

Flags, UIDs, sequence numbers and \\Recent are the view's; dates, sizes, headers and texts are the
store's, which gets the whole program, so that what it must look into stays small.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

from postroom_imap.keywords import RECENT
from postroom_imap.ports.columns import uid_array
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.messages import Messages
from postroom_imap.ports.searching import (
    Alike,
    AllOf,
    AnyOf,
    Compares,
    HasAnnotation,
    HasFlag,
    HasHeader,
    HasText,
    InUids,
    Not,
    Numbered,
    NumberField,
    StoreKey,
    TextField,
)
from postroom_imap.protocol.collation import Collation
from postroom_imap.protocol.commands.search_keys import (
    AllKey,
    AndKey,
    AnnotationKey,
    DateField,
    DateKey,
    DateRelation,
    EmailIdKey,
    FilterKey,
    FlagKey,
    FuzzyKey,
    HeaderKey,
    ModseqKey,
    NotKey,
    OrKey,
    RecentKey,
    SearchKey,
    SequenceKey,
    SizeKey,
    SizeRelation,
    TextKey,
    TextScope,
    ThreadIdKey,
    UidKey,
    WithinKey,
)
from postroom_imap.protocol.sequence_set import SequenceSet
from postroom_imap.tracker import Tracker

MOST_RELEVANT = 100
_LOCAL = (AllKey, EmailIdKey, FlagKey, ModseqKey, RecentKey, SequenceKey, UidKey)
# As FETCH tells them (RFC 8474 section 5): the account, and the number in it.
_EMAIL_ID = re.compile(r"M(\d{1,18})-(\d{1,18})", re.ASCII)
_THREAD_ID = re.compile(r"T(\d{1,18})-(\d{1,18})", re.ASCII)
_ADDRESS_FIELDS = {field.value: field for field in TextField if field.value not in ("body", "text")}


@dataclass(frozen=True, slots=True)
class Found:
    """Positions of a session's messages.

    Attributes:
        positions: ascending for SEARCH; for SORT, in the order asked for.
        scores: how relevant each is, 1 to 100, where that was asked for.
    """

    positions: Sequence[int]
    scores: Sequence[int] = ()


async def find(
    messages: Messages,
    ticket: Ticket,
    tracker: Tracker,
    program: SearchKey,
    comparator: Collation,
    *,
    scored: bool,
) -> Found:
    """The messages that match, ascending."""
    if is_local(program):
        positions = LocalSearch(tracker).run(program)
        return Found(positions, [MOST_RELEVANT] * len(positions) if scored else ())
    key = for_store(program, tracker.view.account_id, tracker, int(time.time()))
    matches = await messages.search(
        ticket, tracker.view.key, key, comparator=comparator, scored=scored
    )
    positions = tracker.positions_of(matches.uids)
    if not scored:
        return Found(positions)
    score = dict(zip(matches.uids, matches.scores, strict=True))
    return Found(positions, [score[tracker.uids[position]] for position in positions])


def is_local(key: SearchKey) -> bool:
    """Whether the view alone can answer."""
    match key:
        case AndKey(keys) | OrKey(keys):
            return all(map(is_local, keys))
        case NotKey(inner) | FuzzyKey(inner):
            return is_local(inner)
    return isinstance(key, _LOCAL)


def names(key: SearchKey, kind: type[SearchKey]) -> bool:
    """Whether a program holds a key of some kind."""
    match key:
        case AndKey(keys) | OrKey(keys):
            return any(names(inner, kind) for inner in keys)
        case NotKey(inner) | FuzzyKey(inner):
            return names(inner, kind)
    return isinstance(key, kind)


def names_saved(key: SearchKey) -> bool:
    """Whether a program holds "$", which stands for messages of the selected mailbox."""
    match key:
        case AndKey(keys) | OrKey(keys):
            return any(map(names_saved, keys))
        case NotKey(inner) | FuzzyKey(inner):
            return names_saved(inner)
        case SequenceKey(numbers) | UidKey(numbers):
            return numbers.saved
    return False


class LocalSearch:
    """Finds positions of a session's messages by what the view knows."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._everything = range(tracker.exists)
        self._flags: list[int] | None = None

    def run(self, key: SearchKey) -> Sequence[int]:
        """The positions that match, ascending."""
        wanted = _one_mask(key)
        if wanted is not None:
            return self._by_mask(*self._masks(wanted))
        if isinstance(key, AllKey):
            return self._everything
        return sorted(self._find(key))

    def _find(self, key: SearchKey) -> set[int]:
        match key:
            case AllKey():
                return set(self._everything)
            case AndKey(keys):
                return set.intersection(*map(self._find, keys))
            case OrKey(keys):
                return set.union(*map(self._find, keys))
            case NotKey(inner):
                return set(self._everything) - self._find(inner)
            case FuzzyKey(inner):
                return self._find(inner)
            case EmailIdKey(object_id):
                return set(self._of_email(object_id))
            case FlagKey():
                return set(self._by_mask(*self._masks([key])))
            case RecentKey():
                return {p for p in self._everything if self._masked()[p] & RECENT}
            case SequenceKey(numbers):
                return self._in(numbers, uid=False)
            case UidKey(uids):
                return self._in(uids, uid=True)
            case ModseqKey(modseq):
                changed = self._tracker.changed_since([self._everything], modseq - 1)
                return {position for part in changed for position in part}
        raise TypeError(f"{type(key).__name__} is not for the view to answer")

    def _in(self, wanted: SequenceSet, uid: bool) -> set[int]:
        return {p for part in self._tracker.positions(wanted, uid) for p in part}

    def _of_email(self, object_id: str) -> Sequence[int]:
        view = self._tracker.view
        number = _number_in(_EMAIL_ID, object_id, view.account_id)
        uids = uid_array()
        index = -1
        with suppress(ValueError):
            while number > 0:
                index = view.email_ids.index(number, index + 1)
                uids.append(view.uids[index])
        return self._tracker.positions_of(uids)

    def _masks(self, keys: Iterable[FlagKey]) -> tuple[int, int]:
        """Which bits count, and how they must be; (0, 1) matches nothing."""
        keywords = self._tracker.view.keywords
        care = must = 0
        for key in keys:
            bit = keywords.bit(key.flag)
            if key.present and (not bit or care & bit & ~must):
                return 0, 1
            if not key.present and bit & must:
                return 0, 1
            care |= bit
            must |= bit if key.present else 0
        return care, must

    def _by_mask(self, care: int, must: int) -> list[int]:
        return [p for p, mask in enumerate(self._masked()) if mask & care == must]

    def _masked(self) -> list[int]:
        """The flags of the session's messages; those of expunged ones are none."""
        if self._flags is None:
            tracker, view = self._tracker, self._tracker.view
            if tracker.aligned:
                masks = view.flags[: tracker.exists]
            else:
                masks = view.flags[:0]
                for uid in tracker.uids[: tracker.exists]:
                    index = view.index(uid)
                    masks.append(view.flags[index] if index >= 0 else 0)
            if tracker.recent:
                masks = tracker.mark_recent(tracker.uids[: tracker.exists], masks)
            self._flags = masks.tolist()
        return self._flags


def _one_mask(key: SearchKey) -> list[FlagKey] | None:
    """The flags of a program that asks for nothing else: one pass over a column."""
    if isinstance(key, FlagKey):
        return [key]
    if isinstance(key, AndKey) and all(isinstance(inner, FlagKey) for inner in key.keys):
        return [inner for inner in key.keys if isinstance(inner, FlagKey)]
    return None


def for_store(key: SearchKey, account_id: int, tracker: Tracker | None, now: int) -> StoreKey:
    """The program as the store takes it.

    Args:
        account_id: that the mailbox is in.
        tracker: of the mailbox that it is for; None where that isn't selected: numbers stand for
            what is there then, and nothing is recent.
        now: Unix seconds.
    """
    translate = partial(for_store, account_id=account_id, tracker=tracker, now=now)
    match key:
        case AllKey():
            return AllOf(())
        case AndKey(keys):
            return AllOf(tuple(map(translate, keys)))
        case OrKey(keys):
            return AnyOf(tuple(map(translate, keys)))
        case NotKey(inner):
            return Not(translate(inner))
        case FuzzyKey(inner):
            return Alike(translate(inner))
        case SequenceKey(numbers):
            return _numbered(numbers, tracker, uid=False)
        case UidKey(uids):
            return _numbered(uids, tracker, uid=True)
        case RecentKey():
            recent = tracker.recent if tracker is not None else ()
            return InUids([(low, high - 1) for low, high in recent])
        case FlagKey(name, present):
            return HasFlag(name) if present else Not(HasFlag(name))
        case HeaderKey(name, text):
            field = _ADDRESS_FIELDS.get(name)
            return HasHeader(name, text) if field is None or not text else HasText(field, text)
        case TextKey(scope, text):
            return HasText(TextField.BODY if scope is TextScope.BODY else TextField.TEXT, text)
        case SizeKey(relation, size):
            larger = relation is SizeRelation.LARGER
            return Compares(NumberField.LARGER if larger else NumberField.SMALLER, size)
        case ModseqKey(modseq):
            return Compares(NumberField.MODSEQ, modseq)
        case EmailIdKey(object_id):
            number = _number_in(_EMAIL_ID, object_id, account_id)
            return Compares(NumberField.EMAIL_ID, number) if number else AnyOf(())
        case ThreadIdKey(object_id):
            number = _number_in(_THREAD_ID, object_id, account_id)
            return Compares(NumberField.THREAD_ID, number) if number else AnyOf(())
        case WithinKey(older, seconds):
            # RFC 5032 section 2: either includes the moment itself.
            if older:
                return Compares(NumberField.BEFORE, now - seconds + 1)
            return Compares(NumberField.SINCE, now - seconds)
        case DateKey():
            return _dates(key)
        case AnnotationKey(entry, private, shared, text):
            return HasAnnotation(entry, private, shared, text)
        case FilterKey(name):
            raise TypeError(f"nobody has put anything in the place of the filter {name}")


def _numbered(wanted: SequenceSet, tracker: Tracker | None, *, uid: bool) -> StoreKey:
    if tracker is None:
        return Numbered(wanted.ranges, uid)
    return InUids(tracker.ranges_at(tracker.positions(wanted, uid)))


def _number_in(pattern: re.Pattern[str], object_id: str, account_id: int) -> int:
    """The number of an object of the account; 0 where the id is none of its."""
    found = pattern.fullmatch(object_id)
    return int(found[2]) if found and int(found[1]) == account_id else 0


def _dates(key: DateKey) -> StoreKey:
    """A day as moments in UTC, the zone in which INTERNALDATE is told."""
    since, before = _MOMENTS[key.field]
    match key.relation:
        case DateRelation.BEFORE:
            return Compares(before, _midnight(key.day))
        case DateRelation.SINCE:
            return Compares(since, _midnight(key.day))
    return AllOf((Compares(since, _midnight(key.day)), Compares(before, _next_midnight(key.day))))


_MOMENTS = {
    DateField.INTERNAL: (NumberField.SINCE, NumberField.BEFORE),
    DateField.SENT: (NumberField.SENT_SINCE, NumberField.SENT_BEFORE),
    DateField.SAVED: (NumberField.SAVED_SINCE, NumberField.SAVED_BEFORE),
}


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _next_midnight(day: date) -> int:
    return _midnight(day) + int(timedelta(days=1).total_seconds())
