"""The tree of mailboxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from postroom_chassis.quota import Quota

from postroom_imap.ports.columns import MailboxKey
from postroom_imap.ports.identity import Ticket
from postroom_imap.protocol.rights import ALL as ALL_RIGHTS


class SpecialUse(StrEnum):
    """What a mailbox is for (RFC 6154); the value is the LIST attribute."""

    ALL = "\\All"
    ARCHIVE = "\\Archive"
    DRAFTS = "\\Drafts"
    FLAGGED = "\\Flagged"
    JUNK = "\\Junk"
    SENT = "\\Sent"
    TRASH = "\\Trash"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox and its counts; `mailbox_id` 0 is a name that is only subscribed.

    Attributes:
        size: bytes of all messages.
        deleted_size: bytes of those that are \\Deleted, where it was asked for.
        annotations: values by entry, of the entries that were asked for.
        rights: what the person may do with it.
        owner: the account that it is in, where that isn't the person's own; else 0.
    """

    mailbox_id: int
    name: str
    selectable: bool = True
    subscribed: bool = False
    special_uses: Sequence[SpecialUse] = ()
    uid_validity: int = 0
    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0
    deleted_size: int = 0
    uid_next: int = 1
    modseq: int = 0
    annotations: Mapping[str, bytes] = field(default_factory=dict)
    rights: str = ALL_RIGHTS
    owner: int = 0

    def counted_as(self, other: Mailbox) -> Mailbox:
        """The same with the counts of another."""
        return replace(
            self,
            uid_validity=other.uid_validity,
            messages=other.messages,
            unseen=other.unseen,
            deleted=other.deleted,
            size=other.size,
            uid_next=other.uid_next,
            modseq=other.modseq,
        )


@dataclass(frozen=True, slots=True)
class Annotations:
    """Annotations by entry, in order; `longest`: bytes of the longest that was left out, or 0."""

    values: Mapping[str, bytes]
    longest: int = 0


class AclMode(StrEnum):
    """What happens to the rights of one person."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class AclEntry:
    """What one account may do with a mailbox (RFC 4314)."""

    identifier: str
    rights: str
    account_id: int


class Mailboxes(Protocol):
    """The tree of mailboxes. Names are text with "/" between levels.

    What others share has names of its own (`protocol.mailbox_name`). Raises (all): PostroomError
    NOT_FOUND where the person may not know of a mailbox; DENIED where a right is lacking. `quota`
    is what the owner may keep of a mailbox that is another's, and is made or renamed.
    """

    async def list(
        self, ticket: Ticket, *, deleted_sizes: bool = False, entries: Sequence[str] = ()
    ) -> Sequence[Mailbox]:
        """All mailboxes and subscriptions with their counts, in order of name."""

    async def status(self, ticket: Ticket, name: str, *, deleted_sizes: bool = False) -> Mailbox:
        """One mailbox with its counts. NOT_FOUND."""

    async def create(
        self,
        ticket: Ticket,
        name: str,
        uses: Sequence[SpecialUse] = (),
        quota: Quota | None = None,
    ) -> Mailbox:
        """A new mailbox, levels above it included; it takes its special uses from others.

        ALREADY_EXISTS, INVALID, LIMIT_EXCEEDED; UNSUPPORTED for a special use that can't be.
        """

    async def delete(self, ticket: Ticket, name: str) -> None:
        """Removes a mailbox. NOT_FOUND, INVALID."""

    async def rename(
        self, ticket: Ticket, name: str, new_name: str, quota: Quota | None = None
    ) -> None:
        """Renames a mailbox with its inferiors. NOT_FOUND, ALREADY_EXISTS, INVALID."""

    async def subscribe(self, ticket: Ticket, name: str, subscribed: bool) -> None:
        """Adds a name to the subscriptions or removes it."""

    async def get_metadata(
        self,
        ticket: Ticket,
        name: str,
        entries: Sequence[str],
        depth: int | None,
        max_size: int | None,
    ) -> Annotations:
        """Annotations of a mailbox, or of the server where the name is empty. NOT_FOUND.

        Args:
            depth: how many levels below the entries, 0 or 1; None for all.
            max_size: leave out longer values.
        """

    async def set_metadata(
        self, ticket: Ticket, name: str, values: Mapping[str, bytes | None]
    ) -> None:
        """Sets annotations, removes those whose value is None: all or none.

        NOT_FOUND, TOO_LARGE, LIMIT_EXCEEDED, OVER_QUOTA; DENIED for a shared one of the server;
        UNSUPPORTED for a special use that can't be.
        """

    async def rights(self, ticket: Ticket, mailbox: str | MailboxKey) -> str:
        """What the person may do with a mailbox, by its name or its key."""

    async def acl(self, ticket: Ticket, name: str) -> Sequence[AclEntry]:
        """Who may do what with a mailbox, its owner first."""

    async def set_acl(
        self, ticket: Ticket, name: str, entry: AclEntry, mode: AclMode = AclMode.REPLACE
    ) -> None:
        """Replaces the rights of one account, adds some, or removes some.

        INVALID where the owner would lose any; LIMIT_EXCEEDED.
        """
