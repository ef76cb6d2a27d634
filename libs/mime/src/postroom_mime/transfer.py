"""Content transfer encodings taken off (RFC 2045 section 6), for BINARY, previews and search."""

import binascii
from collections.abc import Iterator
from typing import Final

from postroom_mime.structure import Part
from postroom_mime.words import NOT_BASE64, decode_base64

_IDENTITY: Final = frozenset(("7bit", "8bit", "binary"))
_ENCODED: Final = frozenset(("base64", "quoted-printable"))
_CHUNK: Final = 256 * 1024  # bytes decoded at a time
_LONGEST_LINE: Final = 64 * 1024  # of quoted-printable that is kept whole; RFC 2045 allows 76


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
            return _base64_pieces(chunks)
        case "quoted-printable":
            return _quoted_printable_pieces(chunks)
    return chunks


def _base64_pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        letters, padding, _ = (rest + chunk.translate(None, NOT_BASE64)).partition(b"=")
        if padding:
            rest = letters
            break
        whole = len(letters) // 4 * 4
        yield binascii.a2b_base64(letters[:whole])
        rest = letters[whole:]
    yield decode_base64(rest)


def _quoted_printable_pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines are decoded whole: what "=" means is known from what follows it in its line."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        end = rest.rfind(b"\n") + 1
        if not end and len(rest) > _LONGEST_LINE:
            last = rest.rfind(b"=", -3)  # what may begin an escape waits for the rest of it
            end = last if last >= 0 else len(rest)
        yield binascii.a2b_qp(rest[:end])
        rest = rest[end:]
    yield binascii.a2b_qp(rest)
