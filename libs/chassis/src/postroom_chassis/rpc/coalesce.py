"""Many small requests into few calls.

While one call is under way, arrivals wait together and leave as one batch. Without load each
request leaves at once; under load calls get rarer, not slower.

What one item may ask for need not be what many may ask for together: a batch that is refused with
LIMIT_EXCEEDED goes again in halves, so that an item is refused for itself alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from postroom_chassis.errors import Kind, PostroomError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Item, Answer]):
    """An item, its size, and who waits for its answer."""

    item: Item
    size: int
    answer: asyncio.Future[Answer]


class Coalescer(Generic[Item, Answer]):
    """Gathers items for a call that takes many.

    Args:
        send: takes a batch, answers one result an item in the same order. What it raises, each
            item's waiter gets. A batch that it refuses with LIMIT_EXCEEDED must not be done in
            part, unless items may be repeated.
        size: how much an item adds to a batch.
        most: the size at which a batch is full; a single larger item still goes, alone.
        lanes: how many calls may be under way at once.
        least: how much must wait for a call to begin beside another: a second call for a few items
            costs more than their wait for the first one's end.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        size: Callable[[Item], int] = lambda _item: 1,
        most: int = 1000,
        lanes: int = 1,
        least: int = 0,
    ) -> None:
        self._send = send
        self._size = size
        self._most = most
        self._lanes = lanes
        self._least = least
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._waiting_size = 0
        self._halves: deque[list[_Waiting[Item, Answer]]] = deque()
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Answer:
        """The answer to one item, by whichever call it travels."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        size = self._size(item)
        self._waiting.append(_Waiting(item, size, answer))
        self._waiting_size += size
        if self._may_go(self._running):
            self._running += 1
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _run(self) -> None:
        try:
            while self._may_go(self._running - 1) and (batch := self._take()):
                await self._send_batch(batch)
        finally:
            # Here and not in a callback: who got an answer may ask again before that runs.
            self._running -= 1

    def _may_go(self, others: int) -> bool:
        """Whether what waits may leave with so many other calls under way."""
        if others == 0:
            return True
        return others < self._lanes and (bool(self._halves) or self._waiting_size >= self._least)

    async def _send_batch(self, batch: list[_Waiting[Item, Answer]]) -> None:
        try:
            answers = await self._send([one.item for one in batch])
            if len(answers) != len(batch):
                raise ValueError("an answer an item is needed")
        except BaseException as error:
            if len(batch) > 1 and _asks_too_much(error):
                middle = len(batch) // 2
                self._halves += batch[:middle], batch[middle:]
                return
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for one, result in zip(batch, answers, strict=True):
                if not one.answer.done():
                    one.answer.set_result(result)

    def _take(self) -> list[_Waiting[Item, Answer]]:
        if self._halves:
            return self._halves.popleft()
        batch: list[_Waiting[Item, Answer]] = []
        total = 0
        while self._waiting:
            size = self._waiting[0].size
            if batch and total + size > self._most:
                break
            total += size
            batch.append(self._waiting.popleft())
        self._waiting_size -= total
        return batch


def _asks_too_much(error: BaseException) -> bool:
    return isinstance(error, PostroomError) and error.kind is Kind.LIMIT_EXCEEDED
