"""Fuzzy matching (RFC 6203): word by word, in any order, with a grade for what is only alike.

A word counts whole where the text has it, part where the text has most of it: its beginning, as
another form of the word would have it (meet-ing), or its end, for what was misspelt before. What
the index finds decides; that keeps a fuzzy search as quick as an exact one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from postroom_mime import normalise

from postroom_store.search import index

ENOUGH = 0.4  # mean grade of the words from which on a text matches
WHOLE, BEGINNING, END = 1.0, 0.6, 0.4
KEPT = 0.6  # of a word's characters that its beginning or end has
MOST_WORDS = 16

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Phrases:
    """What stands for a word, and how much it counts, the best first."""

    graded: tuple[tuple[str, float], ...]


def phrases_of(query: str) -> tuple[Phrases, ...]:
    """The words of a query that can be looked for; none where only an exact match makes sense."""
    words = dict.fromkeys(_WORD.findall(normalise(query)))
    return tuple(_phrases(word) for word in words if index.can_find(word))[:MOST_WORDS]


def _phrases(word: str) -> Phrases:
    kept = max(index.SHORTEST, round(len(word) * KEPT))
    graded = {word: WHOLE}
    graded.setdefault(word[:kept], BEGINNING)
    graded.setdefault(word[-kept:], END)
    return Phrases(tuple(graded.items()))
