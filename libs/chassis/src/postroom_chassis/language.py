"""The language that a client is spoken to in.

It is a context variable: each session is a task of its own, and every response that people may read
is worded in one place, whatever command it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache

DEFAULT = "i-default"  # English, in ASCII (RFC 2277 section 4.5)

# RFC 4647 section 2.1: a basic language range; "default" is RFC 5255's own and looks like one.
_RANGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*")

_spoken: ContextVar[str] = ContextVar("language", default=DEFAULT)


def valid_range(text: str) -> bool:
    """Whether a language range is well-formed."""
    return _RANGE.fullmatch(text) is not None


def speak(language: str) -> None:
    """Say everything in a language from now on, in this task."""
    _spoken.set(language)


class Wording:
    """What a protocol tells people, in English and other languages.

    Args:
        languages: the tags of the others, in lower case.
        translations: each English text with the same in each of the languages. `{}` stands for
            anything: a command's name, a number. A text that is missing is told in English.

    Attributes:
        supported: the tags of all languages.
    """

    def __init__(self, languages: Sequence[str], translations: Mapping[str, Sequence[str]]) -> None:
        self.supported = ("en", *languages, DEFAULT)
        self._languages = tuple(languages)
        self._translations = translations
        self._patterns = {
            re.compile(re.escape(text).replace(r"\{\}", "(.+)")): translated
            for text, translated in translations.items()
            if "{}" in text
        }
        self._translate = lru_cache(1024)(self._find)

    def look_up(self, ranges: Iterable[str]) -> str | None:
        """The language for the first range that one is there for (RFC 4647 section 3.4), or None.

        A range stands for what is left of it, too, when subtags are taken from its end. "default"
        is what the server speaks by itself.
        """
        for wanted in ranges:
            tag = wanted.lower()
            if tag in ("default", "*"):
                return DEFAULT
            while tag:
                if tag in self.supported:
                    return tag
                tag = tag.rpartition("-")[0]
        return None

    def say(self, text: str) -> bytes:
        """An English text as the client is to read it: in its language, in UTF-8."""
        spoken = _spoken.get()
        if spoken in self._languages:
            text = self._translate(text, self._languages.index(spoken))
        return text.encode()

    def _find(self, text: str, language: int) -> str:
        if text in self._translations:
            return self._translations[text][language]
        for pattern, translated in self._patterns.items():
            if found := pattern.fullmatch(text):
                return translated[language].format(*found.groups())
        return text
