"""The sans-I/O receive buffer that protocol cores read from.

A core is written as generators: `line = yield from stream.read_line(limit)`. A generator yields
None when it needs more bytes; whoever drives it feeds what arrives and resumes it. Every read names
its limit, and a search for a line's end goes on where the last one stopped, so that slow input
costs no more than fast.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Reader = Generator[None, None, T]


class LineTooLong(Exception):
    """A line has no end within the limit. What was read of it is still in the buffer."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a line of more than {limit} bytes")
        self.limit = limit


class EndOfStream(Exception):
    """The peer closed the connection and too little is left."""


class ByteStream:
    """Bytes received and not yet consumed."""

    __slots__ = ("_buffer", "_ended", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._ended = False

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def ended(self) -> bool:
        """Whether the peer has closed its side."""
        return self._ended

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._buffer += data

    def feed_eof(self) -> None:
        """Note that no more will arrive."""
        self._ended = True

    def clear(self) -> None:
        """Forget all that is buffered (what came in clear text before TLS began)."""
        self._buffer.clear()
        self._searched = 0

    def take(self) -> bytes:
        """All that is buffered, whatever it is."""
        return self._take(len(self._buffer))

    def peek(self, limit: int) -> bytes:
        """The first that is buffered, which stays there."""
        return bytes(memoryview(self._buffer)[:limit])

    def unread(self, data: bytes) -> None:
        """Put back what was taken and belongs to what follows."""
        self._buffer[:0] = data
        self._searched = 0

    def read_line(self, limit: int) -> Reader[bytes]:
        """One line with its LF, at most `limit` bytes long.

        Raises:
            LineTooLong: no LF within the limit; nothing is consumed.
            EndOfStream: the peer closed before the LF.
        """
        buffer = self._buffer
        while True:
            end = buffer.find(b"\n", self._searched, limit)
            if end >= 0:
                return self._take(end + 1)
            if len(buffer) >= limit:
                self._searched = 0
                raise LineTooLong(limit)
            self._searched = len(buffer)
            if self._ended:
                raise EndOfStream
            yield

    def read_exact(self, size: int) -> Reader[bytes]:
        """Exactly `size` bytes. Raises EndOfStream."""
        while len(self._buffer) < size:
            if self._ended:
                raise EndOfStream
            yield
        return self._take(size)

    def read_some(self, limit: int) -> Reader[bytes]:
        """What is there: 1 to `limit` bytes. Raises EndOfStream when nothing will come."""
        while not self._buffer:
            if self._ended:
                raise EndOfStream
            yield
        return self._take(min(limit, len(self._buffer)))

    def discard_line(self) -> Reader[None]:
        """Drop everything to the next LF, in bounded memory. Raises EndOfStream."""
        while (end := self._buffer.find(b"\n")) < 0:
            self.clear()
            if self._ended:
                raise EndOfStream
            yield
        self._take(end + 1)

    def _take(self, size: int) -> bytes:
        self._searched = 0
        if size == len(self._buffer):
            data = bytes(self._buffer)
            self._buffer.clear()
            return data
        data = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return data
