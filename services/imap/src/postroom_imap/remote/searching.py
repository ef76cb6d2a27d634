"""Search programs as protobuf."""

from __future__ import annotations

from functools import partial

from postroom.store.v1 import (
    message_pb2,
)
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc import progress

from postroom_imap.ports.searching import (
    NUMERIC,
    Alike,
    AllOf,
    AnyOf,
    Compares,
    FoundInMailbox,
    HasAnnotation,
    HasFlag,
    HasHeader,
    HasText,
    InUids,
    Matches,
    Not,
    Numbered,
    Reach,
    Scope,
    SortColumn,
    StoreKey,
)
from postroom_imap.protocol.collation import Collation
from postroom_imap.protocol.sequence_set import STAR
from postroom_imap.remote.encoding import range_messages

MOST_DEPTH = 50  # as `SearchRequest.key` has it

SORT_COLUMNS = {
    SortColumn.SENT_AT: message_pb2.SORT_COLUMN_SENT_AT,
    SortColumn.INTERNALDATE: message_pb2.SORT_COLUMN_INTERNALDATE,
    SortColumn.SIZE: message_pb2.SORT_COLUMN_SIZE,
    SortColumn.SUBJECT: message_pb2.SORT_COLUMN_SUBJECT,
    SortColumn.FROM: message_pb2.SORT_COLUMN_FROM,
    SortColumn.TO: message_pb2.SORT_COLUMN_TO,
    SortColumn.CC: message_pb2.SORT_COLUMN_CC,
    SortColumn.DISPLAY_FROM: message_pb2.SORT_COLUMN_DISPLAY_FROM,
    SortColumn.DISPLAY_TO: message_pb2.SORT_COLUMN_DISPLAY_TO,
    SortColumn.MESSAGE_ID: message_pb2.SORT_COLUMN_MESSAGE_ID,
    SortColumn.REFERENCES: message_pb2.SORT_COLUMN_REFERENCES,
    SortColumn.IS_REPLY: message_pb2.SORT_COLUMN_IS_REPLY,
}
REACHES = {
    Reach.ID: message_pb2.MailboxScope.KIND_ID,
    Reach.INBOXES: message_pb2.MailboxScope.KIND_INBOXES,
    Reach.PERSONAL: message_pb2.MailboxScope.KIND_PERSONAL,
    Reach.SUBSCRIBED: message_pb2.MailboxScope.KIND_SUBSCRIBED,
    Reach.NAMES: message_pb2.MailboxScope.KIND_NAMES,
    Reach.SUBTREES: message_pb2.MailboxScope.KIND_SUBTREES,
    Reach.SUBTREES_ONE: message_pb2.MailboxScope.KIND_SUBTREES_ONE,
}
COLLATIONS = {
    Collation.UNICODE_CASEMAP: message_pb2.COLLATION_UNSPECIFIED,
    Collation.ASCII_CASEMAP: message_pb2.COLLATION_ASCII_CASEMAP,
    Collation.OCTET: message_pb2.COLLATION_OCTET,
}


def search_key_message(key: StoreKey, depth: int = 0) -> message_pb2.SearchKey:
    """A search program for a request, as part of another that is so deep.

    Raises PostroomError LIMIT_EXCEEDED: the store would refuse it, and if it is much deeper,
    protobuf can't even be made of it.
    """
    if depth > MOST_DEPTH:
        raise PostroomError(Kind.LIMIT_EXCEEDED, "the search is nested too deeply")
    nest = partial(search_key_message, depth=depth + 1)
    message = message_pb2.SearchKey()
    match key:
        case AllOf(keys):
            message.all_of.SetInParent()
            message.all_of.keys.extend(map(nest, keys))
        case AnyOf(keys):
            message.any_of.SetInParent()
            message.any_of.keys.extend(map(nest, keys))
        case Not(inner):
            getattr(message, "not").CopyFrom(nest(inner))
        case Alike(inner):
            message.fuzzy.CopyFrom(nest(inner))
        case InUids(ranges):
            message.uids.SetInParent()
            message.uids.uids.extend(range_messages(ranges))
        case HasFlag(name):
            message.flag.name = name
        case HasHeader(name, text):
            message.header.field, message.header.value = name, text
        case HasText(field, text):
            setattr(message, field.value, text)
        case HasAnnotation(entry, private, shared, text):
            message.annotation.entry, message.annotation.value = entry, text
            message.annotation.own, message.annotation.shared = private, shared
        case Numbered(ranges, uids):
            message.numbers.uids = uids
            for low, high in ranges:
                message.numbers.ranges.add(first=low % STAR, last=high % STAR)
        case Compares(field, number):
            setattr(message, field.value, number)
    return message


def scope_message(scope: Scope) -> message_pb2.MailboxScope:
    """Mailboxes for a request."""
    return message_pb2.MailboxScope(
        kind=REACHES[scope.reach], mailbox_id=scope.mailbox_id, names=scope.names
    )


def found_in_mailbox(response: message_pb2.SearchManyResponse) -> FoundInMailbox:
    """The mailbox that a response is about, with nothing found in it yet."""
    return FoundInMailbox(response.mailbox_id, response.name, response.uid_validity)


def tells_progress(
    response: message_pb2.SearchResponse | message_pb2.SearchManyResponse,
) -> bool:
    """Whether a response is about how far the search is; whoever wants to know is told."""
    if not response.HasField("progress"):
        return False
    if told := progress.listener():
        told(response.progress.done, response.progress.goal)
    return True


def take_matches(found: Matches, response: message_pb2.SearchResponse) -> None:
    """Add what a response tells to what was found so far."""
    found.uids.extend(response.uids)
    found.scores.extend(response.scores)
    for (column, known), data in zip(found.columns.items(), response.columns, strict=True):
        known.extend(data.numbers if column in NUMERIC else data.texts)  # type: ignore[arg-type]
    for texts, data in zip(found.annotations, response.annotations, strict=True):
        texts.extend(data.texts)
