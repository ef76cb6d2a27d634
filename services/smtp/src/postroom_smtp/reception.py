"""A message's content on its way in: after DATA, in chunks, or from a URL; in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from postroom_chassis import logs
from postroom_chassis.net.connection import Connection, TimedOut
from postroom_chassis.net.stream import Reader

from postroom_smtp.protocol import reply
from postroom_smtp.protocol.data import CHUNK_BYTES, Chunks, Content
from postroom_smtp.protocol.reply import Refused, Reply
from postroom_smtp.protocol.trace import hops
from postroom_smtp.settings import BareNewlines, SmtpSettings
from postroom_smtp.spool import HEADER_BYTES, Spool

log = logs.logger(__name__)

T = TypeVar("T")

# Makes a header section ready to go. Raises Refused.
Edit = Callable[[bytes], Awaitable[bytes]]


class Reception:
    """Takes one message to its end, whatever it is like.

    A message that can't be taken is read to its end, since a reply before that isn't expected (RFC
    5321 section 4.2.5), but nothing more of it is kept.

    Args:
        binary: it may have a CR or an LF anywhere (RFC 3030 section 3).
        edit: what becomes of its header section; None: it stays as it is.

    Attributes:
        spool: what has come.
        size: octets that the client sent, dots taken off.
        fault: why the message can't be taken.
    """

    def __init__(
        self, connection: Connection, settings: SmtpSettings, *, binary: bool, edit: Edit | None
    ) -> None:
        self.spool = Spool(settings.spool_folder)
        self.size = 0
        self.fault: Reply | None = None
        self._connection = connection
        self._settings = settings
        self._deadline = time.monotonic() + settings.message_seconds
        self._bare_is_wrong = not binary and settings.bare_newlines is BareNewlines.REJECT
        self._edit = edit
        self._head = bytearray()  # what is there of the header section until it is edited
        self._chunks: Chunks | None = None

    async def data(self) -> None:
        """Read what follows DATA.

        Raises TimedOut, EndOfStream, ConnectionError: the client is gone.
        """
        content = Content(self._connection.stream)
        while (piece := await self._read(content.read_chunk())) is not None:
            if self._wants(piece, bare=content.bare):
                await self._take(piece)

    async def chunk(self, size: int) -> None:
        """Read one chunk. Raises what `data` raises."""
        chunks = self._chunked()
        while size > 0:
            piece = await self._read(chunks.read_piece(size))
            size -= len(piece)
            if self._wants(piece, bare=chunks.bare):
                await self._take(piece)

    async def piece(self, data: bytes) -> None:
        """Take what comes from elsewhere."""
        chunks = self._chunked()
        chunks.note(data)
        if self._wants(data, bare=chunks.bare):
            await self._take(data)

    async def end(self) -> None:
        """Nothing more comes."""
        if self._chunks is not None:
            self._chunks.end()
            self._wants(b"", bare=self._chunks.bare)
        if self._edit is not None and self.fault is None:
            await self._finish_header(bytes(self._head), b"")
        if self.fault is None and (fault := self._unclean(self.spool.header)) is not None:
            self._refuse(fault)
        # Ours is one more of them.
        if self.fault is None and hops(self.spool.header) >= self._settings.hops:
            self.fault = reply.LOOPING

    def _unclean(self, header: bytes) -> Reply | None:
        """What is wrong in the header section, which has lines whatever the body is (RFC 3030
        section 3): what some read as an end of a line there makes a field that others don't see.
        """
        if b"\0" in header:
            return reply.BAD_HEADER
        if self._settings.bare_newlines is BareNewlines.REJECT:
            lines = header.count(b"\r\n")
            # Where it is cut within a line end that is no fault of its own.
            halves = header.endswith(b"\r") and len(header) == HEADER_BYTES
            if header.count(b"\n") != lines or header.count(b"\r") != lines + halves:
                return reply.BARE_NEWLINE
        return None

    def _chunked(self) -> Chunks:
        if self._chunks is None:
            self._chunks = Chunks(self._connection.stream)
        return self._chunks

    async def _read(self, reader: Reader[T]) -> T:
        seconds = min(self._settings.data_seconds, self._deadline - time.monotonic())
        if seconds <= 0:
            raise TimedOut
        return await self._connection.read(reader, seconds)

    def _wants(self, piece: bytes, *, bare: bool) -> bool:
        """Whether a piece is to be kept."""
        first = self.size == 0 and piece[:1]
        self.size += len(piece)
        if first in (b" ", b"\t"):
            # It would go on with the field that is put before it (RFC 5322 section 2.2.3).
            self._refuse(reply.BAD_HEADER)
        if self.fault is None:
            if self.size > self._settings.message_bytes:
                self._refuse(reply.TOO_LARGE)
            elif bare and self._bare_is_wrong:
                self._refuse(reply.BARE_NEWLINE)
        return self.fault is None and bool(piece)

    async def _take(self, piece: bytes) -> None:
        if self._edit is not None:
            return await self._gather(piece)
        try:
            await self.spool.write(piece)
        except OSError as error:
            log.error("smtp.no_space", error=str(error))
            self._refuse(reply.NO_SPACE)
        return None

    async def _gather(self, piece: bytes) -> None:
        """Wait for the whole of the header section."""
        searched = max(len(self._head) - 3, 0)
        self._head += piece
        if self._head.startswith(b"\r\n"):
            end = 0
        else:
            found = self._head.find(b"\r\n\r\n", searched)
            end = found + 2 if found >= 0 else -1
        if end > HEADER_BYTES or (end < 0 and len(self._head) > HEADER_BYTES):
            self._refuse(reply.BAD_HEADER)
        elif end >= 0:
            await self._finish_header(bytes(self._head[:end]), bytes(self._head[end:]))

    async def _finish_header(self, header: bytes, rest: bytes) -> None:
        edit, self._edit = self._edit, None
        self._head.clear()
        try:
            if (fault := self._unclean(header)) is not None:
                raise Refused(fault)
            if edit is not None:
                header = await edit(header)
        except Refused as refused:
            self._refuse(refused.reply)
        else:
            await self._take(header + rest)

    def _refuse(self, fault: Reply) -> None:
        self.fault = fault
        self.spool.close()
        self._head.clear()


async def discard(connection: Connection, settings: SmtpSettings, size: int) -> None:
    """Read over a chunk that nobody wants. Raises what `Reception.data` raises."""
    deadline = time.monotonic() + settings.message_seconds
    while size > 0:
        seconds = min(settings.data_seconds, deadline - time.monotonic())
        if seconds <= 0:
            raise TimedOut
        size -= len(
            await connection.read(connection.stream.read_some(min(size, CHUNK_BYTES)), seconds)
        )
