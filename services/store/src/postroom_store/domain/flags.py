"""Flags as a 64-bit mask: system flags at fixed bits, keywords at bits that a mailbox gives out.

Bits 0 to 4 are the system flags of RFC 9051 section 2.3.2; bit 8 + n is the mailbox's keyword
number n. Bit 63 stays clear, so that a mask fits a signed column.
"""

from __future__ import annotations

from collections.abc import Iterable

from postroom_chassis.errors import Kind, PostroomError

SEEN = 1
ANSWERED = 2
FLAGGED = 4
DELETED = 8
DRAFT = 16

SYSTEM: dict[str, int] = {
    "\\seen": SEEN,
    "\\answered": ANSWERED,
    "\\flagged": FLAGGED,
    "\\deleted": DELETED,
    "\\draft": DRAFT,
}
SYSTEM_MASK = 0x1F
FIRST_KEYWORD = 8
MOST_KEYWORDS = 55
MOST_KEYWORD_LENGTH = 100


def keyword_bit(number: int) -> int:
    """The bit of a mailbox's keyword."""
    return 1 << (FIRST_KEYWORD + number)


def mask_of(names: Iterable[str], keywords: list[str]) -> tuple[int, list[str]]:
    """The mask of some flags, and the mailbox's keywords with those that are new added.

    Raises PostroomError: INVALID for a flag that can't be, LIMIT_EXCEEDED for too many keywords.
    """
    mask = 0
    known = {name.lower(): number for number, name in enumerate(keywords)}
    added = list(keywords)
    for name in names:
        folded = name.lower()
        if bit := SYSTEM.get(folded):
            mask |= bit
        elif name.startswith("\\"):
            if folded != "\\recent":
                raise PostroomError(Kind.INVALID, f"there is no flag {name}")
        else:
            if folded not in known:
                _check_keyword(name, len(added))
                known[folded] = len(added)
                added.append(name)
            mask |= keyword_bit(known[folded])
    return mask, added


def known_mask(names: Iterable[str], keywords: list[str]) -> int:
    """The mask of the flags that the mailbox knows; others are nobody's."""
    known = {name.lower(): keyword_bit(number) for number, name in enumerate(keywords)}
    known.update(SYSTEM)
    mask = 0
    for name in names:
        mask |= known.get(name.lower(), 0)
    return mask


def names_of(mask: int, keywords: list[str]) -> list[str]:
    """The flags of a mask, system flags first."""
    system = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
    names = [name for bit, name in enumerate(system) if mask >> bit & 1]
    return names + [name for number, name in enumerate(keywords) if mask & keyword_bit(number)]


def _check_keyword(name: str, there: int) -> None:
    if (
        not name
        or len(name) > MOST_KEYWORD_LENGTH
        or not name.isascii()
        or not name.isprintable()
        or " " in name
    ):
        raise PostroomError(Kind.INVALID, "a keyword is 1 to 100 printable ASCII characters")
    if there >= MOST_KEYWORDS:
        raise PostroomError(Kind.LIMIT_EXCEEDED, f"a mailbox has at most {MOST_KEYWORDS} keywords")
