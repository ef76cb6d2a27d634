"""A message's content on its way out: in pieces, without the line that was written for those who
have it here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from postroom_chassis.errors import Kind, PostroomError

HEAD_BYTES = 256 * 1024  # that are looked at before a message is sent

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_RETURN_PATH = b"return-path:"


class Content:
    """One message.

    Attributes:
        head: its beginning: the header section where that isn't too long, the whole message where
            it is small.
        size: of what is sent, in octets.

    Args:
        pieces: as the store has them.
        size: as the store says.
    """

    def __init__(self, pieces: AsyncIterator[bytes], size: int) -> None:
        self._pieces = pieces
        self._stored = size
        self._read = 0
        self.head = b""
        self.size = size

    async def begin(self) -> None:
        """Read its beginning. Raises PostroomError."""
        held = bytearray()
        async for piece in self._pieces:
            held += piece
            self._read += len(piece)
            if len(held) >= HEAD_BYTES:
                break
        skipped = _written_here(held)
        self.head = bytes(held[skipped:])
        self.size = self._stored - skipped

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it. Raises PostroomError, also where there is more or less than was said: what
        isn't whole must not be ended.
        """
        if self.head:
            yield self.head
        async for piece in self._pieces:
            self._read += len(piece)
            if piece:
                yield piece
        if self._read != self._stored:
            raise PostroomError(Kind.INTERNAL, "the message isn't as long as it was said to be")

    @property
    def header(self) -> bytes:
        """The header section, with its last line's end; as much of it as `head` has."""
        end = self.head.find(b"\r\n\r\n")
        return self.head if end < 0 else self.head[: end + 2]

    @property
    def utf8_header(self) -> bool:
        return not self.header.isascii()

    @property
    def bare(self) -> bool:
        """Whether a CR or an LF stands by itself in `head`."""
        last = len(self.head) - self.head.endswith(b"\r")
        return _BARE.search(self.head, 0, last) is not None


def _written_here(head: bytearray) -> int:
    """How long the Return-Path line is (RFC 5321 section 4.4: for the last server alone)."""
    if bytes(head[: len(_RETURN_PATH)]).lower() != _RETURN_PATH:
        return 0
    end = head.find(b"\r\n")
    return 0 if end < 0 else end + 2
