"""What is answered: status lines, multi-line responses, and the one table from errors to replies.

Texts are for people: they are told in the language that the client asked for (RFC 6856 section 3).
Response codes stand in brackets before them: IN-USE and LOGIN-DELAY (RFC 2449 section 8.1), AUTH,
SYS/TEMP and SYS/PERM (RFC 3206), UTF8 (RFC 6856 section 5).
"""

from __future__ import annotations

from collections.abc import Iterable

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.language import Wording

from postroom_pop3.protocol.translations import LANGUAGES, TRANSLATIONS

AUTH = "AUTH"
IN_USE = "IN-USE"
LOGIN_DELAY = "LOGIN-DELAY"
TEMPORARY = "SYS/TEMP"
PERMANENT = "SYS/PERM"

WORDING = Wording(LANGUAGES, TRANSLATIONS)

REFUSALS: dict[Kind, tuple[str, str]] = {
    Kind.UNAUTHENTICATED: (AUTH, "the name or the password is wrong"),
    Kind.DENIED: (AUTH, "this account may not use POP3"),
    Kind.EXPIRED: (AUTH, "sign in again"),
    Kind.IN_USE: (IN_USE, "another session has this maildrop"),
    Kind.LEASE_LOST: (IN_USE, "another session has taken this maildrop"),
    Kind.TOO_SOON: (LOGIN_DELAY, "you were here a short while ago, come back later"),
    Kind.RATE_LIMITED: (TEMPORARY, "too many failures, come back later"),
    Kind.UNAVAILABLE: (TEMPORARY, "try again later"),
    Kind.DEADLINE: (TEMPORARY, "try again later"),
    Kind.INTERNAL: (TEMPORARY, "something went wrong here"),
    Kind.NOT_FOUND: ("", "that message is gone"),
    Kind.UNSUPPORTED: ("", "no such mechanism"),
    Kind.INVALID: ("", "that exchange went wrong"),
}


def ok(text: str = "") -> bytes:
    return b"+OK %b\r\n" % WORDING.say(text) if text else b"+OK\r\n"


def err(text: str, code: str = "") -> bytes:
    if code:
        return b"-ERR [%b] %b\r\n" % (code.encode(), WORDING.say(text))
    return b"-ERR %b\r\n" % WORDING.say(text)


def multiline(text: str, lines: Iterable[str]) -> bytes:
    """A response whose lines hold no dot at their start and no line end."""
    return ok(text) + "".join(f"{line}\r\n" for line in lines).encode() + b".\r\n"


def refusal(error: PostroomError) -> bytes:
    """What the client is told of an error; a kind that isn't in the table is permanent or not
    by its nature.
    """
    if known := REFUSALS.get(error.kind):
        code, text = known
        return err(text, code)
    return err("that can't be done", TEMPORARY if error.temporary else PERMANENT)
