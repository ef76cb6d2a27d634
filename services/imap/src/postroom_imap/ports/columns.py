"""A mailbox as columns, and what happened to it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

Range = tuple[int, int]
Ranges = Sequence[Range]

MOST_RANGES = 20_000  # of UIDs in one call


def uid_array() -> array[int]:
    """An empty column of UIDs."""
    return array("I")


def wide_array() -> array[int]:
    """An empty column of 64-bit numbers."""
    return array("Q")


@dataclass(slots=True)
class Columns:
    """Messages as parallel arrays, ascending by UID; `email_ids` may be empty in a change."""

    uids: array[int] = field(default_factory=uid_array)
    flags: array[int] = field(default_factory=wide_array)
    modseqs: array[int] = field(default_factory=wide_array)
    email_ids: array[int] = field(default_factory=wide_array)


# A message's UID, the name of its annotation, whose it is: 0 for a shared one.
Annotated = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to a mailbox between two of its modseqs.

    Attributes:
        added: new messages.
        flagged: messages with other flags or annotations than before.
        annotated: the annotations that were set or removed, as far as they are told.
        expunged: UIDs.
        keywords: (number, name) of those new in the mailbox.
        deleted: the mailbox itself is gone.
    """

    mailbox_id: int
    previous: int
    modseq: int
    uid_next: int
    added: Columns = field(default_factory=Columns)
    flagged: Columns = field(default_factory=Columns)
    expunged: Sequence[int] = ()
    keywords: Sequence[tuple[int, str]] = ()
    deleted: bool = False
    annotated: Sequence[Annotated] = ()


@dataclass(frozen=True, slots=True)
class OpenedMailbox:
    """A mailbox as of one modseq."""

    mailbox_id: int
    name: str
    uid_validity: int
    uid_next: int
    modseq: int
    keywords: Sequence[tuple[int, str]]
    columns: Columns
