"""What sending needs of others. Every method may raise PostroomError UNAVAILABLE, DEADLINE or
INTERNAL beside what it names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from postroom_smtp.protocol.envelope import Recipient, Request


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits.

    Attributes:
        message_id: of its Message-ID field, or empty.
        eight_bit: it has octets over 127.
    """

    size: int
    message_id: str
    request: Request
    eight_bit: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A message for one recipient.

    Attributes:
        message: the same object for all entries of a batch that share it.
        account_id: who submitted it; 0: nobody who signed in.
        sender: the message's reverse-path; empty for the null one.
        created_at: Unix seconds.
        attempts: before this one.
        delay_told: the sender has heard that it is late.
        suppressed: nothing is sent to this address.
    """

    queue_id: int
    message: Message
    account_id: int
    sender: str
    recipient: Recipient
    created_at: int
    attempts: int = 0
    delay_told: bool = False
    trace_id: str = ""
    suppressed: bool = False

    @property
    def reverse_path(self) -> str:
        """Whose message it is to the next server."""
        return self.sender if self.recipient.sender is None else self.recipient.sender


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries for one domain, which are ours until the lease ends.

    Attributes:
        lease_id: proves that.
        expires_at: Unix seconds.
        failures: attempts in a row that didn't reach the destination.
    """

    lease_id: bytes = field(repr=False)
    domain: str
    expires_at: int
    failures: int
    entries: tuple[Entry, ...]


class Outcome(StrEnum):
    """What came of an attempt."""

    DELIVERED = "delivered"  # the server took it, and says what becomes of it
    RELAYED = "relayed"  # the server took it, and says nothing more (RFC 3461 section 5.2.2)
    DEFERRED = "deferred"
    FAILED = "failed"  # for good


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to send one entry.

    Attributes:
        at: Unix seconds.
        reply: the server's, or what went wrong here.
        host: the server's name and address; empty where none was reached.
        tls: version and policy ("TLSv1.3 dane"); empty in clear text.
    """

    at: int
    outcome: Outcome
    reply: str
    host: str = ""
    tls: str = ""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of an entry.

    Attributes:
        next_attempt_at: Unix seconds, where it is deferred.
        delay_told: the sender has heard that it is late.
        untried: it counts for no attempt, and waits again whatever the attempt says.
    """

    queue_id: int
    attempt: Attempt
    next_attempt_at: int = 0
    delay_told: bool = False
    untried: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """What is known of a domain's servers.

    Attributes:
        retry_at: until when it is left alone, where it wasn't reached; Unix seconds.
        reply: what went wrong.
    """

    reached: bool
    retry_at: int = 0
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is said of a lease.

    Attributes:
        ended: nothing more comes of it. What isn't settled waits again.
    """

    lease_id: bytes = field(repr=False)
    fates: tuple[Fate, ...] = ()
    ended: bool = False
    destination: Destination | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be leased.

    Attributes:
        batches: at most.
        entries: of a batch, at most.
        per_domain: batches of a domain, whoever holds them.
        lease_seconds: how long.
        wait_seconds: for something that is due.
        limits: domains with another limit; 0: not now.
    """

    batches: int
    entries: int
    per_domain: int
    lease_seconds: int
    wait_seconds: int
    limits: Mapping[str, int] = field(default_factory=dict)


class Queue(Protocol):
    """The queue, as a worker sees it."""

    async def lease(self, wish: Wish) -> Sequence[Batch]:
        """What is due, as soon as there is something; nothing after `wait_seconds`."""

    async def extend(self, leases: Sequence[bytes], seconds: int) -> frozenset[bytes]:
        """Let leases last so long from now. Answers those that are lost."""

    def read(self, lease_id: bytes, queue_id: int) -> AsyncIterator[bytes]:
        """A leased entry's message, in pieces. Raises PostroomError CONFLICT where the lease
        doesn't hold it.
        """

    async def settle(self, settlement: Settlement) -> frozenset[int]:
        """Returns when it is durable: the entries that the lease doesn't hold any more."""
