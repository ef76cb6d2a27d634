"""Names of annotations (RFC 5464 section 3.2): paths in lower case below /private or /shared."""

from __future__ import annotations

import re

from postroom_chassis.errors import Kind, PostroomError

SPECIAL_USE = "/private/specialuse"  # RFC 6154 section 4
MOST_BYTES = 1000
_ENTRY = re.compile(r"/(private|shared)(/[^/*%\x00-\x1f\x7f-\U0010ffff]+)*")


def canonical(entry: str) -> str:
    """The name as it is kept. Raises PostroomError INVALID where it can't be one."""
    if len(entry) > MOST_BYTES or not _ENTRY.fullmatch(entry.lower()):
        raise PostroomError(Kind.INVALID, "there can be no such annotation")
    return entry.lower()


def is_private(entry: str) -> bool:
    """Whether each person has a value of their own."""
    return entry.startswith("/private/")
