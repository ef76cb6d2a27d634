"""Where a message ends, whatever it holds and however it comes (RFC 5321 section 4.5.2)."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_chassis.net.stream import ByteStream, EndOfStream
from postroom_smtp.protocol.data import Chunks, Content

SPICY = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"..", b"a", b"\r\n.", b"\0"]), max_size=30
).map(b"".join)


def read(sent: bytes, size: int) -> tuple[bytes, bool, bytes]:
    """Content, whether something stood bare, and what is left, of bytes that come in pieces."""
    stream = ByteStream()
    content = Content(stream)
    found = b""
    pieces = [sent[start : start + size] for start in range(0, len(sent), size)]
    while True:
        reader = content.read_chunk()
        while True:
            try:
                next(reader)
            except StopIteration as done:
                chunk = done.value
                break
            if pieces:
                stream.feed(pieces.pop(0))
            else:
                stream.feed_eof()
        if chunk is None:
            rest = bytes(stream._buffer) + b"".join(pieces)
            return found, content.bare, rest
        found += chunk


@given(SPICY, st.integers(1, 9), SPICY)
def test_content_is_what_precedes_the_first_end(message: bytes, size: int, after: bytes) -> None:
    sent = message + b"\r\n.\r\n" + after
    # Found by another way: from the start of the data as from the start of a line.
    whole, _, rest = (b"\r\n" + sent).partition(b"\r\n.\r\n")
    lines = (whole + b"\r\n")[2:].split(b"\r\n")
    expected = b"\r\n".join(line.removeprefix(b".") for line in lines)
    bare = re.search(rb"(?<!\r)\n|\r(?!\n)", whole + b"\r\n") is not None
    assert read(sent, size) == (expected, bare, rest)


@given(st.binary(max_size=300).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"\r\n")))
def test_what_a_client_stuffs_arrives(message: bytes) -> None:
    message += b"\r\n"
    stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
    assert read(stuffed + b".\r\nQUIT\r\n", 7) == (message, False, b"QUIT\r\n")


def test_half_a_message_is_none() -> None:
    for half in (b"", b".", b".\r", b"a\r\n.\r", b"a\r\n.\n", b"a\n.\n"):
        with pytest.raises(EndOfStream):
            read(half, 100)


def test_a_message_is_held_in_chunks() -> None:
    stream = ByteStream()
    content = Content(stream)
    for _ in range(100):
        stream.feed(b"x" * 100_000 + b"\r\n")
        with pytest.raises(StopIteration) as done:
            next(content.read_chunk())
        assert len(done.value.value) >= 100_000
        assert len(stream) == 0


@given(SPICY, st.lists(st.integers(0, 40), max_size=4))
def test_chunks_know_what_stood_bare_however_they_are_cut(sent: bytes, cuts: list[int]) -> None:
    chunks = Chunks(ByteStream())
    places = sorted({min(cut, len(sent)) for cut in cuts} | {0, len(sent)})
    for start, end in itertools.pairwise(places):
        chunks.note(sent[start:end])
    chunks.end()
    assert chunks.bare is bool(re.search(rb"(?<!\r)\n|\r(?!\n)", sent))


def test_a_chunk_is_read_in_pieces_and_no_further() -> None:
    stream = ByteStream()
    stream.feed(b"12345QUIT\r\n")
    chunks = Chunks(stream)
    reader = chunks.read_piece(5)
    with pytest.raises(StopIteration) as read_to_end:
        next(reader)
    assert read_to_end.value.value == b"12345"
    assert stream.peek(100) == b"QUIT\r\n"
    stream.feed_eof()
    stream.take()
    with pytest.raises(EndOfStream):
        next(chunks.read_piece(1))
