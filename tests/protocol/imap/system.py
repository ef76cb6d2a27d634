"""What IMAP's protocol tests need of the system under test, whatever it is made of."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Protocol

from tests.protocol.imap.client import ImapClient


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account, which is new and empty."""

    name: str
    password: str


class System(Protocol):
    """A running IMAP front with what stands behind it.

    Attributes:
        tls: verifies the front's certificate.
    """

    tls: ssl.SSLContext

    async def person(self) -> Person:
        """Somebody new; INBOX, Archive, Drafts, Junk, Sent and Trash are subscribed and empty."""

    async def connect(self, listener: str = "imap") -> ImapClient:
        """A connection to a listener: "imap", "imaps" (implicit TLS). Closed after the test."""


class Imap:
    """The `imap` fixture: clients of one person, who is new in each test."""

    def __init__(self, system: System, person: Person) -> None:
        self.system = system
        self.person = person

    async def connect(self) -> ImapClient:
        """A client that has heard the greeting."""
        client = await self.system.connect()
        await client.expect("* OK [CAPABILITY IMAP4rev1 IMAP4rev2 ...] ...")
        return client

    async def login(self) -> ImapClient:
        """A client that has signed in."""
        client = await self.connect()
        await client.ok(f'LOGIN "{self.person.name}" "{self.person.password}"')
        return client

    async def select(self, mailbox: str = "INBOX", *, messages: int = 0) -> ImapClient:
        """A client with a mailbox selected; `messages` small ones are appended first."""
        client = await self.login()
        for number in range(1, messages + 1):
            await client.append(mailbox, small(number))
        await client.ok(f"SELECT {mailbox}")
        return client

    async def examine(self, mailbox: str = "INBOX") -> ImapClient:
        """A client with a mailbox selected read-only."""
        client = await self.login()
        await client.ok(f"EXAMINE {mailbox}")
        return client


def small(number: int) -> bytes:
    """A message with a number in its subject."""
    return (
        b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
        b"From: Fred Foobar <foobar@example.org>\r\n"
        b"Subject: message %d\r\n"
        b"To: mooch@example.net\r\n"
        b"Message-Id: <%d@example.org>\r\n"
        b"\r\n"
        b"Hello number %d.\r\n" % (number, number, number)
    )
