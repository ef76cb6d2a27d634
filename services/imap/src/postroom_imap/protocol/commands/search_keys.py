"""The tree that SEARCH asks (RFC 3501 section 6.4.4), in fewer kinds than the grammar has keys.

The thirty-odd keys of the grammar fold into these: ANSWERED, UNSEEN, KEYWORD x … are ``FlagKey``;
OLD is ``NotKey(RecentKey())``; NEW is RECENT and not \\Seen; BCC, CC, FROM, SUBJECT and TO are
``HeaderKey``. Texts are ``str``; comparison is by substring, case-insensitive.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeAlias

from postroom_imap.protocol.sequence_set import SequenceSet


class DateField(StrEnum):
    """Whose day is compared: that of INTERNALDATE, of the Date header field, of SAVEDATE."""

    INTERNAL = "INTERNAL"
    SENT = "SENT"
    SAVED = "SAVED"  # RFC 8514


class DateRelation(StrEnum):
    """BEFORE: earlier than the day; SINCE: that day or later. Time of day and zone do not count."""

    BEFORE = "BEFORE"
    ON = "ON"
    SINCE = "SINCE"


class SizeRelation(StrEnum):
    """Strictly larger, strictly smaller."""

    LARGER = "LARGER"
    SMALLER = "SMALLER"


class TextScope(StrEnum):
    """BODY: the body; TEXT: the header or the body."""

    BODY = "BODY"
    TEXT = "TEXT"


@dataclass(frozen=True, slots=True)
class AllKey:
    """ALL."""


@dataclass(frozen=True, slots=True)
class AndKey:
    """Every one of at least two keys."""

    keys: tuple["SearchKey", ...]


@dataclass(frozen=True, slots=True)
class OrKey:
    """Any one of at least two keys; nested ORs are flattened."""

    keys: tuple["SearchKey", ...]


@dataclass(frozen=True, slots=True)
class NotKey:
    """NOT."""

    key: "SearchKey"


@dataclass(frozen=True, slots=True)
class SequenceKey:
    """Message sequence numbers."""

    sequence_set: SequenceSet


@dataclass(frozen=True, slots=True)
class UidKey:
    """UID."""

    uids: SequenceSet


@dataclass(frozen=True, slots=True)
class FlagKey:
    """A system flag or keyword that is ``present`` or absent."""

    flag: str
    present: bool = True


@dataclass(frozen=True, slots=True)
class RecentKey:
    """RECENT."""


@dataclass(frozen=True, slots=True)
class DateKey:
    """BEFORE, ON, SINCE and their SENT forms."""

    field: DateField
    relation: DateRelation
    day: date


@dataclass(frozen=True, slots=True)
class WithinKey:
    """OLDER, YOUNGER (RFC 5032): INTERNALDATE is at least, or at most, so many seconds ago."""

    older: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class EmailIdKey:
    """EMAILID (RFC 8474 section 6); an id that was never given is in no message."""

    object_id: str


@dataclass(frozen=True, slots=True)
class ThreadIdKey:
    """THREADID (RFC 8474 section 6)."""

    object_id: str


@dataclass(frozen=True, slots=True)
class FuzzyKey:
    """FUZZY (RFC 6203): texts that are alike will do."""

    key: "SearchKey"


@dataclass(frozen=True, slots=True)
class AnnotationKey:
    """ANNOTATION (RFC 5257 section 4.8): an annotation's value holds ``text``.

    ``entry`` may have wildcards; ``private`` and ``shared``: which values are looked at.
    """

    entry: str
    private: bool
    shared: bool
    text: str


@dataclass(frozen=True, slots=True)
class FilterKey:
    """FILTER (RFC 5466): the program of this name, in lower case, as names of annotations are."""

    name: str


@dataclass(frozen=True, slots=True)
class SizeKey:
    """LARGER, SMALLER, in octets."""

    relation: SizeRelation
    size: int


@dataclass(frozen=True, slots=True)
class ModseqKey:
    """MODSEQ: changed at or after (RFC 7162 section 3.1.5); of any flag, whichever is named."""

    modseq: int


@dataclass(frozen=True, slots=True)
class HeaderKey:
    """HEADER: the field ``name`` (in lower case) exists and holds ``text``, which may be empty."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class TextKey:
    """BODY, TEXT."""

    scope: TextScope
    text: str


SearchKey: TypeAlias = (
    AllKey
    | AndKey
    | OrKey
    | NotKey
    | SequenceKey
    | UidKey
    | FlagKey
    | RecentKey
    | DateKey
    | WithinKey
    | EmailIdKey
    | ThreadIdKey
    | FuzzyKey
    | AnnotationKey
    | FilterKey
    | SizeKey
    | ModseqKey
    | HeaderKey
    | TextKey
)
