"""What a client is told of an error: one table of kinds, with the codes of RFC 5530."""

from __future__ import annotations

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap.protocol.responses import codes, status

CODES: dict[Kind, bytes | None] = {
    Kind.INVALID: codes.CANNOT,
    Kind.UNSUPPORTED: codes.CANNOT,
    Kind.NOT_FOUND: codes.NONEXISTENT,
    Kind.ALREADY_EXISTS: codes.ALREADY_EXISTS,
    Kind.CONFLICT: codes.IN_USE,
    Kind.IN_USE: codes.IN_USE,
    Kind.LEASE_LOST: codes.IN_USE,
    Kind.OVER_QUOTA: codes.OVER_QUOTA,
    Kind.TOO_LARGE: codes.TOO_BIG,
    Kind.LIMIT_EXCEEDED: codes.LIMIT,
    Kind.RATE_LIMITED: codes.UNAVAILABLE,
    Kind.TOO_SOON: codes.UNAVAILABLE,
    Kind.UNAUTHENTICATED: codes.AUTHENTICATION_FAILED,
    Kind.EXPIRED: codes.EXPIRED,
    Kind.DENIED: codes.NO_PERMISSION,
    Kind.UNAVAILABLE: codes.UNAVAILABLE,
    Kind.DEADLINE: codes.UNAVAILABLE,
    Kind.INTERNAL: codes.SERVER_BUG,
}

# What people are told where the owner's own words would mean nothing to them.
_TEXTS = {
    Kind.UNAVAILABLE: "The mail store can't be reached just now",
    Kind.DEADLINE: "The mail store takes too long just now",
    Kind.INTERNAL: "Something went wrong here; it was logged",
}
_MOST_TEXT = 200


def refusal(tag: bytes, error: PostroomError, code: bytes | None = None) -> bytes:
    """The tagged NO for an error; `code` where the command has a better one."""
    return status.no(tag, text_of(error), code or CODES[error.kind])


def text_of(error: PostroomError) -> str:
    """One printable line of ASCII that starts like the other replies."""
    text = _TEXTS.get(error.kind) or error.message or error.kind.replace("_", " ").lower()
    line = "".join(c if " " <= c <= "~" else "?" for c in text[:_MOST_TEXT])
    return line[:1].upper() + line[1:]
