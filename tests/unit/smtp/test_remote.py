"""The ports over real gRPC with mutual TLS, against services of a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from postroom.auth.v1 import authentication_pb2, directory_pb2
from postroom.store.v1 import delivery_pb2, message_pb2
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_chassis.net.listener import free_port
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.server import Call, Server
from postroom_chassis.settings import Tls
from postroom_smtp.ports import (
    Account,
    Arrival,
    Delivery,
    LocalRecipient,
    Uploaded,
    Whereabouts,
)
from postroom_smtp.protocol import envelope
from postroom_smtp.protocol.envelope import Body, Notify, Recipient, Return
from postroom_smtp.remote import (
    DELIVER_BYTES,
    RemoteAuthenticator,
    RemoteDirectory,
    RemoteStore,
    check,
)

Request = authentication_pb2.AuthenticateRequest
Response = authentication_pb2.AuthenticateResponse
CLIENT = Client("192.0.2.1", True, "TLSv1.3")
ANN = Account(7, "ann@example.org", 1000)


class Auth:
    """Says yes to the response "right"; SignIn knows PLAIN alone."""

    async def SignIn(
        self, request: authentication_pb2.SignInRequest, call: Call
    ) -> authentication_pb2.SignInResponse:
        if request.mechanism != "PLAIN":
            raise PostroomError(Kind.UNSUPPORTED, "it takes more than one step")
        if request.initial_response != b"right":
            raise PostroomError(Kind.UNAUTHENTICATED, "no")
        ticket = authentication_pb2.Ticket(token="one call", account_id=7)
        return authentication_pb2.SignInResponse(ticket=ticket)

    async def Authenticate(
        self, requests: AsyncIterator[Request], call: Call
    ) -> AsyncIterator[Response]:
        async for request in requests:
            if request.HasField("start"):
                assert request.start.client.protocol == "smtp"
                yield Response(challenge=b"well?")
            elif request.response == b"right":
                ticket = authentication_pb2.Ticket(token="t", account_id=7, address="ann")
                yield Response(success=Response.Success(ticket=ticket))
                return
            else:
                raise PostroomError(Kind.UNAUTHENTICATED, "no")

    async def ListMechanisms(
        self, request: authentication_pb2.ListMechanismsRequest, call: Call
    ) -> authentication_pb2.ListMechanismsResponse:
        return authentication_pb2.ListMechanismsResponse(mechanisms=["PLAIN"])

    async def Renew(
        self, request: authentication_pb2.RenewRequest, call: Call
    ) -> authentication_pb2.RenewResponse:
        ticket = authentication_pb2.Ticket(token=request.token + "2", account_id=7)
        return authentication_pb2.RenewResponse(ticket=ticket)


@dataclass
class Directory:
    """Addresses at "local" are there; notes how much each call asks for.

    A list at "wide" fills a call, and one at "wider" more than that.
    """

    calls: list[int] = field(default_factory=list)

    async def Resolve(
        self, request: directory_pb2.ResolveRequest, call: Call
    ) -> directory_pb2.ResolveResponse:
        self.calls.append(len(request.addresses))
        wide = sum(address.endswith("@wide") for address in request.addresses)
        if wide > 1 or any(address.endswith("@wider") for address in request.addresses):
            raise PostroomError(Kind.LIMIT_EXCEEDED, "ask for fewer at once")
        return directory_pb2.ResolveResponse(resolutions=map(self._resolve, request.addresses))

    def _resolve(self, address: str) -> directory_pb2.Resolution:
        if not address.endswith("@local"):
            return directory_pb2.Resolution(kind=directory_pb2.Resolution.KIND_FOREIGN)
        recipient = directory_pb2.Recipient(account_id=7, address=ANN.address, quota_bytes=1000)
        return directory_pb2.Resolution(
            kind=directory_pb2.Resolution.KIND_LOCAL, recipients=[recipient], forwards=["b@there"]
        )

    async def MaySendAs(
        self, request: directory_pb2.MaySendAsRequest, call: Call
    ) -> directory_pb2.MaySendAsResponse:
        return directory_pb2.MaySendAsResponse(
            allowed=[address == "ann@local" for address in request.addresses]
        )


@dataclass
class Deliveries:
    """Takes what isn't from "nobody"; room for 500 octets."""

    requests: list[delivery_pb2.DeliverRequest] = field(default_factory=list)
    uploaded: bytearray = field(default_factory=bytearray)

    async def Admit(
        self, request: delivery_pb2.AdmitRequest, call: Call
    ) -> delivery_pb2.AdmitResponse:
        return delivery_pb2.AdmitResponse(admitted=[request.size <= 500 for _ in request.mailboxes])

    async def Upload(
        self, requests: AsyncIterator[message_pb2.UploadRequest], call: Call
    ) -> message_pb2.UploadResponse:
        async for request in requests:
            self.uploaded += request.data
        return message_pb2.UploadResponse(upload_id=b"u", size=len(self.uploaded))

    async def Deliver(
        self, request: delivery_pb2.DeliverRequest, call: Call
    ) -> delivery_pb2.DeliverResponse:
        self.requests.append(request)
        return delivery_pb2.DeliverResponse(
            results=[
                delivery_pb2.DeliveryResult(
                    error_kind="TOO_LARGE" if delivery.sender == "nobody" else ""
                )
                for delivery in request.deliveries
            ]
        )


@dataclass
class Behind:
    """The services, and channels to them."""

    directory: Directory
    deliveries: Deliveries
    auth: Channel
    store: Channel


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Behind]:
    make_development_certificates(tmp_path)
    directory, deliveries = Directory(), Deliveries()
    services = {
        "auth": (
            (authentication_pb2.DESCRIPTOR.services_by_name["AuthenticationService"], Auth()),
            (directory_pb2.DESCRIPTOR.services_by_name["DirectoryService"], directory),
        ),
        "store": ((delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"], deliveries),),
    }
    channels = {}
    async with AsyncExitStack() as stack:
        for name, served in services.items():
            server = Server(_tls(tmp_path, name))
            for descriptor, implementation in served:
                server.add(descriptor, implementation)
            port = await server.start("127.0.0.1:0")
            stack.push_async_callback(server.stop, 0)
            channels[name] = Channel(f"127.0.0.1:{port}", name, _tls(tmp_path, "smtp"))
            stack.push_async_callback(channels[name].close)
        yield Behind(directory, deliveries, channels["auth"], channels["store"])


def _tls(folder: Path, service: str) -> Tls:
    return Tls(
        certificate=folder / f"{service}.pem",
        key=folder / f"{service}.key",
        authority=folder / "ca.pem",
    )


async def test_an_exchange_is_framed_and_no_more(behind: Behind) -> None:
    authenticator = RemoteAuthenticator(behind.auth)

    async def right(challenge: bytes) -> bytes:
        assert challenge == b"well?"
        return b"right"

    async def wrong(_challenge: bytes) -> bytes:
        return b"wrong"

    identity = await authenticator.authenticate(CLIENT, "LOGIN", None, right)
    assert (identity.account_id, identity.ticket) == (7, "t")
    assert (await authenticator.renew(identity)).ticket == "t2"
    assert await authenticator.mechanisms(CLIENT) == ("PLAIN",)
    with pytest.raises(PostroomError) as refused:
        await authenticator.authenticate(CLIENT, "LOGIN", None, wrong)
    assert refused.value.kind is Kind.UNAUTHENTICATED


async def test_an_exchange_of_one_step_is_one_call(behind: Behind) -> None:
    authenticator = RemoteAuthenticator(behind.auth)

    async def right(_challenge: bytes) -> bytes:
        return b"right"

    identity = await authenticator.authenticate(CLIENT, "PLAIN", b"right", right)
    assert identity.ticket == "one call"
    with pytest.raises(PostroomError):
        await authenticator.authenticate(CLIENT, "PLAIN", b"wrong", right)
    assert (await authenticator.authenticate(CLIENT, "LOGIN", b"ann", right)).ticket == "t"


async def test_addresses_are_resolved_together(behind: Behind) -> None:
    directory = RemoteDirectory(behind.auth)
    answers = await asyncio.gather(
        *(directory.resolve(f"{number}@local") for number in range(2000)),
        directory.resolve("b@there"),
    )
    assert answers[0].whereabouts is Whereabouts.LOCAL
    assert (answers[0].accounts, answers[0].forwards) == ((ANN,), ("b@there",))
    assert answers[-1].whereabouts is Whereabouts.FOREIGN
    assert max(behind.directory.calls) == 1000
    assert len(behind.directory.calls) <= 4


async def test_an_alias_that_leads_too_far_is_refused_alone(behind: Behind) -> None:
    directory = RemoteDirectory(behind.auth)
    asked = [f"{number}@local" for number in range(200)]
    asked[50:50] = ["a@wide", "b@wider", "c@wide"]
    answers = await asyncio.gather(*map(directory.resolve, asked), return_exceptions=True)
    refused = answers.pop(51)
    assert isinstance(refused, PostroomError)
    assert refused.kind is Kind.LIMIT_EXCEEDED
    assert not [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(behind.directory.calls) < 20


async def test_who_was_found_is_remembered_and_who_was_not_is_not(behind: Behind) -> None:
    directory = RemoteDirectory(behind.auth)
    for _ in range(3):
        await directory.resolve("a@local")
        await directory.resolve("b@there")
    assert sum(behind.directory.calls) == 4


async def test_senders(behind: Behind) -> None:
    directory = RemoteDirectory(behind.auth)
    assert await directory.may_send_as(7, "ann@local")
    assert not await directory.may_send_as(7, "bob@local")


async def test_room_is_asked_for_each_by_its_own_size(behind: Behind) -> None:
    store = RemoteStore(behind.store)
    asked = ((ANN, 100), (ANN, 600), (Account(8, "bob"), 500))
    assert await asyncio.gather(*(store.admit(*one) for one in asked)) == [True, False, True]


def delivery(number: int, content: bytes | Uploaded, sender: str = "a") -> Delivery:
    local = (LocalRecipient(7, "ann@local", "Sent", seen=True),)
    asked = envelope.Request(Return.HEADERS, "an id", body=Body.EIGHT_BIT, priority=-3)
    queue = (Recipient("b@there", "rfc822;b@here", frozenset({Notify.DELAY}), "srs@here"),)
    arrival = Arrival("id", "192.0.2.1", "client.example", "spf=pass")
    return Delivery(
        b"%d" % number, sender, content, local, queue, "signed", "trace", asked, arrival
    )


async def test_deliveries_travel_together_and_fail_apart(behind: Behind) -> None:
    store = RemoteStore(behind.store)
    results = await asyncio.gather(
        *(store.deliver(delivery(number, b"x" * 10_000)) for number in range(300)),
        store.deliver(delivery(300, b"x", "nobody")),
        return_exceptions=True,
    )
    assert results[:300] == [None] * 300
    assert isinstance(results[300], PostroomError)
    assert results[300].kind is Kind.TOO_LARGE
    sizes = [
        sum(len(one.content) for one in request.deliveries)
        for request in behind.deliveries.requests
    ]
    assert max(sizes) <= DELIVER_BYTES
    assert len(sizes) <= 8
    sent = behind.deliveries.requests[0].deliveries[0]
    (local,) = sent.local
    assert (sent.idempotency_key, local.account_id) == (b"0", 7)
    assert (local.mailbox, local.seen) == ("Sent", True)
    (queued,) = sent.queue
    assert (queued.address, queued.original, queued.sender) == (
        "b@there",
        "rfc822;b@here",
        "srs@here",
    )
    assert list(queued.notify) == [delivery_pb2.NOTIFY_DELAY]
    assert (sent.submitter_ticket, sent.reception.verdict) == ("signed", "spf=pass")
    assert sent.request == delivery_pb2.Request(
        ret="RETURN_HEADERS", envid="an id", body="BODY_8BITMIME", priority=-3
    )


async def test_a_large_content_is_uploaded(behind: Behind) -> None:
    store = RemoteStore(behind.store)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 250_000

    uploaded = await store.upload(pieces())
    await store.deliver(delivery(1, uploaded))
    assert len(behind.deliveries.uploaded) == 5_000_000
    assert behind.deliveries.requests[0].deliveries[0].upload_id == b"u"


async def test_a_service_that_is_away_is_unavailable(behind: Behind, tmp_path: Path) -> None:
    await check(behind.auth)
    channel = Channel(f"127.0.0.1:{free_port()}", "store", _tls(tmp_path, "smtp"))
    with pytest.raises(PostroomError) as away:
        await RemoteStore(channel).deliver(delivery(1, b"x"))
    assert away.value.kind is Kind.UNAVAILABLE
    await channel.close()
