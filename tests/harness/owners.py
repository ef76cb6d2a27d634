"""Auth and store in the test's own process: their real wiring, on loopback, over mutual TLS."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from postroom.auth.v1 import account_pb2, account_pb2_grpc
from postroom.store.v1 import message_pb2, message_pb2_grpc
from postroom_auth.service import start as start_auth
from postroom_auth.settings import AuthSettings
from postroom_chassis.rpc.client import Channel, ticketed
from postroom_store.__main__ import start as start_store
from postroom_store.settings import StoreSettings
from pydantic import SecretStr

from tests.harness.services import QUICK_HASHES, Certificates, running

DOMAIN = "example.org"
PASSWORD = "two words"
BATCH_MESSAGES = 500


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody with an account, which is new and empty."""

    account_id: int
    address: str
    password: str


@dataclass(frozen=True)
class Owners:
    """A running auth, and a store of one server or of several on one database.

    Attributes:
        auth, stores: channels as the IMAP front has them; a store for each server.
        accounts: auth as administrators have it.
    """

    certificates: Certificates
    auth: Channel
    stores: Sequence[Channel]
    accounts: account_pb2_grpc.AccountServiceAsyncStub
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def account(self, quota_bytes: int = 0) -> Account:
        """Somebody new.

        Args:
            quota_bytes: 0: unlimited.
        """
        address = f"person{next(self._numbers)}@{DOMAIN}"
        request = account_pb2.CreateAccountRequest(
            address=address, password=PASSWORD, quota_bytes=quota_bytes
        )
        created = await self.accounts.CreateAccount(request)
        return Account(created.account_id, address, PASSWORD)

    async def disable(self, account: Account) -> None:
        """Let somebody sign in no more, nor go on."""
        request = account_pb2.UpdateAccountRequest(address=account.address, disabled=True)
        await self.accounts.UpdateAccount(request)

    async def append(self, account: Account, mailbox: str, contents: Sequence[bytes]) -> None:
        """Append messages, many in a call, which no front could do."""
        stub = self.stores[0].stub(message_pb2_grpc.MessageServiceStub)
        for start in range(0, len(contents), BATCH_MESSAGES):
            part = contents[start : start + BATCH_MESSAGES]
            request = message_pb2.AppendRequest(
                idempotency_key=os.urandom(16),
                name=mailbox,
                messages=[message_pb2.NewMessage(content=content) for content in part],
            )
            await stub.Append(request, metadata=ticketed(self.token(account)))

    def token(self, account: Account) -> str:
        """A ticket for somebody, as auth would sign it."""
        return self.certificates.ticket(account.account_id)


@asynccontextmanager
async def running_owners(
    certificates: Certificates, auth_url: str, store_url: str, *, stores: int = 1
) -> AsyncIterator[Owners]:
    """Auth and store on empty databases, until the context ends.

    Args:
        stores: how many servers the store has.
    """
    async with AsyncExitStack() as stack:
        auth_settings = AuthSettings(
            **certificates.settings("auth"),
            **QUICK_HASHES,
            database_url=SecretStr(auth_url),
            ticket_key=certificates.folder / "ticket.key",
            # The failures of one test must not keep the others waiting.
            throttle_exempt="127.0.0.0/8",
        )
        store_settings = StoreSettings(
            **certificates.settings("store"),
            database_url=store_url,
            ticket_public_keys=str(certificates.folder / "ticket.pub"),
        )

        async def channel(port: int, service: str, caller: str) -> Channel:
            return await stack.enter_async_context(certificates.channel(port, service, caller))

        auth = await stack.enter_async_context(running(auth_settings, start_auth))
        servers = [
            await stack.enter_async_context(running(store_settings, start_store))
            for _ in range(stores)
        ]
        admin = await channel(auth.ports["rpc"], "auth", "admin")
        owners = Owners(
            certificates,
            await channel(auth.ports["rpc"], "auth", "imap"),
            [await channel(server.ports["rpc"], "store", "imap") for server in servers],
            admin.stub(account_pb2_grpc.AccountServiceStub),
        )
        await owners.accounts.CreateDomain(account_pb2.CreateDomainRequest(name=DOMAIN))
        yield owners
