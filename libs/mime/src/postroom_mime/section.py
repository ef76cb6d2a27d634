"""IMAP section paths as byte ranges (RFC 3501 section 6.4.5, RFC 9051 section 6.4.5.1).

Part numbers count the parts of a multipart; a message that is no multipart has the one part 1, its
body. Behind the number of a message/rfc822, numbers count inside the message that it holds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from postroom_mime.structure import Message, Part

# section-part ["." section-text] without HEADER.FIELDS; nz-numbers of a length that an int holds.
_SPEC: Final = re.compile(
    r"((?:[1-9]\d{0,8})(?:\.[1-9]\d{0,8})*)?(?:(?:(?<=\d)\.|\A)(HEADER|TEXT|MIME))?",
    re.IGNORECASE | re.ASCII,
)


def section(message: Message, spec: str) -> tuple[int, int] | None:
    """Return (start, end) of a section such as "", "TEXT", "1.2" or "1.2.HEADER"; None: not there.

    HEADER and TEXT behind numbers exist only for a message/rfc822, MIME only behind numbers.
    """
    found = _SPEC.fullmatch(spec)
    if not found:
        return None
    path = [int(number) for number in found[1].split(".")] if found[1] else []
    text = (found[2] or "").upper()
    part = find_part(message, path)
    if part is None:
        return None
    if text == "MIME":
        return (part.header_start, part.body_start) if path else None
    if not path:
        return _of_message(message.root, text)
    if not text:
        return part.body_start, part.body_end
    return _of_message(part.children[0], text) if part.is_message else None


@dataclass(frozen=True, slots=True)
class HeaderFields:
    """The choice that HEADER.FIELDS makes of a header; inverted: all but these."""

    names: tuple[str, ...]
    invert: bool


_FIELDS: Final = re.compile(
    r"((?:[\d.]+\.)?HEADER)\.FIELDS(\.NOT)? \(([!-9;-~]+(?: [!-9;-~]+)*)\)", re.IGNORECASE
)


def split_fields(spec: str) -> tuple[str, HeaderFields | None]:
    """Return a section such as "HEADER.FIELDS (DATE)" as "HEADER" and the choice made of it.

    Names in quotes are taken without them. A section that chooses nothing comes back as it is.
    """
    found = _FIELDS.fullmatch(spec)
    if not found:
        return spec, None
    names = tuple(name.strip('"') for name in found[3].split(" "))
    return found[1], HeaderFields(names, bool(found[2]))


def find_part(message: Message, path: Sequence[int]) -> Part | None:
    """Return the part with these numbers; the root for none; None if there is no such part."""
    part = message.root
    enclosing = True  # `part` is the root of a message, whose own number is 1 if it has no parts
    for number in path:
        if part.is_message and not enclosing:
            part = part.children[0]
            enclosing = True
        if part.is_multipart and number <= len(part.children):
            part = part.children[number - 1]
        elif part.is_multipart or not enclosing or number != 1:
            return None
        enclosing = False
    return part


def _of_message(root: Part, text: str) -> tuple[int, int]:
    match text:
        case "HEADER":
            return root.header_start, root.body_start
        case "TEXT":
            return root.body_start, root.body_end
    return root.header_start, root.body_end
