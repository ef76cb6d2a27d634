"""The POP3 front over real sockets, with what is behind it in memory."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.net.listener import Limits, Listener
from postroom_chassis.net.tls import ServerTls
from postroom_pop3.front import REFUSED, Front
from postroom_pop3.settings import Pop3Settings

from tests.protocol.pop3.system import Person
from tests.protocol.wire import Wire
from tests.unit.pop3.fakes import FakeAuthenticator, FakeMaildrops, Inbox

LISTENERS = "pop3=127.0.0.1:0,pop3s=127.0.0.1:0;tls,pop3-proxy=127.0.0.1:0;proxy"


class FrontAlone:
    """A System of one process: real listeners and sessions, fakes of auth and store."""

    def __init__(self, certificates: Path, **settings: Any) -> None:
        unused = Path("unused")
        usual: dict[str, Any] = {
            "listeners": LISTENERS,
            "proxy_networks": "127.0.0.0/8",
            "tls_certificate": certificates / "tls.pem",
            "tls_key": certificates / "tls.key",
            "auth_address": "unused",
            "store_address": "unused",
            "rpc_certificate": unused,
            "rpc_key": unused,
            "rpc_authority": unused,
        }
        self.settings = Pop3Settings(**usual | settings)
        self.tls = ssl.create_default_context(cafile=certificates / "ca.pem")
        self.authenticator = FakeAuthenticator()
        self.maildrops = FakeMaildrops()
        self.listeners: dict[str, Listener] = {}
        self._server_tls = ServerTls(certificates / "tls.pem", certificates / "tls.key")
        self._ports: dict[str, int] = {}
        self._wires: list[Wire] = []
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        front = Front(self.authenticator, self.maildrops, self._server_tls, self.settings)
        for address in self.settings.addresses:
            listener = Listener(
                address.name,
                front.serve,
                tls=self._server_tls if address.tls else None,
                proxies=self.settings.proxies if address.proxy else (),
                limits=Limits(self.settings.connections, self.settings.connections_per_address),
                refusal=REFUSED,
            )
            self._ports[address.name] = await listener.start(address.host, address.port)
            self.listeners[address.name] = listener

    async def stop(self) -> None:
        for wire in self._wires:
            await wire.__aexit__(None, None, None)
        for listener in self.listeners.values():
            await listener.drain(5)

    async def person(self, *messages: bytes) -> Person:
        person = Person(f"person{next(self._numbers)}@example.org", "two words")
        self.authenticator.passwords[person.name] = person.password
        self.maildrops.inboxes[person.name] = Inbox.of(*messages)
        return person

    async def connect(self, listener: str = "pop3") -> Wire:
        tls = self.tls if listener == "pop3s" else None
        wire = await Wire.connect("127.0.0.1", self._ports[listener], tls)
        self._wires.append(wire)
        return wire


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_development_certificates(folder)
    return folder


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings other than the usual; tests that need some override it by parametrisation."""
    return {}


@pytest.fixture
async def system(certificates: Path, settings: dict[str, Any]) -> AsyncIterator[FrontAlone]:
    front = FrontAlone(certificates, **settings)
    await front.start()
    yield front
    await front.stop()
