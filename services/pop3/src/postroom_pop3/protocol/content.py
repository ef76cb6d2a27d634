"""How a message travels in a multi-line response: dots doubled, a dot to end with, or its top.

Both classes take a message in pieces of any size, so that a large one needs no memory. A line ends
with CRLF alone, here as in SMTP: a lone LF is a character like others, and its bytes arrive as
they are.
"""

from __future__ import annotations

import re

_DOT = re.compile(rb"\r\n\.").search  # in half the time that bytes.replace takes to find none
_EMPTY_LINE = re.compile(rb"\n\r?\n")


class Stuffer:
    """Doubles the dots that begin lines (RFC 1939 section 3)."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"  # the two octets before what comes next

    def feed(self, piece: bytes) -> bytes:
        """The next piece as it is sent."""
        joined = self._tail + piece
        self._tail = joined[-2:]
        if _DOT(joined) is None:
            return piece
        return joined.replace(b"\r\n.", b"\r\n..")[2:]

    def end(self) -> bytes:
        """What ends the response; a message without a CRLF at its end is given one."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"


class Top:
    """Cuts a message after its header and some lines of its body (RFC 1939 section 7, TOP).

    Attributes:
        complete: what comes next isn't wanted.
    """

    __slots__ = ("_in_header", "_lines", "_tail", "complete")

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._in_header = True
        self._tail = b"\n"
        self.complete = False

    def feed(self, piece: bytes) -> bytes:
        """What of the next piece is wanted."""
        position = 0
        if self._in_header:
            window = self._tail + piece
            found = _EMPTY_LINE.search(window)
            if found is None:
                self._tail = window[-2:]
                return piece
            self._in_header = False
            position = found.end() - len(self._tail)
        while self._lines:
            end = piece.find(b"\n", position)
            if end < 0:
                return piece
            position = end + 1
            self._lines -= 1
        self.complete = True
        return piece[:position]
