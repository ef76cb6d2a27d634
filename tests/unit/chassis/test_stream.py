"""The receive buffer, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_chassis.net.stream import ByteStream, EndOfStream, LineTooLong, Reader, T


def drive(stream: ByteStream, reader: Reader[T], *chunks: bytes) -> T:
    """Run a reader, feeding a chunk whenever it asks for more."""
    left = list(chunks)
    while True:
        try:
            next(reader)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        if left:
            stream.feed(left.pop(0))
        else:
            stream.feed_eof()


def test_a_line_comes_with_its_terminator() -> None:
    stream = ByteStream()
    assert drive(stream, stream.read_line(100), b"NO", b"OP\r", b"\nnext") == b"NOOP\r\n"
    assert drive(stream, stream.read_exact(4)) == b"next"


def test_a_line_of_exactly_the_limit_fits_and_one_more_byte_does_not() -> None:
    stream = ByteStream()
    assert drive(stream, stream.read_line(5), b"abcd\n") == b"abcd\n"
    with pytest.raises(LineTooLong):
        drive(stream, stream.read_line(5), b"abcde\n")
    drive(stream, stream.discard_line())
    assert len(stream) == 0


def test_the_end_of_the_stream_is_told() -> None:
    stream = ByteStream()
    with pytest.raises(EndOfStream):
        drive(stream, stream.read_line(10), b"half")
    with pytest.raises(EndOfStream):
        drive(stream, stream.read_exact(10))
    assert drive(stream, stream.read_some(10)) == b"half"
    with pytest.raises(EndOfStream):
        drive(stream, stream.read_some(10))


def test_an_endless_line_is_discarded_in_bounded_memory() -> None:
    stream = ByteStream()
    reader = stream.discard_line()
    for _ in range(100):
        next(reader)
        stream.feed(b"x" * 1000)
        assert len(stream) <= 2000
    stream.feed(b"\nrest")
    assert drive(stream, reader) is None
    assert drive(stream, stream.read_some(100)) == b"rest"


@given(st.lists(st.binary(max_size=8), max_size=20))
def test_lines_are_the_same_however_they_arrive(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    stream = ByteStream()
    lines: list[bytes] = []
    try:
        left = [chunk for chunk in chunks if chunk]
        while True:
            reader = stream.read_line(10_000)
            while True:
                try:
                    next(reader)
                except StopIteration as done:
                    lines.append(done.value)
                    break
                if left:
                    stream.feed(left.pop(0))
                else:
                    stream.feed_eof()
    except EndOfStream:
        pass
    expected = whole.split(b"\n")[:-1]
    assert lines == [line + b"\n" for line in expected]


def test_what_is_looked_at_stays() -> None:
    stream = ByteStream()
    stream.feed(b"one\r\ntwo")
    assert stream.peek(5) == b"one\r\n"
    assert stream.peek(100) == stream.take() == b"one\r\ntwo"
