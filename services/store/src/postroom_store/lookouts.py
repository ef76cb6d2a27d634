"""Who waits for something to send, and is woken when there may be.

Whoever waits has looked before, and knows when something comes due by time. Whatever comes due
otherwise is told: by this process after each commit, by other replicas in notices. What is told
names destinations, so that each of those who wait looks at these alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Set
from types import TracebackType
from typing import Self

MOST_DESTINATIONS = 500  # that one remembers; the whole queue is looked at for more


class Lookout:
    """One who waits, within its context."""

    def __init__(self, lookouts: Lookouts) -> None:
        self._lookouts = lookouts
        self._domains: set[str] = set()
        self._all = False
        self._woken = asyncio.Event()

    def __enter__(self) -> Self:
        self._lookouts.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lookouts.discard(self)

    def wake(self, domains: Iterable[str]) -> None:
        """Something of some destinations may be leased."""
        self._domains.update(domains)
        if len(self._domains) > MOST_DESTINATIONS:
            self._domains.clear()
            self._all = True
        self._woken.set()

    def wake_all(self) -> None:
        """Something may be leased, of whatever destination."""
        self._domains.clear()
        self._all = True
        self._woken.set()

    async def wait(self, seconds: float) -> Set[str] | None:
        """The destinations to be looked at; None for all, and where the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            self._all = True
        self._woken.clear()
        domains, self._domains = self._domains, set()
        everything, self._all = self._all, False
        return None if everything else domains


class Lookouts:
    """All who wait in this process.

    Attributes:
        closing: nobody is to wait any more.
    """

    def __init__(self) -> None:
        self._waiting: set[Lookout] = set()
        self.closing = False

    def add(self, lookout: Lookout) -> None:
        self._waiting.add(lookout)

    def discard(self, lookout: Lookout) -> None:
        self._waiting.discard(lookout)

    def wake(self, domains: Set[str]) -> None:
        for lookout in self._waiting:
            lookout.wake(domains)

    def wake_all(self) -> None:
        for lookout in self._waiting:
            lookout.wake_all()

    async def drain(self, _seconds: float) -> None:
        """Let those who wait go: they ask another replica."""
        self.closing = True
        self.wake_all()
