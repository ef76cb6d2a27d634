"""What a POP3 session needs of others. Every method may raise PostroomError UNAVAILABLE, DEADLINE
or INTERNAL beside what it names.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from postroom_chassis.net.client import Client

from postroom_pop3.protocol.capabilities import KEPT, Policy
from postroom_pop3.protocol.maildrop import Snapshot


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in, and what lets the front act for them.

    Attributes:
        expires_at: Unix seconds, of the ticket.
        renew_seconds: within these the front asks whether it still may; 0: nobody said.
        mailbox: the one that the name asked for; empty: INBOX.
        policy: how the account's mail is kept.
    """

    account_id: int
    address: str
    ticket: str = field(repr=False)
    expires_at: int = 0
    renew_seconds: int = 0
    mailbox: str = ""
    policy: Policy = KEPT


# Commands of POP3's own that prove who a client is, as auth calls them.
APOP = "X-APOP"
RPOP = "X-RPOP"


@dataclass(frozen=True, slots=True)
class Offer:
    """How clients of a connection may sign in.

    Attributes:
        mechanisms: of SASL, strongest first.
        commands: of APOP and RPOP.
        policy: the strictest of any account.
    """

    mechanisms: tuple[str, ...] = ()
    commands: frozenset[str] = frozenset()
    policy: Policy = KEPT


@dataclass(frozen=True, slots=True)
class Piece:
    """A message's content, or the next part of it."""

    uid: int
    data: bytes


# Sends a challenge and gives the client's response, None where the client cancels.
Answer = Callable[[bytes], Awaitable[bytes | None]]


class Authenticator(Protocol):
    """Proves who a person is (RFC 4422); mechanisms live behind it."""

    async def offer(self, client: Client) -> Offer:
        """How clients of a connection may sign in."""

    async def authenticate(
        self, client: Client, mechanism: str, initial: bytes | None, answer: Answer
    ) -> Identity:
        """Run one exchange to its end.

        Raises:
            PostroomError: UNAUTHENTICATED, RATE_LIMITED, UNSUPPORTED; INVALID for bad syntax and
                where the client cancels; TOO_SOON where the account's policy puts it off.
            Whatever `answer` raises.
        """


class LockedMaildrop(Protocol):
    """A maildrop that this session alone has (RFC 1939 section 4).

    Every method raises PostroomError LEASE_LOST where another session has had it since.
    """

    @property
    def snapshot(self) -> Snapshot: ...

    async def renew(self) -> None:
        """Keep the lease and the right to act. Raises UNAUTHENTICATED or EXPIRED where the person
        may no longer.
        """

    def retrieve(self, uids: Sequence[int]) -> AsyncGenerator[Piece, None]:
        """The contents of messages, ascending; those that are gone are passed over."""

    async def commit(
        self, uids: Sequence[int], retrieved: Sequence[int] = (), expire_before: int = 0
    ) -> int:
        """Remove messages and give the maildrop back, in one transaction. May be repeated.

        Args:
            retrieved: UIDs of messages that the client has read now.
            expire_before: messages that were read and came in before this go, too (Unix seconds);
                0: none.

        Returns:
            How many were removed.
        """


class Maildrops(Protocol):
    async def lock(self, identity: Identity) -> LockedMaildrop:
        """Take a person's maildrop, the mailbox that they named.

        Raises PostroomError IN_USE, NOT_FOUND, INVALID.
        """
