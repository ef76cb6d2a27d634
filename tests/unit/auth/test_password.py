"""Passwords are prepared by RFC 8265 section 4.2 and never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_auth.domain.password import InvalidPassword, Password
from postroom_auth.domain.people import Credential


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        # RFC 8265 section 4.3, table 3.
        ("correct horse battery staple", "correct horse battery staple"),
        ("Correct Horse Battery Staple", "Correct Horse Battery Staple"),
        ("\u03c0\u00df\u00e5", "\u03c0\u00df\u00e5"),
        ("Jack of \u2666s", "Jack of \u2666s"),
        ("foo\u1680bar", "foo bar"),
        # Composition; width is kept.
        ("gru\u0308n", "gr\u00fcn"),
        ("\uff41", "\uff41"),
    ],
)
def test_passwords_are_prepared(text: str, prepared: str) -> None:
    assert Password.prepare(text).prepared == prepared.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "my cat is a \u0009by",
        "a\x00",
        "\u00fc\x7f",
        "\u0085",
        "a\u2028",
        "x" * 1025,
        "\u00fc" * 513,
        "x" * 10_000_000,
    ],
)
def test_what_can_not_be_a_password_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InvalidPassword) as refused:
        Password.prepare(text)
    assert not text or text not in str(refused.value)


@given(st.text(min_size=1, max_size=50))
def test_preparing_twice_changes_nothing(text: str) -> None:
    try:
        once = Password.prepare(text)
    except InvalidPassword:
        return
    assert Password.prepare(once.prepared.decode()) == once


def test_neither_passwords_nor_hashes_are_shown() -> None:
    assert "horse" not in repr(Password.prepare("horse"))
    assert "argon2" not in repr(Credential(1, "ann@example.org", 0, False, "$argon2id$...", 1))
