import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import Part, decoded, is_decodable, scan
from postroom_mime.transfer import decode_body

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
