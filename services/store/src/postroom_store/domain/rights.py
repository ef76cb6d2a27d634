"""Rights on a mailbox: a letter each, in one order (RFC 4314 section 2.1).

The virtual rights "c" and "d" of RFC 2086 are the protocol's: here they don't exist.
"""

from __future__ import annotations

from collections.abc import Iterable

from postroom_chassis.errors import Kind, PostroomError

from postroom_store.domain.flags import DELETED, SEEN

LOOKUP = "l"
READ = "r"
KEEP_SEEN = "s"
WRITE = "w"
INSERT = "i"
POST = "p"  # nothing asks for it: there are no submission addresses of mailboxes
CREATE = "k"
DELETE_MAILBOX = "x"
DELETE_MESSAGES = "t"
EXPUNGE = "e"
ADMINISTER = "a"
ANNOTATE = "n"  # set shared annotations of messages (RFC 5257 section 3.4)

ALL = "lrswipkxtean"
TO_ASK = "lrikxa"  # any of them lets a person ask what it may do (section 4, MYRIGHTS)
TO_ANNOTATE = "rswip"  # any of them, with "l", lets a person annotate (RFC 5464 section 3.3)
EVERY_FLAG = (1 << 63) - 1


def parse(letters: str) -> str:
    """Rights in their order, each once. Raises PostroomError INVALID."""
    if unknown := set(letters) - set(ALL):
        raise PostroomError(Kind.INVALID, f"there is no right {min(unknown)}")
    return ordered(letters)


def ordered(letters: Iterable[str]) -> str:
    """Rights in their order, each once."""
    there = set(letters)
    return "".join(right for right in ALL if right in there)


def changeable(rights: str) -> int:
    """The mask of the flags that somebody may change (section 4)."""
    mask = EVERY_FLAG & ~(SEEN | DELETED) if WRITE in rights else 0
    if KEEP_SEEN in rights:
        mask |= SEEN
    if DELETE_MESSAGES in rights:
        mask |= DELETED
    return mask


def settable(names: Iterable[str], rights: str) -> list[str]:
    """Those of some flags that somebody may change."""
    needed = {"\\seen": KEEP_SEEN, "\\deleted": DELETE_MESSAGES}
    return [name for name in names if needed.get(name.lower(), WRITE) in rights]


def require(rights: str, needed: str) -> None:
    """Raise PostroomError unless somebody has all of the rights that are needed.

    NOT_FOUND where it may not even know of the mailbox (section 6), else DENIED.
    """
    if set(needed) <= set(rights):
        return
    if not {LOOKUP, READ} & set(rights):
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
    lacking = ordered(set(needed) - set(rights))
    raise PostroomError(Kind.DENIED, f"the right {lacking} on the mailbox is needed")


def require_to_annotate(rights: str) -> None:
    """Raise PostroomError, as `require`, unless somebody may have annotations of a mailbox."""
    require(rights, LOOKUP)
    if not set(TO_ANNOTATE) & set(rights):
        raise PostroomError(Kind.DENIED, f"one of the rights {TO_ANNOTATE} is needed")
