"""A sending worker in the test's process: its queue in memory, the DNS and the peers real."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any, cast

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from postroom_chassis.net.listener import free_port
from postroom_smtp.dns import Resolver
from postroom_smtp.ports import Account, Delivery, Signer
from postroom_smtp.sending.settings import SendingSettings
from postroom_smtp.sending.wiring import open_worker
from postroom_smtp.sending.worker import Worker

from tests.harness.dns import DnsServer, dns_server
from tests.harness.peer import Peer
from tests.harness.queue import MemoryQueue
from tests.unit.smtp.fakes import FakeDirectory, FakeStore

HOSTNAME = "mx.here.example"
MESSAGE = b"From: ann@here.example\r\nSubject: hello\r\n\r\nhello\r\n"


@dataclass
class Post:
    """The worker, and what is round it.

    Attributes:
        store: where notices go.
        port: of all peers, each of which has an address of its own on loopback.
        signer, spool_folder: of the workers that are started from now on.
    """

    queue: MemoryQueue
    dns: DnsServer
    store: FakeStore
    directory: FakeDirectory
    resolver: Resolver
    authority: trustme.CA
    stack: AsyncExitStack
    port: int
    settings: dict[str, Any] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    hosts: int = 0
    sts_port: int = 1
    signer: Signer | None = None
    spool_folder: Path | None = None

    async def peer(self, *domains: str, secure: bool = False, **told: Any) -> Peer:
        """A server that is the MX of domains: "mx1.there.example" and so on."""
        self.hosts += 1
        host = f"127.0.0.{self.hosts + 1}"
        name = f"mx{self.hosts}.there.example"
        peer = await self.stack.enter_async_context(
            Peer(host=host, port=self.port, **told).running()
        )
        self.dns.add(name, "A", host, secure=secure)
        for domain in domains:
            self.dns.add(domain, "MX", f"10 {name}.", secure=secure)
        return peer

    async def policy(
        self, domain: str, *lines: str, status: str = "200 OK", kind: str = "text/plain"
    ) -> Counter[str]:
        """Publish an MTA-STS policy, until the end; counts how often it was fetched."""
        name = f"mta-sts.{domain}"
        content = "".join(f"{line}\r\n" for line in lines).encode()
        fetched: Counter[str] = Counter()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readuntil(b"\r\n\r\n")
            assert f"host: {name}\r\n".encode() in request.lower()
            fetched[request.split(b" ")[1].decode()] += 1
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n"
                f"Content-Length: {len(content)}\r\n\r\n".encode()
                + content
            )
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self.server_tls(name))
        self.sts_port = server.sockets[0].getsockname()[1]
        self.stack.callback(server.close)
        self.dns.add(name, "A", "127.0.0.1")
        self.dns.text(f"_mta-sts.{domain}", "v=STSv1; id=1;")
        return fetched

    def forget(self) -> None:
        """Let everything be asked of the DNS anew."""
        cache = self.resolver._resolver.cache
        assert cache is not None
        cache.flush()

    def server_tls(self, *names: str) -> ssl.SSLContext:
        """A context that shows a certificate for names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return context

    def work(self, **settings: Any) -> Worker:
        """Start a worker."""
        worker = open_worker(
            make_settings(**{"send_port": self.port, **self.settings, **settings}),
            HOSTNAME,
            self.queue,
            self.store,
            self.directory,
            self.resolver,
            signer=self.signer,
            spool_folder=self.spool_folder,
            sts_port=self.sts_port,
        )
        worker.start()
        self.workers.append(worker)
        return worker

    async def send(self, *recipients: Any, content: bytes = MESSAGE, **asked: Any) -> list[Any]:
        """Queue a message and wait until all of its entries were settled; their attempts."""
        if not self.workers:
            self.work()
        return await self.queue.until_settled(self.queue.add(recipients, content, **asked))

    def person(self, address: str) -> None:
        """Somebody here, who may hear of something."""
        self.directory.add(address, Account(7, address))

    @property
    def notices(self) -> list[Delivery]:
        return self.store.messages

    def notice(self) -> Message:
        """The only notice."""
        (delivery,) = self.store.messages
        return parsed(delivery)


def parsed(delivery: Delivery) -> Message:
    assert isinstance(delivery.content, bytes)
    assert delivery.sender == ""
    return message_from_bytes(delivery.content)


def status_of(notice: Message) -> dict[str, str]:
    """The fields of a notice's machine-readable part, all groups together."""
    found: dict[str, str] = {}
    parts = cast("list[Message]", notice.get_payload())
    for group in cast("list[Message]", parts[1].get_payload()):
        found.update({name: " ".join(str(value).split()) for name, value in group.items()})
    return found


def make_settings(**settings: Any) -> SendingSettings:
    unused = Path("unused")
    usual: dict[str, Any] = {
        "rpc_certificate": unused,
        "rpc_key": unused,
        "rpc_authority": unused,
        "send_families": "4",
        "connect_seconds": 5,
        "reply_seconds": 5,
        "piece_seconds": 5,
        "end_seconds": 5,
    }
    return SendingSettings(**usual | settings)


@asynccontextmanager
async def posting(
    folder: Path, *, dns_seconds: float = 3.0, **settings: Any
) -> AsyncIterator[Post]:
    """Everything but peers, until the context ends."""
    authority = trustme.CA()
    pem = folder / "authority.pem"
    authority.cert_pem.write_to_path(pem)
    async with AsyncExitStack() as stack:
        dns = stack.enter_context(dns_server())
        resolver = Resolver([("127.0.0.1", dns.port)], seconds=dns_seconds, trusted=True)
        post = Post(
            MemoryQueue(),
            dns,
            FakeStore(),
            FakeDirectory({"here.example"}),
            resolver,
            authority,
            stack,
            free_port(),
            {"send_authorities": pem, **settings},
        )
        post.person("ann@here.example")
        try:
            yield post
        finally:
            for worker in post.workers:
                await worker.drain(0)


@dataclass(frozen=True)
class Certified:
    """A server's certificate of an authority that nobody else trusts.

    Attributes:
        context: shows it, and the authority's.
        own, authority: in DER.
        pem: key and chain.
    """

    context: ssl.SSLContext
    pem: bytes
    own: bytes
    authority: bytes

    def record(self, usage: int, selector: int, matching: int) -> str:
        """A TLSA record that holds for it."""
        data = self.own if usage == 3 else self.authority
        if selector:
            data = (
                x509.load_der_x509_certificate(data)
                .public_key()
                .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            )
        digest = {0: lambda: data, 1: hashlib.sha256(data).digest, 2: hashlib.sha512(data).digest}
        return f"{usage} {selector} {matching} {digest[matching]().hex()}"


def certified(name: str, days: int = 1) -> Certified:
    """A new one, that ends in so many days."""
    authority = trustme.CA()
    now = datetime.datetime.now(datetime.UTC)
    issued = authority.issue_cert(
        name,
        not_before=now - datetime.timedelta(days=30),
        not_after=now + datetime.timedelta(days=days),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    chain = issued.private_key_and_cert_chain_pem.bytes() + authority.cert_pem.bytes()
    with trustme.Blob(chain).tempfile() as pem:
        context.load_cert_chain(pem)
    return Certified(
        context, chain, _der(issued.cert_chain_pems[0].bytes()), _der(authority.cert_pem.bytes())
    )


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
