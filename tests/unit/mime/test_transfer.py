import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import Part, decoded, is_decodable, scan
from postroom_mime.transfer import (
    Base64Encoder,
    Coder,
    QuotedPrintableEncoder,
    decode_body,
    decode_pieces,
)

from tests.unit.mime.examples import crlf


@pytest.mark.parametrize(
    ("encoding", "body", "data"),
    [
        ("7bit", b"a=3D\r\n", b"a=3D\r\n"),
        ("8bit", b"\xff", b"\xff"),
        ("binary", b"\0\r", b"\0\r"),
        ("x-unknown", b"a", b"a"),
        ("base64", b"SGVs\r\nbG8=\r\n", b"Hello"),
        # RFC 2045 section 6.7
        (
            "quoted-printable",
            b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
            b"Now's the time for all folk to come to the aid of their country.",
        ),
        ("quoted-printable", b"=C3=A4 =c3=a4=\n=ZZ =\r\n=", b"\xc3\xa4 \xc3\xa4=ZZ "),
    ],
)
def test_decode(encoding: str, body: bytes, data: bytes) -> None:
    assert decode_body(body, encoding) == data


def test_decoded_takes_the_body_of_a_part_alone() -> None:
    raw = crlf("Content-Transfer-Encoding: base64\n\nSGVsbG8=\n")
    assert decoded(raw, scan(raw).root) == b"Hello"


def test_is_decodable() -> None:
    assert is_decodable(Part(0, 0, 0, encoding="base64"))
    assert is_decodable(Part(0, 0, 0))
    assert not is_decodable(Part(0, 0, 0, encoding="x-uuencode"))


@given(st.binary(max_size=200))
def test_round_trip(data: bytes) -> None:
    assert decode_body(base64.encodebytes(data), "base64") == data
    assert decode_body(binascii.b2a_qp(data, istext=False), "quoted-printable") == data


@given(st.binary(max_size=200))
def test_anything_decodes(data: bytes) -> None:
    for encoding in ("base64", "quoted-printable"):
        assert isinstance(decode_body(data, encoding), bytes)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "binary", "x-unknown"])
@given(
    pieces=st.lists(
        st.sampled_from([b"=", b"=\r\n", b"=C3", b"QUJD", b"\r\n", b" ", b"\0", b"x" * 99_000])
        | st.binary(max_size=20),
        max_size=30,
    )
)
def test_in_pieces_it_is_the_same(encoding: str, pieces: list[bytes]) -> None:
    body = b"\n".join(pieces)
    if encoding == "quoted-printable":  # save for lines beyond all reason, and "=" before a lone CR
        body = body.replace(b"x" * 99_000, b"x" * 70 + b"\r\n").replace(b"=\r", b"")
        body *= 20_000 // max(len(body), 1) + 1
    assert b"".join(decode_pieces(body, encoding)) == decode_body(body, encoding)


def test_large_bodies_in_pieces() -> None:
    data = bytes(range(256)) * 8_000
    assert b"".join(decode_pieces(base64.encodebytes(data), "base64")) == data
    lines = binascii.b2a_qp(data, istext=False)
    assert b"".join(decode_pieces(lines, "quoted-printable")) == data
    assert b"".join(decode_pieces(data, "8bit")) == data
    assert max(map(len, decode_pieces(data, "8bit"))) < len(data)


@pytest.mark.parametrize("tail", [b"", b"=", b"=4", b"=41", b"==", b"=\r"])
def test_a_line_without_an_end_is_decoded_in_bounded_memory(tail: bytes) -> None:
    body = (b"=41" * 100_000 + tail) * 4
    pieces = list(decode_pieces(body, "quoted-printable"))
    assert max(map(len, pieces)) < len(body) // 3
    assert b"".join(pieces).startswith(b"A" * 100_000)


def encoded(coder: Coder, *pieces: bytes) -> bytes:
    return b"".join(map(coder.feed, pieces)) + coder.end()


@given(st.lists(st.binary(max_size=200)))
def test_base64_is_put_on_in_pieces(pieces: list[bytes]) -> None:
    seen = encoded(Base64Encoder(), *pieces)
    assert seen == base64.encodebytes(b"".join(pieces)).strip().replace(b"\n", b"\r\n")


LINES = st.lists(
    st.lists(
        st.sampled_from([b"x" * 73, b"x", b" ", b"\t", b".", b"=", b"\xc3\xa4", b"\x7f", b"\x01"]),
        max_size=20,
    ).map(b"".join),
    min_size=1,
)


@given(LINES, st.integers(0, 20))
def test_quoted_printable_is_put_on_lines(lines: list[bytes], first: int) -> None:
    """RFC 2045 section 6.7."""
    pieces = [line + b"\r\n" for line in lines[:-1]] + [lines[-1]]
    seen = encoded(QuotedPrintableEncoder(), b"".join(pieces[:first]), *pieces[first:])
    assert decode_body(seen, "quoted-printable") == b"\r\n".join(lines)
    for line in seen.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.endswith((b" ", b"\t"))
        assert b"\n" not in line


def test_quoted_printable_at_the_end_of_a_full_line() -> None:
    line = b"x" * 74 + b" "
    seen = encoded(QuotedPrintableEncoder(), line + b"\r\n", line)
    assert seen == (b"x" * 74 + b"=\r\n=20\r\n") + (b"x" * 74 + b"=\r\n=20")
