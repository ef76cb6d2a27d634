"""The IMAP front over real sockets, with what is behind it in memory."""

from __future__ import annotations

import itertools
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.net.listener import Listener
from postroom_chassis.net.tls import ServerTls
from postroom_imap.bounds import Bounds
from postroom_imap.commands import HANDLERS
from postroom_imap.items import ItemCache
from postroom_imap.session import LARGEST_BODY, LARGEST_ITEM, REFUSED, Front
from postroom_imap.views import Views, Warmth

from tests.harness.memory_store import MemoryStore
from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap, Person


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


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_development_certificates(folder)
    return folder


@pytest.fixture
def bounds() -> dict[str, Any]:
    """Bounds other than the usual; tests that need some override it by parametrisation."""
    return {}


@pytest.fixture
async def alone(certificates: Path, bounds: dict[str, Any]) -> AsyncIterator[FrontAlone]:
    front = FrontAlone(certificates, Bounds(**bounds), Warmth())
    await front.start()
    yield front
    await front.stop()


@pytest.fixture
async def imap(alone: FrontAlone) -> Imap:
    return Imap(alone, await alone.person())
