"""Domain values as protobuf messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from postroom.store.v1 import mailbox_pb2, message_pb2
from postroom_chassis.errors import Kind, PostroomError

from postroom_store.domain.change import Annotated, Change, Columns
from postroom_store.domain.rights import READ
from postroom_store.domain.special_uses import numbers_of
from postroom_store.metadata import SHARED
from postroom_store.reading import ListedMailbox
from postroom_store.sharing import SharedMailbox
from postroom_store.transaction import Mailbox

MOST_RANGES = 20_000
NOTHING: Mapping[int, int] = {}


def change_message(
    change: Change | None, people: Collection[int], owner: int = 0
) -> message_pb2.Change | None:
    """A change; nothing stays nothing.

    Args:
        people: who is told: of others' private annotations nobody is.
        owner: the account, in an answer to somebody else's ticket.
    """
    if change is None:
        return None
    return message_pb2.Change(
        mailbox_id=change.mailbox_id,
        previous_modseq=change.previous,
        modseq=change.modseq,
        uid_next=change.uid_next,
        added=columns_message(change.added),
        flagged=columns_message(change.flagged),
        annotated=annotated_message(change.annotated, people),
        expunged=change.expunged,
        keywords=keyword_messages(change.keywords),
        deleted=change.deleted,
        rights_changed=change.rights_changed,
        owner=owner,
    )


def columns_message(columns: Columns) -> message_pb2.Columns | None:
    if not columns.uids:
        return None
    return message_pb2.Columns(
        uids=columns.uids,
        flags=columns.flags,
        modseqs=columns.modseqs,
        email_ids=columns.email_ids,
    )


def annotated_message(
    annotated: Annotated, people: Collection[int]
) -> message_pb2.Annotated | None:
    """Which of the annotations that these people see were set or removed."""
    if not annotated.uids:
        return None
    message = message_pb2.Annotated()
    places: dict[str, int] = {}
    rows = zip(annotated.uids, annotated.entries, annotated.holders, strict=True)
    for uid, entry, holder in rows:
        if holder == SHARED or holder in people:
            message.uids.append(uid)
            message.entries.append(places.setdefault(entry, len(places)))
            message.holders.append(holder)
    message.names.extend(places)
    return message if places else None


def keyword_messages(keywords: Iterable[tuple[int, str]]) -> list[message_pb2.Keyword]:
    return [message_pb2.Keyword(number=number, name=name) for number, name in keywords]


def mailbox_message(
    mailbox: Mailbox, *, subscribed: bool = False, deleted_size: int = 0
) -> mailbox_pb2.Mailbox:
    uses = list(map(mailbox_pb2.SpecialUse.ValueType, numbers_of(mailbox.special_use)))
    return mailbox_pb2.Mailbox(
        mailbox_id=mailbox.mailbox_id,
        name=mailbox.name,
        selectable=mailbox.selectable,
        subscribed=subscribed,
        special_use=uses[0] if uses else mailbox_pb2.SPECIAL_USE_UNSPECIFIED,
        special_uses=uses,
        uid_validity=mailbox.uid_validity,
        counts=mailbox_pb2.Counts(
            messages=mailbox.messages,
            unseen=mailbox.unseen,
            deleted=mailbox.deleted,
            uid_next=mailbox.uid_next,
            highest_modseq=mailbox.highest_modseq,
            size=mailbox.size,
            deleted_size=deleted_size,
        ),
    )


def shared_message(shared: SharedMailbox, *, subscribed: bool = False) -> mailbox_pb2.Mailbox:
    """What somebody else shares; its counts are for those who may read it."""
    size = shared.deleted_size
    message = mailbox_message(shared.mailbox, subscribed=subscribed, deleted_size=size)
    message.name = shared.name
    message.rights = shared.rights
    message.owner = shared.mailbox.account_id
    # It is the owner's Sent, not the guest's.
    message.ClearField("special_use")
    message.ClearField("special_uses")
    message.annotations.extend(annotation_messages(shared.annotations))
    if READ not in shared.rights:
        message.ClearField("counts")
    return message


def listed_message(
    listed: ListedMailbox, deleted_sizes: Mapping[int, int] = NOTHING
) -> mailbox_pb2.Mailbox:
    mailbox = listed.mailbox
    if mailbox is None:
        return mailbox_pb2.Mailbox(name=listed.name, subscribed=listed.subscribed)
    size = deleted_sizes.get(mailbox.mailbox_id, 0)
    return mailbox_message(mailbox, subscribed=listed.subscribed, deleted_size=size)


def range_messages(ranges: Iterable[tuple[int, int]]) -> list[message_pb2.UidRange]:
    return [message_pb2.UidRange(first=first, last=last) for first, last in ranges]


def annotation_messages(values: Mapping[str, bytes]) -> list[mailbox_pb2.Annotation]:
    return [mailbox_pb2.Annotation(entry=entry, value=value) for entry, value in values.items()]


def ranges_of_message(ranges: Sequence[message_pb2.UidRange]) -> list[tuple[int, int]]:
    """UID ranges, ascending, without overlap. Raises PostroomError INVALID."""
    if len(ranges) > MOST_RANGES:
        raise PostroomError(Kind.INVALID, f"more than {MOST_RANGES} ranges of UIDs")
    merged: list[tuple[int, int]] = []
    for first, last in sorted((r.first, r.last) for r in ranges):
        if not 0 < first <= last:
            raise PostroomError(Kind.INVALID, "a range of UIDs goes up from 1 or more")
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
