"""Search programs (RFC 9051 section 6.4.4): a tree of keys, evaluated to UIDs.

First in sets: keys on flags, dates and sizes are SQL over the mailbox's rows; the index answers
textual keys, substrings under a collation. A conjunction runs from cheap to dear, each key
over what the ones before left. The index can't say of every message: it lags behind, has the
beginning of a long text, and knows no short keys. So each key gives two sets, what matches and what
may match, and what may match in the end is read, each message once, and the whole program evaluated
on it. The text of a message is what `search_text` says it is, without its limit on length.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Protocol

from postroom_chassis.errors import Kind, PostroomError
from postroom_mime import SearchText, header_matches, normalise
from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, select

from postroom_store import annotation, tables
from postroom_store.blobs import BlobFiles
from postroom_store.domain import flags as flagging
from postroom_store.progress import NO_PROGRESS, Progress
from postroom_store.reading import find_mailbox
from postroom_store.search import index, sorting
from postroom_store.search.collation import UNICODE, Collation
from postroom_store.search.fuzzy import ENOUGH, Phrases, phrases_of
from postroom_store.search.long_text import body_text, found_in, text_of
from postroom_store.transaction import Mailbox
from postroom_store.uid_ranges import Ranges, is_within

STAR = 0
FEW = 500  # UIDs that are named in a statement; where it is about more, all are read
MOST_SECONDS = 30.0  # of a search: a reader's thread is not for one client alone
NOTHING = SearchText("", "", "", "", "", "", "", False)

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
class Numbers:
    """A sequence set (RFC 9051 section 9).

    Attributes:
        ranges: STAR in the place of "*".
        uids: numbers are UIDs, else places in order of UID, from 1.
    """

    ranges: Ranges
    uids: bool


@dataclass(frozen=True, slots=True)
class Flag:
    name: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A number of the message against a bound.

    Attributes:
        column: one of NUMBERS.
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


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """A text that is alike (RFC 6203); each message that matches has a grade up to 1."""

    fields: tuple[str, ...]
    value: str

    @property
    def phrases(self) -> tuple[Phrases, ...]:
        return phrases_of(self.value)

    @property
    def exact(self) -> Text:
        """What it comes to where there is no word to be alike to."""
        return Text(self.fields, self.value)


@dataclass(frozen=True, slots=True)
class Annotated:
    """A substring of an annotation's value (RFC 5257 section 4.8).

    Attributes:
        pattern: of its name.
        holders: who may hold it.
    """

    pattern: str
    holders: tuple[int, ...]
    value: str


Key = AllOf | AnyOf | Not | Uids | Numbers | Flag | Compared | Header | Text | Fuzzy | Annotated

NUMBERS: dict[str, ColumnElement[Any]] = {
    "size": _p.size,
    "internaldate": _e.internaldate,
    # RFC 5256 section 2.2: without a usable Date, the internal date stands in.
    "sent_at": func.coalesce(_e.sent_at, _e.internaldate),
    "modseq": _p.modseq,
    "saved_at": _p.saved_at,
    "email_id": _p.email_id,
    "thread_id": _e.thread_id,
}
OF_EMAILS = frozenset({"internaldate", "sent_at", "thread_id"})


@dataclass(frozen=True, slots=True)
class Found:
    """What matched.

    Attributes:
        uids: ascending.
        scores: how relevant each is, 1 to 100; empty where that wasn't asked for.
        columns: the data that were asked for, each as long as `uids`.
        annotations: those that were asked for, in that order, as a collation sorts them.
    """

    uids: list[int]
    scores: list[int] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    annotations: list[list[str]] = field(default_factory=list)


def search(
    connection: Connection,
    files: BlobFiles | None,
    account_id: int,
    mailbox_id: int,
    key: Key,
    deadline: float | None = None,
    *,
    collation: Collation = UNICODE,
    scored: bool = False,
    columns: Sequence[str] = (),
    sorted_by: Sequence[tuple[str, int]] = (),
    tell: Callable[[int, int], None] | None = None,
) -> Found:
    """The messages that match.

    Args:
        deadline: `time.monotonic()` seconds after which nobody waits for the answer.
        collation: of texts, those of columns too; `Fuzzy` keys have their own.
        scored: tell how relevant each is.
        columns: of SORTABLE, to be told of each.
        sorted_by: annotations to be told of each, by name and holder.
        tell: takes how many messages are dealt with, and how many there are, now and then.

    Raises PostroomError: NOT_FOUND; LIMIT_EXCEEDED where it takes too long; UNAVAILABLE where a
    message can't be read now.
    """
    mailbox = find_mailbox(connection, account_id, mailbox_id)
    end = time.monotonic() + MOST_SECONDS
    end = end if deadline is None else min(end, deadline)
    texts = IndexedTexts(connection, account_id, mailbox_id)
    progress = Progress(tell, mailbox.messages) if tell else NO_PROGRESS
    made = MailboxSearch(connection, files, mailbox, texts, end, collation, progress)
    found = made.run(key, scored, columns)
    return made.with_annotations(found, sorted_by) if sorted_by else found


def cost(key: Key) -> int:
    """How dear a key is: 0 one statement, 1 a join, 2 the index, 3 also headers, 4 contents."""
    match key:
        case Uids() | Numbers() | Flag():
            return 0
        case Compared() | Annotated():
            return 1
        case Text(_, value) | Fuzzy(_, value):
            return 2 if index.can_find(normalise(value)) else 4
        case Header():
            return 3
        case Not(inner):
            return cost(inner)
        case AllOf(keys) | AnyOf(keys):
            return max(map(cost, keys), default=0)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a key comes to over some messages: the UIDs that match, and those that may."""

    certain: set[int]
    possible: set[int] = field(default_factory=set)


class Texts(Protocol):
    """What the index knows of a mailbox."""

    def find(self, fields: Sequence[str], phrases: Sequence[str]) -> set[int]:
        """The UIDs of the messages that have each phrase in one of the fields."""

    def without(self, state: int) -> set[int]:
        """The UIDs of the messages of which the index doesn't have all the text."""


@dataclass(frozen=True, slots=True)
class IndexedTexts:
    """Texts of one mailbox, asked for when they are needed."""

    connection: Connection
    account_id: int
    mailbox_id: int

    def find(self, fields: Sequence[str], phrases: Sequence[str]) -> set[int]:
        return index.find(self.connection, self.account_id, self.mailbox_id, fields, phrases)

    def without(self, state: int) -> set[int]:
        return index.without_text(
            self.connection, state, account=self.account_id, mailbox=self.mailbox_id
        )


class MailboxSearch:
    """One search over one mailbox, at one moment.

    Args:
        end: `time.monotonic()` seconds after which it gives up.
        before: messages that were dealt with elsewhere.
    """

    def __init__(
        self,
        connection: Connection,
        files: BlobFiles | None,
        mailbox: Mailbox,
        texts: Texts,
        end: float,
        collation: Collation,
        progress: Progress = NO_PROGRESS,
        before: int = 0,
    ) -> None:
        self._connection = connection
        self._files = files
        self._mailbox = mailbox
        self._texts = texts
        self._end = end
        self._collation = collation
        self._progress = progress
        self._before = before
        self._here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
        self._scored = False
        self._grades: dict[Fuzzy, dict[int, float]] = {}

    def run(self, key: Key, scored: bool, columns: Sequence[str]) -> Found:
        """The messages that match."""
        self._scored = scored
        outcome = self._over(key, None)
        uids = sorted(outcome.certain | self._read(key, sorted(outcome.possible)))
        scores = [self._score(uid) for uid in uids] if scored else []
        if not columns:
            return Found(uids, scores)
        order = None if self._collation is UNICODE else self._collation.order
        data = sorting.read_columns(
            self._connection, self._here, uids, columns, self._check_time, order
        )
        if len(data[0]) < len(uids):  # what was expunged between the two statements
            there = set(data[0])
            scores = [score for uid, score in zip(uids, scores, strict=False) if uid in there]
        return Found(data[0], scores, dict(zip(columns, data[1:], strict=True)))

    def with_annotations(self, found: Found, wanted: Sequence[tuple[str, int]]) -> Found:
        """What was found with annotations of it; empty texts where there are none."""
        values = []
        for entry, holder in wanted:
            known = dict(self._values(entry, (holder,), self._collation.order))
            values.append([known.get(uid, "") for uid in found.uids])
        return replace(found, annotations=values)

    def _score(self, uid: int) -> int:
        """How relevant a message is: the mean grade of the fuzzy keys that it matches."""
        grades = [grade for known in self._grades.values() if (grade := known.get(uid))]
        return max(1, round(100 * sum(grades) / len(grades))) if grades else 100

    def _check_time(self) -> None:
        if time.monotonic() > self._end:
            raise PostroomError(
                Kind.LIMIT_EXCEEDED, "the search takes too long: search less, or for longer words"
            )

    # In sets. `among`: the UIDs that the answer is about, None for all.

    def _over(self, key: Key, among: set[int] | None) -> _Outcome:
        self._check_time()
        match key:
            case AllOf(keys):
                return self._all_of(keys, among)
            case AnyOf(keys):
                return self._any_of(keys, among)
            case Not(inner):
                outcome = self._over(inner, among)
                rest = self._those(among) - outcome.certain - outcome.possible
                return _Outcome(rest, outcome.possible)
            case Uids(ranges):
                return _Outcome(self._within(ranges, among))
            case Numbers():
                numbered = self._numbered(key)
                return _Outcome(numbered if among is None else numbered & among)
            case Flag() | Compared():
                return _Outcome(self._select(key, among))
            case Text():
                return self._text(key, among)
            case Fuzzy():
                return self._fuzzy(key, among)
            case Header():
                return self._header(key, among)
            case Annotated():
                annotated = self._annotated(key)
                return _Outcome(annotated if among is None else annotated & among)

    def _all_of(self, keys: Sequence[Key], among: set[int] | None) -> _Outcome:
        certain, left = None, among
        for each in sorted(keys, key=cost):
            outcome = self._over(each, left)
            certain = outcome.certain if certain is None else certain & outcome.certain
            left = outcome.certain | outcome.possible if outcome.possible else outcome.certain
            if not left:
                return _Outcome(set())
        left = self._those(left)
        return _Outcome(left) if certain is None else _Outcome(certain, left - certain)

    def _any_of(self, keys: Sequence[Key], among: set[int] | None) -> _Outcome:
        certain: set[int] = set()
        possible: set[int] = set()
        for each in sorted(keys, key=cost):
            # Who scores asks of each message how well it matches each key.
            known = not certain or self._scored
            left = among if among is None or known else among - certain
            outcome = self._over(each, left)
            certain |= outcome.certain
            possible |= outcome.possible
        return _Outcome(certain, possible - certain)

    @cached_property
    def _all(self) -> set[int]:
        return set(self._connection.execute(_UIDS, self._here).scalars())

    def _those(self, among: set[int] | None) -> set[int]:
        return self._all if among is None else among

    def _within(self, ranges: Ranges, among: set[int] | None) -> set[int]:
        if among is None and len(ranges) == 1:
            statement = _UIDS.where(_p.uid.between(*ranges[0]))
            return set(self._connection.execute(statement, self._here).scalars())
        # Thousands of ranges are more than a statement can have.
        return set(filter(is_within(ranges), self._those(among)))

    def _numbered(self, key: Numbers) -> set[int]:
        """What a sequence set stands for; "*" is the last message, however few there are."""
        ordered = sorted(self._all)
        if not ordered:
            return set()
        last = ordered[-1] if key.uids else len(ordered)
        found: set[int] = set()
        for ends in key.ranges:
            low, high = sorted(last if end == STAR else end for end in ends)
            if key.uids:
                found.update(ordered[bisect_left(ordered, low) : bisect_right(ordered, high)])
            else:
                found.update(ordered[low - 1 : high])
        return found

    def _select(self, key: Flag | Compared, among: set[int] | None) -> set[int]:
        joined = isinstance(key, Compared) and key.column in OF_EMAILS
        statement = (_rows(_p.uid) if joined else _UIDS).where(*self._condition(key))
        if among is not None and len(among) <= FEW:
            statement = statement.where(_p.uid.in_(among))
        found = set(self._connection.execute(statement, self._here).scalars())
        return found if among is None else found & among

    def _condition(self, key: Flag | Compared) -> list[ColumnElement[bool]]:
        match key:
            case Flag(name):
                return [_p.flags.op("&")(self._mask(name)) != 0]
            case Compared(column, low, high):
                number = NUMBERS[column]
                bounds = []
                if low is not None:
                    bounds.append(number >= low)
                if high is not None:
                    bounds.append(number < high)
                return bounds

    def _mask(self, flag: str) -> int:
        return flagging.known_mask([flag], self._mailbox.keywords)

    def _text(self, key: Text, among: set[int] | None) -> _Outcome:
        if not self._collation.key(key.value):
            return _Outcome(self._those(among))
        wanted = self._collation.phrase(key.value)
        if not index.can_find(wanted):
            return _Outcome(set(), self._those(among))
        unsure = self._unsure(key.fields)
        found = self._texts.find(key.fields, [wanted])
        if among is not None:
            found, unsure = found & among, unsure & among
        if not self._collation.indexed:
            return _Outcome(set(), found | unsure)
        return _Outcome(found, unsure - found)

    def _fuzzy(self, key: Fuzzy, among: set[int] | None) -> _Outcome:
        words = key.phrases
        if not words:
            return self._text(key.exact, among)
        unsure = self._unsure(key.fields)
        grades = self._grades.setdefault(key, {})
        total: dict[int, float] = {}
        for word in words:
            self._check_time()
            best: dict[int, float] = {}
            for phrase, grade in word.graded:
                for uid in self._texts.find(key.fields, [phrase]):
                    best.setdefault(uid, grade)
            for uid, grade in best.items():
                total[uid] = total.get(uid, 0.0) + grade
        for uid, grade in total.items():
            if grade >= ENOUGH * len(words) and (among is None or uid in among):
                grades[uid] = grade / len(words)
        found = set(grades) if among is None else grades.keys() & among
        unsure = unsure if among is None else unsure & among
        return _Outcome(found, unsure - found)

    def _unsure(self, fields: Sequence[str]) -> set[int]:
        """The messages of which the index doesn't have all the text of some fields."""
        return self._unindexed | self._in_part if "body" in fields else self._unindexed

    def _header(self, key: Header, among: set[int] | None) -> _Outcome:
        # The index tells that both are in the header, not that they are in one line.
        phrases = [
            phrase
            for phrase in (f"{key.field.lower()}: ", self._collation.phrase(key.value))
            if index.can_find(phrase)
        ]
        if not phrases:
            return _Outcome(set(), self._those(among))
        possible = self._unindexed | self._texts.find(("headers",), phrases)
        return _Outcome(set(), possible if among is None else possible & among)

    def _annotated(self, key: Annotated) -> set[int]:
        """The messages with such an annotation. A value that isn't UTF-8 counts as far as it is."""
        wanted = self._collation.key(key.value)
        values = self._values(key.pattern, key.holders, self._collation.text)
        return {uid for uid, text in values if wanted in text}

    def _values(
        self, pattern: str, holders: Sequence[int], mapping: Callable[[str], str]
    ) -> Iterator[tuple[int, str]]:
        """Values of annotations by UID, mapped."""
        rows = annotation.values(self._connection, self._here, pattern, holders)
        for uid, value in rows:
            self._check_time()
            yield uid, mapping(value.decode("utf-8", "replace"))

    # Both are read before the index is asked: what comes into the index between the two is in both.

    @cached_property
    def _unindexed(self) -> set[int]:
        return self._texts.without(index.NOT_YET)

    @cached_property
    def _in_part(self) -> set[int]:
        return self._texts.without(index.IN_PART)

    # Message by message.

    def _read(self, key: Key, uids: Sequence[int]) -> set[int]:
        """Those of some UIDs whose messages match."""
        matches = self._matcher(key)
        wanted = set(_body_texts(key, self._collation.key))
        found: set[int] = set()
        # Of all others the sets have told.
        done = self._before + self._mailbox.messages - len(uids)
        for start in range(0, len(uids), FEW):
            some = {"uids": uids[start : start + FEW]}
            rows = self._connection.execute(_CANDIDATES, self._here | some).fetchall()
            for number, row in enumerate(rows, done + start):
                self._check_time()
                self._progress.at(number)
                message = _Candidate(*row[:-2])
                if row.indexed != index.UNREADABLE:
                    content = self._content(row.digest)
                    message.fill(content, self._collation.text, wanted, self._check_time)
                if matches(message):
                    found.add(message.uid)
        return found

    def _content(self, digest: bytes) -> bytes:
        account_id = self._mailbox.account_id
        return index.content_or_nothing(self._connection, self._files, account_id, digest)

    def _matcher(self, key: Key) -> Matcher:
        match key:
            case AllOf(keys):
                every = [self._matcher(each) for each in sorted(keys, key=cost)]
                return partial(_every, every)
            case AnyOf(keys):
                some = [self._matcher(each) for each in sorted(keys, key=cost)]
                return partial(_some_of_all if self._scored else _some, some)
            case Not(inner):
                one = self._matcher(inner)
                return lambda message: not one(message)
            case Uids(ranges):
                covers = is_within(ranges)
                return lambda message: covers(message.uid)
            case Numbers():
                numbered = self._numbered(key)
                return lambda message: message.uid in numbered
            case Annotated():
                annotated = self._annotated(key)
                return lambda message: message.uid in annotated
            case Flag(name):
                mask = self._mask(name)
                return lambda message: message.flags & mask != 0
            case Compared(column, low, high):
                return lambda message: _is_between(getattr(message, column), low, high)
            case Text(fields, value):
                text = self._collation.key(value)
                each_field = [partial(_has, name, text) for name in fields]
                return each_field[0] if len(each_field) == 1 else partial(_some, each_field)
            case Fuzzy() if key.phrases:
                return partial(self._is_alike, key, key.phrases)
            case Fuzzy():
                return self._matcher(key.exact)
            case Header(name, value):
                part = self._collation.key(value)
                return lambda message: header_matches(message.text, name, part)

    def _is_alike(self, key: Fuzzy, words: Sequence[Phrases], message: _Candidate) -> bool:
        grade = sum(_best(key.fields, word, message) for word in words) / len(words)
        if grade >= ENOUGH:
            self._grades.setdefault(key, {})[message.uid] = grade
        return grade >= ENOUGH


def _best(fields: Sequence[str], word: Phrases, message: _Candidate) -> float:
    """How much of a word the fields of a message have."""
    for phrase, grade in word.graded:
        if any(_has(name, phrase, message) for name in fields):
            return grade
    return 0.0


@dataclass(slots=True)
class _Candidate:
    """A message that is looked at by itself.

    Attributes:
        in_body: of the texts that the program wants, those in a body that is longer than `text`
            has it.
    """

    uid: int
    flags: int
    size: int
    internaldate: int
    sent_at: int
    modseq: int
    saved_at: int
    email_id: int
    thread_id: int
    text: SearchText = NOTHING
    in_body: Set[str] = frozenset()

    def fill(
        self,
        content: bytes,
        mapping: Callable[[str], str],
        wanted: set[str],
        check_time: Callable[[], None],
    ) -> None:
        """Take the text out of the message, mapped as a collation has it."""
        self.text = text_of(content, mapping)
        if self.text.truncated:
            self.in_body = found_in(_checked(body_text(content, mapping), check_time), wanted)


Matcher = Callable[[_Candidate], bool]


# Loops, not generators: a program may have a thousand keys.


def _every(matchers: Sequence[Matcher], message: _Candidate) -> bool:
    for matches in matchers:
        if not matches(message):
            return False
    return True


def _some(matchers: Sequence[Matcher], message: _Candidate) -> bool:
    for matches in matchers:
        if matches(message):
            return True
    return False


def _some_of_all(matchers: Sequence[Matcher], message: _Candidate) -> bool:
    return any([matches(message) for matches in matchers])


def _has(field_name: str, wanted: str, message: _Candidate) -> bool:
    text = message.text
    if text.truncated and field_name == "body":
        return wanted in message.in_body
    return wanted in getattr(text, field_name)


def _checked(pieces: Iterator[str], check_time: Callable[[], None]) -> Iterator[str]:
    for piece in pieces:
        check_time()
        yield piece


def _body_texts(key: Key, mapping: Callable[[str], str]) -> Iterator[str]:
    """What a program looks for in bodies, mapped."""
    match key:
        case AllOf(keys) | AnyOf(keys):
            for each in keys:
                yield from _body_texts(each, mapping)
        case Not(inner):
            yield from _body_texts(inner, mapping)
        case Text(fields, value) if "body" in fields:
            yield mapping(value)
        case Fuzzy(fields, value) if "body" in fields:
            yield normalise(value)
            for word in key.phrases:
                yield from (phrase for phrase, _ in word.graded)


def _is_between(number: int, low: int | None, high: int | None) -> bool:
    return (low is None or number >= low) and (high is None or number < high)


_HERE = and_(_p.account_id == bindparam("account"), _p.mailbox_id == bindparam("mailbox"))
_JOINED = tables.placements.join(
    tables.emails, and_(_e.account_id == _p.account_id, _e.email_id == _p.email_id)
)


def _rows(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).select_from(_JOINED).where(_HERE)


_UIDS = select(_p.uid).where(_HERE)
_CANDIDATES = _rows(
    _p.uid,
    _p.flags,
    _p.size,
    _e.internaldate,
    NUMBERS["sent_at"],
    _p.modseq,
    _p.saved_at,
    _p.email_id,
    _e.thread_id,
    _e.digest,
    _e.indexed,
).where(_p.uid.in_(bindparam("uids", expanding=True)))
