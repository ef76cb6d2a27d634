"""Message-IDs and what they refer to (RFC 5322 section 3.6.4, RFC 5256 section 3).

Ids are normalised, so that those that mean the same are the same: quotes that are not needed are
taken off, white space and comments inside are not kept, and the angle brackets are left out.
"""

import re
from typing import Final

from postroom_mime import limits

# What is between angle brackets; it must have an "@" too.
_ID: Final = re.compile(rb"<([^<>]{1,%d})>" % limits.ID_BYTES)
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BLANKS: Final = re.compile(rb"[\x00-\x20\x7f]+")


def parse_ids(field: bytes) -> list[str]:
    """Return the valid message ids of a field, normalised, in order, each once."""
    text = field[: limits.HEADER_BYTES]
    return list(dict.fromkeys(_normalise(found) for found in _ID.findall(text) if b"@" in found))


def parse_message_id(field: bytes) -> str | None:
    """Return the normalised id of a Message-ID field, or None."""
    return next(iter(parse_ids(field)), None)


def parse_references(references: bytes, in_reply_to: bytes) -> tuple[str, ...]:
    """Return the ancestors of a message, oldest first (RFC 5256 section 3, REFERENCES, step 1).

    In-Reply-To counts only if References has no valid id, and only its first. Of more than
    `limits.REFERENCES` the root and the latest are kept.
    """
    ids = parse_ids(references) or parse_ids(in_reply_to)[:1]
    if len(ids) > limits.REFERENCES:
        ids = [ids[0], *ids[1 - limits.REFERENCES :]]
    return tuple(ids)


def _normalise(raw: bytes) -> str:
    text = _BLANKS.sub(b"", raw)
    if b'"' in text:
        text = _QUOTED.sub(rb"\1", text).replace(b"\\", b"")
    return text.decode("utf-8", "replace")
