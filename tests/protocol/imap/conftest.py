"""The IMAP front over real sockets, at two heights: in this process, and as local processes.

Transcripts ask for `imap` and run at both; tests of what a client alone can't bring about ask for
`alone` as well, and run in this process. There auth and store are started once for all tests, in
the event loop that all tests of this folder share; each test has a front of its own.

The store is on SQLite there; the mark `databases("sqlite", "postgresql")` names others. Tests that
ask for `deployment` run on each of `DEPLOYMENTS`: one store or two on one database, one front or
two.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.databases import PostgresServer
from tests.harness.owners import Owners, running_owners
from tests.harness.services import QUICK_HASHES, Certificates
from tests.harness.system import MailSystem, client_tls, running
from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import Deployment, FrontAlone, Shape, running_front
from tests.protocol.imap.system import Imap, Person

HERE = Path(__file__).parent
DEPLOYMENTS = {
    "sqlite": Shape("sqlite"),
    "sqlite-two-fronts": Shape("sqlite", fronts=2),
    "postgresql": Shape("postgresql"),
    "postgresql-two-stores": Shape("postgresql", fronts=2, stores=2),
}

OwnersOf = Callable[[Shape], Awaitable[Owners]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is started once for all tests lives in one event loop with them."""
    shared = pytest.mark.asyncio(loop_scope="session")
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("asyncio"):
            item.add_marker(shared, append=False)


@pytest.fixture
def bounds() -> dict[str, Any]:
    """Settings of the front other than the usual; tests override it by parametrisation."""
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
    settings = {f"POSTROOM_AUTH_{name.upper()}": str(n) for name, n in QUICK_HASHES.items()}
    with running(tmp_path_factory.mktemp("postroom"), settings=settings) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def owners_of(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OwnersOf]:
    """Auth and store in this process for a shape, started when they are first wanted."""
    certificates = Certificates.make(tmp_path_factory.mktemp("certificates"))
    started: dict[tuple[str, int], Owners] = {}
    async with AsyncExitStack() as stack:

        def database(engine: str, name: str) -> str:
            if engine == "sqlite":
                return f"sqlite:///{tmp_path_factory.mktemp(name) / 'database.sqlite3'}"
            return stack.enter_context(postgres_server.database())

        async def owners_of(shape: Shape) -> Owners:
            key = (shape.engine, shape.stores)
            if key not in started:
                urls = [database(shape.engine, name) for name in ("auth", "store")]
                owners = running_owners(certificates, *urls, stores=shape.stores)
                started[key] = await stack.enter_async_context(owners)
            return started[key]

        yield owners_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a test of the front alone does can't be done from outside."""
    if "imap" not in metafunc.fixturenames:
        return
    named = {"alone", "bounds"} & {*inspect.signature(metafunc.function).parameters}
    marked = any(
        "bounds" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")
    )
    mark = metafunc.definition.get_closest_marker("databases")
    engines = mark.args if mark else ("sqlite",)
    systems = ["alone" if engine == "sqlite" else f"alone-{engine}" for engine in engines]
    if not named and not marked:
        systems.append("services")
    metafunc.parametrize("imap", systems, indirect=True)


@pytest_asyncio.fixture(loop_scope="session")
async def imap(
    request: pytest.FixtureRequest, owners_of: OwnersOf, bounds: dict[str, Any]
) -> AsyncIterator[Imap]:
    where, _, engine = request.param.partition("-")
    if where == "alone":
        owners = await owners_of(Shape(engine or "sqlite"))
        async with running_front(owners, **bounds) as front:
            yield Imap(front, await front.person())
    else:
        system = AmongServices(request.getfixturevalue("mail_system"))
        yield Imap(system, await system.person())
        await system.stop()


@pytest_asyncio.fixture(params=DEPLOYMENTS, loop_scope="session")
async def deployment(
    request: pytest.FixtureRequest, owners_of: OwnersOf
) -> AsyncIterator[Deployment]:
    """Fronts with what stands behind them, in this process."""
    shape = DEPLOYMENTS[request.param]
    owners = await owners_of(shape)
    async with AsyncExitStack() as stack:
        fronts = [
            await stack.enter_async_context(running_front(owners, store=number % shape.stores))
            for number in range(shape.fronts)
        ]
        yield Deployment(shape, fronts)


@pytest.fixture
def alone(imap: Imap) -> FrontAlone:
    """The front, where it is alone."""
    assert isinstance(imap.system, FrontAlone)
    return imap.system
