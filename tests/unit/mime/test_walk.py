"""A message taken apart in pieces is what `scan` makes of it at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import limits, scan
from postroom_mime.walk import Kind, Token, Unreadable, Walk

from tests.unit.mime.examples import crlf
from tests.unit.mime.fuzz import mutants
from tests.unit.mime.strategies import MESSAGES, SCRAPS


def walk(*pieces: bytes) -> list[Token]:
    passing = Walk()
    return [token for piece in pieces for token in passing.feed(piece)] + list(passing.end())


def cut(raw: bytes, size: int) -> list[bytes]:
    return [raw[start : start + size] for start in range(0, len(raw), size)]


def merged(tokens: list[Token]) -> list[tuple[Kind, int, bytes]]:
    """The tokens, neighbours of one body together."""
    found: list[tuple[Kind, int, bytes]] = []
    for kind, entity, octets in tokens:
        if kind is Kind.BODY and found and found[-1][:2] == (kind, entity.number):
            octets = found.pop()[2] + octets
        found.append((kind, entity.number, octets))
    return found


def check(raw: bytes, size: int) -> None:
    tokens = walk(raw)
    assert merged(walk(*cut(raw, size))) == merged(tokens)
    assert b"".join(token.octets for token in tokens) == raw
    parts = list(scan(raw).walk())
    if any(part.content_type == "message/global" for part in parts):
        return  # a leaf here, and read there
    entities = [token.entity for token in tokens if token.kind is Kind.HEADER]
    seen = [(entity.kind[:2], entity.encoding) for entity in entities]
    # A part without a header or a body at the end of all is none here.
    said = [((part.type, part.subtype), part.encoding) for part in parts]
    assert seen == said[: len(seen)]
    assert all(part.header_start == len(raw) for part in parts[len(seen) :])
    bodies = dict.fromkeys((entity.number for entity in entities), b"")
    for kind, entity, octets in tokens:
        if kind is Kind.BODY and not entity.is_multipart:
            bodies[entity.number] += octets
    for number, part in enumerate(parts[: len(seen)]):
        if not part.children and part.type != "multipart":
            assert bodies[number] == raw[part.body_start : part.body_end]


SIZES = st.integers(1, 60) | st.just(5_000)


@given(MESSAGES, SIZES)
def test_well_formed_messages(raw: bytes, size: int) -> None:
    check(raw, size)


@given(SCRAPS, SIZES)
def test_heaps_of_scraps(raw: bytes, size: int) -> None:
    check(raw, size)


@pytest.mark.parametrize("seed", range(4))
def test_mutants(seed: int) -> None:
    for number, raw in enumerate(mutants(300, seed)):
        check(raw, (1, 7, 60, 1_200)[number % 4])


def test_long_lines_are_not_held_back() -> None:
    passing = Walk()
    header = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n")
    given = sum(len(token.octets) for token in passing.feed(header))
    for _ in range(1_000):
        given += sum(len(token.octets) for token in passing.feed(b"-" * 100))
    assert given > len(header) + 95_000
    tokens = (
        list(passing.feed(b"\r")) + list(passing.feed(b"\n--b-")) + list(passing.feed(b"-\r\n"))
    )
    assert tokens[-1].octets == b"\r\n--b--\r\n"


def test_who_seals_and_whose_message_it_is() -> None:
    tokens = walk(
        crlf(
            "Content-Type: multipart/mixed; boundary=a\n\n--a\n"
            "Content-Type: multipart/signed; boundary=b\n\n--b\n"
            "Content-Type: message/rfc822\n\nMIME-Version: 1.0\n\ntext\n--b\n\n--b--\n--a\n"
            "Content-Type: message/rfc822\n\nSubject: two\n\ntext\n--a--\n"
        )
    )
    entities = [token.entity for token in tokens if token.kind is Kind.HEADER]
    assert [entity.root for entity in entities] == [0, 0, 0, 3, 0, 0, 6]
    assert [entity.sealed for entity in entities] == [False, False, True, True, True, False, False]
    assert [entity.versioned for entity in entities] == [False] * 3 + [True] + [False] * 3


NESTED = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"


@pytest.mark.parametrize(
    ("raw", "limit"),
    [
        (b"Subject: x\r\n" * 22_000 + b"\r\n", "header"),
        (b"Subject: " + b"x" * 300_000, "header"),
        (NESTED % (0, 0) + b"--b0\r\n" * 10_001, "parts"),
        (b"Content-Type: message/rfc822\r\n\r\n" * 10_001, "parts"),
        (b"".join(NESTED % (each, each) for each in range(limits.DEPTH + 1)), "nested"),
        (NESTED % (0, 0) + b"\r\n" + b"--c\r\n" * 100_001, "delimiters"),
    ],
)
@pytest.mark.parametrize("size", [4_096, 10_000_000])
def test_limits(raw: bytes, limit: str, size: int) -> None:
    with pytest.raises(Unreadable, match=limit):
        walk(*cut(raw, size))
