"""What the front needs of others, in its own terms. `remote` keeps these promises over gRPC.

Every call of the ports raises PostroomError: UNAVAILABLE and DEADLINE where the owner can't be
reached, UNAUTHENTICATED and EXPIRED where the ticket is no good any more, and what its docstring
names. A write is repeated behind the port until its outcome is known or hope is lost, and never
done twice.

UID sets are `Ranges`: ascending, disjoint (first, last) pairs. Flags are 64-bit masks where
messages are told and names where a client sets them; `keywords` knows how they go together.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from typing import Protocol

Range = tuple[int, int]
Ranges = Sequence[Range]

MOST_RANGES = 20_000  # of UIDs in one call


# -- who is there


@dataclass(frozen=True, slots=True)
class Client:
    """The connection on which a person signs in.

    Attributes:
        address: IP address.
        secure: TLS, or loopback.
        tls_version: empty in clear text.
    """

    address: str
    secure: bool
    tls_version: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What lets the front act for one person until `expires_at` (Unix seconds)."""

    token: str = field(repr=False)
    account_id: int
    address: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The end of an exchange; `data` is what some mechanisms still have to say (RFC 4422 3.6)."""

    ticket: Ticket
    data: bytes = b""


# Sends a challenge to the client and answers its response, decoded; None where it cancelled.
Respond = Callable[[bytes], Awaitable[bytes | None]]


class Authenticator(Protocol):
    """Knows who people are."""

    async def mechanisms(self, client: Client) -> tuple[str, ...]:
        """SASL mechanisms on offer, strongest first."""

    async def authenticate(
        self, mechanism: str, initial_response: bytes | None, client: Client, respond: Respond
    ) -> SignedIn:
        """One SASL exchange (RFC 4422).

        Raises PostroomError: UNAUTHENTICATED, RATE_LIMITED, INVALID (bad syntax, or cancelled),
        UNSUPPORTED; what `respond` raises.
        """

    async def renew(self, ticket: Ticket) -> Ticket:
        """A fresh ticket. EXPIRED, UNAUTHENTICATED: the session must end."""


# -- mailboxes


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
    """A mailbox and its counts; `mailbox_id` 0 is a name that is only subscribed."""

    mailbox_id: int
    name: str
    selectable: bool = True
    subscribed: bool = False
    special_use: SpecialUse | None = None
    uid_validity: int = 0
    messages: int = 0
    unseen: int = 0
    uid_next: int = 1
    modseq: int = 0


class Mailboxes(Protocol):
    """The tree of mailboxes. Names are text with "/" between levels."""

    async def list(self, ticket: Ticket) -> Sequence[Mailbox]:
        """All mailboxes and subscriptions, in order of name."""

    async def status(self, ticket: Ticket, name: str) -> Mailbox:
        """One mailbox with its counts. NOT_FOUND."""

    async def create(self, ticket: Ticket, name: str) -> Mailbox:
        """A new mailbox, levels above it included. ALREADY_EXISTS, INVALID, LIMIT_EXCEEDED."""

    async def delete(self, ticket: Ticket, name: str) -> None:
        """Removes a mailbox. NOT_FOUND, INVALID."""

    async def rename(self, ticket: Ticket, name: str, new_name: str) -> None:
        """Renames a mailbox with its inferiors. NOT_FOUND, ALREADY_EXISTS, INVALID."""

    async def subscribe(self, ticket: Ticket, name: str, subscribed: bool) -> None:
        """Adds a name to the subscriptions or removes it."""


# -- messages


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


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to a mailbox between two of its modseqs.

    Attributes:
        added: new messages.
        flagged: messages with other flags than before.
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


class Column(Enum):
    """An immutable datum of a message that the store has ready."""

    INTERNALDATE = "internaldate"  # int, Unix seconds
    SIZE = "size"  # int, octets
    ENVELOPE = "envelope"  # bytes, rendered, as are the next two
    BODY = "body"
    BODYSTRUCTURE = "bodystructure"
    HEADER = "header"  # bytes


class Text(IntEnum):
    """Which text of a part."""

    WHOLE = 0
    HEADER = 1
    TEXT = 2
    MIME = 3


@dataclass(frozen=True, slots=True)
class Section:
    """Bytes of a message (RFC 3501 section 6.4.5), before any choice of header fields.

    Attributes:
        partial: (offset, length).
    """

    path: tuple[int, ...]
    text: Text
    partial: tuple[int, int] | None = None


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
    """Data of some messages, in order of UID: parallel lists."""

    uids: Sequence[int]
    columns: dict[Column, Sequence[int] | Sequence[bytes]]
    sections: list[SectionData]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be appended: its bytes, or the id of an upload.

    Attributes:
        internal_date: Unix seconds; None: now.
    """

    source: bytes | UploadId
    flags: Sequence[str] = ()
    internal_date: int | None = None


@dataclass(frozen=True, slots=True)
class UploadId:
    """Stands for a content that was uploaded."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a new message is."""

    uid_validity: int
    uids: Sequence[int]
    change: Change


@dataclass(frozen=True, slots=True)
class Copied:
    """Where copies are; `source_change` for a move."""

    uid_validity: int
    source_uids: Sequence[int]
    target_uids: Sequence[int]
    source_change: Change | None
    target_change: Change | None


class FlagMode(StrEnum):
    """What happens to the flags of messages."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


# -- searching: what the front can't answer itself


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
    """What a number is compared with: sizes strictly, moments (Unix seconds) from and before."""

    LARGER = "larger"
    SMALLER = "smaller"
    SINCE = "since"
    BEFORE = "before"
    SENT_SINCE = "sent_since"
    SENT_BEFORE = "sent_before"


@dataclass(frozen=True, slots=True)
class Compares:
    """A comparison with a number."""

    field: NumberField
    number: int


StoreKey = AllOf | AnyOf | Not | InUids | HasFlag | HasText | HasHeader | Compares


class Messages(Protocol):
    """The messages of mailboxes. NOT_FOUND from each where the mailbox is gone."""

    async def open(self, ticket: Ticket, name: str) -> OpenedMailbox:
        """A mailbox as columns."""

    def fetch(
        self,
        ticket: Ticket,
        mailbox_id: int,
        uids: Ranges,
        columns: Sequence[Column],
        sections: Sequence[Section],
    ) -> AsyncIterator[Batch]:
        """Data of messages in order of UID; those that are gone are passed over."""

    async def upload(self, ticket: Ticket, pieces: AsyncIterable[bytes]) -> UploadId:
        """Takes a large content. TOO_LARGE. Not repeated: the pieces come from a client."""

    async def append(self, ticket: Ticket, name: str, message: NewMessage) -> Appended:
        """Adds a message. OVER_QUOTA, TOO_LARGE, LIMIT_EXCEEDED."""

    async def store_flags(
        self, ticket: Ticket, mailbox_id: int, uids: Ranges, mode: FlagMode, flags: Sequence[str]
    ) -> Change | None:
        """Changes flags; None where all were so. LIMIT_EXCEEDED (keywords)."""

    async def copy(self, ticket: Ticket, mailbox_id: int, uids: Ranges, target: str) -> Copied:
        """Copies messages, all or none. OVER_QUOTA; NOT_FOUND where the target is missing."""

    async def move(self, ticket: Ticket, mailbox_id: int, uids: Ranges, target: str) -> Copied:
        """Moves messages, all or none; raises what `copy` does."""

    async def expunge(self, ticket: Ticket, mailbox_id: int, uids: Ranges) -> Change | None:
        """Removes those of the messages that are \\Deleted; of all, where none is named."""

    async def search(self, ticket: Ticket, mailbox_id: int, key: StoreKey) -> Sequence[int]:
        """The UIDs that match, ascending. INVALID for too large a program."""


# -- what happens


class Follower(Protocol):
    """A view of a mailbox that wants to hear what happens to it."""

    account_id: int
    mailbox_id: int
    modseq: int
    ticket: Ticket

    def follow(self, change: Change) -> None:
        """Something happened: changes after `modseq`, in order, without gaps."""

    def lose(self, temporary: bool) -> None:
        """Nothing more will be told: the ticket is no good any more, or the mailbox is gone."""


class Changes(Protocol):
    """Tells followers what happens to their mailboxes, however often the stream breaks."""

    def add(self, follower: Follower) -> None:
        """Tell it from its `modseq` on. A follower that was told before starts anew."""

    def remove(self, follower: Follower) -> None:
        """Tell it no more."""
