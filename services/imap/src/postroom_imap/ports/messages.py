"""The messages of mailboxes."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import Protocol

from postroom_chassis.quota import Quota

from postroom_imap.ports.columns import Change, MailboxKey, OpenedMailbox, Ranges
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.searching import (
    FoundInMailbox,
    Matches,
    Scope,
    SortColumn,
    StoreKey,
)
from postroom_imap.protocol.collation import DEFAULT, Collation
from postroom_imap.protocol.commands.annotation import AnnotationColumn, AnnotationSetting

MOST_APPENDED = 1000  # messages of one APPEND, and pieces of its catenations


class Column(Enum):
    """An immutable datum of a message that the store has ready."""

    INTERNALDATE = "internaldate"  # int, Unix seconds
    SIZE = "size"  # int, octets
    ENVELOPE = "envelope"  # bytes, rendered, as are the next two
    BODY = "body"
    BODYSTRUCTURE = "bodystructure"
    HEADER = "header"  # bytes
    THREAD_ID = "thread_id"  # int
    PREVIEW = "preview"  # bytes, UTF-8
    SAVEDATE = "savedate"  # int, Unix seconds; each copy of a message has its own


class Text(IntEnum):
    """Which text of a part."""

    WHOLE = 0
    HEADER = 1
    TEXT = 2
    MIME = 3


class Form(IntEnum):
    """What of a section."""

    RAW = 0  # it as it is kept
    DECODED = 1  # without its transfer encoding (RFC 3516)
    DECODED_SIZE = 2  # how many octets that would be, in digits


@dataclass(frozen=True, slots=True)
class Section:
    """Bytes of a message (RFC 3501 section 6.4.5), before any choice of header fields.

    Attributes:
        partial: (offset, length).
    """

    path: tuple[int, ...]
    text: Text
    partial: tuple[int, int] | None = None
    form: Form = Form.RAW


@dataclass(slots=True)
class SectionData:
    """One section of a batch's messages: None where there is no such part.

    Attributes:
        rest: the last datum goes on: how long it is as a whole. The batches that follow hold more
            of it, each for the same UID alone, until one whose `rest` is 0.
    """

    data: list[bytes | None]
    rest: int = 0


@dataclass(slots=True)
class Batch:
    """Data of some messages, in order of UID: parallel lists.

    Attributes:
        annotations: values of each message by name, and by whether they are shared.
    """

    uids: Sequence[int]
    columns: dict[Column, Sequence[int] | Sequence[bytes]]
    sections: list[SectionData]
    annotations: Sequence[Mapping[tuple[str, bool], bytes]] = ()


@dataclass(frozen=True, slots=True)
class UploadId:
    """Stands for a content that was uploaded."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Reference:
    """Bytes of a message of the account, as they are kept.

    Attributes:
        uid_validity: 0: whatever it is.
        section: as in BODY[section].
        partial: (offset, length), length 0: to the end.
    """

    mailbox: str
    uid_validity: int
    uid: int
    section: str
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Catenation:
    """A message that the store puts together (RFC 4469)."""

    pieces: Sequence[bytes | UploadId | Reference]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be appended.

    Attributes:
        internal_date: Unix seconds; None: now.
    """

    source: bytes | UploadId | Catenation
    flags: Sequence[str] = ()
    internal_date: int | None = None
    annotations: Sequence[AnnotationSetting] = ()


@dataclass(frozen=True, slots=True)
class Replaced:
    """The message that a new one takes the place of (RFC 8508)."""

    mailbox: MailboxKey
    uid: int


class BadReference(Exception):
    """A catenation's reference names nothing: which message, which of its pieces, from 0."""

    def __init__(self, message: int, piece: int) -> None:
        super().__init__()
        self.message = message
        self.piece = piece


@dataclass(frozen=True, slots=True)
class Appended:
    """Where new messages are; `source_change` where one was replaced."""

    uid_validity: int
    uids: Sequence[int]
    change: Change
    source_change: Change | None = None


@dataclass(frozen=True, slots=True)
class Copied:
    """Where copies are; `source_change` for a move."""

    uid_validity: int
    source_uids: Sequence[int]
    target_uids: Sequence[int]
    source_change: Change | None
    target_change: Change | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of flags or annotations.

    Attributes:
        change: None where all were so.
        modified: UIDs of messages that were left alone, as they had changed meanwhile.
    """

    change: Change | None
    modified: Sequence[int] = ()


class FlagMode(StrEnum):
    """What happens to the flags of messages."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


class Messages(Protocol):
    """The messages of mailboxes.

    Raises (all): PostroomError NOT_FOUND where the mailbox is gone, or another's that the person
    may not know of; DENIED where a right is lacking. `quota` is what the owner may keep of a
    mailbox that is another's, and is written to.
    """

    async def open(self, ticket: Ticket, mailbox: str | MailboxKey) -> OpenedMailbox:
        """A mailbox, by its name or its key, as columns."""

    def fetch(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        columns: Sequence[Column],
        sections: Sequence[Section],
        annotations: Sequence[str] = (),
    ) -> AsyncIterator[Batch]:
        """Data of messages in order of UID; those that are gone are passed over.

        Args:
            annotations: names, with wildcards (RFC 5257 section 4.3).

        Raises PostroomError UNSUPPORTED where a section can't be decoded.
        """

    async def upload(self, ticket: Ticket, pieces: AsyncIterable[bytes]) -> UploadId:
        """Takes a large content. TOO_LARGE. Not repeated: the pieces come from a client."""

    async def upload_many(self, ticket: Ticket, contents: Sequence[bytes]) -> Sequence[UploadId]:
        """Takes contents that are too much for one call together, at most MOST_APPENDED."""

    async def append(
        self,
        ticket: Ticket,
        name: str,
        *messages: NewMessage,
        replaced: Replaced | None = None,
        quota: Quota | None = None,
    ) -> Appended:
        """Adds messages, all or none, and removes the one that a single new one replaces.

        Raises PostroomError OVER_QUOTA, TOO_LARGE, LIMIT_EXCEEDED, CONFLICT where the replaced
        message is gone, UNSUPPORTED where it is in another account, INVALID where a part that is
        annotated isn't there; BadReference.
        """

    async def store_flags(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        mode: FlagMode,
        flags: Sequence[str],
        unchanged_since: int | None = None,
    ) -> Stored:
        """Changes flags, of messages whose modseq is not above `unchanged_since` alone.

        LIMIT_EXCEEDED (keywords).
        """

    async def store_annotations(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        annotations: Sequence[AnnotationSetting],
        unchanged_since: int | None = None,
    ) -> Stored:
        """Sets annotations (RFC 5257), of messages whose modseq is not above a bound alone.

        INVALID where a message has no such part; TOO_LARGE; LIMIT_EXCEEDED for too many of one
        message; OVER_QUOTA; DENIED.
        """

    async def vanished(self, ticket: Ticket, mailbox: MailboxKey, since: int) -> Ranges | None:
        """The UIDs that were expunged after a modseq; None where that is forgotten."""

    async def copy(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        target: str,
        quota: Quota | None = None,
    ) -> Copied:
        """Copies messages, all or none. OVER_QUOTA; NOT_FOUND where the target is missing."""

    async def move(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        target: str,
        quota: Quota | None = None,
    ) -> Copied:
        """Moves messages, all or none; raises what `copy` does."""

    async def expunge(self, ticket: Ticket, mailbox: MailboxKey, uids: Ranges) -> Change | None:
        """Removes those of the messages that are \\Deleted; of all, where none is named."""

    async def search(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        key: StoreKey,
        *,
        comparator: Collation = DEFAULT,
        columns: Sequence[SortColumn] = (),
        annotations: Sequence[AnnotationColumn] = (),
        scored: bool = False,
    ) -> Matches:
        """The messages that match. INVALID for too large a program, LIMIT_EXCEEDED for a dear one.

        Args:
            comparator: of texts, those of columns too.
            columns: to be told of each, and so are
            annotations.
            scored: tell how relevant each is.
        """

    def search_many(
        self,
        ticket: Ticket,
        scopes: Sequence[Scope],
        key: StoreKey,
        *,
        own: tuple[int, StoreKey] | None = None,
        comparator: Collation = DEFAULT,
        scored: bool = False,
        modseqs: bool = False,
    ) -> AsyncIterator[FoundInMailbox]:
        """The messages of several mailboxes that match, as of one moment; as they are found.

        In order of name; mailboxes without a match are left out. Raises what `search` does.

        Args:
            own: the id of a mailbox, and what is asked of it in the place of `key`.
            scored: tell how relevant each is.
            modseqs: tell the modseq of each.
        """
