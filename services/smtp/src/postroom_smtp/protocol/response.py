"""Replies of other servers, whatever they are like (RFC 5321 section 4.2, RFC 3463)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from postroom_chassis.net.stream import ByteStream, LineTooLong, Reader

# RFC 5321 section 4.5.3.1.5 has 512 octets; what is longer is cut off here and read over.
LINE_OCTETS = 2048
MOST_LINES = 256  # of a reply; RFC 5321 sets no limit, and no server needs as many
MOST_TEXT = 8192  # characters that are kept of a reply
MOST_TOLD = 1024  # of them that are told of

_LINE = re.compile(r"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:\s+|$)")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd]")


class Nonsense(Exception):
    """What the server says is no reply, or not one to this."""


@dataclass(frozen=True, slots=True)
class Response:
    """A reply.

    Attributes:
        enhanced: empty where there is none, or one that contradicts the code (RFC 2034 section 4).
        lines: the text of each line, without enhanced codes.
    """

    code: int
    enhanced: str
    lines: tuple[str, ...]

    @property
    def positive(self) -> bool:
        return self.code < 300

    @property
    def temporary(self) -> bool:
        """The same may succeed later (RFC 5321 section 4.2.1). 3yz where it isn't asked for too."""
        return 300 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    @property
    def over(self) -> bool:
        """The server leaves, or has just been told to (RFC 5321 section 3.8)."""
        return self.code in (221, 421)

    @property
    def status(self) -> str:
        """The enhanced code, or what the code says by itself (RFC 3463 section 2)."""
        return self.enhanced or f"{self.code // 100}.0.0"

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.lines))

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.enhanced, self.text)))[:MOST_TOLD]


def made_here(code: int, enhanced: str, text: str) -> Response:
    """What is said of a delivery where no server said it."""
    return Response(code, enhanced, (_UNPRINTABLE.sub("?", text),))


def read_response(stream: ByteStream) -> Reader[Response]:
    """One reply, in bounded memory.

    Codes may differ between lines, against the RFC: the last one holds, as with Postfix.

    Raises:
        Nonsense: it is none.
        EndOfStream: the server closed before its end.
    """
    texts: list[str] = []
    kept = 0
    enhanced = ""
    for _ in range(MOST_LINES):
        found = _LINE.fullmatch((yield from _read_line(stream)))
        if found is None:
            raise Nonsense("the server doesn't speak SMTP")
        code, mark, text = found[1], found[2], found[3] or ""
        own = _ENHANCED.match(text)
        if own is not None:
            enhanced, text = own[1], text[own.end() :]
        if kept < MOST_TEXT:
            texts.append(_UNPRINTABLE.sub("?", text[: MOST_TEXT - kept]).strip())
            kept += len(text) + 1
        if mark != "-":
            agrees = enhanced[:1] == code[:1]
            return Response(int(code), enhanced if agrees else "", tuple(texts))
    raise Nonsense("a reply without an end")


def _read_line(stream: ByteStream) -> Reader[str]:
    try:
        line = yield from stream.read_line(LINE_OCTETS)
    except LineTooLong:
        line = yield from stream.read_exact(LINE_OCTETS)
        yield from stream.discard_line()
    return line.rstrip(b"\r\n").decode("utf-8", "replace")
