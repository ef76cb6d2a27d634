"""One message while it is here: in memory where it is small, in a file without a name where not."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from postroom_smtp.protocol.data import CHUNK_BYTES

MEMORY_BYTES = 1024 * 1024  # of a message; also what may travel in a Deliver
HEADER_BYTES = 256 * 1024  # of a header section; what is beyond counts as body

_EMPTY_LINE = b"\r\n\r\n"


class Spool:
    """A message as it came, octet by octet. It is gone with the end of its context.

    Args:
        folder: where files are made; None: the system's own place.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all of it. May be repeated."""
        self._held.clear()
        if self._file is not None:
            self._file.close()

    async def write(self, piece: bytes) -> None:
        """Add to the end. Raises OSError where the disk is full."""
        self.size += len(piece)
        if self._file is None and self.size <= MEMORY_BYTES:
            self._held += piece
            return
        if self._file is None:
            # Unlinked from the beginning: nothing is left of it, however this process ends.
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)
            piece = bytes(self._held) + piece
            self._held = bytearray(piece[:HEADER_BYTES])
        await asyncio.to_thread(_write_all, self._file, piece)

    def cut(self, size: int) -> None:
        """Keep so many octets of it, no more than memory holds, to write on from there."""
        del self._held[size:]
        self.size = len(self._held)
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    @property
    def in_memory(self) -> bool:
        return self._file is None

    @property
    def held(self) -> bytes:
        """All of it, where it is in memory."""
        return bytes(self._held)

    @property
    def header(self) -> bytes:
        """The header section with its empty line; its first `HEADER_BYTES` where it is longer."""
        if self._held.startswith(_EMPTY_LINE[2:]):
            return _EMPTY_LINE[2:]
        end = self._held.find(_EMPTY_LINE, 0, HEADER_BYTES)
        return bytes(self._held[: HEADER_BYTES if end < 0 else end + len(_EMPTY_LINE)])

    async def whole(self) -> bytes:
        """All of it. Whoever asks sees to it that few do at a time."""
        if self._file is None:
            return bytes(self._held)
        return await asyncio.to_thread(_read, self._file, 0, self.size)

    async def pieces(self, start: int = 0) -> AsyncIterator[bytes]:
        """All of it from an octet on, in pieces."""
        at = start
        while at < self.size:
            if self._file is None:
                piece = bytes(self._held[at : at + CHUNK_BYTES])
            else:
                piece = await asyncio.to_thread(_read, self._file, at, CHUNK_BYTES)
            at += len(piece)
            yield piece


def _write_all(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _read(file: IO[bytes], at: int, size: int) -> bytes:
    file.seek(at)
    found = b""
    while len(found) < size and (piece := file.read(size - len(found))):
        found = found + piece if found else piece
    file.seek(0, 2)
    return found
