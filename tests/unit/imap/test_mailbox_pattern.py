"""LIST patterns (RFC 3501 section 6.3.8)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_imap.protocol.mailbox_pattern import compile_patterns

NAMES = ["INBOX", "INBOX/a", "foo", "foo/bar", "foo/bar/baz", "foobar", "a+b (1)"]


@pytest.mark.parametrize(
    ("reference", "pattern", "matched"),
    [
        ("", "*", NAMES),
        ("", "%", ["INBOX", "foo", "foobar", "a+b (1)"]),
        ("", "foo", ["foo"]),
        ("", "foo*", ["foo", "foo/bar", "foo/bar/baz", "foobar"]),
        ("", "foo%", ["foo", "foobar"]),
        ("", "%/%", ["INBOX/a", "foo/bar"]),
        ("", "*bar", ["foo/bar", "foobar"]),
        ("", "%/*", ["INBOX/a", "foo/bar", "foo/bar/baz"]),
        ("", "%*", NAMES),
        ("", "%%", ["INBOX", "foo", "foobar", "a+b (1)"]),
        ("", "inb%", ["INBOX"]),
        ("", "a+b (1)", ["a+b (1)"]),
        ("foo/", "%", ["foo/bar"]),
        ("foo/", "*", ["foo/bar", "foo/bar/baz"]),
        ("foo", "%", ["foo", "foobar"]),
        ("foo/", "/INBOX", []),
        ("", "", []),
    ],
)
def test_what_matches(reference: str, pattern: str, matched: list[str]) -> None:
    matches = compile_patterns(reference, [pattern])
    assert [name for name in NAMES if matches(name)] == matched


def test_any_of_several() -> None:
    matches = compile_patterns("", ["foo", "INBOX/%"])
    assert [name for name in NAMES if matches(name)] == ["INBOX/a", "foo"]


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
def test_agrees_with_regular_expressions(pattern: str, name: str) -> None:
    expression = pattern.replace("*", ".*").replace("%", "[^/]*")
    assert compile_patterns("", [pattern])(name) == bool(re.fullmatch(expression, name))


def test_many_wildcards_are_no_trap() -> None:
    # A backtracking matcher would take 2**100 steps here and never come back.
    assert not compile_patterns("", ["%a*" * 100 + "b"])("a" * 2000)
