"""What the SMTP front needs of others. Every method may raise PostroomError UNAVAILABLE, DEADLINE
or INTERNAL beside what it names.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from postroom_chassis.net.client import Client

from postroom_smtp.protocol.envelope import NOTHING_ASKED, Recipient, Request
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.spool import Spool


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in.

    Attributes:
        expires_at: Unix seconds; from then on the ticket must be renewed to be worth anything.
        renew_seconds: within these the front asks whether it still may; 0: nobody said.
    """

    account_id: int
    address: str
    ticket: str = field(repr=False)
    expires_at: int = 0
    renew_seconds: int = 0


# Sends a challenge and gives the client's response, None where the client cancels.
Answer = Callable[[bytes], Awaitable[bytes | None]]


class Authenticator(Protocol):
    """Proves who a person is (RFC 4422); mechanisms live behind it."""

    async def mechanisms(self, client: Client) -> Sequence[str]:
        """The mechanisms on offer for a connection, strongest first."""

    async def authenticate(
        self, client: Client, mechanism: str, initial: bytes | None, answer: Answer
    ) -> Identity:
        """Run one exchange to its end.

        Raises:
            PostroomError: UNAUTHENTICATED, RATE_LIMITED, UNSUPPORTED; INVALID for bad syntax and
                where the client cancels.
            Whatever `answer` raises.
        """

    async def renew(self, identity: Identity) -> Identity:
        """The same person with a fresh ticket. Raises UNAUTHENTICATED or EXPIRED where the person
        may no longer act.
        """


class Whereabouts(StrEnum):
    """Where an address leads."""

    LOCAL = "local"
    UNKNOWN = "unknown"  # the domain is ours, the address is nobody's
    FOREIGN = "foreign"  # the domain is not ours
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Account:
    """Who receives. A quota of 0 is no limit."""

    account_id: int
    address: str
    quota_bytes: int = 0
    quota_messages: int = 0

    @property
    def limited(self) -> bool:
        """Whether the account may be full."""
        return bool(self.quota_bytes or self.quota_messages)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an address stands for: accounts here, and addresses elsewhere that get a copy."""

    whereabouts: Whereabouts
    accounts: tuple[Account, ...] = ()
    forwards: tuple[str, ...] = ()


class Directory(Protocol):
    """Who receives what is sent to an address, and who may send as it."""

    async def resolve(self, address: str) -> Resolution:
        """Where an address leads. May be a few seconds old."""

    async def may_send_as(self, account_id: int, address: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class LocalRecipient:
    """Whose mailbox gets a message; `address` as the client said it. Without a mailbox: INBOX.
    `seen`: who gets it has written it.
    """

    account_id: int
    address: str
    mailbox: str = ""
    seen: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a message came, which is kept with it.

    Attributes:
        message_id: ours, as in the reply and the Received field.
        client: IP address.
        name: what the client called itself.
        verdict: what was found out about it: the resinfo of RFC 8601, and what filters said.
    """

    message_id: str = ""
    client: str = ""
    name: str = ""
    verdict: str = ""


UNKNOWN_ARRIVAL = Arrival()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message and everybody who gets it, taken whole or not at all.

    Attributes:
        key: makes a repeat harmless.
        sender: empty for the null reverse-path.
        content: bytes, or what `Store.upload` answered.
        queue: who gets it elsewhere.
        submitter: the ticket of who sent it, empty for nobody or a trusted network.
    """

    key: bytes
    sender: str
    content: bytes | Uploaded
    local: tuple[LocalRecipient, ...] = ()
    queue: tuple[Recipient, ...] = ()
    submitter: str = field(default="", repr=False)
    trace_id: str = ""
    request: Request = NOTHING_ASKED
    arrival: Arrival = UNKNOWN_ARRIVAL


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A content that the store has already."""

    upload_id: bytes


class Store(Protocol):
    """Takes mail in."""

    async def admit(self, account: Account, size: int) -> bool:
        """Whether there is room for a message; 0 octets where its size isn't known."""

    async def upload(self, pieces: AsyncIterator[bytes]) -> Uploaded:
        """Hand over a content that is too large for a Delivery. Raises PostroomError TOO_LARGE."""

    async def deliver(self, delivery: Delivery) -> None:
        """Returns when the message is durable. May be repeated with the same key.

        Raises PostroomError TOO_LARGE.
        """


@dataclass(frozen=True, slots=True)
class Sending:
    """Somebody who sends, as far as is known by now.

    Attributes:
        name: what the client calls itself; empty before EHLO.
        identity: who signed in.
        trusted: the client is on a network of ours, or has signed in: it is asked for nothing.
        sender: the reverse-path, None before MAIL; empty for the null one.
        recipients: those that were taken, as the client said them.
        connection: names the connection, the same from its greeting to its end; empty where nobody
            keeps that, and then `Policy.ended` isn't called.
        forwarded: some of it goes to addresses elsewhere in place of those that were named.
        proxy: the client is one that may say for whom it acts (XCLIENT), and has not by now.
    """

    client: Client
    name: str = ""
    identity: Identity | None = None
    trusted: bool = False
    sender: str | None = None
    recipients: tuple[str, ...] = ()
    message_id: str = ""
    request: Request = NOTHING_ASKED
    connection: str = ""
    forwarded: bool = False
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a message.

    Attributes:
        refused: why it isn't taken; None: it is.
        mailbox: where it goes in place of INBOX; empty: INBOX.
        fields: what goes before it, below the Received field, with line ends.
        removed: names of fields that are taken out of it, in lower case, each with the number of
            the field of that name, from the top, from 0 (RFC 8601 section 5).
        verdict: see Arrival.
        quiet: it is taken, and nobody gets it.
        sender: the reverse-path in place of the client's; None: that.
        added: addresses that get it, too, wherever they are.
        dropped: recipients, as the client said them, that don't.
    """

    refused: Reply | None = None
    mailbox: str = ""
    fields: bytes = b""
    removed: frozenset[tuple[str, int]] = frozenset()
    verdict: str = ""
    quiet: bool = False
    sender: str | None = None
    added: tuple[str, ...] = ()
    dropped: frozenset[str] = frozenset()


class Policy(Protocol):
    """What is asked of those who send. A reply refuses; None goes on. Raises nothing: where what it
    asks is down it does what the settings say.
    """

    async def connected(self, sending: Sending) -> Reply | None:
        """Before the greeting."""

    async def mail(self, sending: Sending) -> Reply | None:
        """At MAIL, once it is otherwise right."""

    async def recipient(self, sending: Sending, address: str) -> Reply | None:
        """At RCPT, once the recipient is known to be here."""

    async def message(self, sending: Sending, message: Spool) -> Judgement:
        """At the end of the content."""

    async def ended(self, connection: str) -> None:
        """The connection is over, or its client is another one from here on."""


class Signer(Protocol):
    """Signs mail in the name of its author's domain (RFC 6376)."""

    async def sign(
        self, message: Spool, *, added: bytes = b"", removed: Iterable[tuple[str, int]] = ()
    ) -> bytes:
        """The fields that go before everything else; none where the domain has no keys.

        Args:
            added: fields that will stand before the message.
            removed: fields that will be taken out of it (see `Judgement`).

        Raises PostroomError where the keys can't be had, OSError.
        """


class Waiting(Protocol):
    """What waits to be sent elsewhere."""

    async def hasten(self, domain: str, *, subdomains: bool) -> int:
        """Let what waits for a domain be tried at once; how many recipients that are."""


class Urls(Protocol):
    """What URLs let a submission server read (RFC 4467, RFC 4468)."""

    def fetch(self, identity: Identity, url: str) -> AsyncGenerator[bytes, None]:
        """What a URL names, in pieces. Raises PostroomError NOT_FOUND where it opens nothing."""
