"""What mailboxes are for (RFC 6154), as a mask: bit n is the number n of the proto's SpecialUse."""

from __future__ import annotations

from collections.abc import Iterable

from postroom_chassis.errors import Kind, PostroomError

ARCHIVE = 1 << 2
DRAFTS = 1 << 3
JUNK = 1 << 5
SENT = 1 << 6
TRASH = 1 << 7

# \\All and \\Flagged present messages of other mailboxes; there are no such mailboxes here.
ASSIGNABLE = ARCHIVE | DRAFTS | JUNK | SENT | TRASH


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
