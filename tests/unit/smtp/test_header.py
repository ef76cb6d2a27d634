"""Fields taken out of a header section; what stays keeps every octet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol.header import values, without, without_names

HEADER = b"A: 1\r\nB: 2\r\n\tfolded\r\na : 3\r\n continued\r\nno field\r\nAA: 4\r\nA: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("removed", "left"),
    [
        (set(), HEADER),
        ({("a", 0)}, HEADER.replace(b"A: 1\r\n", b"", 1)),
        ({("a", 1)}, HEADER.replace(b"a : 3\r\n continued\r\n", b"")),
        ({("a", 2)}, HEADER.replace(b"A: 5\r\n", b"")),
        ({("a", 3), ("c", 0)}, HEADER),
        ({("b", 0), ("a", 0)}, HEADER.replace(b"A: 1\r\nB: 2\r\n\tfolded\r\n", b"")),
    ],
)
def test_some_of_a_name(removed: set[tuple[str, int]], left: bytes) -> None:
    assert without(HEADER, removed) == left


def test_all_of_a_name() -> None:
    assert without_names(HEADER, {"a", "b"}) == b"no field\r\nAA: 4\r\n\r\n"


def test_what_fields_say() -> None:
    assert values(HEADER, "A") == [b"1", b"3 continued", b"5"]
    assert values(HEADER, "b") == [b"2\tfolded"]
    assert values(HEADER, "c") == []


@given(
    st.lists(
        st.sampled_from([b"A: 1", b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"B", b"\xff"])
    ).map(b"".join)
)
def test_octets_go_and_never_come(header: bytes) -> None:
    left = without_names(header, {"a"})
    assert len(left) <= len(header)
    assert values(left, "a") == [] or b"\n" in header
    assert without_names(header, {"nothing"}) == header
