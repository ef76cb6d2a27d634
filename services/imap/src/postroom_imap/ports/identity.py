"""Who a client is: what auth knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from postroom_chassis.net.client import Client


@dataclass(frozen=True, slots=True)
class Ticket:
    """What lets the front act for one person until `expires_at` (Unix seconds).

    Attributes:
        renew_seconds: within these the front asks whether it still may; 0: nobody said.
    """

    token: str = field(repr=False)
    account_id: int
    address: str
    expires_at: int
    renew_seconds: int = 0


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
