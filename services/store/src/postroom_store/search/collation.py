"""How texts are compared (RFC 5255 section 4): what is looked for, and what it is looked for in.

The index has texts as i;unicode-casemap is answered by, so that what it finds is found. For other
collations it tells which messages may match; each of these is read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from postroom_mime import COLLATIONS, normal, normalise


@dataclass(frozen=True, slots=True)
class Collation:
    """A collation.

    Attributes:
        indexed: the index answers for it.
        text: what it makes of a message's text.
        key: what it makes of what is looked for.
        order: what it makes of a text that is sorted by.
    """

    indexed: bool
    text: Callable[[str], str]
    key: Callable[[str], str]
    order: Callable[[str], str]

    def phrase(self, value: str) -> str:
        """What the index has wherever a text holds a value."""
        phrase = normalise(value)
        return phrase if self.indexed else _inner(phrase)


def _exact(name: str) -> Collation:
    mapping = COLLATIONS[name]
    return Collation(indexed=False, text=mapping, key=mapping, order=mapping)


UNICODE = Collation(indexed=True, text=normal, key=normalise, order=COLLATIONS["i;unicode-casemap"])
ASCII = _exact("i;ascii-casemap")
OCTET = _exact("i;octet")


def _inner(phrase: str) -> str:
    """A text without what its surroundings may have changed: blanks and marks at its ends.

    Blanks at the end of a text are not indexed, and marks of one letter come in an order of theirs.
    """
    start, end = 0, len(phrase)
    while start < end and _is_loose(phrase[start]):
        start += 1
    while end > start and _is_loose(phrase[end - 1]):
        end -= 1
    return phrase[start:end]


def _is_loose(character: str) -> bool:
    return character == " " or unicodedata.combining(character) != 0
