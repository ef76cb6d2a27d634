"""What is answered: status lines, multi-line responses, and the one table from errors to replies.

Response codes in brackets are those of RFC 2449 (IN-USE) and RFC 3206 (AUTH, SYS/TEMP, SYS/PERM).
"""

from __future__ import annotations

from collections.abc import Iterable

from postroom_chassis.errors import Kind, PostroomError

_TEMPORARY = "[SYS/TEMP] "
_PERMANENT = "[SYS/PERM] "

REFUSALS: dict[Kind, str] = {
    Kind.UNAUTHENTICATED: "[AUTH] the name or the password is wrong",
    Kind.DENIED: "[AUTH] this account may not use POP3",
    Kind.EXPIRED: "[AUTH] sign in again",
    Kind.IN_USE: "[IN-USE] another session has this maildrop",
    Kind.LEASE_LOST: "[IN-USE] another session has taken this maildrop",
    Kind.RATE_LIMITED: _TEMPORARY + "too many failures, come back later",
    Kind.UNAVAILABLE: _TEMPORARY + "try again later",
    Kind.DEADLINE: _TEMPORARY + "try again later",
    Kind.INTERNAL: _TEMPORARY + "something went wrong here",
    Kind.NOT_FOUND: "that message is gone",
    Kind.UNSUPPORTED: "no such mechanism",
    Kind.INVALID: "that exchange went wrong",
}


def ok(text: str = "") -> bytes:
    return f"+OK {text}\r\n".encode() if text else b"+OK\r\n"


def err(text: str) -> bytes:
    return f"-ERR {text}\r\n".encode()


def multiline(text: str, lines: Iterable[str]) -> bytes:
    """A response whose lines hold no dot at their start and no line end."""
    return ok(text) + "".join(f"{line}\r\n" for line in lines).encode() + b".\r\n"


def refusal(error: PostroomError) -> bytes:
    """What the client is told of an error; a kind that isn't in the table is permanent or not
    by its nature.
    """
    text = REFUSALS.get(error.kind)
    if text is None:
        text = (_TEMPORARY if error.temporary else _PERMANENT) + "that can't be done"
    return err(text)
