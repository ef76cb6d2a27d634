"""Flags as the wire names them (RFC 3501 section 2.3.2): system flags and keywords, as ``str``."""

ANSWERED = "\\Answered"
FLAGGED = "\\Flagged"
DELETED = "\\Deleted"
SEEN = "\\Seen"
DRAFT = "\\Draft"
RECENT = "\\Recent"  # told by the server, never stored by a client
ANY_KEYWORD = "\\*"  # in PERMANENTFLAGS: new keywords can be made by storing them

SYSTEM_FLAGS = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)

_BY_FOLDED_NAME = {flag.lower(): flag for flag in SYSTEM_FLAGS}


def system_flag(name: str) -> str | None:
    """The system flag that ``name`` (with its backslash, in any case) stands for, or None."""
    return _BY_FOLDED_NAME.get(name.lower())
