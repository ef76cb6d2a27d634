"""Names of annotations of messages (RFC 5257 section 3.2.1): case-sensitive paths, and patterns.

A pattern runs as a bit-parallel automaton, all states in one `int`, so that none costs more than
its length times that of the name.
"""

from __future__ import annotations

import re
from functools import lru_cache

from postroom_chassis.errors import Kind, PostroomError

MOST_BYTES = 1000

_COMPONENT = r"[^/*%\x00-\x1f\x7f-\U0010ffff]+"
_PART = r"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*"
_VENDOR = rf"vendor(?:/{_COMPONENT})+"
# What the RFC registers, and vendors' own. /flags is reserved (section 3.5).
_ENTRY = re.compile(
    rf"/(?:comment|altsubject|{_VENDOR}"
    rf"|({_PART})/(?:comment|(flags/(?:seen|answered|flagged|forwarded))|{_VENDOR}))"
)
_PATTERN = re.compile(r"[^\x00-\x1f\x7f-\U0010ffff]+")
_FLAG_VALUES = (None, b"0", b"1")


def check(entry: str, value: bytes | None) -> None:
    """Raise PostroomError INVALID where there can be no such annotation, or not of this value."""
    found = _ENTRY.fullmatch(entry) if len(entry) <= MOST_BYTES else None
    if found is None or (found[2] and value not in _FLAG_VALUES):
        raise PostroomError(Kind.INVALID, "there can be no such annotation")


def part_of(entry: str) -> tuple[int, ...]:
    """The numbers of the part that an annotation is of; none for the whole message."""
    found = _ENTRY.fullmatch(entry)
    numbers = found[1] if found is not None else None
    return tuple(map(int, numbers.split("."))) if numbers else ()


def check_pattern(pattern: str) -> None:
    """Raise PostroomError INVALID where no name can be like this."""
    if len(pattern) > MOST_BYTES or not _PATTERN.fullmatch(pattern):
        raise PostroomError(Kind.INVALID, "there can be no such annotation")


def is_pattern(entry: str) -> bool:
    """Whether a name has wildcards."""
    return "*" in entry or "%" in entry


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Matcher:
    """What tells which names a pattern matches."""
    return Matcher(pattern)


class Matcher:
    """`*` stands for one character or more, `%` for such without a slash (section 4.3).

    State i: the first i characters of the pattern are matched.
    """

    __slots__ = ("_any", "_final", "_letters", "_level")

    def __init__(self, pattern: str) -> None:
        self._letters: dict[str, int] = {}
        self._any = self._level = 0
        for position, character in enumerate(pattern):
            bit = 1 << position
            match character:
                case "*":
                    self._any |= bit
                case "%":
                    self._level |= bit
                case _:
                    self._letters[character] = self._letters.get(character, 0) | bit
        self._final = 1 << len(pattern)

    def matches(self, entry: str) -> bool:
        """Whether the whole of a name is matched."""
        states = 1
        for character in entry:
            wild = self._any if character == "/" else self._any | self._level
            stay = states & wild
            states = stay | (stay | states & self._letters.get(character, 0)) << 1
        return bool(states & self._final)
