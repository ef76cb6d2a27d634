"""The IMAP front in the test's own process, in front of auth and store in the same process."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from postroom_chassis.lifecycle import Service
from postroom_imap.__main__ import Ports, remote_ports, serve
from postroom_imap.ports.identity import Ticket
from postroom_imap.settings import ImapSettings

from tests.harness.faulty import Calls, HeldChanges
from tests.harness.owners import Account, Owners
from tests.harness.services import LATER, running
from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Person, small

T = TypeVar("T")

LISTENERS = "imap=127.0.0.1:0,imaps=127.0.0.1:0;tls"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a deployment is made of.

    Attributes:
        engine: of the databases.
        stores: servers of the store on one database; the fronts take them in turn.
    """

    engine: str
    fronts: int = 1
    stores: int = 1


class FrontAlone:
    """A System of one process: real listeners and sessions, real auth and store behind them.

    Attributes:
        service: the front.
        ports: what stands behind it, for tests of what a client can't bring about.
        calls: what passes between the two.
        changes: the same, of the change stream.
    """

    service: Service
    ports: Ports
    changes: HeldChanges

    def __init__(self, owners: Owners) -> None:
        self.owners = owners
        authority = owners.certificates.folder / "ca.pem"
        self.tls = ssl.create_default_context(cafile=authority)
        self.calls = Calls()
        self._accounts: dict[str, Account] = {}
        self._clients: list[ImapClient] = []

    async def start(self, service: Service, settings: ImapSettings, store: int) -> None:
        """Be what `__main__` makes, with what tests want in between."""
        self.service = service
        self.ports = remote_ports(service, self.owners.auth, self.owners.stores[store])
        self.changes = HeldChanges(self.ports.changes)
        between = Ports(
            authenticator=self.calls.watch(self.ports.authenticator),
            mailboxes=self.calls.watch(self.ports.mailboxes),
            messages=self.calls.watch(self.ports.messages),
            changes=self.changes,
            accounts=self.ports.accounts,
            quotas=self.calls.watch(self.ports.quotas),
            directory=self.calls.watch(self.ports.directory),
            urls=self.calls.watch(self.ports.urls),
        )
        await serve(service, settings, between)

    async def close_clients(self) -> None:
        for client in self._clients:
            await client.close()

    async def person(self, quota_bytes: int = 0) -> Person:
        account = await self.owners.account(quota_bytes)
        self._accounts[account.address] = account
        return Person(account.address, account.password)

    async def connect(self, listener: str = "imap") -> ImapClient:
        tls = self.tls if listener == "imaps" else None
        client = await ImapClient.connect("127.0.0.1", self.service.ports[listener], tls)
        self._clients.append(client)
        return client

    def forget(self, client: ImapClient) -> None:
        """A client is closed by who asked for it."""
        self._clients.remove(client)

    async def connect_slowly(self) -> ImapClient:
        """A connection that takes little more than it is asked to hear."""
        connected = socket.socket()
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        connected.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connected, ("127.0.0.1", self.service.ports["imap"]))
        client = ImapClient(*await asyncio.open_connection(sock=connected, limit=16_384))
        self._clients.append(client)
        return client

    def ticket(self, name: str) -> Ticket:
        """A ticket with which the ports can be called for somebody, behind the front's back."""
        account = self._accounts[name]
        token = self.owners.token(account)
        return Ticket(token, account.account_id, account.address, LATER)

    async def fill(self, name: str, messages: int) -> None:
        """Append small messages to somebody's INBOX, behind the front's back."""
        contents = [small(number) for number in range(messages)]
        await self.owners.append(self._accounts[name], "INBOX", contents)

    async def disable(self, name: str) -> None:
        """Let somebody sign in no more, nor go on."""
        await self.owners.disable(self._accounts[name])


class Deployment:
    """A System of several fronts, each with its own views and its own change stream.

    Attributes:
        fronts: each is a System too.
    """

    def __init__(self, shape: Shape, fronts: Sequence[FrontAlone]) -> None:
        self.shape = shape
        self.fronts = fronts
        self.tls = fronts[0].tls
        self._loop = asyncio.get_running_loop()

    async def person(self) -> Person:
        return await self.fronts[0].person()

    async def connect(self, listener: str = "imap", front: int = 0) -> ImapClient:
        """A connection to a front, which is counted round those that there are."""
        return await self.fronts[front % len(self.fronts)].connect(listener)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Play a part of a test that isn't a coroutine itself, as Hypothesis needs it.

        Fronts and owners go on only meanwhile: nothing happens between two calls.
        """
        return self._loop.run_until_complete(coroutine)


@asynccontextmanager
async def running_front(
    owners: Owners, *, store: int = 0, **settings: Any
) -> AsyncIterator[FrontAlone]:
    """A front, until the context ends.

    Args:
        store: which of the store's servers it calls.
        settings: other than the usual.
    """
    front = FrontAlone(owners)
    folder = owners.certificates.folder
    usual: dict[str, Any] = {
        **owners.certificates.settings("imap"),
        "listeners": LISTENERS,
        "tls_certificate": folder / "tls.pem",
        "tls_key": folder / "tls.key",
        "auth_address": "unused",
        "store_address": "unused",
    }

    async def start(service: Service, settings: ImapSettings) -> None:
        await front.start(service, settings, store)

    async with running(ImapSettings(**usual | settings), start):
        try:
            yield front
        finally:
            await front.close_clients()
