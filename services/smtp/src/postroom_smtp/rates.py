"""How much somebody may send: counted by each replica for itself, in bounded memory."""

from __future__ import annotations

import time

MOST_COUNTED = 100_000  # whoever is forgotten begins anew


class Rate:
    """So many of something for each of many, within a time, spread evenly: what is used up comes
    back bit by bit.

    Args:
        most: 0 is no limit.

    Attributes:
        limits: whether there is one.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.limits = most > 0
        self._each = seconds / most if most else 0.0
        self._seconds = seconds
        self._until: dict[str, float] = {}  # when all will have come back

    def take(self, key: str) -> bool:
        """Whether one more is within the limit; it counts then."""
        if not self.limits:
            return True
        now = time.monotonic()
        until = max(self._until.pop(key, now), now) + self._each
        within = until <= now + self._seconds + self._each / 2
        if len(self._until) >= MOST_COUNTED:
            self._until = {each: at for each, at in self._until.items() if at > now}
            if len(self._until) >= MOST_COUNTED:
                self._until.clear()
        self._until[key] = until if within else until - self._each
        return within
