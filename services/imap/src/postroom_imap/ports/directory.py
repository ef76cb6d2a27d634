"""Who has which address: what auth knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from postroom_chassis.quota import Quota


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody with an account, by its main address, and what it may keep."""

    account_id: int
    address: str
    quota: Quota


class Directory(Protocol):
    """Knows whose addresses are whose."""

    async def account(self, *addresses: str) -> Account | None:
        """The account whose main address this is, or one of these; None where there is none.

        Raises PostroomError UNAVAILABLE where who would know can't be asked.
        """
