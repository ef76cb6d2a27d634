"""What SMTP's protocol tests need of the system under test, whatever it is made of."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Protocol

from tests.protocol.wire import Wire

OUTSIDE = "192.0.2.7"  # RFC 5737: an address that is not on loopback


@dataclass(frozen=True)
class Person:
    """Somebody with an account and, as their main address, `name`."""

    name: str
    password: str


class System(Protocol):
    """A running SMTP front with what stands behind it.

    Attributes:
        domain: one of ours, in which there is nobody but those whom `person` made.
        hostname: what the front calls itself.
        message_bytes: the largest message that it takes.
        recipients: how many a message may have.
        tls: verifies the front's certificate.
    """

    domain: str
    hostname: str
    message_bytes: int
    recipients: int
    tls: ssl.SSLContext

    async def person(self, *, full: bool = False) -> Person:
        """A new account; with no room left where it is `full`."""

    async def connect(self, listener: str = "mx") -> Wire:
        """A connection to a listener: "mx", "submission", "submissions" (implicit TLS),
        "mx-proxy", "submission-proxy" (PROXY)."""

    async def inbox(self, person: Person) -> list[bytes]:
        """The messages in somebody's INBOX, as stored, oldest first."""

    async def queue(self) -> list[tuple[str, str]]:
        """Sender and recipient of what waits to be sent elsewhere, oldest first."""


async def greeted(system: System, listener: str = "mx") -> Wire:
    """A session after EHLO."""
    wire = await system.connect(listener)
    await wire.play("S: 220 ...\nC: EHLO client.example")
    await hear_reply(wire)
    return wire


async def told(system: System, listener: str = "mx") -> list[str]:
    """What EHLO offers."""
    wire = await system.connect(listener)
    await wire.play("S: 220 ...")
    await wire.say("LHLO x" if listener.startswith("lmtp") else "EHLO x")
    return [line[4:] for line in (await hear_reply(wire))[1:]]


async def elsewhere(system: System, listener: str = "mx", address: str = OUTSIDE) -> Wire:
    """A session after EHLO with a client from some address, by a proxy."""
    wire = await system.connect(f"{listener}-proxy")
    await wire.play(f"C: PROXY TCP4 {address} 127.0.0.1 50000 25\nS: 220 ...")
    await wire.say("LHLO x" if listener == "lmtp" else "EHLO x")
    await hear_reply(wire)
    return wire


async def hear_reply(wire: Wire) -> list[str]:
    """The lines of a reply, which may have several."""
    lines = [await wire.hear()]
    while lines[-1][3:4] == "-":
        lines.append(await wire.hear())
    return lines


def without_trace(stored: bytes) -> bytes:
    """A stored message as it was sent: without its Return-Path and first Received field."""
    lines = stored.split(b"\r\n")
    assert lines[0].startswith(b"Return-Path: <")
    assert lines[1].startswith(b"Received: from ")
    count = 2
    while lines[count].startswith(b"\t"):
        count += 1
    return b"\r\n".join(lines[count:])


def stuffed(message: bytes) -> bytes:
    """A message as it goes after DATA (RFC 5321 section 4.5.2), with its end."""
    assert message.endswith(b"\r\n") or not message
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
