"""What mailboxes are for (RFC 6154), as a mask: bit n is the number n of the proto's SpecialUse."""

from __future__ import annotations

from collections.abc import Iterable

from postroom_chassis.errors import Kind, PostroomError

ARCHIVE = 1 << 2
DRAFTS = 1 << 3
JUNK = 1 << 5
SENT = 1 << 6
TRASH = 1 << 7

# \All and \Flagged present messages of other mailboxes; there are no such mailboxes here.
ASSIGNABLE = ARCHIVE | DRAFTS | JUNK | SENT | TRASH

# How IMAP calls them, by their number.
ATTRIBUTES = {
    1: "\\All",
    2: "\\Archive",
    3: "\\Drafts",
    4: "\\Flagged",
    5: "\\Junk",
    6: "\\Sent",
    7: "\\Trash",
}
_NUMBERS = {name.lower(): number for number, name in ATTRIBUTES.items()}


def mask_of(numbers: Iterable[int]) -> int:
    """The mask of some uses; 0 among them says nothing.

    Raises PostroomError UNSUPPORTED for a use that no mailbox can have.
    """
    mask = 0
    for number in numbers:
        mask |= 1 << number if number else 0
    if mask & ~ASSIGNABLE:
        raise PostroomError(Kind.UNSUPPORTED, "no mailbox can have this special use here")
    return mask


def numbers_of(mask: int) -> list[int]:
    """The uses in a mask, ascending."""
    return [number for number in range(1, mask.bit_length()) if mask >> number & 1]


def attributes_of(mask: int) -> str:
    """The uses in a mask as IMAP calls them, separated by blanks."""
    return " ".join(ATTRIBUTES[number] for number in numbers_of(mask))


def mask_of_attributes(text: str) -> int:
    """The mask of uses as IMAP calls them, separated by blanks.

    Raises PostroomError UNSUPPORTED for a use that no mailbox can have, or that nobody knows.
    """
    numbers = [_NUMBERS.get(word.lower()) for word in text.split()]
    if None in numbers:
        raise PostroomError(Kind.UNSUPPORTED, "there is no such special use")
    return mask_of(number for number in numbers if number is not None)
