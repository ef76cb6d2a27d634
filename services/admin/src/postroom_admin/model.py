"""The values that administrators see: plain, immutable, with times in UTC.

Sizes are bytes. A limit of 0 bytes means unlimited, as in the RPC API.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from postroom_chassis.quota import Quota

T = TypeVar("T")

PAGE = 1000  # entries; what every paged RPC gives at most


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some entries of a longer list, and what to ask for next (empty: that was all)."""

    items: Sequence[T]
    next_page_token: str = ""


async def every(fetch: Callable[[str], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    """All entries of a paged list, page by page.

    Args:
        fetch: answers the page for a token; the first is asked for with an empty one.
    """
    token = ""
    while True:
        page = await fetch(token)
        for item in page.items:
            yield item
        token = page.next_page_token
        if not token:
            return


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain that mail is received for; `catch_all` is an account's address, or empty."""

    name: str
    tenant: str
    catch_all: str
    accounts: int


@dataclass(frozen=True, slots=True)
class Account:
    account_id: int
    address: str
    tenant: str
    display_name: str
    quota_bytes: int
    disabled: bool
    created_at: datetime
    quota_messages: int = 0
    quota_mailboxes: int = 0
    administrator: bool = False
    app_passwords_only: bool = False
    pop3_delete: bool = False
    pop3_days: int = 0
    pop3_login_delay: int = 0

    @property
    def quota(self) -> Quota:
        """What it may keep."""
        return Quota(self.quota_bytes, self.quota_messages, self.quota_mailboxes)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that an account shares with a client, for one mechanism: not what it is.

    Attributes:
        networks: whose clients may use it; empty: all.
    """

    secret_id: int
    kind: str
    networks: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Alias:
    """An address that delivers to others, here or elsewhere."""

    address: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppPassword:
    """A generated password for one program; None: it never ends, or was never used."""

    name: str
    protocols: tuple[str, ...]
    networks: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewAppPassword:
    """An app password that has just been made, and its text, which nobody can tell again."""

    app_password: AppPassword
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """How somebody's attempt to sign in ended, or several that were alike.

    `outcome` is "OK" or the kind of the error; `why` says more than the client was told.
    """

    entry_id: int
    at: datetime
    account: str
    outcome: str
    why: str
    protocol: str
    front: str
    mechanism: str
    credential: str
    client: str
    tls_version: str
    times: int


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; `since` is Unix seconds, and what is empty matters not."""

    account: str = ""
    network: str = ""
    succeeded: bool | None = None
    since: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether somebody can sign in to an account now.

    `locked_until` is None where it is not locked, or until somebody unlocks it; `waits_until`
    where nobody has to wait.
    """

    address: str
    disabled: bool
    locked: bool
    locked_until: datetime | None
    failures: int
    waits_until: datetime | None
    locked_by_failures: bool
    app_passwords: int
    last_success: AuditEntry | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account keeps."""

    account_id: int
    messages: int = 0
    bytes: int = 0
    mailboxes: int = 0


class QueueState(StrEnum):
    WAITING = "waiting"
    HELD = "held"
    SENDING = "sending"


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One recipient of a message that waits to be sent elsewhere.

    Attributes:
        last_host: whose reply `last_reply` is; empty: nobody's, it tells what went wrong here.
    """

    queue_id: int
    account_id: int
    sender: str
    recipient: str
    state: QueueState
    size: int
    created_at: datetime
    next_attempt_at: datetime
    attempts: int
    last_reply: str
    message_id: str
    last_host: str = ""

    @property
    def domain(self) -> str:
        """The recipient's domain."""
        return self.recipient.rpartition("@")[2].lower()


class Outcome(StrEnum):
    """What came of one try to send an entry."""

    DELIVERED = "delivered"
    RELAYED = "relayed"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to send one entry.

    Attributes:
        reply: the peer's, or what went wrong here.
        host: the peer's name and address; empty where none was reached.
        tls: version and policy; empty in clear text.
    """

    at: datetime
    outcome: Outcome
    reply: str
    host: str
    tls: str


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry with all its attempts, oldest first."""

    entry: QueueEntry
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class DomainSummary:
    """The mail that waits for one domain.

    Attributes:
        retry_at: the domain is left alone until then; None: it isn't.
        last_reply: of the domain as a whole.
    """

    domain: str
    waiting: int
    held: int
    sending: int
    oldest: datetime
    retry_at: datetime | None
    last_reply: str


@dataclass(frozen=True, slots=True)
class QueueSummary:
    """The domains with the most that waits, and how many entries there are for all of them."""

    domains: tuple[DomainSummary, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address elsewhere to which nothing is sent."""

    address: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Reception:
    """How a message came.

    Attributes:
        message_id: the id that smtp gave it, as in its reply and the Received field.
        client: IP address.
        name: what the client called itself.
        verdict: what the checks said.
    """

    message_id: str
    client: str
    name: str
    verdict: str


@dataclass(frozen=True, slots=True)
class TracedCopy:
    """A message in somebody's mailbox; `expunged_at` None: it is there."""

    account_id: int
    mailbox: str
    uid: int
    delivered_at: datetime
    seen: bool
    expunged_at: datetime | None
    sender: str
    reception: Reception


@dataclass(frozen=True, slots=True)
class TracedEntry:
    """A message to an address elsewhere; `state` None: it has left the queue."""

    queue_id: int
    account_id: int
    sender: str
    recipient: str
    created_at: datetime
    state: QueueState | None
    next_attempt_at: datetime
    attempts: tuple[Attempt, ...]
    reception: Reception
    cancelled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Traced:
    """What is known of a message: where it lies, and where it was to go."""

    copies: tuple[TracedCopy, ...]
    entries: tuple[TracedEntry, ...]


class Algorithm(StrEnum):
    """What mail is signed with (RFC 6376, RFC 8463)."""

    RSA = "rsa-sha256"
    ED25519 = "ed25519-sha256"


class KeyState(StrEnum):
    """What a key is used for: not yet, now, no more."""

    NEW = "new"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A key that mail of a domain is signed with: not what it is.

    Attributes:
        record: the text of the TXT record that tells of it.
        retired_at: None: it isn't retired.
    """

    domain: str
    selector: str
    algorithm: str
    state: KeyState
    record: str
    created_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class Mailbox:
    name: str
    selectable: bool
    messages: int
    size: int


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be imported: its bytes, or an upload that holds them.

    Attributes:
        flags: system flags and keywords as in IMAP.
        internaldate: Unix seconds.
    """

    content: bytes
    flags: tuple[str, ...]
    internaldate: int
    upload_id: bytes = b""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as a mailbox has it."""

    uid: int
    content: bytes
    flags: tuple[str, ...]
    internaldate: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long job of the store is, and what it found wrong since it last told."""

    done: int
    total: int
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Collected:
    """What garbage collection has removed so far."""

    expunged: int
    contents: int
    bytes: int
