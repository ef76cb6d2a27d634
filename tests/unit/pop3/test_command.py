"""How command lines are read (RFC 1939 section 9, RFC 5034 section 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_chassis.net.stream import ByteStream, EndOfStream, Reader
from postroom_pop3.protocol import command
from postroom_pop3.protocol.command import Command, SaslStart, SyntaxFault

T = TypeVar("T")


def read(read_one: Callable[[ByteStream], Reader[T]], *arrivals: bytes) -> T:
    """Run a reader while bytes arrive, to its end."""
    stream = ByteStream()
    reader = read_one(stream)
    for data in arrivals:
        stream.feed(data)
        try:
            next(reader)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
    stream.feed_eof()
    try:
        next(reader)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it still waits")


@pytest.mark.parametrize(
    ("line", "verb", "arguments"),
    [
        (b"STAT\r\n", b"STAT", b""),
        (b"stat\r\n", b"STAT", b""),
        (b"RETR 12\r\n", b"RETR", b"12"),
        (b"PASS two words \r\n", b"PASS", b"two words "),
        (b"NOOP\n", b"NOOP", b""),
        (b"\r\n", b"", b""),
        (b"\x00\xff\r\n", b"\x00\xff", b""),
    ],
)
def test_a_line_is_a_verb_and_arguments(line: bytes, verb: bytes, arguments: bytes) -> None:
    assert read(command.read_command, line) == Command(verb, arguments)
    assert read(command.read_command, *(bytes([octet]) for octet in line)).verb == verb


def test_a_line_without_end_is_dropped_and_the_next_is_read() -> None:
    stream = ByteStream()
    stream.feed(b"USER " + b"x" * command.LINE_LIMIT)
    reader = command.read_command(stream)
    next(reader)
    for _ in range(100):
        stream.feed(b"y" * 4096)
        next(reader)
        assert len(stream) <= 4096
    stream.feed(b"z\r\nNOOP\r\n")
    with pytest.raises(SyntaxFault):
        next(reader)
    with pytest.raises(StopIteration) as done:
        next(command.read_command(stream))
    assert done.value.value == Command(b"NOOP", b"")


def test_half_a_line_at_the_end_is_no_command() -> None:
    with pytest.raises(EndOfStream):
        read(command.read_command, b"QUI")


def test_an_argument_does_not_show() -> None:
    assert "secret" not in repr(Command(b"PASS", b"secret"))
    assert "secret" not in repr(SaslStart("PLAIN", b"secret"))


@pytest.mark.parametrize(
    ("parse", "arguments", "value"),
    [
        (command.no_arguments, b"  ", None),
        (command.message_number, b"1", 1),
        (command.message_number, b" 0042 ", 42),
        (command.optional_message_number, b"", None),
        (command.message_number_and_lines, b"1 0", (1, 0)),
        (command.text, b" a b ", b" a b "),
        (command.text, "Jörg".encode(), "Jörg".encode()),
        (command.language_range, b"", None),
        (command.language_range, b" de-AT ", "de-AT"),
        (command.language_range, b"*", "*"),
        (command.sasl_start, b"", None),
        (command.sasl_start, b"plain", SaslStart("PLAIN", None)),
        (command.sasl_start, b"PLAIN =", SaslStart("PLAIN", b"")),
        # RFC 5034 section 6, the first example
        (
            command.sasl_start,
            b"PLAIN dGVzdAB0ZXN0AHRlc3Q=",
            SaslStart("PLAIN", b"test\0test\0test"),
        ),
    ],
)
def test_arguments_are_read(
    parse: Callable[[bytes], object], arguments: bytes, value: object
) -> None:
    assert parse(arguments) == value


@pytest.mark.parametrize(
    ("parse", "arguments"),
    [
        (command.no_arguments, b"x"),
        (command.message_number, b""),
        (command.message_number, b"-1"),
        (command.message_number, b"1 2"),
        (command.message_number, b"\xd9\xa1"),
        (command.message_number, b"9" * 5000),
        (command.optional_message_number, b"all"),
        (command.message_number_and_lines, b"1"),
        (command.message_number_and_lines, b"1 -1"),
        (command.text, b""),
        (command.text, b"a\0b"),
        (command.text, b"J\xf6rg"),
        (command.language_range, b"de de"),
        (command.language_range, b"d\xc3\xa9"),
        (command.sasl_start, b"PLAIN not*base64"),
        (command.sasl_start, b"PLAIN dGVzdA"),
        (command.sasl_start, b"PLAIN a b"),
        (command.sasl_start, b"P\xc3\xa9"),
    ],
)
def test_wrong_arguments_are_refused(parse: Callable[[bytes], object], arguments: bytes) -> None:
    with pytest.raises(SyntaxFault):
        parse(arguments)


def test_a_response_is_decoded_or_cancels() -> None:
    assert read(command.read_response, b"dGVzdA==\r\n") == b"test"
    assert read(command.read_response, b"*\r\n") is None
    assert read(command.read_response, b"\r\n") == b""
    with pytest.raises(SyntaxFault):
        read(command.read_response, b"!\r\n")
    with pytest.raises(SyntaxFault):
        read(command.read_response, b"A" * command.LINE_LIMIT, b"A\r\n")


@given(st.binary(max_size=200), st.lists(st.integers(1, 20), max_size=20))
def test_any_bytes_are_read_however_they_arrive(data: bytes, cuts: list[int]) -> None:
    pieces, rest = [], data + b"\n"
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    found = read(command.read_command, *pieces, rest)
    assert found == read(command.read_command, data + b"\n")
