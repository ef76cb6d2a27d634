"""A running auth service, and what its callers do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from postroom.auth.v1 import (
    account_pb2,
    account_pb2_grpc,
    authentication_pb2,
    authentication_pb2_grpc,
    directory_pb2,
    directory_pb2_grpc,
)
from postroom_auth.service import start
from postroom_auth.settings import AuthSettings
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.lifecycle import Service
from postroom_chassis.rpc.client import Channel
from postroom_chassis.settings import Tls

from tests.harness.scram import ScramClient
from tests.harness.services import QUICK_HASHES

T = TypeVar("T")

ADDRESS = "192.0.2.1"


def tls(certificates: Path, service: str) -> Tls:
    return Tls(
        certificate=certificates / f"{service}.pem",
        key=certificates / f"{service}.key",
        authority=certificates / "ca.pem",
    )


FIRST_WAIT_SECONDS = 60.0  # no test outlasts it by being slow


def settings(certificates: Path, database_url: str, **changes: Any) -> AuthSettings:
    own = tls(certificates, "auth")
    values = {
        "rpc_certificate": own.certificate,
        "rpc_key": own.key,
        "rpc_authority": own.authority,
        "database_url": database_url,
        "ticket_key": certificates / "ticket.key",
        "throttle_first_seconds": FIRST_WAIT_SECONDS,
        **QUICK_HASHES,
        **changes,
    }
    return AuthSettings.model_validate(values)


@dataclass
class House:
    """A running service. Its methods are what fronts and administrators do, shortened."""

    service: Service
    certificates: Path
    channels: dict[str, Channel] = field(default_factory=dict)

    def channel(self, caller: str) -> Channel:
        if caller not in self.channels:
            address = f"127.0.0.1:{self.service.ports['rpc']}"
            self.channels[caller] = Channel(address, "auth", tls(self.certificates, caller))
        return self.channels[caller]

    @property
    def accounts(self) -> account_pb2_grpc.AccountServiceAsyncStub:
        return self.channel("admin").stub(account_pb2_grpc.AccountServiceStub)

    @property
    def directory(self) -> directory_pb2_grpc.DirectoryServiceAsyncStub:
        return self.channel("smtp").stub(directory_pb2_grpc.DirectoryServiceStub)

    def authentication(self, caller: str = "imap") -> Any:
        """Untyped: the stubs don't know that a stream can be opened without requests."""
        return self.channel(caller).stub(authentication_pb2_grpc.AuthenticationServiceStub)

    async def add_domain(self, name: str, tenant: str = "") -> account_pb2.Domain:
        request = account_pb2.CreateDomainRequest(name=name, tenant=tenant)
        return await self.accounts.CreateDomain(request)

    async def add_account(
        self, address: str, password: str = "", **fields: Any
    ) -> account_pb2.Account:
        request = account_pb2.CreateAccountRequest(address=address, password=password, **fields)
        return await self.accounts.CreateAccount(request)

    async def add_alias(self, address: str, *targets: str) -> account_pb2.Alias:
        request = account_pb2.CreateAliasRequest(address=address, targets=targets)
        return await self.accounts.CreateAlias(request)

    async def resolve(self, *addresses: str) -> list[directory_pb2.Resolution]:
        answer = await self.directory.Resolve(directory_pb2.ResolveRequest(addresses=addresses))
        return list(answer.resolutions)

    async def may_send_as(self, account_id: int, *addresses: str) -> list[bool]:
        request = directory_pb2.MaySendAsRequest(account_id=account_id, addresses=addresses)
        return list((await self.directory.MaySendAs(request)).allowed)

    async def exchange(
        self,
        mechanism: str,
        *responses: bytes,
        initial: bytes | None = None,
        secure: bool = True,
        address: str = ADDRESS,
        protocol: str = "imap",
        caller: str = "imap",
        certificate_names: Sequence[str] = (),
    ) -> tuple[list[bytes], authentication_pb2.Ticket]:
        """A whole exchange: the challenges and the ticket at its end."""
        client = authentication_pb2.Client(
            protocol=protocol,
            address=address,
            secure=secure,
            tls_version="TLSv1.3",
            certificate_names=certificate_names,
        )
        start = authentication_pb2.AuthenticateRequest.Start(
            mechanism=mechanism, initial_response=initial, client=client
        )
        steps = [authentication_pb2.AuthenticateRequest(start=start)]
        steps += [authentication_pb2.AuthenticateRequest(response=text) for text in responses]
        return await self.play(steps, caller)

    async def play(
        self, steps: Sequence[authentication_pb2.AuthenticateRequest], caller: str = "imap"
    ) -> tuple[list[bytes], authentication_pb2.Ticket]:
        """Send one step for each answer, as a front does."""
        challenges: list[bytes] = []
        ticket = None
        async for answer in self.authentication(caller).Authenticate(_each(steps)):
            if answer.WhichOneof("step") == "success":
                ticket = answer.success.ticket
            else:
                challenges.append(answer.challenge)
        assert ticket is not None
        return challenges, ticket

    async def scram(
        self,
        scram: ScramClient,
        *,
        address: str = ADDRESS,
        end_point: bytes = b"",
        half_way: Callable[[], Awaitable[object]] | None = None,
    ) -> authentication_pb2.Ticket:
        """Sign in by SCRAM; fails where the client can't trust what it hears at the end.

        Args:
            half_way: done before the client proves anything.
        """
        client = authentication_pb2.Client(
            protocol="imap", address=address, secure=True, tls_server_end_point=end_point
        )
        start = authentication_pb2.AuthenticateRequest.Start(
            mechanism=scram.mechanism, initial_response=scram.first, client=client
        )
        steps: asyncio.Queue[authentication_pb2.AuthenticateRequest] = asyncio.Queue()
        steps.put_nowait(authentication_pb2.AuthenticateRequest(start=start))
        heard: list[bytes] = []
        async for answer in self.authentication().Authenticate(_taken(steps)):
            if answer.WhichOneof("step") == "success":
                assert scram.trusts(answer.success.additional_data)
                ticket: authentication_pb2.Ticket = answer.success.ticket
                return ticket
            heard.append(answer.challenge)
            if half_way is not None:
                await half_way()
            said = b"" if answer.challenge.startswith(b"e=") else scram.final(answer.challenge)
            steps.put_nowait(authentication_pb2.AuthenticateRequest(response=said))
        raise AssertionError(f"the exchange ended with {heard}")

    async def salt(self, mechanism: str, name: str) -> bytes:
        """What SCRAM tells of an account before anybody has proved anything: salt, iterations."""
        scram = ScramClient(mechanism, name, "")
        client = authentication_pb2.Client(protocol="imap", address=ADDRESS, secure=True)
        start = authentication_pb2.AuthenticateRequest.Start(
            mechanism=mechanism, initial_response=scram.first, client=client
        )
        call = self.authentication().Authenticate()
        await call.write(authentication_pb2.AuthenticateRequest(start=start))
        told: bytes = (await call.read()).challenge
        call.cancel()
        return told.partition(b",")[2]

    async def mechanisms(self, **client: Any) -> list[str]:
        """What a front may show to a client."""
        about = {"protocol": "imap", "address": ADDRESS, "secure": True, **client}
        request = authentication_pb2.ListMechanismsRequest(
            client=authentication_pb2.Client(**about)
        )
        return list((await self.authentication().ListMechanisms(request)).mechanisms)

    async def login(self, name: str, password: str, **client: Any) -> authentication_pb2.Ticket:
        """Sign in by PLAIN with an initial response."""
        message = f"\0{name}\0{password}".encode()
        _, ticket = await self.exchange("PLAIN", initial=message, **client)
        return ticket

    async def renew(self, token: str) -> authentication_pb2.Ticket:
        request = authentication_pb2.RenewRequest(token=token)
        answer: authentication_pb2.RenewResponse = await self.authentication().Renew(request)
        return answer.ticket


async def refused(attempt: Awaitable[object]) -> PostroomError:
    """How an attempt fails that must fail. It is never left without a word."""
    with pytest.raises(PostroomError) as error:
        await attempt
    assert error.value.message
    return error.value


async def kind_of(attempt: Awaitable[object]) -> Kind | None:
    """How an attempt fails; None: it doesn't."""
    try:
        await attempt
    except PostroomError as error:
        return error.kind
    return None


async def until(read: Callable[[], Awaitable[T]], fulfilled: Callable[[T], bool]) -> T:
    """What is read, once it is as it should be. It comes soon, not at once."""
    async with asyncio.timeout(20):
        while True:
            found = await read()
            if fulfilled(found):
                return found
            await asyncio.sleep(0.02)


async def _each(
    steps: Sequence[authentication_pb2.AuthenticateRequest],
) -> AsyncIterator[authentication_pb2.AuthenticateRequest]:
    for step in steps:
        yield step


async def _taken(
    steps: asyncio.Queue[authentication_pb2.AuthenticateRequest],
) -> AsyncIterator[authentication_pb2.AuthenticateRequest]:
    while True:
        yield await steps.get()


@asynccontextmanager
async def opened(certificates: Path, database_url: str, **changes: Any) -> AsyncIterator[House]:
    """A service on a database, stopped at the end."""
    async with AsyncExitStack() as stack:
        service = Service(stack)
        await start(service, settings(certificates, database_url, **changes))
        house = House(service, certificates)
        try:
            yield house
        finally:
            for channel in house.channels.values():
                await channel.close()
