"""The SMTP load: everything arrives, unstuffed, over as many connections as asked for."""

from collections.abc import Iterator

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from bench.smtp import Load, RefusedError, send
from bench.target import Endpoint, free_port


class Inbox:
    """Keeps what arrives, and from how many connections."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self.peers: set[object] = set()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 unknown"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.contents.append(envelope.content)
        self.peers.add(session.peer)
        return "250 OK"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def endpoint(inbox: Inbox) -> Iterator[Endpoint]:
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield Endpoint(controller.hostname, controller.port)
    controller.stop()


def test_every_message_arrives_as_it_was(inbox: Inbox, endpoint: Endpoint) -> None:
    messages = [b"Subject: %d\r\n\r\n.dotted\r\n..twice\r\n" % number for number in range(25)]
    seconds = send(endpoint, Load("a@x.example", messages, connections=4, per_connection=5))
    assert sorted(inbox.contents) == sorted(messages)
    assert len(inbox.peers) >= 5
    assert seconds > 0


def test_one_message_a_connection(inbox: Inbox, endpoint: Endpoint) -> None:
    send(endpoint, Load("a@x.example", [b"x\r\n"] * 6, connections=2, per_connection=1))
    assert len(inbox.peers) == 6


def test_a_refusal_is_raised(endpoint: Endpoint) -> None:
    with pytest.raises(RefusedError, match=r"550 5\.1\.1"):
        send(endpoint, Load("nobody@x.example", [b"x\r\n"], connections=1))
