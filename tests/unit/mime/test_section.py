import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import find_part, scan, section

from tests.harness.corpus import corpus
from tests.unit.mime.examples import RFC_3501_TREE, crlf
from tests.unit.mime.strategies import SCRAPS

PLAIN = crlf("Subject: x\n\nbody\n")
ATTACHED = crlf("Content-Type: message/rfc822\nX: y\n\nSubject: in\n\nbody\n")


def read(raw: bytes, spec: str) -> bytes | None:
    found = section(scan(raw), spec)
    return None if found is None else raw[slice(*found)]


@pytest.mark.parametrize(
    ("spec", "start"),
    [
        ("", b"Subject: outermost"),
        ("HEADER", b"Subject: outermost"),
        ("TEXT", b"--a\r\n"),
        ("1", b"one"),
        ("2", b"two"),
        ("2.MIME", b"Content-Type: application/octet-stream\r\n\r\n"),
        ("3", b"Subject: three"),
        ("3.mime", b"Content-Type: message/rfc822\r\n\r\n"),
        ("3.HEADER", b"Subject: three"),
        ("3.TEXT", b"--b\r\n"),
        ("3.1", b"three one"),
        ("3.2", b"three two"),
        ("4", b"--c\r\n"),
        ("4.1", b"four one"),
        ("4.1.MIME", b"Content-Type: image/gif\r\n\r\n"),
        ("4.2", b"Subject: four two"),
        ("4.2.header", b"Subject: four two"),
        ("4.2.TEXT", b"--d\r\n"),
        ("4.2.1", b"four two one"),
        ("4.2.2", b"--e\r\n"),
        ("4.2.2.1", b"four two two one"),
        ("4.2.2.2", b"four two two two"),
    ],
)
def test_the_numbering_of_rfc_3501(spec: str, start: bytes) -> None:
    found = read(RFC_3501_TREE, spec)
    assert found is not None
    assert found.startswith(start)


@pytest.mark.parametrize(
    "spec",
    [
        *"5 1.1 1.HEADER 1.TEXT 4.HEADER 4.2.3 3.3 0 01 1. .1 MIME 1HEADER HEADER.1".split(),
        *"1.HEADER.FIELDS 9999999999 1..2 -1 ١".split(),
        "TEXT ",
        "1\n",
    ],
)
def test_no_such_section(spec: str) -> None:
    assert read(RFC_3501_TREE, spec) is None


@pytest.mark.parametrize(
    ("spec", "bytes_"),
    [
        ("", PLAIN),
        ("1", b"body\r\n"),
        ("TEXT", b"body\r\n"),
        ("HEADER", b"Subject: x\r\n\r\n"),
        ("1.MIME", b"Subject: x\r\n\r\n"),
        ("1.HEADER", None),
        ("1.1", None),
        ("2", None),
    ],
)
def test_a_message_without_parts_has_part_1(spec: str, bytes_: bytes | None) -> None:
    assert read(PLAIN, spec) == bytes_


@pytest.mark.parametrize(
    ("spec", "bytes_"),
    [
        ("1", b"Subject: in\r\n\r\nbody\r\n"),
        ("1.HEADER", b"Subject: in\r\n\r\n"),
        ("1.TEXT", b"body\r\n"),
        ("1.1", b"body\r\n"),
        ("1.1.MIME", b"Subject: in\r\n\r\n"),
        ("1.1.1", None),
        ("1.2", None),
    ],
)
def test_a_message_that_is_a_message(spec: str, bytes_: bytes | None) -> None:
    assert read(ATTACHED, spec) == bytes_


def test_find_part() -> None:
    message = scan(RFC_3501_TREE)
    assert find_part(message, ()) is message.root
    part = find_part(message, (4, 2, 2, 2))
    assert part is not None
    assert part.content_type == "text/richtext"
    assert find_part(message, (4, 3)) is None


@pytest.mark.parametrize("name", corpus())
def test_header_and_text_make_the_message(name: str) -> None:
    raw = corpus()[name]
    assert (read(raw, "HEADER") or b"") + (read(raw, "TEXT") or b"") == raw == read(raw, "")


NUMBERS = st.lists(st.integers(0, 4).map(str), max_size=4)
SPECS = st.builds(
    lambda path, text: ".".join([*path, *text]),
    NUMBERS,
    st.lists(st.sampled_from(["HEADER", "TEXT", "MIME"]), max_size=1),
)


@given(SCRAPS, SPECS | st.text(max_size=8))
def test_sections_lie_within_the_message(raw: bytes, spec: str) -> None:
    found = section(scan(raw), spec)
    if found is not None:
        start, end = found
        assert 0 <= start <= end <= len(raw)
