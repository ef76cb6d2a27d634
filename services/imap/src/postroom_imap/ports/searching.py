"""What SEARCH asks of the store: that which the front can't answer itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from postroom_imap.ports.columns import Ranges


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
    """A substring, i;unicode-casemap."""

    field: TextField
    text: str


@dataclass(frozen=True, slots=True)
class HasHeader:
    """A header field is there and holds a substring, which may be empty."""

    name: str
    text: str


class NumberField(StrEnum):
    """What a number is compared with: sizes strictly, moments (Unix seconds) from and before.

    Modseqs from.
    """

    LARGER = "larger"
    SMALLER = "smaller"
    SINCE = "since"
    BEFORE = "before"
    SENT_SINCE = "sent_since"
    SENT_BEFORE = "sent_before"
    MODSEQ = "modseq"


@dataclass(frozen=True, slots=True)
class Compares:
    """A comparison with a number."""

    field: NumberField
    number: int


StoreKey = AllOf | AnyOf | Not | InUids | HasFlag | HasText | HasHeader | Compares
