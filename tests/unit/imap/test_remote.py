"""The ports over real gRPC with mutual TLS, against services of a few lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from postroom.auth.v1 import authentication_pb2, directory_pb2
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.server import Call, Server
from postroom_chassis.settings import Tls
from postroom_imap.remote.directory import RemoteDirectory
from postroom_imap.remote.identity import RemoteAuthenticator

Request = authentication_pb2.AuthenticateRequest
Response = authentication_pb2.AuthenticateResponse
CLIENT = Client("192.0.2.1", True, "TLSv1.3")


class Auth:
    """Says yes to the response "right"; SignIn knows PLAIN alone. Tickets tell the way."""

    async def SignIn(
        self, request: authentication_pb2.SignInRequest, call: Call
    ) -> authentication_pb2.SignInResponse:
        assert request.client.protocol == "imap"
        if request.mechanism != "PLAIN":
            raise PostroomError(Kind.UNSUPPORTED, "it takes more than one step")
        if request.initial_response != b"right":
            raise PostroomError(Kind.UNAUTHENTICATED, "no")
        return authentication_pb2.SignInResponse(
            ticket=authentication_pb2.Ticket(token="one call"), additional_data=b"bye"
        )

    async def Authenticate(
        self, requests: AsyncIterator[Request], call: Call
    ) -> AsyncIterator[Response]:
        async for request in requests:
            if request.HasField("start"):
                yield Response(challenge=b"well, %b?" % request.start.initial_response)
            elif request.response == b"right":
                ticket = authentication_pb2.Ticket(token="stream")
                yield Response(success=Response.Success(ticket=ticket))
                return
            else:
                raise PostroomError(Kind.UNAUTHENTICATED, "no")

    async def ListMechanisms(
        self, request: authentication_pb2.ListMechanismsRequest, call: Call
    ) -> authentication_pb2.ListMechanismsResponse:
        return authentication_pb2.ListMechanismsResponse(mechanisms=["LOGIN", "PLAIN"])

    async def Renew(
        self, request: authentication_pb2.RenewRequest, call: Call
    ) -> authentication_pb2.RenewResponse:
        return authentication_pb2.RenewResponse(
            ticket=authentication_pb2.Ticket(token=request.token + ", renewed")
        )


class People:
    """A directory that knows Ann; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def Resolve(
        self, request: directory_pb2.ResolveRequest, call: Call
    ) -> directory_pb2.ResolveResponse:
        self.asked += request.addresses
        ann = directory_pb2.Recipient(account_id=7, address="ann@example.org", quota_bytes=100)
        local, unknown = directory_pb2.Resolution.KIND_LOCAL, directory_pb2.Resolution.KIND_UNKNOWN
        return directory_pb2.ResolveResponse(
            resolutions=[
                directory_pb2.Resolution(kind=local, recipients=[ann])
                if address == ann.address
                else directory_pb2.Resolution(kind=unknown)
                for address in request.addresses
            ]
        )

    async def MaySendAs(
        self, request: directory_pb2.MaySendAsRequest, call: Call
    ) -> directory_pb2.MaySendAsResponse:
        raise AssertionError("nobody asks that")


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture
async def auth(tmp_path: Path, people: People) -> AsyncIterator[Channel]:
    make_development_certificates(tmp_path)
    authentication = authentication_pb2.DESCRIPTOR.services_by_name["AuthenticationService"]
    async with AsyncExitStack() as stack:
        server = Server(_tls(tmp_path, "auth"))
        server.add(authentication, Auth())
        server.add(directory_pb2.DESCRIPTOR.services_by_name["DirectoryService"], people)
        port = await server.start("127.0.0.1:0")
        stack.push_async_callback(server.stop, 0)
        channel = Channel(f"127.0.0.1:{port}", "auth", _tls(tmp_path, "imap"))
        stack.push_async_callback(channel.close)
        yield channel


@pytest.fixture
def authenticator(auth: Channel) -> RemoteAuthenticator:
    return RemoteAuthenticator(auth)


def _tls(folder: Path, service: str) -> Tls:
    return Tls(
        certificate=folder / f"{service}.pem",
        key=folder / f"{service}.key",
        authority=folder / "ca.pem",
    )


async def never(challenge: bytes) -> bytes:
    raise AssertionError(f"asked {challenge!r}")


async def test_an_exchange_of_one_step_is_one_call(authenticator: RemoteAuthenticator) -> None:
    signed_in = await authenticator.authenticate("PLAIN", b"right", CLIENT, never)
    assert (signed_in.ticket.token, signed_in.data) == ("one call", b"bye")
    assert (await authenticator.renew(signed_in.ticket)).token == "one call, renewed"


async def test_a_refusal_in_one_step_is_final(authenticator: RemoteAuthenticator) -> None:
    with pytest.raises(PostroomError) as refused:
        await authenticator.authenticate("PLAIN", b"wrong", CLIENT, never)
    assert refused.value.kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize("initial", [None, b"ann"])
async def test_an_exchange_of_more_steps_is_a_stream(
    authenticator: RemoteAuthenticator, initial: bytes | None
) -> None:
    async def respond(challenge: bytes) -> bytes:
        assert challenge == b"well, %b?" % (initial or b"")
        return b"right"

    signed_in = await authenticator.authenticate("LOGIN", initial, CLIENT, respond)
    assert signed_in.ticket.token == "stream"


async def test_who_is_there_is_asked_for_once(auth: Channel, people: People) -> None:
    directory = RemoteDirectory(auth)
    for _ in range(3):
        ann = await directory.account("ann@example.org")
        assert ann is not None
        assert (ann.account_id, ann.quota.bytes) == (7, 100)
    assert people.asked == ["ann@example.org"]
    # Who isn't may be made at any time.
    for _ in range(2):
        assert await directory.account("bob@example.org") is None
    assert people.asked[1:] == ["bob@example.org"] * 2
