"""The IMAP front over real sockets: alone with auth and store in memory, and among all services.

Transcripts ask for `imap` and run against both; tests of what a client alone can't bring about ask
for `alone` as well, and run against that one.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.net.listener import Listener
from postroom_chassis.net.tls import ServerTls
from postroom_imap.bounds import Bounds
from postroom_imap.commands import HANDLERS
from postroom_imap.items import ItemCache
from postroom_imap.ports.messages import NewMessage
from postroom_imap.session import LARGEST_BODY, LARGEST_ITEM, REFUSED, Front
from postroom_imap.views import Views, Warmth

from tests.harness.memory_store import MemoryStore
from tests.harness.system import MailSystem, client_tls, running
from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap, Person, small


class FrontAlone:
    """A System of one process: real listeners and sessions, auth and store in memory.

    Attributes:
        store: what is behind the front, for tests of what a client can't bring about.
    """

    def __init__(self, certificates: Path, bounds: Bounds, warmth: Warmth) -> None:
        self.store = MemoryStore()
        self.tls = ssl.create_default_context(cafile=certificates / "ca.pem")
        self._server_tls = ServerTls(certificates / "tls.pem", certificates / "tls.key")
        self.views = Views(self.store, self.store, self.store, warmth, time.monotonic)
        self.front = Front(
            authenticator=self.store,
            mailboxes=self.store,
            messages=self.store,
            views=self.views,
            items=ItemCache(4_000_000, LARGEST_ITEM),
            bodies=ItemCache(4_000_000, LARGEST_BODY),
            bounds=bounds,
            handlers=HANDLERS,
            tls=self._server_tls,
        )
        self.listeners: dict[str, Listener] = {}
        self._ports: dict[str, int] = {}
        self._clients: list[ImapClient] = []
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        for name, tls in (("imap", None), ("imaps", self._server_tls)):
            listener = Listener(name, self.front.serve, tls=tls, refusal=REFUSED)
            self._ports[name] = await listener.start("127.0.0.1", 0)
            self.listeners[name] = listener

    async def stop(self) -> None:
        for client in self._clients:
            await client.close()
        for listener in self.listeners.values():
            await listener.drain(5)

    async def person(self) -> Person:
        person = Person(f"person{next(self._numbers)}@example.org", "two words")
        self.store.add_account(person.name, person.password)
        return person

    async def connect(self, listener: str = "imap") -> ImapClient:
        tls = self.tls if listener == "imaps" else None
        client = await ImapClient.connect("127.0.0.1", self._ports[listener], tls)
        self._clients.append(client)
        return client

    async def connect_slowly(self) -> ImapClient:
        """A connection that takes little more than it is asked to hear."""
        connected = socket.socket()
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        connected.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connected, ("127.0.0.1", self._ports["imap"]))
        client = ImapClient(*await asyncio.open_connection(sock=connected, limit=16_384))
        self._clients.append(client)
        return client

    async def fill(self, name: str, messages: int) -> None:
        """Append small messages to somebody's INBOX, behind the front's back."""
        ticket = self.store.ticket(self.store.accounts[name])
        for number in range(messages):
            await self.store.append(ticket, "INBOX", NewMessage(small(number)))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_development_certificates(folder)
    return folder


@pytest.fixture
def bounds() -> dict[str, Any]:
    """Bounds other than the usual; tests that need some override it by parametrisation."""
    return {}


class AmongServices:
    """A System of every service, each its own process, as `make run` starts them."""

    def __init__(self, system: MailSystem) -> None:
        self._system = system
        self.tls = client_tls(system)
        self._clients: list[ImapClient] = []

    async def person(self) -> Person:
        account = await asyncio.to_thread(self._system.new_account)
        return Person(account.address, account.password)

    async def connect(self, listener: str = "imap") -> ImapClient:
        tls = self.tls if listener == "imaps" else None
        client = await ImapClient.connect(self._system.host, self._system.port(listener), tls)
        self._clients.append(client)
        return client

    async def stop(self) -> None:
        for client in self._clients:
            await client.close()


@pytest.fixture(scope="session")
def mail_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailSystem]:
    with running(tmp_path_factory.mktemp("postroom")) as started:
        yield started


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a test of the front alone does can't be done from outside."""
    if "imap" not in metafunc.fixturenames:
        return
    named = {"alone", "bounds"} & {*inspect.signature(metafunc.function).parameters}
    marked = any(
        "bounds" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")
    )
    systems = ["alone"] if named or marked else ["alone", "services"]
    # A file may say where it can run: what the store does isn't done twice.
    systems = getattr(metafunc.module, "SYSTEMS", systems)
    metafunc.parametrize("imap", systems, indirect=True)


@pytest.fixture
async def imap(
    request: pytest.FixtureRequest, certificates: Path, bounds: dict[str, Any]
) -> AsyncIterator[Imap]:
    system: FrontAlone | AmongServices
    if request.param == "alone":
        system = FrontAlone(certificates, Bounds(**bounds), Warmth())
        await system.start()
    else:
        system = AmongServices(request.getfixturevalue("mail_system"))
    yield Imap(system, await system.person())
    await system.stop()


@pytest.fixture
def alone(imap: Imap) -> FrontAlone:
    """The front, where it is alone."""
    assert isinstance(imap.system, FrontAlone)
    return imap.system
