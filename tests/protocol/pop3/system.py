"""What POP3's protocol tests need of the system under test, whatever it is made of."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Protocol

from tests.protocol.wire import Wire


@dataclass(frozen=True)
class Person:
    """Somebody with an account."""

    name: str
    password: str


class System(Protocol):
    """A running POP3 front with what stands behind it.

    Attributes:
        tls: verifies the front's certificate.
    """

    tls: ssl.SSLContext

    async def person(self, *messages: bytes) -> Person:
        """A new account whose INBOX holds these messages, in this order, byte for byte."""

    async def connect(self, listener: str = "pop3") -> Wire:
        """A connection to a listener: "pop3", "pop3s" (implicit TLS), "pop3-proxy" (PROXY)."""


async def sign_in(system: System, person: Person) -> Wire:
    """A session in the TRANSACTION state."""
    wire = await system.connect()
    await wire.play(
        f"""
        S: +OK ...
        C: USER {person.name}
        S: +OK ...
        C: PASS {person.password}
        S: +OK ...
        """
    )
    return wire
