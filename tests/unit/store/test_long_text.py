"""Body text without an end, in pieces."""

import base64

import pytest
from postroom_mime import normalise, search_text
from postroom_store.search.long_text import PIECE, body_text, found_in

PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"
FORWARD = (
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\n\r\n  One\r\n\r\n  two \r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\ninner\r\n"
    b'--b\r\nContent-Type: application/pdf; name="Plan B.pdf"\r\n\r\nnot text\r\n'
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>bo<b>l</b>d &amp; new</p>\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes("naïve Straße".encode("utf-16"))
    + b"\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    "content",
    [b"", b"\r\n", PLAIN + b" a\r\n\r\n b ", HTML + b"<p>a<p>b", FORWARD],
    ids=["nothing", "empty", "plain", "html", "forward"],
)
def test_a_short_text_is_what_search_text_says(content: bytes) -> None:
    assert "".join(body_text(content)).rstrip() == search_text(content).body


def long(line: bytes, size: int = 3 * PIECE) -> bytes:
    return line * (size // len(line))


@pytest.mark.parametrize(
    "body",
    [
        long(b"The quick brown fox jumps over the lazy dog.\r\n"),
        long("Größe und Straße, \t naïve.\r\n".encode()),
        long("日本語のテキスト。".encode()),
        long(b"word  "),
    ],
    ids=["lines", "umlauts", "no blanks", "blanks"],
)
def test_pieces_make_the_whole(body: bytes) -> None:
    pieces = list(body_text(PLAIN + body))
    assert len(pieces) > 2
    assert "".join(pieces).rstrip() == normalise(body.decode()).strip()


def test_markup_is_cut_between_tags() -> None:
    body = long(b"<p class='x'>one <b>tw</b>o</p><br/>three\r\n")
    pieces = list(body_text(HTML + body))
    assert len(pieces) > 2
    assert set("".join(pieces).split()) == {"one", "two", "three"}


@pytest.mark.parametrize("shift", [-3, 0, 2])
def test_a_phrase_across_pieces_is_found(shift: int) -> None:
    filler = b"x" * (PIECE - len(b"needle in") + shift)
    pieces = body_text(PLAIN + filler + b" needle in a haystack " + filler)
    assert found_in(pieces, {"needle in a haystack", "absent", "x needle"}) == {
        "needle in a haystack",
        "x needle",
    }


def test_nothing_wanted_reads_nothing() -> None:
    assert found_in(body_text(PLAIN + b"text"), set()) == set()
