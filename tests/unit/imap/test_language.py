"""Language ranges, and texts in other languages."""

from __future__ import annotations

import contextvars

import pytest
from postroom_chassis.language import speak, valid_range
from postroom_imap.protocol.language import WORDING, say
from postroom_imap.protocol.translations import LANGUAGES, TRANSLATIONS


@pytest.mark.parametrize(
    ("ranges", "language"),
    [
        (["de"], "de"),
        (["DE-at-1901"], "de"),
        (["ru", "FR-CA"], "fr"),
        (["default"], "i-default"),
        (["i-default"], "i-default"),
        (["*"], "i-default"),
        (["ru", "uk"], None),
        (["dex"], None),
        ([], None),
    ],
)
def test_the_first_range_that_a_language_is_there_for(
    ranges: list[str], language: str | None
) -> None:
    assert WORDING.look_up(ranges) == language


@pytest.mark.parametrize("text", ["", "-", "de-", "de--at", "1a", "abcdefghi", "de *", "ä"])
def test_what_is_no_range(text: str) -> None:
    assert not valid_range(text)


@pytest.mark.parametrize("text", ["de", "zh-Hant-TW", "*", "i-default", "x"])
def test_what_is_a_range(text: str) -> None:
    assert valid_range(text)


def test_what_is_said() -> None:
    def german() -> list[bytes]:
        speak("de")
        return [say("SELECT completed"), say("Next UID"), say("A text that nobody translated")]

    assert contextvars.Context().run(german) == [
        b"SELECT ist erledigt",
        "Nächste UID".encode(),
        b"A text that nobody translated",
    ]
    assert say("SELECT completed") == b"SELECT completed"


@pytest.mark.parametrize("text", TRANSLATIONS)
def test_a_translation_fits(text: str) -> None:
    # What precedes a text may be a code in brackets, so that none begins with one; RFC 5255
    # section 3.5, UTF8-TEXT-CHAR.
    translations = TRANSLATIONS[text]
    assert len(translations) == len(LANGUAGES)
    for translation in translations:
        assert translation.isprintable()
        assert "[" not in translation
        assert translation.count("{}") == text.count("{}")
