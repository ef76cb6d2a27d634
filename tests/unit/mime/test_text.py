import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import (
    COLLATIONS,
    header_matches,
    limits,
    normal,
    normalise,
    scan,
    search_text,
)
from postroom_mime.text import preview

from tests.unit.mime.examples import RFC_2046_MULTIPART, crlf
from tests.unit.mime.strategies import MESSAGES, SCRAPS


def preview_of(text: str) -> str:
    raw = crlf(text)
    return preview(raw, scan(raw))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\nHello,\n\n  world.\n", "Hello, world."),
        ("Content-Type: text/html\n\n<p>Hello<style>x</style> <b>w</b>orld", "Hello world"),
        ("Content-Type: text/plain; charset=utf-8\n\nGrüße", "Grüße"),
        (
            "Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=latin1"
            "\n\ngr=FC=DFe=\n!",
            "grüße!",
        ),
        ("Content-Transfer-Encoding: base64\n\nSGVsbG8=", "Hello"),
        ("Content-Type: application/pdf\n\n%PDF", ""),
        ("Content-Disposition: attachment\n\nattached", ""),
        ("\na\0b \x1b[31mc", "ab [31mc"),
        ("\nHi \u200c \u200c\u00a0\u034f there", "Hi there"),
        ("\n" + "word " * 100, ("word " * 40).rstrip()),
    ],
)
def test_preview(text: str, line: str) -> None:
    assert preview_of(text) == line


def alternative(*parts: str) -> str:
    return (
        "Content-Type: multipart/alternative; boundary=b\n\n"
        + "".join(f"--b\n{part}\n" for part in parts)
        + "--b--\n"
    )


def test_preview_prefers_plain_text() -> None:
    html = "Content-Type: text/html\n\n<p>html"
    assert preview_of(alternative(html, "\nplain")) == "plain"
    assert preview_of(alternative(html, "\n \n")) == "html"


def test_preview_finds_text_behind_a_long_style_sheet() -> None:
    style = f"<style>{'p { x: y }' * 4000}</style>"
    assert preview_of(f"Content-Type: text/html\n\n{style}<p>at last") == "at last"
    assert preview_of("\n" + " " * 20_000 + "at last") == "at last"


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("", ""),
        ("Hello", "hello"),
        ("a \r\n\t b", "a b"),
        (" a ", " a "),
        ("  ", " "),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ＡＢＣ", "abc"),
        ("ﬁne", "fine"),
        ("\u00e9", "e\u0301"),
        ("I\u0131", "ii"),
        ("İ", "i\u0307"),
        ("co\u00adop\u200b", "coop"),
        ("Σς", "σσ"),
    ],
)
def test_normalise(query: str, key: str) -> None:
    assert normalise(query) == key


@given(st.text(max_size=30))
def test_a_normalised_key_stays_as_it_is(query: str) -> None:
    key = normalise(query)
    assert normalise(key) == key
    assert unicodedata.is_normalized("NFKD", key)


RAW = crlf(
    "From: =?iso-8859-1?Q?J=F6rg?= <joerg@example.org>\nTo: A <a@b>\nTo: C <c@d>\n"
    "Subject: A =?utf-8?B?R3LDvMOfZQ==?=\n  folded\nX-Empty:\nBCC: e@f\n"
    "Content-Type: multipart/mixed; boundary=b\n\npreamble\n"
    "--b\nContent-Type: text/plain; charset=iso-8859-1\n"
    "Content-Transfer-Encoding: quoted-printable\n\nSCH=D6N  is=\nt\nes\n"
    "--b\nContent-Type: text/html\n\n<p>So<b>me</b> &lt;markup&gt;</p>\n"
    "--b\nContent-Type: application/pdf; name=Plan.PDF\n\n%PDF\n"
    "--b\nContent-Type: message/rfc822\n\nSubject: Inner\nContent-Type: text/plain\n\nDeep\n"
    "--b--\nepilogue\n"
)


def test_search_text() -> None:
    text = search_text(RAW)
    assert text.subject == "a gru\u0308sse folded"
    assert text.from_ == "jo\u0308rg <joerg@example.org>"
    assert text.to == "a <a@b> c <c@d>"
    assert (text.cc, text.bcc) == ("", "e@f")
    assert text.headers.startswith(
        "from: jo\u0308rg <joerg@example.org>\nto: a <a@b>\nto: c <c@d>\n"
    )
    assert text.body == (
        "scho\u0308n ist es some <markup> plan.pdf subject: inner content-type: text/plain deep"
    )
    assert not text.truncated
    assert search_text(RAW, scan(RAW)) == text


def test_search_text_as_it_is() -> None:
    text = search_text(RAW, mapping=COLLATIONS["i;octet"])
    assert text.subject == "A Grüße  folded"
    assert text.headers.startswith("From: Jörg <joerg@example.org>\nTo: A <a@b>\nTo: C <c@d>\n")
    assert text.body.startswith("SCHÖN  ist\r\nes")
    assert "Subject: Inner" in text.body
    assert header_matches(text, "SUBJECT", "Grüße")
    assert not header_matches(text, "subject", "grüße")


def test_a_line_end_in_an_encoded_word_ends_no_field() -> None:
    text = search_text(b"X: =?utf-8?Q?a=0ASubject:_b?=\r\n\r\n", mapping=COLLATIONS["i;octet"])
    assert header_matches(text, "x", "b")
    assert not header_matches(text, "subject", "b")


@given(st.text(max_size=20), st.text(max_size=8), st.text(max_size=8))
def test_what_the_collation_finds_is_found(before: str, part: str, behind: str) -> None:
    collation = COLLATIONS["i;unicode-casemap"]
    text = before + part.swapcase() + behind
    if collation(part) in collation(text) and not any(map(str.isspace, part)):
        assert normalise(part) in normal(text)


@pytest.mark.parametrize(
    ("name", "key", "matches"),
    [
        ("Subject", normalise("grüsse fold"), True),
        ("SUBJECT", "x", False),
        ("to", "c@d", True),
        ("x-empty", "", True),
        ("x-empty", "x", False),
        ("absent", "", False),
        ("t", "", False),
        ("from: j", "", False),
    ],
)
def test_header_matches(name: str, key: str, matches: bool) -> None:
    assert header_matches(search_text(RAW), name, key) is matches


def test_search_text_is_bounded() -> None:
    raw = b"\r\n" + b"word " * limits.SEARCH_TEXT
    text = search_text(raw)
    assert len(text.body) == limits.SEARCH_TEXT
    assert text.truncated
    assert not search_text(RFC_2046_MULTIPART).truncated


def test_a_part_cut_before_the_end_of_its_text_is_told() -> None:
    raw = b"Content-Type: text/html\r\n\r\n" + b"<p>" * (limits.SEARCH_BYTES // 3) + b"late"
    assert search_text(raw).truncated


@given(SCRAPS | MESSAGES | st.binary(max_size=200))
def test_anything_has_text_that_can_be_stored(raw: bytes) -> None:
    text = search_text(raw)
    message = scan(raw)
    for field in (text.subject, text.from_, text.headers, text.body, preview(raw, message)):
        assert "\0" not in field
        field.encode()
    assert "\n" not in preview(raw, message)
    assert len(preview(raw, message)) <= limits.PREVIEW


@given(st.text("aÄß ﬁ\u0301\n\t", max_size=20))
def test_what_a_message_holds_is_found(text: str) -> None:
    raw = b"Content-Type: text/plain; charset=utf-8\r\n\r\nx " + text.encode() + b" y"
    assert normalise(text).strip() in search_text(raw).body
