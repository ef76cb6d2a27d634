"""LIST patterns (RFC 3501 section 6.3.8): ``*`` matches anything, ``%`` anything below one level.

A pattern runs as a bit-parallel automaton, all states in one ``int``, so that no pattern costs more
than its length times that of the name; ``Limits`` bounds lengths and how many patterns there are.
"""

import re
from collections.abc import Callable, Iterable

from postroom_imap.protocol.mailbox_name import DELIMITER, INBOX

_WILDCARDS = re.compile(r"[*%]{2,}")

Matcher = Callable[[str], bool]


def compile_patterns(reference: str, patterns: Iterable[str]) -> Matcher:
    """A predicate on names: does any of ``patterns``, interpreted from ``reference``, match?

    The reference is put before the pattern as it is, unless the pattern starts at the root.
    """
    matchers = [_compile(_interpret(reference, pattern)) for pattern in patterns]
    if len(matchers) == 1:
        return matchers[0]
    return lambda name: any(matches(name) for matches in matchers)


def _interpret(reference: str, pattern: str) -> str:
    whole = pattern if pattern.startswith(DELIMITER) else reference + pattern
    return _WILDCARDS.sub(lambda run: "*" if "*" in run.group() else "%", whole)


def _compile(pattern: str) -> Matcher:
    if pattern == "*":
        return lambda name: True
    if "*" not in pattern and "%" not in pattern:
        return lambda name: name == pattern
    automaton = _Automaton(pattern)
    # INBOX is one name in any case, also where a pattern spells a part of it.
    matches_inbox = _Automaton(pattern.lower()).matches("inbox")
    return lambda name: automaton.matches(name) or (name == INBOX and matches_inbox)


class _Automaton:
    """State i: the first i characters of the pattern are matched."""

    __slots__ = ("_any", "_final", "_letters", "_level", "_wild")

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
        self._wild = self._any | self._level
        self._final = 1 << len(pattern)

    def matches(self, name: str) -> bool:
        states = self._skip_wildcard(1)
        for character in name:
            stay = self._any if character == DELIMITER else self._wild
            advance = (states & self._letters.get(character, 0)) << 1
            states = self._skip_wildcard(states & stay | advance)
            if not states:
                return False
        return bool(states & self._final)

    def _skip_wildcard(self, states: int) -> int:
        """A wildcard may match nothing; two never stand together."""
        return states | (states & self._wild) << 1
