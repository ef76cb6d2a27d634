import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import Part, decode_structure, encode_structure, scan

from tests.harness.corpus import corpus
from tests.unit.mime.examples import RFC_2046_MULTIPART, RFC_3501_TREE
from tests.unit.mime.strategies import MESSAGES, SCRAPS


@pytest.mark.parametrize("raw", [b"", RFC_2046_MULTIPART, RFC_3501_TREE])
def test_round_trip(raw: bytes) -> None:
    message = scan(raw)
    assert decode_structure(encode_structure(message)) == message


@pytest.mark.parametrize("name", corpus())
def test_round_trip_of_the_odd_messages(name: str) -> None:
    message = scan(corpus()[name])
    assert decode_structure(encode_structure(message)) == message


@given(MESSAGES | SCRAPS)
def test_round_trip_of_anything(raw: bytes) -> None:
    message = scan(raw)
    assert decode_structure(encode_structure(message)) == message


def test_present_but_empty_fields_survive() -> None:
    message = scan(b"Content-ID:\r\nContent-MD5:\r\nContent-Disposition: x\r\n\r\n")
    assert (message.root.id, message.root.md5) == (b"", b"")
    assert decode_structure(encode_structure(message)) == message


def test_it_is_compact() -> None:
    assert len(encode_structure(scan(RFC_2046_MULTIPART))) < 250


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"2[]",
        b"1",
        b"1[]",
        b"1{}",
        b"1[1,0,null]",
        b"1[1,0,3]",
        b'1[1,0,"abc"]',
        b"1[1,0,[0,0,0,[],[],[1],[]]]",
        b"1\xff",
        b"1" + b"[" * 100_000,
    ],
)
def test_what_is_no_structure_is_refused(encoded: bytes) -> None:
    with pytest.raises(ValueError, match="structure"):
        decode_structure(encoded)


@given(st.binary(max_size=100).map(lambda tail: b"1" + tail))
def test_garbage_is_refused_or_decoded(encoded: bytes) -> None:
    try:
        decode_structure(encoded)
    except ValueError:
        pass


def test_filename_is_that_of_the_disposition_before_the_name_of_the_type() -> None:
    part = Part(0, 0, 0, params=((b"NAME", b"=?utf-8?Q?=C3=A4?="),))
    assert part.filename == "ä"
    assert Part(0, 0, 0).filename is None
    both = scan(b"Content-Type: a/b; name=x\r\nContent-Disposition: inline; filename=y\r\n\r\n")
    assert both.root.filename == "y"
