"""The SMTP front over real sockets, with what is behind it in memory."""

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
from postroom_smtp.front import REFUSED, Front
from postroom_smtp.ports import Account
from postroom_smtp.session import House
from postroom_smtp.settings import Role, SmtpSettings, role_of

from tests.protocol.smtp.system import Person
from tests.protocol.wire import Wire
from tests.unit.smtp.fakes import (
    FakeAuthenticator,
    FakeDirectory,
    FakePolicy,
    FakeStore,
    FakeUrls,
    FakeWaiting,
)

LISTENERS = ",".join(
    (
        "mx=127.0.0.1:0",
        "mx-proxy=127.0.0.1:0;proxy",
        "submission=127.0.0.1:0",
        "submissions=127.0.0.1:0;tls",
        "submission-proxy=127.0.0.1:0;proxy",
        "lmtp=127.0.0.1:0",
        "lmtp-proxy=127.0.0.1:0;proxy",
    )
)


class FrontAlone:
    """A System of one process: real listeners and sessions, fakes of auth and store."""

    domain = "example.org"
    hostname = "mx.example.org"

    def __init__(self, certificates: Path, **settings: Any) -> None:
        unused = Path("unused")
        usual: dict[str, Any] = {
            "listeners": LISTENERS,
            "hostname": self.hostname,
            "proxy_networks": "127.0.0.0/8",
            "tls_certificate": certificates / "tls.pem",
            "tls_key": certificates / "tls.key",
            "auth_address": "unused",
            "store_address": "unused",
            "greeting_seconds": 0,
            "rpc_certificate": unused,
            "rpc_key": unused,
            "rpc_authority": unused,
        }
        self.settings = SmtpSettings(**usual | settings)
        self.message_bytes = self.settings.message_bytes
        self.recipients = self.settings.recipients
        self.tls = ssl.create_default_context(cafile=certificates / "ca.pem")
        self.authenticator = FakeAuthenticator()
        self.directory = FakeDirectory({self.domain})
        self.store = FakeStore()
        self.waiting = FakeWaiting()
        self.urls = FakeUrls()
        self.listeners: dict[str, Listener] = {}
        self._server_tls = ServerTls(certificates / "tls.pem", certificates / "tls.key")
        self._ports: dict[str, int] = {}
        self._wires: list[Wire] = []
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        self.house = House(
            self.authenticator,
            self.directory,
            self.store,
            self._server_tls,
            self.settings,
            waiting=self.waiting,
            urls=self.urls,
        )
        fronts = {role: Front(self.house, role) for role in Role}
        for address in self.settings.addresses:
            listener = Listener(
                address.name,
                fronts[role_of(address)].serve,
                tls=self._server_tls if address.tls else None,
                proxies=self.settings.proxies if address.proxy else (),
                limits=Limits(self.settings.connections, self.settings.connections_per_address),
                refusal=REFUSED,
            )
            self._ports[address.name] = await listener.start(address.host, address.port)
            self.listeners[address.name] = listener

    def ask(self) -> FakePolicy:
        """From now on those who send are asked something."""
        self.house.policy = policy = FakePolicy()
        return policy

    async def stop(self) -> None:
        for wire in self._wires:
            await wire.__aexit__(None, None, None)
        for listener in self.listeners.values():
            await listener.drain(5)

    async def person(self, *, full: bool = False) -> Person:
        number = next(self._numbers)
        person = Person(f"person{number}@{self.domain}", "two words")
        self.authenticator.accounts[person.name] = (number, person.password)
        self.directory.add(person.name, Account(number, person.name, 1_000_000))
        self.directory.senders[number] = {person.name}
        if full:
            self.store.full.add(number)
        return person

    async def connect(self, listener: str = "mx") -> Wire:
        tls = self.tls if listener == "submissions" else None
        wire = await Wire.connect("127.0.0.1", self._ports[listener], tls)
        self._wires.append(wire)
        return wire

    async def inbox(self, person: Person) -> list[bytes]:
        account_id, _ = self.authenticator.accounts[person.name]
        return [
            self.store.content(delivery)
            for delivery in self.store.messages
            if account_id in {one.account_id for one in delivery.local}
        ]

    async def queue(self) -> list[tuple[str, str]]:
        return [
            (delivery.sender, recipient.address)
            for delivery in self.store.messages
            for recipient in delivery.queue
        ]


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
