"""When what couldn't be sent is tried again, and how long (RFC 5321 section 4.5.4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# Of an entry whose recipient a server put off: greylisting ends after minutes, full mailboxes stay
# so for hours. The last step goes on.
ENTRY_STEPS = (5 * 60, 10 * 60, 20 * 60, 40 * 60, 3600, 2 * 3600, 4 * 3600)
# Of a destination that wasn't reached: one look costs one connection, however much waits.
DESTINATION_STEPS = (60, 2 * 60, 5 * 60, 10 * 60, 20 * 60, 30 * 60, 3600)
SOON = 30  # to twice as much
JITTER = 0.2  # of a step, in both directions: what failed together doesn't come back together


@dataclass(frozen=True, slots=True)
class Schedule:
    """Times, as Unix seconds.

    Args:
        lifetime: seconds for which an entry is tried.
        delay: seconds after which its sender is told that it is late.
        random: from 0 to 1.
    """

    lifetime: float
    delay: float
    random: Callable[[], float]

    def next_attempt(self, now: float, attempts: int, expires_at: float) -> int:
        """When an entry is tried again after so many attempts; the last time, when it expires."""
        again = now + self._step(ENTRY_STEPS, attempts)
        return int(min(again, max(expires_at, now + ENTRY_STEPS[0] / 2)))

    def next_look(self, now: float, failures: int) -> int:
        """When a destination is tried again that wasn't reached so many times before."""
        return int(now + self._step(DESTINATION_STEPS, failures)) + 1

    def soon(self, now: float) -> int:
        """When a destination is tried again for the sake of what is to be told of its entries."""
        return int(now + SOON * (1 + self.random())) + 1

    def expires_at(self, began_at: float) -> float:
        """When an entry has been tried for long enough."""
        return began_at + self.lifetime

    def late(self, now: float, began_at: float) -> bool:
        """Whether a sender would want to know."""
        return now >= began_at + self.delay

    def _step(self, steps: tuple[int, ...], number: int) -> float:
        step = steps[min(max(number, 0), len(steps) - 1)]
        return step * (1 + JITTER * (2 * self.random() - 1))
