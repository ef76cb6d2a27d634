"""What several services' messages have in common: UID ranges, keywords, changes."""

from __future__ import annotations

from array import array
from collections.abc import Sequence as Seq
from typing import Any, Literal

from postroom.store.v1 import (
    mailbox_pb2,
    message_pb2,
)
from postroom_chassis.quota import Quota

from postroom_imap.ports.columns import (
    Annotated,
    Change,
    Columns,
    MailboxKey,
    Ranges,
)
from postroom_imap.ports.identity import Ticket


def range_messages(uids: Ranges) -> list[message_pb2.UidRange]:
    """UID ranges for a request."""
    return [message_pb2.UidRange(first=first, last=last) for first, last in uids]


def owner_of(ticket: Ticket, mailbox: MailboxKey) -> int:
    """The account that a mailbox is in, as requests name it: 0 for the ticket's own."""
    return mailbox[0] if mailbox[0] != ticket.account_id else 0


def owner_quota(quota: Quota | None) -> mailbox_pb2.OwnerQuota | None:
    """What the owner of a mailbox may keep, for a request; None for one's own."""
    if quota is None:
        return None
    return mailbox_pb2.OwnerQuota(
        bytes=quota.bytes, messages=quota.messages, mailboxes=quota.mailboxes
    )


def keywords_of(keywords: Seq[message_pb2.Keyword]) -> list[tuple[int, str]]:
    """Keywords of a response, as (number, name)."""
    return [(keyword.number, keyword.name) for keyword in keywords]


def _columns_in(change: message_pb2.Change, field: Literal["added", "flagged"]) -> Columns:
    if not change.HasField(field):
        return Columns()
    message: message_pb2.Columns = getattr(change, field)
    return Columns(
        array("I", message.uids),
        array("Q", message.flags),
        array("Q", message.modseqs),
        array("Q", message.email_ids),
    )


def change_in(response: Any, field: str) -> Change | None:
    """The change in an optional field of a response."""
    return change_of(getattr(response, field)) if response.HasField(field) else None


def change_of(change: message_pb2.Change) -> Change:
    """A change that the store told of."""
    return Change(
        mailbox_id=change.mailbox_id,
        previous=change.previous_modseq,
        modseq=change.modseq,
        uid_next=change.uid_next,
        added=_columns_in(change, "added"),
        flagged=_columns_in(change, "flagged"),
        expunged=list(change.expunged),
        keywords=keywords_of(change.keywords),
        deleted=change.deleted,
        annotated=_annotated_in(change.annotated),
        rights_changed=change.rights_changed,
        owner=change.owner,
    )


def _annotated_in(annotated: message_pb2.Annotated) -> Seq[Annotated]:
    names = annotated.names
    entries = (names[place] for place in annotated.entries)
    return list(zip(annotated.uids, entries, annotated.holders, strict=True)) if names else ()
