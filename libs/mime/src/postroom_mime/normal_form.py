"""Unicode normalisation that no text can make slow.

The standard library sorts each run of combining marks by insertion: a megabyte of them takes four
minutes. UAX #15 section 13 (Stream-Safe Text Format) says that no language needs more than 30 in a
row; what is beyond them is dropped here.
"""

import re
import unicodedata
from typing import Final, Literal

_MOST_MARKS: Final = 30

# Marks that `unicodedata.combining` does not tell: their decompositions begin with one.
_MARKS: Final = frozenset("\u0f73\u0f75\u0f81\uff9e\uff9f")

# Where so many may stand in a row: no mark is ASCII, white space or, but for two, a letter.
_SUSPECT: Final = re.compile(rf"(?:[^\w\s\x00-\x7f]|[\uff9e\uff9f]){{{_MOST_MARKS + 1},}}")


def normal_form(form: Literal["NFKC", "NFKD"], text: str) -> str:
    """Return text in a normal form, runs of more than 30 combining marks cut first."""
    return unicodedata.normalize(form, _SUSPECT.sub(_without_excess, text))


def _without_excess(run: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for character in run[0]:
        is_mark = character in _MARKS or unicodedata.combining(character) != 0
        marks = marks + 1 if is_mark else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)
