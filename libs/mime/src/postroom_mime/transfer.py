"""Content transfer encodings taken off (RFC 2045 section 6), for BINARY, previews and search."""

import binascii
from typing import Final

from postroom_mime.structure import Part
from postroom_mime.words import decode_base64

_IDENTITY: Final = frozenset(("7bit", "8bit", "binary"))
_ENCODED: Final = frozenset(("base64", "quoted-printable"))


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
