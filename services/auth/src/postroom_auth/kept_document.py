"""What another system publishes, kept and fetched anew from time to time.

While there is a copy nobody waits: it is refreshed in the background once it is old, and serves for
a while longer where that fails. Whoever misses something in it may have it fetched at once; however
many ask, one fetch goes on at a time, and the next begins no sooner than some seconds later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from postroom_chassis.errors import Kind, PostroomError

T = TypeVar("T")


class KeptDocument(Generic[T]):
    """A document and its age.

    Args:
        fetch: gets it, in bounded time. May raise PostroomError UNAVAILABLE.
        seconds: after which it is refreshed.
        stale_seconds: for which a copy serves that can't be refreshed.
        again_seconds: from one fetch to the next, at least.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[T]],
        seconds: float,
        stale_seconds: float,
        again_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._seconds = seconds
        self._stale_seconds = stale_seconds
        self._again_seconds = again_seconds
        self._clock = clock
        self._copy: tuple[T, float] | None = None
        self._tried: float | None = None
        self._task: asyncio.Task[T] | None = None

    async def current(self) -> T:
        """The document, as it was a while ago. Raises PostroomError UNAVAILABLE."""
        if self._copy is None or self._age >= max(self._seconds, self._stale_seconds):
            return await self._fetched()
        if self._age >= self._seconds and self._may_fetch:
            self._begin()
        return self._copy[0]

    async def since(self, moment: float) -> T:
        """The document as it was at some moment, or later.

        Args:
            moment: of the clock.

        Raises:
            PostroomError: UNAVAILABLE, also where the last fetch was before it and is too close.
        """
        if self._copy is not None and self._copy[1] >= moment:
            return self._copy[0]
        return await self._fetched()

    async def close(self) -> None:
        """Fetch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def _age(self) -> float:
        return self._clock() - self._copy[1] if self._copy is not None else 0.0

    @property
    def _may_fetch(self) -> bool:
        if self._task is not None:
            return True  # it goes on already
        return self._tried is None or self._clock() - self._tried >= self._again_seconds

    async def _fetched(self) -> T:
        if not self._may_fetch:
            raise PostroomError(Kind.UNAVAILABLE, "the directory can't be asked now")
        return await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[T]:
        if self._task is None:
            self._task = asyncio.create_task(self._refresh())
            self._task.add_done_callback(self._end)
        return self._task

    async def _refresh(self) -> T:
        try:
            document = await self._fetch()
        finally:
            self._tried = self._clock()
        self._copy = (document, self._tried)
        return document

    def _end(self, task: asyncio.Task[T]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # seen, even where nobody waited
