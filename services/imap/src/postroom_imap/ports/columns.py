"""A mailbox as columns, and what happened to it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from postroom_imap.protocol.rights import ALL as ALL_RIGHTS

MailboxKey = tuple[int, int]  # the account that a mailbox is in, and its id there
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
        rights_changed: what others than its owner may do must be asked anew.
        owner: the account that it is in, where that isn't the caller's own; else 0.
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
    rights_changed: bool = False
    owner: int = 0

    def key(self, account_id: int) -> MailboxKey:
        """The mailbox that it happened to, as told to an account's session."""
        return self.owner or account_id, self.mailbox_id


@dataclass(frozen=True, slots=True)
class OpenedMailbox:
    """A mailbox as of one modseq.

    Attributes:
        rights: what the person may do with it.
        owner: the account that it is in, where that isn't the person's own; else 0.
    """

    mailbox_id: int
    name: str
    uid_validity: int
    uid_next: int
    modseq: int
    keywords: Sequence[tuple[int, str]]
    columns: Columns
    rights: str = ALL_RIGHTS
    owner: int = 0
