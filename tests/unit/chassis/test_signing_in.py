"""What fronts have of auth, over real gRPC with mutual TLS, against an auth of a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from postroom.auth.v1 import authentication_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_chassis.rpc import signing_in as signing_in_module
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.server import Call, Server
from postroom_chassis.rpc.signing_in import SigningIn

from tests.harness.services import Certificates

Request = authentication_pb2.AuthenticateRequest
Response = authentication_pb2.AuthenticateResponse
CLIENT = Client("192.0.2.1", True, "TLSv1.3", b"end point", ("ann@example.org",))


class Auth:
    """Asks once, and says yes to "right"; notes what it is told of clients."""

    def __init__(self) -> None:
        self.clients: list[authentication_pb2.Client] = []

    async def Authenticate(
        self, requests: AsyncIterator[Request], call: Call
    ) -> AsyncIterator[Response]:
        async for request in requests:
            if request.HasField("start"):
                self.clients.append(request.start.client)
                yield Response(challenge=b"well?")
            elif request.cancel:
                raise PostroomError(Kind.INVALID, "cancelled")
            elif request.response == b"right":
                ticket = authentication_pb2.Ticket(token="ticket")
                yield Response(success=Response.Success(ticket=ticket, additional_data=b"bye"))
                return
            else:
                raise PostroomError(Kind.UNAUTHENTICATED, "no")

    async def SignIn(
        self, request: authentication_pb2.SignInRequest, call: Call
    ) -> authentication_pb2.SignInResponse:
        raise PostroomError(Kind.UNSUPPORTED, "it takes more than one step")

    async def ListMechanisms(
        self, request: authentication_pb2.ListMechanismsRequest, call: Call
    ) -> authentication_pb2.ListMechanismsResponse:
        self.clients.append(request.client)
        return authentication_pb2.ListMechanismsResponse(mechanisms=["LOGIN"])

    async def Renew(
        self, request: authentication_pb2.RenewRequest, call: Call
    ) -> authentication_pb2.RenewResponse:
        return authentication_pb2.RenewResponse(
            ticket=authentication_pb2.Ticket(token=request.token + "+")
        )


@pytest.fixture
def auth() -> Auth:
    return Auth()


@pytest.fixture
async def signing_in(auth: Auth, tmp_path: Path) -> AsyncIterator[SigningIn]:
    certificates = Certificates.make(tmp_path)
    async with AsyncExitStack() as stack:
        server = Server(certificates.tls("auth"))
        server.add(authentication_pb2.DESCRIPTOR.services_by_name["AuthenticationService"], auth)
        port = await server.start("127.0.0.1:0")
        stack.push_async_callback(server.stop, 0)
        channel = Channel(f"127.0.0.1:{port}", "auth", certificates.tls("smtp"))
        stack.push_async_callback(channel.close)
        yield SigningIn(channel, "smtp")


async def exchange(signing_in: SigningIn, said: bytes | None) -> str:
    """The ticket of an exchange in which the client says this; the kind of a refusal."""

    async def answer(challenge: bytes) -> bytes | None:
        assert challenge == b"well?"
        return said

    try:
        return (await signing_in.authenticate(CLIENT, "LOGIN", None, answer)).ticket.token
    except PostroomError as error:
        return error.kind


async def test_auth_is_told_of_the_client(auth: Auth, signing_in: SigningIn) -> None:
    assert await exchange(signing_in, b"right") == "ticket"
    (told,) = auth.clients
    assert (told.protocol, told.address, told.secure, told.tls_version) == (
        *("smtp", "192.0.2.1", True),
        "TLSv1.3",
    )
    assert told.tls_server_end_point == b"end point"
    assert list(told.certificate_names) == ["ann@example.org"]


async def test_a_ticket_is_renewed(signing_in: SigningIn) -> None:
    assert (await signing_in.renew("ticket")).token == "ticket+"


async def test_what_is_offered_is_asked_once_for_all_clients_alike(
    auth: Auth, signing_in: SigningIn
) -> None:
    elsewhere = Client("192.0.2.2", True, "TLSv1.2", b"another", ("bob@example.org",))
    for client in (CLIENT, elsewhere, Client("192.0.2.1", True), Client("192.0.2.1", False)):
        assert list((await signing_in.offer(client)).mechanisms) == ["LOGIN"]
    assert len(auth.clients) == 3


@pytest.mark.parametrize(
    ("said", "outcome"), [(b"right", "ticket"), (b"wrong", "UNAUTHENTICATED"), (None, "INVALID")]
)
async def test_what_sends_ends_with_the_exchange_whatever_its_outcome(
    signing_in: SigningIn, monkeypatch: pytest.MonkeyPatch, said: bytes | None, outcome: str
) -> None:
    ended = asyncio.Event()
    taken = signing_in_module._taken

    async def watched(requests: asyncio.Queue[Request | None]) -> AsyncIterator[Request]:
        try:
            async for request in taken(requests):
                yield request
        finally:
            ended.set()

    monkeypatch.setattr(signing_in_module, "_taken", watched)
    assert await exchange(signing_in, said) == outcome
    async with asyncio.timeout(5):
        await ended.wait()
