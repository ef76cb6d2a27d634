"""The language that a client is spoken to in (RFC 5255 section 3).

It is a context variable: each session is a task of its own, and every response that people may read
is worded in one place, whatever command it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from functools import lru_cache

from postroom_imap.protocol.translations import LANGUAGES, TRANSLATIONS

DEFAULT = "i-default"  # English, in ASCII (RFC 2277 section 4.5)
SUPPORTED = ("en", *LANGUAGES, DEFAULT)

# RFC 4647 section 2.1: a basic language range; "default" is RFC 5255's own and looks like one.
_RANGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*")

_spoken: ContextVar[str] = ContextVar("language", default=DEFAULT)


def valid_range(text: str) -> bool:
    """Whether a language range is well-formed."""
    return _RANGE.fullmatch(text) is not None


def look_up(ranges: Iterable[str]) -> str | None:
    """The language for the first range that one is there for (RFC 4647 section 3.4), or None.

    A range stands for what is left of it, too, when subtags are taken from its end. "default" is
    what the server speaks by itself.
    """
    for wanted in ranges:
        tag = wanted.lower()
        if tag in ("default", "*"):
            return DEFAULT
        while tag:
            if tag in SUPPORTED:
                return tag
            tag = tag.rpartition("-")[0]
    return None


def speak(language: str) -> None:
    """Say everything in one of SUPPORTED from now on, in this task."""
    _spoken.set(language)


def say(text: str) -> bytes:
    """An English text as the client is to read it: in its language, in UTF-8."""
    spoken = _spoken.get()
    if spoken in LANGUAGES:
        text = _translate(text, LANGUAGES.index(spoken))
    return text.encode()


_PATTERNS = {
    re.compile(re.escape(text).replace(r"\{\}", "(.+)")): translations
    for text, translations in TRANSLATIONS.items()
    if "{}" in text
}


@lru_cache(1024)
def _translate(text: str, language: int) -> str:
    if text in TRANSLATIONS:
        return TRANSLATIONS[text][language]
    for pattern, translations in _PATTERNS.items():
        if found := pattern.fullmatch(text):
            return translations[language].format(*found.groups())
    return text
