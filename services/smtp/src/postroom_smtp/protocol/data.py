"""The content that follows DATA (RFC 5321 section 4.5.2): where it ends, and its dots taken off;
and the chunks that follow BDAT (RFC 3030), which end where it was said.

The content ends at <CRLF>.<CRLF> and nowhere else. A line ends with CRLF: what other servers might
take for an end of line, and so for the end of a message (LF.LF, CR.CR, LF.CRLF and their like), is
content here, and is noted, so that it can be refused instead of being handed on.
"""

from __future__ import annotations

from postroom_chassis.net.stream import ByteStream, Reader

CHUNK_BYTES = 256 * 1024

_END = b"\r\n.\r\n"


class Content:
    """Reads one message's content in chunks.

    Attributes:
        bare: a CR or an LF stood by itself in what was read so far.
    """

    __slots__ = ("_ended", "_first", "_held", "_stream", "bare")

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        # What comes first is at the start of a line, as if a CRLF went before; it is never given.
        self._held: bytes = _END[:2]
        self._ended = False
        self.bare = False
        self._first = True

    def read_chunk(self) -> Reader[bytes | None]:
        """The next chunk, perhaps empty, dots taken off; None at the end. Raises EndOfStream."""
        if self._ended:
            return None
        data = self._held + (yield from self._stream.read_some(CHUNK_BYTES))
        end = data.find(_END)
        if end >= 0:
            self._ended = True
            self._stream.unread(data[end + len(_END) :])
            content = data[: end + 2]
        else:
            held = _beginning_of_end(data)
            self._held = data[len(data) - held :]
            content = data[: len(data) - held]
        # A chunk neither ends with a CR nor follows one, so that counting is enough.
        lines = content.count(b"\r\n")
        if content.count(b"\n") != lines or content.count(b"\r") != lines:
            self.bare = True
        return self._given(content.replace(b"\r\n.", b"\r\n"))

    def _given(self, content: bytes) -> bytes:
        if self._first and content:
            self._first = False
            return content[2:]
        return content


class Chunks:
    """Reads the chunks of one message.

    Attributes:
        bare: as in Content; of what was read to the end of a chunk and perhaps goes on.
    """

    __slots__ = ("_held", "_stream", "bare")

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._held = b""  # a CR, of which the next chunk may have the LF
        self.bare = False

    def read_piece(self, left: int) -> Reader[bytes]:
        """Some of the octets that are left of a chunk. Raises EndOfStream."""
        piece = yield from self._stream.read_some(min(left, CHUNK_BYTES))
        self.note(piece)
        return piece

    def note(self, piece: bytes) -> None:
        """Look for a CR or an LF by itself."""
        if self._held or piece[-1:] == b"\r":
            piece = self._held + piece
            self._held = piece[-1:] if piece[-1:] == b"\r" else b""
            piece = piece[: len(piece) - len(self._held)]
        lines = piece.count(b"\r\n")
        if piece.count(b"\n") != lines or piece.count(b"\r") != lines:
            self.bare = True

    def end(self) -> None:
        """The message ends here."""
        if self._held:
            self.bare = True


def _beginning_of_end(data: bytes) -> int:
    """How many octets at the end of data may begin the end."""
    for size in range(len(_END) - 1, 0, -1):
        if data.endswith(_END[:size]):
            return size
    return 0
