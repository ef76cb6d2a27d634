"""What people send to others goes out, by the store's queue and a worker in the front."""

from __future__ import annotations

import asyncio
import json
import smtplib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import dkim
import pytest
from postroom_chassis.net.listener import free_port

from deploy.local.provision import DOMAIN, Account
from tests.harness.clients import run_client
from tests.harness.dns import dns_server
from tests.harness.mail import contents
from tests.harness.peer import KEYWORDS, Act, Peer
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


# Servers that lack what a message needs.


@pytest.fixture(scope="module")
def record(place: Place) -> bytes:
    """Of the key that mail is signed with."""
    place.system.new_account()  # the domain is made with its first
    made = json.loads(place.system.postroom("dkim", "make", DOMAIN, "--json"))
    place.system.postroom("dkim", "activate", DOMAIN, made["selector"], "--unchecked")
    return str(made["record"]).encode()


def verifies(content: bytes, record: bytes) -> bool:
    return bool(dkim.verify(content, dnsfunc=lambda name, timeout=5: record))


def submit_octets(place: Place, sender: Account, body: str, *chunks: bytes) -> None:
    """A message in chunks."""
    system = place.system
    with smtplib.SMTP(system.host, system.port("submission"), timeout=SECONDS) as smtp:
        smtp.login(sender.address, sender.password)
        smtp.docmd("MAIL", f"FROM:<{sender.address}> BODY={body}")
        smtp.docmd("RCPT", "TO:<bob@there.example>")
        for number, chunk in enumerate(chunks, 1):
            last = " LAST" if number == len(chunks) else ""
            smtp.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            assert smtp.getreply()[0] == 250


HEADER = "From: {}\r\nTo: bob@there.example\r\nSubject: converted\r\nMIME-Version: 1.0\r\n"
GREETING = "Viele herzliche Grüße aus dem Süden\r\n"


@pytest.mark.parametrize("copies", [1, 60_000])
async def test_a_server_that_lacks_8bitmime(
    place: Place, sender: Account, peer: Peer, record: bytes, copies: int
) -> None:
    peer.keywords = [word for word in KEYWORDS if word != "8BITMIME"]
    header = HEADER + "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    text = GREETING.encode() * copies
    content = header.format(sender.address).encode() + text
    await asyncio.to_thread(submit_octets, place, sender, "8BITMIME", content)
    await until(lambda: peer.taken)
    (taken,) = peer.taken
    assert taken.content.isascii()
    assert f" SIZE={len(taken.content)}" in taken.mail
    assert "BODY=" not in taken.mail
    seen = message_from_bytes(taken.content)
    assert seen["Content-Transfer-Encoding"] == "quoted-printable"
    assert seen.get_payload(decode=True) == text
    assert len(seen.get_all("DKIM-Signature", [])) == 1
    assert verifies(taken.content, record)


async def test_a_server_that_lacks_chunking(
    place: Place, sender: Account, peer: Peer, record: bytes
) -> None:
    picture = bytes(range(256)) * 8
    header = HEADER.format(sender.address).encode() + (
        b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    )
    text = b"--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + GREETING.encode()
    image = b"--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    chunks = header, text + image, picture, b"\r\n--b--\r\n"
    await asyncio.to_thread(submit_octets, place, sender, "BINARYMIME", *chunks)
    await until(lambda: peer.taken)
    (taken,) = peer.taken
    assert f" SIZE={len(taken.content)} BODY=8BITMIME" in taken.mail
    assert text in taken.content
    _, _, part = message_from_bytes(taken.content).walk()
    assert part.get_payload(decode=True) == picture
    assert verifies(taken.content, record)
