"""Dots and tops, whatever the pieces (RFC 1939 sections 3 and 7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_pop3.protocol.content import Stuffer, Top

LINES = st.lists(st.sampled_from([b".", b"\r\n", b"\n", b"\r", b"a", b"..", b"\r\n."])).map(
    b"".join
)


def stuffed(*pieces: bytes) -> bytes:
    stuffer = Stuffer()
    return b"".join([*map(stuffer.feed, pieces), stuffer.end()])


def unstuffed(sent: bytes) -> bytes:
    """What a client makes of it: lines that end with CRLF, up to one that is a dot."""
    body, _, rest = (b"\r\n" + sent).partition(b"\r\n.\r\n")
    assert rest == b""
    return body.replace(b"\r\n..", b"\r\n.")[2:]


def top(lines: int, *pieces: bytes) -> bytes:
    cut, found = Top(lines), b""
    for piece in pieces:
        found += cut.feed(piece)
        if cut.complete:
            break
    return found


def pieces_of(message: bytes, size: int) -> list[bytes]:
    return [message[start : start + size] for start in range(0, len(message), size)]


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"..a\r\n", b"...a\r\n.\r\n"),
        (b"a\n.\nb\r\n", b"a\n.\nb\r\n.\r\n"),
        (b"a\r", b"a\r\r\n.\r\n"),
    ],
)
def test_dots_are_doubled_at_the_start_of_lines(message: bytes, sent: bytes) -> None:
    assert stuffed(message) == sent


@given(LINES, st.integers(1, 7))
def test_every_byte_arrives_however_it_is_cut(message: bytes, size: int) -> None:
    sent = stuffed(*pieces_of(message, size))
    assert sent == stuffed(message)
    received = unstuffed(sent)
    whole = not message or message.endswith(b"\r\n")
    assert received + b"\r\n" == (message if whole else message + b"\r\n") or message == b""


MESSAGE = b"A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n"


@pytest.mark.parametrize(
    ("lines", "cut"),
    [
        (0, b"A: 1\r\nB: 2\r\n\r\n"),
        (1, b"A: 1\r\nB: 2\r\n\r\none\r\n"),
        (2, b"A: 1\r\nB: 2\r\n\r\none\r\n\r\n"),
        (3, MESSAGE),
        (10**9, MESSAGE),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_the_top_is_the_header_and_some_lines(lines: int, cut: bytes, size: int) -> None:
    assert top(lines, *pieces_of(MESSAGE, size)) == cut


@pytest.mark.parametrize(
    ("message", "cut"),
    [
        (b"\r\nbody\r\n", b"\r\n"),
        (b"A: 1\n\nbody\n", b"A: 1\n\n"),
        (b"A: 1\r\nno body", b"A: 1\r\nno body"),
        (b"", b""),
    ],
)
def test_odd_headers_have_a_top_too(message: bytes, cut: bytes) -> None:
    assert top(0, message) == cut
