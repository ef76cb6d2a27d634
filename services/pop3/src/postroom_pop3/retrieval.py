"""Contents of messages for one session, read ahead of a client that walks them in order.

A call for one message costs a round trip; most clients ask for all messages, one command each. So
each time the client asks for the message after the last, twice as many are fetched as before, up to
a size, and while it takes those the next are fetched already. At most two batches are in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from postroom_chassis.errors import Kind, PostroomError

from postroom_pop3.ports import LockedMaildrop
from postroom_pop3.protocol.maildrop import Maildrop

MOST_MESSAGES = 512  # in a batch: the contract of Retrieve allows 1,000

Batch = dict[int, bytes]


class Retrieval:
    """What a session reads of its maildrop.

    Args:
        locked: where messages come from.
        maildrop: which messages there are.
        most_bytes: how large a batch may be; a message that is larger is not kept but streamed.
    """

    def __init__(self, locked: LockedMaildrop, maildrop: Maildrop, most_bytes: int) -> None:
        self._locked = locked
        self._maildrop = maildrop
        self._most_bytes = most_bytes
        self._batch: Batch = {}
        self._ahead: asyncio.Task[Batch] | None = None
        self._ahead_of: list[int] = []
        self._last = -1
        self._window = 1

    def streams(self, index: int) -> bool:
        """Whether a message is too large to be kept, so that `stream` is the way to read it."""
        return self._maildrop.snapshot.sizes[index] > self._most_bytes

    async def content(self, index: int) -> bytes:
        """A whole message. Raises PostroomError, NOT_FOUND where it was removed meanwhile."""
        if index not in self._batch:
            await self._turn_to(index)
        self._last = index
        try:
            return self._batch[index]
        except KeyError:
            raise PostroomError(Kind.NOT_FOUND, "the message was removed") from None

    async def stream(self, index: int) -> AsyncGenerator[bytes, None]:
        """A message in pieces. Raises PostroomError, NOT_FOUND before the first piece."""
        self._last = index
        found = False
        uid = self._maildrop.snapshot.uids[index]
        async with aclosing(self._locked.retrieve([uid])) as pieces:
            async for piece in pieces:
                found = True
                yield piece.data
        if not found:
            raise PostroomError(Kind.NOT_FOUND, "the message was removed")

    async def close(self) -> None:
        """Stop what is under way."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
            self._ahead = None

    async def _turn_to(self, index: int) -> None:
        """Have the batch that begins with, or holds, a message."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and index in self._ahead_of:
            self._batch = {}
            self._batch = await ahead
        else:
            if ahead is not None:
                ahead.cancel()
            in_order = index in self._maildrop.following(self._last + 1, 1)
            self._window = min(self._window * 2, MOST_MESSAGES) if in_order else 1
            self._batch = {}
            self._ahead_of = self._plan(index)
            self._batch = await self._fetch(self._ahead_of)
        if self._window > 1:
            self._read_ahead(self._ahead_of[-1] + 1)

    def _read_ahead(self, index: int) -> None:
        self._window = min(self._window * 2, MOST_MESSAGES)
        self._ahead_of = self._plan(index)
        if self._ahead_of:
            self._ahead = asyncio.create_task(self._fetch(self._ahead_of))
            self._ahead.add_done_callback(_heard)

    def _plan(self, index: int) -> list[int]:
        """Messages from one on, up to the window and the size of a batch."""
        sizes = self._maildrop.snapshot.sizes
        plan: list[int] = []
        room = self._most_bytes
        for candidate in self._maildrop.following(index, self._window):
            room -= sizes[candidate]
            if room < 0:
                break
            plan.append(candidate)
        return plan

    async def _fetch(self, indices: list[int]) -> Batch:
        uids = self._maildrop.snapshot.uids
        index_of = {uids[index]: index for index in indices}
        parts: dict[int, list[bytes]] = {}
        async with aclosing(self._locked.retrieve(list(index_of))) as pieces:
            async for piece in pieces:
                parts.setdefault(index_of[piece.uid], []).append(piece.data)
        return {index: b"".join(data) for index, data in parts.items()}


def _heard(task: asyncio.Task[Batch]) -> None:
    """Take note of an error that nobody may ask for: the message is fetched again where one does
    ask.
    """
    if not task.cancelled():
        task.exception()
