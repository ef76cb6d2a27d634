"""Starts again what has died, less and less often."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .child import Child

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
# A process that lived this long has recovered: the next delay is the first one again.
RECOVERED_SECONDS = 60.0
TICK_SECONDS = 0.2


@dataclass(slots=True)
class _Watched:
    child: Child
    delay: float = FIRST_DELAY
    started_at: float = 0.0
    start_at: float | None = None  # when it is started again; None: it runs


@dataclass(slots=True)
class Supervision:
    """Watches processes.

    Args:
        children: started already.
        tell: gets a text for people.
        clock: seconds.
    """

    children: Iterable[Child]
    tell: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _watched: list[_Watched] = field(init=False)

    def __post_init__(self) -> None:
        self._watched = [_Watched(child, started_at=self.clock()) for child in self.children]

    def run(self) -> None:
        """Watch until an exception, as Ctrl-C brings one, ends it."""
        while True:
            self.look()
            time.sleep(TICK_SECONDS)

    def look(self) -> None:
        """See to every process once."""
        for watched in self._watched:
            if watched.start_at is None and not watched.child.running:
                self._put_off(watched)
            elif watched.start_at is not None and self.clock() >= watched.start_at:
                watched.child.start()
                watched.started_at, watched.start_at = self.clock(), None

    def _put_off(self, watched: _Watched) -> None:
        child, now = watched.child, self.clock()
        if now - watched.started_at >= RECOVERED_SECONDS:
            watched.delay = FIRST_DELAY
        self.tell(
            f"{child.name} {child.status}; starting it again in {watched.delay:g} s. Its last "
            f"lines ({child.log}):\n{child.tail()}"
        )
        watched.start_at = now + watched.delay
        watched.delay = min(2 * watched.delay, LONGEST_DELAY)
