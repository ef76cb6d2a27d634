"""A connection's DEFLATE streams (RFC 1951, without header or checksum), sans I/O.

What a peer sends may grow a thousandfold: it is inflated a piece at a time, and only as far as
somebody wants to read it. What goes out keeps its dictionary while there is something to say.
"""

from __future__ import annotations

import zlib

# The window and the tables take 32 KiB. The largest ones take 256 KiB, and make mail smaller by a
# twelfth more; what is listed of it (flags, UIDs) they make no smaller.
LEVEL = 3
WINDOW_BITS = 12
MEMORY_LEVEL = 5

PIECE_BYTES = 64 * 1024  # inflated at a time
_FLUSHED = b"\x00\x00\xff\xff"  # how every flush ends, at the boundary of an octet
_LONGEST_FLUSH = 6  # octets after the last one that data depend on


class MalformedDeflate(ConnectionError):
    """What the peer sent can't be inflated; nothing that follows can be read either."""


class Deflation:
    """What is sent.

    A block after a flush needn't refer to anything before it, so the compressor may be let go at
    any flush: another one goes on.
    """

    __slots__ = ("_compressor", "_pending", "_used")

    def __init__(self) -> None:
        self._compressor: zlib._Compress | None = None
        self._pending = False
        self._used = False

    def compress(self, data: bytes) -> bytes:
        """As much as there is to send already; `flush` gives the rest."""
        if self._compressor is None:
            self._compressor = zlib.compressobj(
                LEVEL, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY
            )
        self._pending = self._used = True
        return self._compressor.compress(data)

    def flush(self) -> bytes:
        """The rest of what was compressed, so that the peer can read all of it."""
        if self._compressor is None or not self._pending:
            return b""
        self._pending = False
        return self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """The last of the stream: the peer can tell that it ends here."""
        rest = self.compress(b"")
        last = self._compressor.flush(zlib.Z_FINISH) if self._compressor else b""
        self._compressor = None
        return rest + last

    def rest(self) -> None:
        """Let the compressor go if nothing was sent since the last call."""
        if not self._used and not self._pending:
            self._compressor = None
        self._used = False

    @property
    def busy(self) -> bool:
        """Whether there is a compressor, with the memory that it takes."""
        return self._compressor is not None


class Inflation:
    """What is received.

    Input is given to zlib from flush to flush, and no further than for the data that are wanted:
    when the peer ends its stream behind a command, what comes then is still there as it was sent.
    """

    __slots__ = ("_behind", "_decompressor", "_ended", "_input", "_last", "_more", "_settled")

    def __init__(self, received: bytes = b"") -> None:
        self._decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        self._input = bytearray(received)
        self._more = False  # zlib may have more than it gave
        self._last = b""  # the octets that zlib was given last
        self._ended = False
        self._settled = False  # nothing of the ended stream is left
        self._behind = b""  # octets after the end that may be of its flush

    def __len__(self) -> int:
        """Octets that wait to be inflated."""
        return len(self._input) + len(self._decompressor.unconsumed_tail)

    @property
    def pending(self) -> bool:
        """Whether `inflate` may have more to give at once."""
        return self._more or bool(self._input)

    @property
    def over(self) -> bool:
        """Whether the stream has ended and all that was behind it was given: plain octets come."""
        return self._settled and not self._input

    def feed(self, data: bytes) -> None:
        """Add octets that arrived."""
        self._input += data

    def inflate(self) -> bytes:
        """What can be read now, PIECE_BYTES at most; b"" where more must arrive first.

        After `end` it is what follows the stream, as it was sent. Raises MalformedDeflate.
        """
        if self._ended:
            return self._follow()
        while self._more or (self._input and not self._decompressor.eof):
            tail = self._decompressor.unconsumed_tail
            data = self._decompress(tail if self._more else self._take(self._next_flush()))
            if data:
                return data
        if self._input:
            raise MalformedDeflate("the stream has ended, and more comes")
        return b""

    def end(self) -> None:
        """The peer's stream ends with what was read last, and its flush. Raises MalformedDeflate.

        What it compressed behind that, against the rules, is dropped.
        """
        while self._more:
            self._decompress(self._decompressor.unconsumed_tail)
        self._ended = True
        self._settled = self._flushed

    @property
    def _flushed(self) -> bool:
        return self._decompressor.eof or self._last == _FLUSHED

    def _next_flush(self) -> int:
        """How much of the input goes up to the next flush, which may have begun before it."""
        seam = (self._last + self._input[:3]).find(_FLUSHED, max(0, len(self._last) - 3))
        if seam >= 0:
            return seam + len(_FLUSHED) - len(self._last)
        found = self._input.find(_FLUSHED, 0, PIECE_BYTES)
        return found + len(_FLUSHED) if found >= 0 else PIECE_BYTES

    def _take(self, size: int) -> bytes:
        taken = bytes(self._input[:size])
        del self._input[:size]
        self._last = (self._last + taken)[-len(_FLUSHED) :]
        return taken

    def _decompress(self, data: bytes) -> bytes:
        try:
            inflated = self._decompressor.decompress(data, PIECE_BYTES)
        except zlib.error as error:
            raise MalformedDeflate("not DEFLATE") from error
        # What zlib holds back isn't always to be seen from the input that it left.
        full = len(inflated) == PIECE_BYTES
        self._more = full or bool(self._decompressor.unconsumed_tail)
        if self._decompressor.eof:
            self._more = False
            self._input[:0] = self._decompressor.unused_data
        return inflated

    def _follow(self) -> bytes:
        """What follows the stream, without what is left of its flush.

        A peer may flush in a way that can't be seen, or have lost nothing: then the octets that
        were looked at are what follows.
        """
        while not self._settled:
            if not self._input:
                return b""
            octet = self._take(1)
            self._behind += octet
            try:
                inflated = self._decompressor.decompress(octet, 1)
            except zlib.error:
                inflated = octet
            if self._flushed:
                self._behind = b""
            self._settled = self._flushed or bool(inflated) or len(self._behind) == _LONGEST_FLUSH
        follows, self._behind = self._behind + self._input, b""
        self._input.clear()
        return follows
