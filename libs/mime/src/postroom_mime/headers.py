"""Header blocks: where one ends, what its fields are, and which of them a client asked for.

A header block ends with the first empty line, or with the message. Lines may end in CRLF or in a
bare LF. A line that is neither a field nor the continuation of one belongs to the block, and to no
field.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Final

from postroom_mime import limits

_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")

# RFC 5322 section 2.2: a name is printable US-ASCII but the colon; section 4.5.3: white space may
# follow it. The line break in front lets the engine jump from line to line by memchr; callers put
# one before the first line.
_VALUE: Final = rb"[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)"
_FIELD: Final = re.compile(rb"\n([!-9;-~]++)" + _VALUE)


def find_body(message: bytes, start: int, end: int) -> int:
    """Return the offset behind the empty line that ends the header at `start`, or `end`."""
    if message.startswith(b"\r\n", start, end):
        return start + 2
    if message.startswith(b"\n", start, end):
        return start + 1
    found = _EMPTY_LINE.search(message, start, end)
    return found.end() if found else end


def unfold(value: bytes) -> bytes:
    """Return the value of a field as one line, no white space round it (RFC 5322 section 2.2.3)."""
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip(b" \t\r")


def parse_fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """Return (name in lower case, unfolded value) in order, at most `limits.FIELDS` of them."""
    return [(name.lower(), unfold(value)) for name, value in raw_fields(header)]


def first_fields(header: bytes) -> dict[bytes, bytes]:
    """Return the value of the first field of each name (in lower case), still folded.

    RFC 5322 section 3.6 allows most fields once; where a sender broke that, the first one counts.
    """
    return {name.lower(): value for name, value in reversed(raw_fields(header))}


def raw_fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """Return (name, value) as they stand, folds included, within the limits on size and number."""
    if len(header) <= limits.FIELDS:  # too short to hold more fields than the limit
        return _FIELD.findall(b"\n" + header)
    fields = _FIELD.finditer(b"\n" + header[: limits.HEADER_BYTES])
    return [(field[1], field[2]) for field in islice(fields, limits.FIELDS)]


def header_fields(header: bytes, names: Iterable[str | bytes], invert: bool = False) -> bytes:
    """Return the named fields (inverted: all else) byte for byte, then an empty line.

    RFC 3501 section 6.4.5, HEADER.FIELDS and HEADER.FIELDS.NOT: order of the message, names in
    any case, folds as they are. A line that is no field goes with HEADER.FIELDS.NOT.
    """
    named = _named(tuple(names))
    if invert:
        return _ended(named.sub(b"", b"\n" + header)[1:])
    found = b"".join(named.findall(b"\n" + header))
    if not found:
        return b"\r\n"
    if header.endswith(b"\n"):
        return found[1:] + b"\n\r\n"
    return _ended(found[1:])


def _ended(header: bytes) -> bytes:
    """Give a block that lacks it the empty line at its end."""
    if not header or header.endswith((b"\n\r\n", b"\n\n")) or header in (b"\r\n", b"\n"):
        return header or b"\r\n"
    missing = b"" if header.endswith(b"\n") else b"\n" if header.endswith(b"\r") else b"\r\n"
    return header + missing + b"\r\n"


@lru_cache(maxsize=256)
def _named(names: tuple[str | bytes, ...]) -> re.Pattern[bytes]:
    """Compile what finds these fields, each with the line break before it and not the one after.

    Both cases are spelt out: a quarter of the time that IGNORECASE takes. A client sends the same
    list for every message, so the pattern is made once.
    """
    spelt = [_either_case(name if isinstance(name, bytes) else name.encode()) for name in names]
    alternatives = b"|".join(spelt) or rb"(?!)"
    return re.compile(rb"\n(?:" + alternatives + rb")[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+")


def _either_case(name: bytes) -> bytes:
    letters = (name[i : i + 1] for i in range(len(name)))
    return b"".join(
        b"[" + letter.lower() + letter.upper() + b"]" if letter.isalpha() else re.escape(letter)
        for letter in letters
    )
