"""xtext (RFC 3461 section 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol import xtext


@pytest.mark.parametrize(
    ("encoded", "text"),
    [("", ""), ("abc", "abc"), ("a+2Bb", "a+b"), ("+3d", "="), ("+C3+BC", "\u00fc"), ("+20", " ")],
)
def test_what_it_stands_for(encoded: str, text: str) -> None:
    assert xtext.decode(encoded) == text


@pytest.mark.parametrize("encoded", ["=", " ", "+", "+2", "+G0", "\u00fc", "a\tb", "+FF", "+C3"])
def test_what_is_none(encoded: str) -> None:
    with pytest.raises(ValueError, match=r"xtext|utf-8"):
        xtext.decode(encoded)


@given(st.text(st.characters(codec="utf-8")))
def test_there_and_back(text: str) -> None:
    encoded = xtext.encode(text)
    assert xtext.decode(encoded) == text
    assert encoded.isascii()
    assert not set(encoded) & set(" =")
