"""What people send to others goes out, by the store's queue and a worker in the front."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from postroom_chassis.net.listener import free_port

from deploy.local.provision import Account
from tests.harness.clients import run_client
from tests.harness.dns import dns_server
from tests.harness.mail import contents
from tests.harness.peer import Act, Peer
from tests.harness.system import MailSystem, running

pytestmark = pytest.mark.clients("swaks")

SECONDS = 60.0
LEASE_SECONDS = 30


@dataclass(frozen=True)
class Place:
    """A system whose DNS and next server are the test's."""

    system: MailSystem
    port: int


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    port = free_port()
    with dns_server() as dns:
        dns.add("there.example", "MX", "10 mx.there.example.")
        dns.add("mx.there.example", "A", "127.0.0.1")
        settings = {
            "POSTROOM_SMTP_SEND": "true",
            "POSTROOM_SMTP_DNS_SERVERS": dns.address,
            "POSTROOM_SMTP_SEND_PORT": str(port),
            "POSTROOM_SMTP_SEND_FAMILIES": "4",
            "POSTROOM_SMTP_SEND_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        with running(tmp_path_factory.mktemp("postroom"), settings=settings) as system:
            yield Place(system, port)


@pytest.fixture
async def peer(place: Place) -> AsyncIterator[Peer]:
    async with Peer(port=place.port).running() as running:
        yield running


@pytest.fixture
def sender(place: Place) -> Account:
    return place.system.new_account()


async def submit(place: Place, sender: Account, to: str, *options: str) -> None:
    system = place.system
    await asyncio.to_thread(
        run_client,
        "swaks",
        *("--server", system.host, "--port", str(system.port("submission")), "--timeout", "60"),
        *("--helo", "client.example.org", "--from", sender.address, "--to", to, "--tls"),
        *("--auth", "PLAIN", "--auth-user", sender.address, "--auth-password", sender.password),
        *options,
    )


async def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until something holds, which nothing here can tell of."""
    await asyncio.to_thread(_wait, condition, time.monotonic() + seconds)


def _wait(condition: Callable[[], object], deadline: float) -> None:
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


async def test_a_message_goes_out(place: Place, sender: Account, peer: Peer) -> None:
    await submit(place, sender, "bob@there.example", "--body", "hello")
    await until(lambda: peer.taken)
    (taken,) = peer.taken
    assert taken.recipients == ["bob@there.example"]
    assert taken.mail.startswith(f"MAIL FROM:<{sender.address}>")
    assert b"hello" in taken.content


async def test_a_large_message_goes_out(
    place: Place, sender: Account, peer: Peer, tmp_path: Path
) -> None:
    body = tmp_path / "body"
    body.write_bytes((b"x" * 78 + b"\n") * 60_000)
    await submit(place, sender, "bob@there.example", "--body", f"@{body}")
    await until(lambda: peer.taken)
    assert peer.taken[0].content.count(b"x" * 78 + b"\r\n") == 60_000


async def test_the_sender_hears_of_failures(place: Place, sender: Account, peer: Peer) -> None:
    peer.answers["RCPT"] = "550 5.1.1 nobody"
    await submit(place, sender, "nobody@there.example")
    await until(lambda: contents(place.system, sender))
    (notice,) = contents(place.system, sender)
    assert b"Status: 5.1.1\r\n" in notice
    assert notice.startswith(b"Return-Path: <>\r\n")


async def test_a_front_that_is_killed(place: Place, sender: Account, peer: Peer) -> None:
    peer.answers["DATA"] = Act.HOLD
    await submit(place, sender, "bob@there.example")
    async with asyncio.timeout(SECONDS):
        await peer.reached.wait()
    await asyncio.to_thread(place.system.kill, "smtp")
    peer.answers.clear()
    peer.let_go.set()
    await asyncio.to_thread(place.system.restart, "smtp")
    await until(lambda: peer.taken, LEASE_SECONDS + SECONDS)
    assert peer.recipients == ["bob@there.example"]
