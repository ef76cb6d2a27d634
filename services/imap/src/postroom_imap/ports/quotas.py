"""What accounts keep, and what they may keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from postroom_chassis.quota import Quota as Limits

from postroom_imap.ports.identity import Ticket


@dataclass(frozen=True, slots=True)
class Resource:
    """How much of something an account has, and may have; a limit of 0 is none."""

    usage: int
    limit: int


@dataclass(frozen=True, slots=True)
class Quota:
    """What an account keeps, and what it may keep."""

    bytes: Resource
    messages: Resource
    mailboxes: Resource


class Quotas(Protocol):
    """Tells of quotas, and sets them for those who administer their tenant."""

    async def usage(self, ticket: Ticket) -> Quota:
        """What an account keeps and may keep, by its own ticket or one that `open` gave."""

    async def open(self, ticket: Ticket, address: str) -> Ticket:
        """A ticket that opens the quota of another account. DENIED, NOT_FOUND, INVALID."""

    async def set(self, ticket: Ticket, address: str, limits: Limits) -> Ticket:
        """Replaces an account's limits, and answers as `open` does. DENIED, NOT_FOUND, INVALID."""
