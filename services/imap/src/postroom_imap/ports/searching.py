"""What SEARCH asks of the store: that which the front can't answer itself."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from postroom_imap.ports.columns import Ranges, uid_array, wide_array


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one; of none: every message."""

    keys: tuple[StoreKey, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Any one."""

    keys: tuple[StoreKey, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    key: StoreKey


@dataclass(frozen=True, slots=True)
class InUids:
    """One of these UIDs."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class HasFlag:
    """The flag is set."""

    name: str


class TextField(StrEnum):
    """Where a text is looked for."""

    SUBJECT = "subject"
    FROM = "from"
    TO = "to"
    CC = "cc"
    BCC = "bcc"
    BODY = "body"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class HasText:
    """A substring, by the comparator of the search."""

    field: TextField
    text: str


@dataclass(frozen=True, slots=True)
class HasHeader:
    """A header field is there and holds a substring, which may be empty."""

    name: str
    text: str


class NumberField(StrEnum):
    """What a number is compared with.

    Sizes strictly, moments (Unix seconds) from and before, modseqs from, ids for equality.
    """

    LARGER = "larger"
    SMALLER = "smaller"
    SINCE = "since"
    BEFORE = "before"
    SENT_SINCE = "sent_since"
    SENT_BEFORE = "sent_before"
    MODSEQ = "modseq"
    SAVED_SINCE = "saved_since"
    SAVED_BEFORE = "saved_before"
    EMAIL_ID = "email_id"
    THREAD_ID = "thread_id"


@dataclass(frozen=True, slots=True)
class Compares:
    """A comparison with a number."""

    field: NumberField
    number: int


@dataclass(frozen=True, slots=True)
class Alike:
    """As the key, but texts that are alike will do (RFC 6203)."""

    key: StoreKey


@dataclass(frozen=True, slots=True)
class Numbered:
    """Messages of a mailbox that isn't selected, by a sequence set.

    Attributes:
        ranges: STAR in the place of "*".
        uids: the numbers are UIDs, else places in order of UID.
    """

    ranges: Ranges
    uids: bool


@dataclass(frozen=True, slots=True)
class HasAnnotation:
    """A substring of an annotation's value (RFC 5257), by the comparator of the search.

    Attributes:
        entry: its name, with wildcards.
        private: of the person's own values, and
        shared: of those of all.
    """

    entry: str
    private: bool
    shared: bool
    text: str


StoreKey = (
    AllOf
    | AnyOf
    | Not
    | InUids
    | HasFlag
    | HasText
    | HasHeader
    | HasAnnotation
    | Compares
    | Alike
    | Numbered
)


class SortColumn(Enum):
    """What messages are sorted and threaded by (RFC 5256, RFC 5957); immutable."""

    SENT_AT = 1  # int, Unix seconds
    INTERNALDATE = 2  # int, Unix seconds
    SIZE = 3  # int, octets
    SUBJECT = 4  # str, base subject; as those that follow, mapped by the comparator
    FROM = 5
    TO = 6
    CC = 7
    DISPLAY_FROM = 8
    DISPLAY_TO = 9
    MESSAGE_ID = 10  # str
    REFERENCES = 11  # str, ids separated by blanks, oldest first
    IS_REPLY = 12  # int, 1 for a reply or forward


NUMERIC = frozenset(
    {SortColumn.SENT_AT, SortColumn.INTERNALDATE, SortColumn.SIZE, SortColumn.IS_REPLY}
)


@dataclass(slots=True)
class Matches:
    """What the store found.

    Attributes:
        uids: ascending.
        scores: how relevant each is, 1 to 100, where that was asked for.
        columns: what each is sorted by, where that was asked for.
        annotations: the annotations of each that were asked for, in that order, as the comparator
            has them; empty where there is none.
    """

    uids: array[int] = field(default_factory=uid_array)
    scores: list[int] = field(default_factory=list)
    columns: dict[SortColumn, list[int] | list[str]] = field(default_factory=dict)
    annotations: list[list[str]] = field(default_factory=list)


class Reach(StrEnum):
    """Which mailboxes of the account a search is about."""

    ID = "id"
    INBOXES = "inboxes"
    PERSONAL = "personal"
    SUBSCRIBED = "subscribed"
    NAMES = "names"
    SUBTREES = "subtrees"  # what is named, and all below
    SUBTREES_ONE = "subtrees_one"  # and one level below


@dataclass(frozen=True, slots=True)
class Scope:
    """Mailboxes to be searched: by their reach, and by names or an id where that needs them."""

    reach: Reach
    names: Sequence[str] = ()
    mailbox_id: int = 0


@dataclass(frozen=True, slots=True)
class FoundInMailbox:
    """What was found in one mailbox: at least one message.

    Attributes:
        modseqs: of each message, where that was asked for.
    """

    mailbox_id: int
    name: str
    uid_validity: int
    matches: Matches = field(default_factory=Matches)
    modseqs: array[int] = field(default_factory=wide_array)
