"""How far something that lasts has come, told now and then (RFC 9585)."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 1.0  # between two times that it is told, and before the first


class Progress:
    """Counts messages.

    Args:
        tell: takes how many are done, and how many are to be.
        goal: how many are to be done.
    """

    __slots__ = ("_goal", "_next", "_tell")

    def __init__(self, tell: Callable[[int, int], None], goal: int) -> None:
        self._tell = tell
        self._goal = goal
        self._next = time.monotonic() + SECONDS

    def at(self, done: int) -> None:
        """So many are done; it is told where that is due, and not the end of all."""
        now = time.monotonic()
        if now >= self._next and done < self._goal:
            self._next = now + SECONDS
            self._tell(done, self._goal)


NO_PROGRESS = Progress(lambda _done, _goal: None, 0)
