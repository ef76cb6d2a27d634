"""What tests of checks share: keys, messages on a spool, and those who answer."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from postroom_chassis.errors import PostroomError
from postroom_smtp.checks.content import Content, Workers
from postroom_smtp.checks.ports import Counted
from postroom_smtp.dns import Resolver
from postroom_smtp.protocol.dkim import SigningKey
from postroom_smtp.spool import Spool

from tests.harness.dns import DnsServer

RSA = rsa.generate_private_key(65537, 2048)
ED25519 = Ed25519PrivateKey.generate()

LETTER = (
    b"Received: from a.example by b.example; Mon, 30 Nov 2026 10:00:00 +0000\r\n"
    b"From: Ann <ann@example.org>\r\n"
    b"To: Bob <bob@example.net>\r\n"
    b"Subject: Dinner\r\n"
    b"  on  Friday\r\n"
    b"Date: Mon, 30 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
    b"\r\n"
    b"Hello,  Bob.\t \r\n"
    b"\r\n"
    b".\r\n"
    b"\r\n"
    b"\r\n"
)


def signing_key(domain: str = "example.org", *, rsa: bool = True) -> SigningKey:
    return SigningKey(domain, "rsa" if rsa else "ed", RSA if rsa else ED25519)


def pkcs8(key: SigningKey) -> bytes:
    return key.private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def record(key: SigningKey) -> str:
    """What is published of a key."""
    public = key.private.public_key()
    if key.algorithm == "ed25519-sha256":
        data = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(data).decode()}"
    data = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(data).decode()}"


def publish(server: DnsServer, *keys: SigningKey) -> None:
    for key in keys:
        server.text(f"{key.selector}._domainkey.{key.domain}", record(key))


def resolver_of(server: DnsServer, *, seconds: float = 2) -> Resolver:
    return Resolver([("127.0.0.1", server.port)], seconds=seconds, trusted=False)


@asynccontextmanager
async def spooled(message: bytes) -> AsyncIterator[Spool]:
    async with Spool() as spool:
        for at in range(0, len(message), 100_000):
            await spool.write(message[at : at + 100_000])
        yield spool


@asynccontextmanager
async def content_of(message: bytes) -> AsyncIterator[Content]:
    workers = Workers(2, 2)
    try:
        async with spooled(message) as spool:
            yield Content(spool, workers)
    finally:
        workers.close()


@dataclass
class FakeSigningKeys:
    """Has keys by domain."""

    held: dict[str, tuple[SigningKey, ...]] = field(default_factory=dict)
    fault: PostroomError | None = None
    asked: list[str] = field(default_factory=list)

    async def keys(self, domain: str) -> tuple[SigningKey, ...]:
        self.asked.append(domain)
        if self.fault:
            raise self.fault
        return self.held.get(domain, ())


@dataclass
class FakeScreening:
    """Makes everybody wait, or nobody; counts up to limits, whatever the time."""

    wait: int = 0
    fault: PostroomError | None = None
    greylisted: list[bytes] = field(default_factory=list)
    counts: dict[bytes, int] = field(default_factory=dict)

    async def greylist(self, keys: Sequence[bytes]) -> Sequence[int]:
        if self.fault:
            raise self.fault
        self.greylisted += keys
        return [self.wait] * len(keys)

    async def count(self, counted: Sequence[Counted]) -> Sequence[int]:
        if self.fault:
            raise self.fault
        return [self._count(one) for one in counted]

    def _count(self, one: Counted) -> int:
        there = self.counts.get(one.key, 0)
        if there + one.amount > one.most:
            return one.seconds
        self.counts[one.key] = there + one.amount
        return 0
