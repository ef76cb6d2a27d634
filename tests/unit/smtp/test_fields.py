"""Header sections, field by field."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.checks.edits import Edits
from postroom_smtp.protocol.fields import MOST_FIELDS, split_fields, split_message
from postroom_smtp.protocol.header import without

HEADER = b"A: 1\r\nB : 2\r\n\t folded\r\na: 3\r\nno field\r\nC:\r\n\r\n"


def test_fields_as_they_stand() -> None:
    fields = split_fields(HEADER)
    assert [(field.name, field.value) for field in fields] == [
        ("a", b" 1\r\n"),
        ("b", b" 2\r\n\t folded\r\n"),
        ("a", b" 3\r\n"),
        ("", b"no field\r\n"),
        ("c", b"\r\n"),
    ]
    assert fields[1].unfolded == b"2\t folded"


@pytest.mark.parametrize(
    ("message", "header", "ended"),
    [
        (b"A: 1\r\n\r\nbody\r\n\r\n", b"A: 1\r\n\r\n", True),
        (b"A: 1\r\n", b"A: 1\r\n", False),
        (b"\r\nFrom: x\r\n\r\n", b"\r\n", True),
        (b"", b"", False),
    ],
)
def test_where_the_section_ends(message: bytes, header: bytes, ended: bool) -> None:
    assert split_message(message) == (header, ended)


def test_fields_are_taken_out_by_name_and_number() -> None:
    assert without(HEADER, [("a", 1), ("b", 0), ("x", 0), ("", 0)]) == (
        b"A: 1\r\nno field\r\nC:\r\n\r\n"
    )
    assert without(HEADER, []) == HEADER


FIELD = st.tuples(st.sampled_from([b"A", b"a", b"B"]), st.sampled_from([b"1", b"2\r\n 3", b""]))


@given(st.lists(FIELD, max_size=6), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6))))
def test_edits_are_what_is_kept(
    fields: list[tuple[bytes, bytes]], steps: list[tuple[int, int]]
) -> None:
    header = b"".join(name + b": " + value + b"\r\n" for name, value in fields) + b"\r\n"
    edits = Edits(split_fields(header))
    for kind, number in steps:
        match kind:
            case 0:
                edits.insert(min(number, len(edits.entries)), b"X", b" new")
            case 1:
                edits.append(b"A", b" last")
            case 2:
                edits.change(b"a", number, b" changed")
            case 3:
                edits.change(b"B", number, None)
            case _:
                edits.remove(b"A", number)
    kept = edits.added + without(header, edits.removed)
    wanted = sorted(entry.raw for entry in edits.entries)
    assert sorted(field.raw for field in split_fields(kept)) == wanted


def test_giants_are_told_apart_in_no_time() -> None:
    began = time.process_time()
    fields = split_fields(b"a:\r\n" * 64_000)
    assert len(fields) == MOST_FIELDS + 1
    split_fields(b"a: " + b"\r\n " * 80_000)
    split_fields(b"\r" * 250_000)
    split_fields(b"a" * 250_000 + b":")
    assert time.process_time() - began < 1
