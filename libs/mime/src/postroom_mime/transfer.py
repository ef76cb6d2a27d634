"""Content transfer encodings (RFC 2045 section 6): taken off for BINARY, previews and search; put
on for transports that take less than a message has.
"""

import binascii
import re
from collections.abc import Iterator
from typing import Final, Protocol

from postroom_mime.structure import Part
from postroom_mime.words import NOT_BASE64, decode_base64

_IDENTITY: Final = frozenset(("7bit", "8bit", "binary"))
_ENCODED: Final = frozenset(("base64", "quoted-printable"))
_CHUNK: Final = 256 * 1024  # bytes decoded at a time
_LONGEST_LINE: Final = 64 * 1024  # of quoted-printable that is kept whole; RFC 2045 allows 76
_LINE: Final = 76  # characters of a line of base64 (section 6.8)
_LINE_OCTETS: Final = _LINE // 4 * 3
# binascii escapes white space at the end of a line that is full already.
_TOO_LONG: Final = re.compile(rb"^([^\r\n]{74,75})(=(?:20|09)\r\n)", re.MULTILINE)


def is_decodable(part: Part) -> bool:
    """Tell whether the encoding is known; RFC 3516 section 4.3 has UNKNOWN-CTE for the others."""
    return part.encoding in _IDENTITY or part.encoding in _ENCODED


def decoded(raw: bytes, part: Part) -> bytes:
    """Return the body of a part without its transfer encoding; an unknown one is left as it is.

    A broken encoding gives what can be made of it: bytes foreign to base64 are skipped, a "=" that
    quoted-printable does not know stays.
    """
    return decode_body(raw[part.body_start : part.body_end], part.encoding)


def decode_body(body: bytes, encoding: str) -> bytes:
    """Return bytes without the transfer encoding of that name."""
    match encoding:
        case "base64":
            return decode_base64(body)
        case "quoted-printable":
            return binascii.a2b_qp(body)
    return body


def decode_pieces(body: bytes | memoryview, encoding: str) -> Iterator[bytes]:
    """Yield bytes without the transfer encoding, piece by piece, in bounded memory.

    The same bytes give the same pieces, and together the same as `decode_body`, save for
    quoted-printable with lines of more than 64 KiB. An unknown encoding is left as it is.
    """
    view = memoryview(body)
    chunks = (bytes(view[start : start + _CHUNK]) for start in range(0, len(view), _CHUNK))
    match encoding:
        case "base64":
            return _passed(chunks, Base64Decoder())
        case "quoted-printable":
            return _passed(chunks, QuotedPrintableDecoder())
    return chunks


class Coder(Protocol):
    """Takes a body in pieces, and gives another one."""

    def feed(self, piece: bytes) -> bytes:
        """What is known after the next piece."""

    def end(self) -> bytes:
        """What was held back."""


def _passed(chunks: Iterator[bytes], coder: Coder) -> Iterator[bytes]:
    for chunk in chunks:
        yield coder.feed(chunk)
    yield coder.end()


class Base64Decoder:
    """Takes base64 off; what follows padding is nothing."""

    __slots__ = ("_ended", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def feed(self, piece: bytes) -> bytes:
        if self._ended:
            return b""
        letters, padding, _ = (self._rest + piece.translate(None, NOT_BASE64)).partition(b"=")
        if padding:
            self._ended = True
            self._rest = letters
            return b""
        whole = len(letters) // 4 * 4
        self._rest = letters[whole:]
        return binascii.a2b_base64(letters[:whole])

    def end(self) -> bytes:
        return decode_base64(self._rest)


class QuotedPrintableDecoder:
    """Takes quoted-printable off. Lines are decoded whole: what "=" means is known from what
    follows it in its line.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        rest = self._rest + piece
        end = rest.rfind(b"\n") + 1
        if not end and len(rest) > _LONGEST_LINE:
            last = rest.rfind(b"=", -3)  # what may begin an escape waits for the rest of it
            end = last if last >= 0 else len(rest)
        self._rest = rest[end:]
        return binascii.a2b_qp(rest[:end])

    def end(self) -> bytes:
        return binascii.a2b_qp(self._rest)


class Base64Encoder:
    """Puts base64 on, in lines of 76 characters; the last one has no line break."""

    __slots__ = ("_begun", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def feed(self, piece: bytes) -> bytes:
        data = self._rest + piece
        whole = len(data) // _LINE_OCTETS * _LINE_OCTETS
        self._rest = data[whole:]
        return self._lines(data[:whole])

    def end(self) -> bytes:
        return self._lines(self._rest)

    def _lines(self, data: bytes) -> bytes:
        if not data:
            return b""
        text = binascii.b2a_base64(data, newline=False)
        lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
        if self._begun:
            lines.insert(0, b"")
        self._begun = True
        return b"\r\n".join(lines)


class QuotedPrintableEncoder:
    """Puts quoted-printable on text: what is fed are whole lines that end in CRLF, but for the last
    one, which may have no line break.
    """

    __slots__ = ()

    def feed(self, piece: bytes) -> bytes:
        whole = piece.endswith(b"\r\n")
        # What follows is a line break, before which no white space may stand (section 6.7).
        encoded = binascii.b2a_qp(piece if whole else piece + b"\r\n")
        if b"=20\r\n" in encoded or b"=09\r\n" in encoded:
            encoded = _TOO_LONG.sub(rb"\1=\r\n\2", encoded)
        return encoded if whole else encoded[:-2]

    def end(self) -> bytes:
        return b""
