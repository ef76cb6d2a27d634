"""Answers that are kept for a while, each asked for once however many want it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Answers of the last seconds, so many at most; the oldest goes first.

    Args:
        worth: whether an answer is kept at all.
    """

    def __init__(
        self, seconds: float, most: int, *, worth: Callable[[V], bool] = lambda _answer: True
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._worth = worth
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._asked: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """The answer for a key, new or kept; raises what asking raises, which isn't kept."""
        if (found := self._answers.get(key)) is not None and time.monotonic() < found[0]:
            return found[1]
        if (task := self._asked.get(key)) is None:
            task = asyncio.ensure_future(self._ask(key, ask))
            self._asked[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        # Who goes away takes the answer from nobody else.
        return await asyncio.shield(task)

    async def _ask(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        answer = await ask()
        if self._worth(answer):
            self.put(key, answer)
        return answer

    def put(self, key: K, answer: V) -> None:
        """Keep an answer that nobody asked for."""
        self._answers.pop(key, None)
        while len(self._answers) >= self._most:
            self._answers.popitem(last=False)
        self._answers[key] = (time.monotonic() + self._seconds, answer)

    def has(self, key: K) -> bool:
        """Whether an answer is kept."""
        found = self._answers.get(key)
        return found is not None and time.monotonic() < found[0]

    def _forget(self, key: K, done: asyncio.Task[V]) -> None:
        del self._asked[key]
        if not done.cancelled():
            done.exception()  # it was somebody's, who may be gone
