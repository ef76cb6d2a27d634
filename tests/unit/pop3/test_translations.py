"""Texts in other languages."""

from __future__ import annotations

import pytest
from postroom_pop3.protocol.replies import REFUSALS, WORDING
from postroom_pop3.protocol.translations import LANGUAGES, NAMES, TRANSLATIONS


@pytest.mark.parametrize("text", TRANSLATIONS)
def test_a_translation_fits(text: str) -> None:
    # A bracket would look like a response code (RFC 2449 section 8).
    translations = TRANSLATIONS[text]
    assert len(translations) == len(LANGUAGES)
    for translation in translations:
        assert translation.isprintable()
        assert "[" not in translation
        assert translation.count("{}") == text.count("{}")


def test_every_language_has_a_name() -> None:
    assert set(NAMES) == set(WORDING.supported)


def test_every_refusal_is_translated() -> None:
    assert {text for _, text in REFUSALS.values()} <= set(TRANSLATIONS)
