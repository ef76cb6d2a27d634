"""The load generator's IMAP client: it must count literals, and cost the server's time only."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.imap import CommandError, ImapClient, ReplyScanner
from bench.target import Account
from tests.unit.bench.canned import playing

FETCHED = (
    b"* 1 FETCH (UID 7 BODY[] {21}\r\n\r\nA1 OK not the end\r\n FLAGS (\\Seen))\r\n"
    b"* 2 FETCH (BODY[1] {5}\r\n{99}\r BODY[2] {0}\r\n)\r\n"
    b"* OK [ALERT] braces }\r\n"
    b"A1 OK [READ-ONLY] done\r\n"
)


def scan(tag: bytes, *pieces: bytes) -> tuple[int, int] | None:
    """Feeds the pieces one after the other, as they would come from a socket."""
    scanner, buffer = ReplyScanner(tag), bytearray()
    found = None
    for piece in pieces:
        assert found is None
        buffer += piece
        found = scanner.find(buffer)
    return found


def test_a_tagged_line_alone() -> None:
    assert scan(b"A1", b"A1 OK done\r\n") == (0, 12)


def test_a_tagged_line_needs_its_end() -> None:
    assert scan(b"A1", b"A1 OK done\r") is None


def test_literals_are_skipped_whatever_they_hold() -> None:
    start = FETCHED.rindex(b"A1 OK")
    assert scan(b"A1", FETCHED) == (start, len(FETCHED))


def test_other_tags_do_not_end_a_reply() -> None:
    data = b"* A1 \r\nA11 OK\r\nA1 NO no\r\n"
    assert scan(b"A1", data) == (15, len(data))


def test_what_follows_the_reply_is_left_alone() -> None:
    assert scan(b"A1", b"* X {1}\r\na\r\nA1 OK\r\nA2 OK {3}\r\n") == (12, 19)


def test_a_literal_that_has_not_arrived_whole() -> None:
    assert scan(b"A1", b"* 1 FETCH (BODY[] {20}\r\n\r\nA1 OK\r\n") is None


@given(st.lists(st.integers(1, len(FETCHED) - 1), max_size=12))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(FETCHED)]
    pieces = [FETCHED[a:b] for a, b in pairwise(edges)]
    assert scan(b"A1", *pieces) == scan(b"A1", FETCHED)


@given(st.lists(st.binary(max_size=60), max_size=5), st.integers(1, 40))
def test_any_literal_is_skipped(literals: list[bytes], size: int) -> None:
    untagged = b"".join(b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\n" % (len(x), x) for x in literals)
    whole = untagged + b"T1 OK\r\n"
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert scan(b"T1", *pieces) == (len(untagged), len(whole))


def test_a_session() -> None:
    script = [
        (b'T1 LOGIN "a@x.example" "pw"\r\n', b"T1 OK in\r\n"),
        (b'T2 SELECT "INBOX"\r\n', b"* 3 EXISTS\r\n* 0 RECENT\r\nT2 OK [READ-WRITE]\r\n"),
        (b"T3 FETCH 1 BODY[]\r\n", b"* 1 FETCH (BODY[] {6}\r\nT3 OK\n)\r\nT3 OK done\r\n"),
        (b"T4 NOOP\r\n", b"T4 OK\r\n"),
        (b"T5 LOGOUT\r\n", b"* BYE\r\nT5 OK\r\n"),
    ]
    with (
        playing(b"* OK ready\r\n", script) as endpoint,
        ImapClient(endpoint, Account("a@x.example", "pw")) as client,
    ):
        assert client.select("INBOX") == 3
        assert client.command("FETCH 1 BODY[]").untagged == b"* 1 FETCH (BODY[] {6}\r\nT3 OK\n)\r\n"
        assert client.command("NOOP").line == b"T4 OK\r\n"


def test_a_refusal_is_raised() -> None:
    script = [(b"T1 NOOP\r\n", b"T1 NO [SERVERBUG] tired\r\n"), (b"T2 LOGOUT\r\n", b"T2 OK\r\n")]
    with (
        playing(b"* OK\r\n", script) as endpoint,
        ImapClient(endpoint) as client,
        pytest.raises(CommandError, match="tired"),
    ):
        client.command("NOOP")


ARRIVED = dt.datetime(2024, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
DATE = b'"03-Feb-2024 04:05:06 +0000"'


@pytest.mark.parametrize(
    ("capabilities", "exchanges"),
    [
        (
            b"LITERAL+ MULTIAPPEND",
            [(b'T2 APPEND "M" %b {2+}\r\nab %b {1+}\r\nc\r\n' % (DATE, DATE), b"T2 OK\r\n")],
        ),
        (
            b"LITERAL+",
            [
                (
                    b'T2 APPEND "M" %b {2+}\r\nab\r\nT3 APPEND "M" %b {1+}\r\nc\r\n' % (DATE, DATE),
                    b"T2 OK\r\nT3 OK\r\n",
                )
            ],
        ),
        (
            b"IMAP4rev1",
            [
                (b'T2 APPEND "M" %b {2}\r\n' % DATE, b"+ go on\r\n"),
                (b"ab\r\n", b"T2 OK\r\n"),
                (b'T3 APPEND "M" %b {1}\r\n' % DATE, b"+ go on\r\n"),
                (b"c\r\n", b"T3 OK\r\n"),
            ],
        ),
    ],
    ids=["multiappend", "pipelined", "one by one"],
)
def test_appending_uses_what_is_offered(
    capabilities: bytes, exchanges: list[tuple[bytes, bytes]]
) -> None:
    script = [
        (b"T1 CAPABILITY\r\n", b"* CAPABILITY %b\r\nT1 OK\r\n" % capabilities),
        *exchanges,
    ]
    with playing(b"* OK\r\n", script) as endpoint, ImapClient(endpoint) as client:
        client.append_all("M", [(b"ab", ARRIVED), (b"c", ARRIVED)])
