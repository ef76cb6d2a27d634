"""The IMAP front over real sockets, at two heights: in this process, and as local processes.

Transcripts ask for `imap` and run at both; tests of what a client alone can't bring about ask for
`alone` as well, and run in this process. There auth and store are started once for all tests, in
the event loop that all tests of this folder share; each test has a front of its own.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.owners import Owners, running_owners
from tests.harness.services import Certificates
from tests.harness.system import MailSystem, client_tls, running
from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import FrontAlone, running_front
from tests.protocol.imap.system import Imap, Person

HERE = Path(__file__).parent


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
    with running(tmp_path_factory.mktemp("postroom")) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Owners]:
    """Auth and store in this process, on SQLite."""
    folder = tmp_path_factory.mktemp("owners")
    certificates = Certificates.make(folder / "certificates")
    urls = [f"sqlite:///{folder / name}.sqlite3" for name in ("auth", "store")]
    async with running_owners(certificates, *urls) as started:
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
    metafunc.parametrize("imap", systems, indirect=True)


@pytest_asyncio.fixture(loop_scope="session")
async def imap(
    request: pytest.FixtureRequest, owners: Owners, bounds: dict[str, Any]
) -> AsyncIterator[Imap]:
    if request.param == "alone":
        async with running_front(owners, **bounds) as front:
            yield Imap(front, await front.person())
    else:
        system = AmongServices(request.getfixturevalue("mail_system"))
        yield Imap(system, await system.person())
        await system.stop()


@pytest.fixture
def alone(imap: Imap) -> FrontAlone:
    """The front, where it is alone."""
    assert isinstance(imap.system, FrontAlone)
    return imap.system
