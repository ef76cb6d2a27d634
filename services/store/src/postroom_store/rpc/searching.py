"""Search programs from protobuf."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from postroom.store.v1 import message_pb2
from postroom_chassis.errors import Kind, PostroomError

from postroom_store.domain import annotation_names as naming
from postroom_store.metadata import SHARED
from postroom_store.rpc.encoding import ranges_of_message
from postroom_store.search.collation import ASCII, OCTET, UNICODE, Collation
from postroom_store.search.program import (
    AllOf,
    Annotated,
    AnyOf,
    Compared,
    Flag,
    Found,
    Fuzzy,
    Header,
    Key,
    Not,
    Numbers,
    Text,
    Uids,
)
from postroom_store.search.several import (
    FoundInMailbox,
    Reach,
    Scope,
    SearchInSeveral,
    names_of,
)

MOST_KEYS = 1000
MOST_DEPTH = 50
MOST_NAMES = 10_000  # of mailboxes
MOST_ANNOTATIONS = 20  # that messages are sorted by

LEAVES: dict[str, Callable[[Any], Key]] = {
    "uids": lambda value: Uids(ranges_of_message(value.uids)),
    "numbers": lambda value: Numbers([(one.first, one.last) for one in value.ranges], value.uids),
    "flag": lambda value: Flag(value.name),
    "header": lambda value: Header(value.field, value.value),
    "subject": lambda value: Text(("subject",), value),
    "from": lambda value: Text(("from_",), value),
    "to": lambda value: Text(("to",), value),
    "cc": lambda value: Text(("cc",), value),
    "bcc": lambda value: Text(("bcc",), value),
    "body": lambda value: Text(("body",), value),
    "text": lambda value: Text(("headers", "body"), value),
    "larger": lambda value: Compared("size", low=value + 1),
    "smaller": lambda value: Compared("size", high=value),
    "since": lambda value: Compared("internaldate", low=value),
    "before": lambda value: Compared("internaldate", high=value),
    "sent_since": lambda value: Compared("sent_at", low=value),
    "sent_before": lambda value: Compared("sent_at", high=value),
    "modseq": lambda value: Compared("modseq", low=value),
    "saved_since": lambda value: Compared("saved_at", low=value),
    "saved_before": lambda value: Compared("saved_at", high=value),
    "email_id": lambda value: _is("email_id", value),
    "thread_id": lambda value: _is("thread_id", value),
}
SORT_COLUMNS = {
    message_pb2.SORT_COLUMN_SENT_AT: "sent_at",
    message_pb2.SORT_COLUMN_INTERNALDATE: "internaldate",
    message_pb2.SORT_COLUMN_SIZE: "size",
    message_pb2.SORT_COLUMN_SUBJECT: "subject",
    message_pb2.SORT_COLUMN_FROM: "from",
    message_pb2.SORT_COLUMN_TO: "to",
    message_pb2.SORT_COLUMN_CC: "cc",
    message_pb2.SORT_COLUMN_DISPLAY_FROM: "display_from",
    message_pb2.SORT_COLUMN_DISPLAY_TO: "display_to",
    message_pb2.SORT_COLUMN_MESSAGE_ID: "message_id",
    message_pb2.SORT_COLUMN_REFERENCES: "references",
    message_pb2.SORT_COLUMN_IS_REPLY: "is_reply",
}
REACHES = {
    message_pb2.MailboxScope.KIND_ID: Reach.ID,
    message_pb2.MailboxScope.KIND_INBOXES: Reach.INBOXES,
    message_pb2.MailboxScope.KIND_PERSONAL: Reach.PERSONAL,
    message_pb2.MailboxScope.KIND_SUBSCRIBED: Reach.SUBSCRIBED,
    message_pb2.MailboxScope.KIND_NAMES: Reach.NAMES,
    message_pb2.MailboxScope.KIND_SUBTREES: Reach.SUBTREES,
    message_pb2.MailboxScope.KIND_SUBTREES_ONE: Reach.SUBTREES_ONE,
}
COLLATIONS = {
    message_pb2.COLLATION_UNSPECIFIED: UNICODE,
    message_pb2.COLLATION_ASCII_CASEMAP: ASCII,
    message_pb2.COLLATION_OCTET: OCTET,
}
NUMBERS = frozenset({"sent_at", "internaldate", "size", "is_reply"})
ROWS = 50_000  # of one response: 200 KB of UIDs
WIDE_ROWS = 5_000  # of one with columns
WIDE_BYTES = 1024 * 1024  # of one with annotations: a value may be long
LARGEST_ID = 2**63 - 1


def _is(column: str, value: int) -> Key:
    # No such id is given: databases have signed numbers.
    return Compared(column, low=value, high=value + 1) if value < LARGEST_ID else AnyOf(())


def columns_of_message(columns: Sequence[message_pb2.SortColumn.ValueType]) -> list[str]:
    """The columns that are asked for, each once. Raises PostroomError INVALID."""
    names = [SORT_COLUMNS.get(column) for column in columns]
    if None in names or len(set(names)) < len(names):
        raise PostroomError(Kind.INVALID, "a column is unknown, or asked for twice")
    return [name for name in names if name is not None]


def sorted_by_of_message(
    wanted: Sequence[message_pb2.SortAnnotation], person: int
) -> list[tuple[str, int]]:
    """Annotations that are sorted by, by name and holder. Raises PostroomError INVALID."""
    if len(wanted) > MOST_ANNOTATIONS:
        raise PostroomError(Kind.INVALID, f"more than {MOST_ANNOTATIONS} annotations to sort by")
    for one in wanted:
        naming.check_pattern(one.entry)
        if naming.is_pattern(one.entry):
            raise PostroomError(Kind.INVALID, "one annotation is sorted by")
    return [(one.entry, SHARED if one.shared else person) for one in wanted]


def response_messages(found: Found | tuple[int, int]) -> Iterator[message_pb2.SearchResponse]:
    """What was found, in several responses where it is much; or how far the search is."""
    if isinstance(found, tuple):
        yield message_pb2.SearchResponse(progress=_progress_message(found))
        return
    if found.annotations:
        yield from _with_annotations(found)
        return
    rows = WIDE_ROWS if found.columns else ROWS
    for start in range(0, len(found.uids), rows):
        yield _response(found, slice(start, start + rows))


def _with_annotations(found: Found) -> Iterator[message_pb2.SearchResponse]:
    """Responses of about a MiB at most, each with one message at least."""
    start = 0
    while start < len(found.uids):
        stop, size = start, 0
        while stop < len(found.uids) and stop - start < WIDE_ROWS and size < WIDE_BYTES:
            size += sum(len(texts[stop]) for texts in found.annotations)
            stop += 1
        part = slice(start, stop)
        yield _response(found, part)
        start = stop


def _response(found: Found, part: slice) -> message_pb2.SearchResponse:
    response = message_pb2.SearchResponse(uids=found.uids[part], scores=found.scores[part])
    for name, data in found.columns.items():
        kind = "numbers" if name in NUMBERS else "texts"
        getattr(response.columns.add(), kind).extend(data[part])
    for texts in found.annotations:
        response.annotations.add(texts=texts[part])
    return response


def _progress_message(progress: tuple[int, int]) -> message_pb2.SearchProgress:
    done, goal = progress
    return message_pb2.SearchProgress(done=done, goal=goal)


def several_of_message(
    request: message_pb2.SearchManyRequest, account_id: int, deadline: float | None
) -> SearchInSeveral:
    """A search in several mailboxes. Raises PostroomError INVALID."""
    collation = collation_of_message(request.collation)
    if sum(len(scope.names) for scope in request.scopes) > MOST_NAMES:
        raise PostroomError(Kind.INVALID, f"more than {MOST_NAMES} names")
    own = {}
    if request.HasField("own"):
        own[request.own.mailbox_id] = key_of_message(request.own.key, collation, account_id)
    return SearchInSeveral(
        account_id,
        [_scope_of_message(scope) for scope in request.scopes],
        key_of_message(request.key, collation, account_id),
        own,
        collation,
        request.scores,
        request.modseqs,
        deadline,
    )


def _scope_of_message(message: message_pb2.MailboxScope) -> Scope:
    if message.kind not in REACHES:
        raise PostroomError(Kind.INVALID, "there is no such scope")
    return Scope(REACHES[message.kind], names_of(message.names), message.mailbox_id)


def several_messages(
    found: FoundInMailbox | tuple[int, int],
) -> Iterator[message_pb2.SearchManyResponse]:
    """What one mailbox has, in several responses where it is much; or how far the search is."""
    if isinstance(found, tuple):
        yield message_pb2.SearchManyResponse(progress=_progress_message(found))
        return
    mailbox = found.mailbox
    for start in range(0, len(found.uids), ROWS):
        part = slice(start, start + ROWS)
        yield message_pb2.SearchManyResponse(
            mailbox_id=mailbox.mailbox_id,
            name=mailbox.name,
            uid_validity=mailbox.uid_validity,
            found=message_pb2.SearchResponse(uids=found.uids[part], scores=found.scores[part]),
            modseqs=found.modseqs[part],
        )


def key_of_message(
    message: message_pb2.SearchKey, collation: Collation = UNICODE, person: int = 0
) -> Key:
    """A search program. Raises PostroomError INVALID where it is too large or has gaps.

    What another collation compares is not alike to anything else.

    Args:
        person: who searches.
    """
    return _Reader(collation is UNICODE, person).read(message, 0, fuzzy=False)


def collation_of_message(collation: message_pb2.Collation.ValueType) -> Collation:
    """The collation that is asked for. Raises PostroomError INVALID."""
    if collation not in COLLATIONS:
        raise PostroomError(Kind.INVALID, "there is no such collation")
    return COLLATIONS[collation]


class _Reader:
    def __init__(self, may_be_fuzzy: bool, person: int) -> None:
        self._may_be_fuzzy = may_be_fuzzy
        self._person = person
        self._keys = 0

    def read(self, message: message_pb2.SearchKey, depth: int, *, fuzzy: bool) -> Key:
        self._keys += 1
        if self._keys > MOST_KEYS or depth > MOST_DEPTH:
            raise PostroomError(
                Kind.INVALID, f"a search has at most {MOST_KEYS} keys, {MOST_DEPTH} deep"
            )
        read = partial(self.read, depth=depth + 1, fuzzy=fuzzy)
        kind = message.WhichOneof("key")
        match kind:
            case None:
                raise PostroomError(Kind.INVALID, "a search key is missing")
            case "all_of":
                return AllOf(tuple(map(read, message.all_of.keys)))
            case "any_of":
                return AnyOf(tuple(map(read, message.any_of.keys)))
            case "not":
                return Not(read(getattr(message, "not")))
            case "fuzzy":
                return self.read(message.fuzzy, depth + 1, fuzzy=self._may_be_fuzzy)
            case "annotation":
                return self._annotated(message.annotation)
        key = LEAVES[kind](getattr(message, kind))
        return Fuzzy(key.fields, key.value) if fuzzy and isinstance(key, Text) else key

    def _annotated(self, message: message_pb2.SearchKey.Annotation) -> Key:
        naming.check_pattern(message.entry)
        holders = (SHARED,) * message.shared + (self._person,) * message.own
        return Annotated(message.entry, holders, message.value)
