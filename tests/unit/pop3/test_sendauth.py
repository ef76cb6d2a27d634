"""The frames of `sendauth`, octet by octet."""

from __future__ import annotations

import pytest
from postroom_chassis.net.stream import ByteStream, EndOfStream, Reader
from postroom_pop3.protocol import sendauth

EXCHANGE = b"\0\0\0\x13KRB5_SENDAUTH_V1.0\0"
APPLICATION = b"\0\0\0\x09KPOPV1.0\0"


def run(reader: Reader[bytes], stream: ByteStream, octets: bytes) -> bytes:
    """What a reader gives for octets that come one by one, and nothing after them."""
    for octet in octets:
        stream.feed(bytes([octet]))
        try:
            next(reader)
        except StopIteration as done:
            result: bytes = done.value
            return result
    stream.feed_eof()
    next(reader)
    raise AssertionError("it wants more than there is")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (EXCHANGE + APPLICATION, sendauth.ACCEPTED),
        (EXCHANGE.replace(b"V1", b"V2") + APPLICATION, sendauth.WRONG_EXCHANGE),
        (EXCHANGE + APPLICATION.replace(b"V1", b"V2"), sendauth.WRONG_APPLICATION),
        (EXCHANGE + b"\0\0\0\0", sendauth.WRONG_APPLICATION),
        (b"CAPA\r\n", sendauth.WRONG_EXCHANGE),  # POP3: a length of a gigabyte
        (b"\xff\xff\xff\xff", sendauth.WRONG_EXCHANGE),
    ],
)
def test_versions(said: bytes, answer: bytes) -> None:
    stream = ByteStream()
    assert run(sendauth.read_versions(stream), stream, said) == answer


def test_a_client_that_leaves_in_the_middle() -> None:
    stream = ByteStream()
    with pytest.raises(EndOfStream):
        run(sendauth.read_versions(stream), stream, EXCHANGE + APPLICATION[:-1])


def test_messages_have_a_limit() -> None:
    stream = ByteStream()
    assert run(sendauth.read_message(stream, 3), stream, b"\0\0\0\x03abc") == b"abc"
    stream = ByteStream()
    with pytest.raises(sendauth.MessageTooLong):
        run(sendauth.read_message(stream, 3), stream, b"\0\0\0\x04")


def test_answers() -> None:
    assert sendauth.answer(b"") == b"\0\0\0\0"
    assert sendauth.answer(b"\x6frep") == b"\0\0\0\0" + b"\0\0\0\x04\x6frep"
    assert sendauth.answer(b"\x7eerr") == b"\0\0\0\x04\x7eerr"
