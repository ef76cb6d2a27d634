"""A message's content on its way out: in pieces, without the line that was written for those who
have it here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from postroom_chassis.errors import Kind, PostroomError

from postroom_smtp.protocol.client import bare

HEAD_BYTES = 256 * 1024  # that are looked at before a message is sent

_RETURN_PATH = b"return-path:"


class Content:
    """One message.

    Attributes:
        head: its beginning: the header section where that isn't too long, the whole message where
            it is small.
        size: of what is sent, in octets.
        header: the header section, with its last line's end; as much of it as `head` has.
        utf8_header: it has octets over 127.
        bare: a CR or an LF stands by itself in `head`.

    Args:
        read: begins to read it, in pieces as the store has them.
        size: as the store says.
    """

    def __init__(self, read: Callable[[], AsyncIterator[bytes]], size: int) -> None:
        self._read = read
        self._rest: AsyncIterator[bytes] | None = None
        self._stored = size
        self._seen = 0
        self.head = b""
        self.size = size
        self.header = b""
        self.utf8_header = False
        self.bare = False

    async def begin(self) -> None:
        """Read its beginning. Raises PostroomError."""
        held = bytearray()
        self._rest = self._read()
        async for piece in self._rest:
            held += piece
            self._seen += len(piece)
            if len(held) >= HEAD_BYTES:
                break
        skipped = _written_here(held)
        self.head = bytes(held[skipped:])
        self.size = self._stored - skipped
        end = self.head.find(b"\r\n\r\n")
        self.header = self.head if end < 0 else self.head[: end + 2]
        self.utf8_header = not self.header.isascii()
        cut = len(self.head) < self.size and self.head.endswith(b"\r")
        self.bare = bare(self.head[:-1] if cut else self.head)

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it; may be asked for again, and what isn't held is read again then. Raises
        PostroomError, also where there is more or less than was said: what isn't whole must not be
        ended.
        """
        rest, self._rest = self._rest, None
        if rest is None and len(self.head) < self.size:
            again = Content(self._read, self._stored)
            await again.begin()
            async for piece in again.pieces():
                yield piece
            return
        if self.head:
            yield self.head
        if rest is not None:
            async for piece in rest:
                self._seen += len(piece)
                if piece:
                    yield piece
        if self._seen != self._stored:
            raise PostroomError(Kind.INTERNAL, "the message isn't as long as it was said to be")


def _written_here(head: bytearray) -> int:
    """How long the Return-Path line is (RFC 5321 section 4.4: for the last server alone)."""
    if bytes(head[: len(_RETURN_PATH)]).lower() != _RETURN_PATH:
        return 0
    end = head.find(b"\r\n")
    return 0 if end < 0 else end + 2
