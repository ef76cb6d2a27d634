"""Flags as masks, and as the wire shows them.

Bits 0 to 4 of a mask are the system flags, bit 8 + n is the keyword with number n of its mailbox.
Bit 5 stands for \\Recent: it is a session's own, set only in masks about to be rendered and never
stored.
"""

from __future__ import annotations

from collections.abc import Iterable

from postroom_imap.protocol import flag
from postroom_imap.protocol.responses.strings import flag_list

SEEN = 1 << 0
ANSWERED = 1 << 1
FLAGGED = 1 << 2
DELETED = 1 << 3
DRAFT = 1 << 4
RECENT = 1 << 5
FIRST_KEYWORD = 8
KEYWORD_BITS = 56
MOST_KEYWORDS = 55  # that the store gives to one mailbox: masks stay positive as signed numbers

SYSTEM = {
    flag.ANSWERED: ANSWERED,
    flag.FLAGGED: FLAGGED,
    flag.DELETED: DELETED,
    flag.SEEN: SEEN,
    flag.DRAFT: DRAFT,
    flag.RECENT: RECENT,
}
_MOST_RENDERED = 4096  # different masks remembered; a mailbox has a few dozen


class Keywords(dict[int, bytes]):
    """A mailbox's keywords; as a mapping, masks to rendered flag lists, made when first asked for.

    `[keywords[mask] for mask in masks]` renders a column of flags at the speed of a dictionary.
    """

    def __init__(self, known: Iterable[tuple[int, str]] = ()) -> None:
        super().__init__()
        self.names: dict[int, str] = {}
        self._bits: dict[str, int] = {}
        self.learn(known)

    def learn(self, known: Iterable[tuple[int, str]]) -> bool:
        """Take up keywords by number; says whether any was new."""
        before = len(self.names)
        for number, name in known:
            if number not in self.names and number < KEYWORD_BITS:
                self.names[number] = name
                self._bits[name.lower()] = 1 << (FIRST_KEYWORD + number)
        if len(self.names) != before:
            self.clear()
        return len(self.names) != before

    def bit(self, name: str) -> int:
        """The bit of a flag, compared case-insensitively; 0 where no message here has it."""
        return SYSTEM.get(name) or self._bits.get(name.lower(), 0)

    def flags(self) -> list[str]:
        """All flags of the mailbox: what the FLAGS response tells."""
        return [*flag.SYSTEM_FLAGS, *(self.names[number] for number in sorted(self.names))]

    @property
    def full(self) -> bool:
        """Whether no new keyword can be made."""
        return len(self.names) >= MOST_KEYWORDS

    def __missing__(self, mask: int) -> bytes:
        names = [name for name, bit in SYSTEM.items() if mask & bit]
        names += [
            name for number, name in self.names.items() if mask >> (FIRST_KEYWORD + number) & 1
        ]
        rendered = flag_list(names)
        if len(self) >= _MOST_RENDERED:
            self.clear()
        self[mask] = rendered
        return rendered
