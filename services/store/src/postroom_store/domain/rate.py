"""A rate: how much was counted within the last so many seconds, never less than it was.

The time is cut into slots, so that what is remembered stays small. A slot counts until the last
moment of it is out of the window: the limit holds in every window, and room comes up to a slot
late.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

SLOTS = 16  # of a window, and one that has just begun
_COUNTS = struct.Struct(f"<{SLOTS + 1}Q")


@dataclass(slots=True)
class Window:
    """What was counted for a key.

    Attributes:
        seconds: of the window; a window of another length begins anew.
        newest: the number of the newest slot.
        counts: of the slots, the newest first.
    """

    seconds: int
    newest: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * (SLOTS + 1))

    @classmethod
    def decode(cls, seconds: int, newest: int, packed: bytes) -> Window:
        return cls(seconds, newest, list(_COUNTS.unpack(packed)))

    def encode(self) -> bytes:
        return _COUNTS.pack(*self.counts)

    @property
    def width(self) -> int:
        """Seconds of a slot."""
        return -(-self.seconds // SLOTS)

    def _ends_at(self, age: int) -> int:
        """When a slot is out of the window."""
        return (self.newest - age + 1) * self.width - 1 + self.seconds

    def count(self, now: int, amount: int, most: int) -> int:
        """Count, unless that would be more than `most`; 0, or in how many seconds there is room."""
        self._advance(now)
        excess = sum(self.counts) + amount - most
        if excess <= 0:
            self.counts[0] += amount
            return 0
        if amount > most:
            return self.seconds
        for age in range(SLOTS, -1, -1):
            excess -= self.counts[age]
            if excess <= 0:
                return max(self._ends_at(age) - now, 1)
        return self.seconds

    def _advance(self, now: int) -> None:
        # Another replica's clock may be ahead: what it counted stays.
        steps = now // self.width - self.newest
        if steps > 0:
            kept = self.counts[: max(SLOTS + 1 - steps, 0)]
            self.newest += steps
            self.counts = [0] * (SLOTS + 1 - len(kept)) + kept
        for age in range(SLOTS + 1):
            if self._ends_at(age) <= now:
                self.counts[age] = 0
