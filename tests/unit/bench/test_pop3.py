"""The load generator's POP3 client."""

import pytest

from bench.pop3 import Pop3Client, Pop3Error
from bench.target import Account
from tests.unit.bench.canned import playing

SOMEONE = Account("a@x.example", "pw")
LOGIN = [(b"USER a@x.example\r\n", b"+OK\r\n"), (b"PASS pw\r\n", b"+OK\r\n")]


def test_a_session() -> None:
    message = b"+OK\r\nSubject: x\r\n\r\n..\r\n.\r\n"
    script = [
        *LOGIN,
        (b"STAT\r\n", b"+OK 2 320\r\n"),
        (b"TOP 1 0\r\n", message),
        (b"UIDL\r\n", b"+OK\r\n1 7.1\r\n2 7.2\r\n.\r\n"),
        (b"RETR 1\r\n", message),
        (b"QUIT\r\n", b"+OK\r\n"),
    ]
    with playing(b"+OK\r\n", script) as endpoint, Pop3Client(endpoint, SOMEONE) as client:
        assert client.count() == 2
        assert client.top(1, 0) == len(message)
        assert client.listing("UIDL") == 2
        assert client.retrieve(1) == len(message)


def test_a_refusal_is_raised() -> None:
    script = [*LOGIN, (b"RETR 9\r\n", b"-ERR no such message\r\n"), (b"QUIT\r\n", b"+OK\r\n")]
    with (
        playing(b"+OK\r\n", script) as endpoint,
        Pop3Client(endpoint, SOMEONE) as client,
        pytest.raises(Pop3Error, match="no such message"),
    ):
        client.retrieve(9)
