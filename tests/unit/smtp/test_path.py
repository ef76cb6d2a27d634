"""What is a path and what isn't (RFC 5321 section 4.1.2, RFC 6531 section 3.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol.path import MOST_OCTETS, NULL, Path, PathFault, parse_path


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("<a@b.example>", "a", "b.example"),
        ("<a.b+c@b-c.example>", "a.b+c", "b-c.example"),
        ("<!#$%&'*+-/=?^_`{|}~@b.example>", "!#$%&'*+-/=?^_`{|}~", "b.example"),
        ('<"a b"@b.example>', '"a b"', "b.example"),
        ('<"a\\"b"@b.example>', '"a\\"b"', "b.example"),
        ('<"a.b"@b.example>', "a.b", "b.example"),
        ('<"\\a"@b.example>', "a", "b.example"),
        ('<"a@c"@b.example>', '"a@c"', "b.example"),
        ("<@x.example,@y.example:a@b.example>", "a", "b.example"),
        ("<a@[192.0.2.1]>", "a", "[192.0.2.1]"),
        ("<a@[IPv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]"),
        ("<a@b.example.>", "a", "b.example"),
        ("<a@under_score.example>", "a", "under_score.example"),
        ("<jörg@bücher.example>", "jörg", "bücher.example"),
        ("<" + "x" * 400 + "@b.example>", "x" * 400, "b.example"),
    ],
)
def test_a_path(text: str, local: str, domain: str) -> None:
    assert parse_path(text + " SIZE=1") == (Path(local, domain), " SIZE=1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<",
        "a@b.example",
        "<a>",
        "<a@b.example",
        "<@b.example>",
        "<a@>",
        "<.a@b.example>",
        "<a..b@b.example>",
        "<a.@b.example>",
        "<a b@b.example>",
        "<a@b..example>",
        "<a@-b.example>",
        "<a@b-.example>",
        "<a@b@c.example>",
        "<a@[300.0.2.1]>",
        "<a@[IPv6:192.0.2.1]>",
        "<a@[x]>",
        "<a\r@b.example>",
        "<a\x00@b.example>",
        "<a\udcff@b.example>",
        '<"a@b.example>',
        '<"a\n"@b.example>',
        "<" + "x" * MOST_OCTETS + "@b.example>",
        "<" + "ü" * 300 + "@b.example>",
        "<(comment)a@b.example>",
    ],
)
def test_no_path(text: str) -> None:
    with pytest.raises(PathFault):
        parse_path(text)


def test_the_null_path() -> None:
    assert parse_path("<> X") == (NULL, " X")
    assert str(NULL) == ""


@given(st.text(max_size=80))
def test_any_text_is_a_path_or_not(text: str) -> None:
    try:
        path, rest = parse_path(text)
    except PathFault:
        return
    assert text.endswith(rest)
    assert parse_path(f"<{path}>") == (path, "")


def test_hostile_texts_take_no_time() -> None:
    for piece in ("a.", "@a.a,", '"', "\\", "a-", '"\\'):
        with pytest.raises(PathFault):
            parse_path("<" + piece * 100_000)
