"""A search in several mailboxes of an account, as of one moment (RFC 7377).

The index is asked once for all of them. What a mailbox has is told as soon as it is known, so that
no more is kept than what nobody has taken yet.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import Connection, select

from postroom_store import tables
from postroom_store.blobs import BlobFiles
from postroom_store.database import is_sqlite
from postroom_store.domain.names import DELIMITER, INBOX, canonical
from postroom_store.progress import NO_PROGRESS, Progress
from postroom_store.search import index
from postroom_store.search.collation import UNICODE, Collation
from postroom_store.search.program import MOST_SECONDS, Key, MailboxSearch
from postroom_store.search.sorting import MODSEQ
from postroom_store.transaction import SELECT_MAILBOX, Mailbox, mailbox_of_row

MOST_MAILBOXES = 10_000  # of one search
MOST_HELD = 500_000  # hits that are kept; beyond, the index is asked for each mailbox
MOST_FOUND = 2_000_000  # messages of one search: 8 MB of UIDs


class Reach(Enum):
    """Which mailboxes a scope means."""

    ID = auto()
    INBOXES = auto()
    PERSONAL = auto()
    SUBSCRIBED = auto()
    NAMES = auto()
    SUBTREES = auto()  # what is named, and all below
    SUBTREES_ONE = auto()  # and what is one level below


@dataclass(frozen=True, slots=True)
class Scope:
    """Mailboxes to be searched; `names` are canonical."""

    reach: Reach
    names: frozenset[str] = frozenset()
    mailbox_id: int = 0

    def covers(self, mailbox: Mailbox, subscribed: Collection[str]) -> bool:
        """Whether a mailbox is among them."""
        name = mailbox.name
        match self.reach:
            case Reach.ID:
                return mailbox.mailbox_id == self.mailbox_id
            case Reach.INBOXES:
                return name == INBOX
            case Reach.PERSONAL:
                return True
            case Reach.SUBSCRIBED:
                return name in subscribed
            case Reach.NAMES:
                return name in self.names
            case Reach.SUBTREES:
                return name in self.names or any(above in self.names for above in _above(name))
            case Reach.SUBTREES_ONE:
                return name in self.names or name.rpartition(DELIMITER)[0] in self.names


def _above(name: str) -> Iterator[str]:
    while DELIMITER in name:
        name = name.rpartition(DELIMITER)[0]
        yield name


def names_of(names: Sequence[str]) -> frozenset[str]:
    """Names as they are kept; what can be no mailbox's name is no mailbox."""
    found = set()
    for name in names:
        try:
            found.add(canonical(name))
        except PostroomError:
            continue
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class FoundInMailbox:
    """What matched in one mailbox: parallel lists, by UID; those not asked for are empty."""

    mailbox: Mailbox
    uids: array[int]
    scores: list[int]
    modseqs: array[int]


@dataclass(frozen=True, slots=True)
class SearchInSeveral:
    """A search, compiled.

    Attributes:
        own: programs of single mailboxes, by id, in the place of `key`.
        deadline: `time.monotonic()` seconds after which nobody waits for the answer.
    """

    account_id: int
    scopes: Sequence[Scope]
    key: Key
    own: dict[int, Key] = field(default_factory=dict)
    collation: Collation = UNICODE
    scored: bool = False
    modseqs: bool = False
    deadline: float | None = None

    def run(
        self,
        connection: Connection,
        files: BlobFiles | None,
        tell: Callable[[FoundInMailbox], None],
        tell_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Tell what each mailbox has, in order of name; of those that have anything.

        Args:
            tell_progress: takes how many messages are dealt with, and how many there are.

        Raises PostroomError: LIMIT_EXCEEDED; UNAVAILABLE where a message can't be read now; what
        `tell` raises.
        """
        if not is_sqlite(connection):  # there a transaction has one moment's view anyway
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        end = time.monotonic() + MOST_SECONDS
        end = end if self.deadline is None else min(end, self.deadline)
        texts = _AccountTexts(connection, self.account_id)
        columns = (MODSEQ,) if self.modseqs else ()
        left = MOST_FOUND
        mailboxes = self._mailboxes(connection)
        goal = sum(mailbox.messages for mailbox in mailboxes)
        progress = Progress(tell_progress, goal) if tell_progress else NO_PROGRESS
        done = 0
        for mailbox in mailboxes:
            progress.at(done)
            here = texts.of(mailbox.mailbox_id)
            search = MailboxSearch(
                connection, files, mailbox, here, end, self.collation, progress, done
            )
            done += mailbox.messages
            key = self.own.get(mailbox.mailbox_id, self.key)
            found = search.run(key, self.scored, columns)
            left -= len(found.uids)
            if left < 0:
                text = f"a search finds at most {MOST_FOUND} messages"
                raise PostroomError(Kind.LIMIT_EXCEEDED, text)
            if found.uids:
                modseqs = array("Q", found.columns.get(MODSEQ, ()))
                tell(FoundInMailbox(mailbox, array("I", found.uids), found.scores, modseqs))

    def _mailboxes(self, connection: Connection) -> list[Mailbox]:
        """Those that the scopes mean, each once, in order of name."""
        rows = connection.execute(SELECT_MAILBOX, {"account": self.account_id})
        subscribed = self._subscribed(connection)
        found = [
            mailbox
            for mailbox in map(mailbox_of_row, rows)
            if mailbox.selectable
            and any(scope.covers(mailbox, subscribed) for scope in self.scopes)
        ]
        if len(found) > MOST_MAILBOXES:
            text = f"at most {MOST_MAILBOXES} mailboxes are searched at once"
            raise PostroomError(Kind.LIMIT_EXCEEDED, text)
        return sorted(found, key=lambda mailbox: mailbox.name)

    def _subscribed(self, connection: Connection) -> Collection[str]:
        if all(scope.reach is not Reach.SUBSCRIBED for scope in self.scopes):
            return ()
        column = tables.subscriptions.c
        statement = select(column.name).where(column.account_id == self.account_id)
        return set(connection.execute(statement).scalars())


class _AccountTexts:
    """What the index knows of all mailboxes of an account, looked up once for all of them."""

    def __init__(self, connection: Connection, account_id: int) -> None:
        self._connection = connection
        self._account_id = account_id
        self._found: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[int, set[int]]] = {}
        self._without: dict[int, dict[int, set[int]]] = {}
        self._held = 0

    def of(self, mailbox_id: int) -> _TextsOf:
        return _TextsOf(self, mailbox_id)

    def find(self, mailbox_id: int, fields: Sequence[str], phrases: Sequence[str]) -> set[int]:
        asked = (tuple(fields), tuple(phrases))
        if asked not in self._found:
            if self._held > MOST_HELD:
                here = (self._connection, self._account_id, mailbox_id)
                return index.find(*here, fields, phrases)
            found = index.find_in_account(self._connection, self._account_id, *asked)
            self._held += sum(map(len, found.values()))
            self._found[asked] = found
        return self._found[asked].get(mailbox_id, set())

    def without(self, state: int) -> dict[int, set[int]]:
        if state not in self._without:
            found = index.without_text_in_account(self._connection, state, self._account_id)
            self._without[state] = found
        return self._without[state]


@dataclass(frozen=True, slots=True)
class _TextsOf:
    """The part of it that is about one mailbox."""

    account: _AccountTexts
    mailbox_id: int

    def find(self, fields: Sequence[str], phrases: Sequence[str]) -> set[int]:
        return self.account.find(self.mailbox_id, fields, phrases)

    def without(self, state: int) -> set[int]:
        return self.account.without(state).get(self.mailbox_id, set())
