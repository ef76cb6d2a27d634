"""What checks need of others. Every method may raise PostroomError UNAVAILABLE, DEADLINE or
INTERNAL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from postroom_smtp.protocol.dkim import SigningKey


@dataclass(frozen=True, slots=True)
class Counted:
    """Something that is counted.

    Attributes:
        key: 16 octets.
        most: of it, within so many seconds.
    """

    key: bytes
    amount: int
    most: int
    seconds: int


class Screening(Protocol):
    """What our replicas remember together about those who send."""

    async def greylist(self, keys: Sequence[bytes]) -> Sequence[int]:
        """For each key, how many seconds mail that looks like this must still wait; 0: none. The
        first call for a key notes it.
        """

    async def count(self, counted: Sequence[Counted]) -> Sequence[int]:
        """Count each, unless that would be more than its limit; for each, after how many seconds
        there is room again, 0 where it was counted.
        """


class SigningKeys(Protocol):
    """The keys that mail of our domains is signed with."""

    async def keys(self, domain: str) -> tuple[SigningKey, ...]:
        """Those of a domain, or of the nearest above it that has some; none where none has. May be
        a minute old.
        """
