"""What an account may keep: auth knows it, tickets carry it, the store holds people to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits on an account as a whole; 0 is no limit."""

    bytes: int = 0
    messages: int = 0
    mailboxes: int = 0


UNLIMITED = Quota()
