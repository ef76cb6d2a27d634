"""A message's content on its way in: small ones whole, large ones on to the store as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from postroom_chassis.net.connection import Connection, TimedOut

from postroom_smtp.ports import Store, Uploaded
from postroom_smtp.protocol import reply
from postroom_smtp.protocol.data import Content
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.protocol.trace import hops
from postroom_smtp.settings import BareNewlines, SmtpSettings

INLINE_BYTES = 1024 * 1024  # what may travel in a Deliver
PIECES_AHEAD = 4  # of a message that the store takes more slowly than the client sends


@dataclass(frozen=True, slots=True)
class Received:
    """What has come.

    Attributes:
        content: with what was put before it.
        size: octets that the client sent, dots taken off.
        fault: why the message can't be taken; `content` is nothing then.
    """

    content: bytes | Uploaded
    size: int
    fault: Reply | None = None


class Reception:
    """Reads one message to its end, whatever it is like, in bounded memory.

    Args:
        prefix: trace fields, which go before it.
    """

    def __init__(
        self, connection: Connection, store: Store, settings: SmtpSettings, prefix: bytes
    ) -> None:
        self._connection = connection
        self._store = store
        self._settings = settings
        self._content = Content(connection.stream)
        self._held = bytearray(prefix)
        self._size = 0
        self._upload: _Upload | None = None
        self._fault: Reply | None = None

    async def run(self) -> Received:
        """Read on to the end of the content.

        A message that can't be taken is read to its end, since a reply before that isn't expected
        (RFC 5321 section 4.2.5), but nothing of it is kept.

        Raises:
            TimedOut, EndOfStream, ConnectionError: the client is gone; nothing has been delivered.
            PostroomError: the store can't take it.
        """
        deadline = time.monotonic() + self._settings.message_seconds
        try:
            while (chunk := await self._read(deadline)) is not None:
                self._size += len(chunk)
                self._judge()
                if self._fault is None:
                    await self._keep(chunk)
            return await self._finish()
        finally:
            await self._forget()

    async def _read(self, deadline: float) -> bytes | None:
        seconds = min(self._settings.data_seconds, deadline - time.monotonic())
        if seconds <= 0:
            raise TimedOut
        return await self._connection.read(self._content.read_chunk(), seconds)

    def _judge(self) -> None:
        if self._size > self._settings.message_bytes:
            self._fault = reply.TOO_LARGE
        elif self._content.bare and self._settings.bare_newlines is BareNewlines.REJECT:
            self._fault = reply.BARE_NEWLINE

    async def _keep(self, chunk: bytes) -> None:
        if not chunk:
            return None
        if self._upload is not None:
            return await self._upload.put(chunk)
        self._held += chunk
        if len(self._held) > INLINE_BYTES:
            self._count_hops()
            self._upload = _Upload(self._store)
            await self._upload.put(bytes(self._held))
            self._held.clear()
        return None

    def _count_hops(self) -> None:
        """Look for a loop, in the beginning of the message where it is a large one."""
        if self._fault is None and hops(bytes(self._held)) > self._settings.hops:
            self._fault = reply.LOOPING

    async def _finish(self) -> Received:
        if self._upload is None:
            self._count_hops()
        if self._fault is not None:
            return Received(b"", self._size, self._fault)
        if self._upload is not None:
            return Received(await self._upload.finish(), self._size)
        return Received(bytes(self._held), self._size)

    async def _forget(self) -> None:
        self._held.clear()
        if self._upload is not None:
            await self._upload.cancel()


class _Upload:
    """A content that flows to the store while it comes."""

    def __init__(self, store: Store) -> None:
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(PIECES_AHEAD)
        self._task = asyncio.create_task(store.upload(self._taken()))

    async def put(self, piece: bytes) -> None:
        """Hand on a piece; waits while the store is slower. What failed is told by `finish`."""
        putting = asyncio.ensure_future(self._pieces.put(piece))
        await asyncio.wait({putting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        putting.cancel()

    async def finish(self) -> Uploaded:
        """What stands for the content. Raises PostroomError."""
        await self.put(b"")
        return await self._task

    async def cancel(self) -> None:
        """Give up where it has not ended."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _taken(self) -> AsyncIterator[bytes]:
        while piece := await self._pieces.get():
            yield piece
