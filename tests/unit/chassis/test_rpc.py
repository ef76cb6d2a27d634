"""RPC as services use it: real servers on loopback, real mutual TLS."""

from __future__ import annotations

import asyncio
import datetime
import gc
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from postroom.store.v1 import maildrop_pb2, maildrop_pb2_grpc, message_pb2, message_pb2_grpc
from postroom_chassis.certificates import CERTIFICATE_DAYS, make_development_certificates
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.followed_files import CHECK_SECONDS
from postroom_chassis.rpc import progress
from postroom_chassis.rpc.client import Channel, Metadata, ticketed, together
from postroom_chassis.rpc.server import Call, Server
from postroom_chassis.settings import Tls
from postroom_chassis.tickets import (
    Ticket,
    TicketSigner,
    TicketVerifier,
    read_signing_key,
    read_verification_keys,
)

MAILDROP = maildrop_pb2.DESCRIPTOR.services_by_name["MaildropService"]
MESSAGE = message_pb2.DESCRIPTOR.services_by_name["MessageService"]
LATER = 4_000_000_000


def with_unknown_field(content: bytes) -> maildrop_pb2.CommitResponse:
    """An answer that bears a field of a newer service: number 99, of bytes."""
    length, prefix = len(content), bytearray(b"\x9a\x06")
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return maildrop_pb2.CommitResponse.FromString(bytes(prefix) + content)


class Maildrops:
    """Answers what the tests ask; `Commit` raises what the lease's name says."""

    def __init__(self) -> None:
        self.released = asyncio.Event()  # what `Commit` of "long" and `Lock` of "long" wait for

    async def Lock(
        self, request: maildrop_pb2.LockRequest, call: Call
    ) -> AsyncIterator[maildrop_pb2.LockResponse]:
        call.progress(5, 10)
        await asyncio.sleep(0)
        yield maildrop_pb2.LockResponse(lease_id=call.ticket.address.encode())
        if call.ticket.address.startswith("long"):
            await self.released.wait()
        yield maildrop_pb2.LockResponse(uids=[1, 2, 3])

    async def RenewLease(
        self, request: maildrop_pb2.RenewLeaseRequest, call: Call
    ) -> maildrop_pb2.RenewLeaseResponse:
        await asyncio.sleep(3600)
        return maildrop_pb2.RenewLeaseResponse()

    async def Retrieve(
        self, request: maildrop_pb2.RetrieveRequest, call: Call
    ) -> AsyncIterator[maildrop_pb2.RetrieveResponse]:
        raise PostroomError(Kind.LEASE_LOST, "somebody else has it")
        yield maildrop_pb2.RetrieveResponse()

    async def Commit(
        self, request: maildrop_pb2.CommitRequest, call: Call
    ) -> maildrop_pb2.CommitResponse:
        match request.lease_id:
            case b"slow":
                await asyncio.to_thread(call.progress, 1, 3)
                call.progress(2, 3)
                call.progress(3, 3)  # the end is told by the answer
                await asyncio.sleep(0)
            case b"long":
                await self.released.wait()
            case b"crash":
                raise RuntimeError("the secret of this house")
            case b"huge":
                return with_unknown_field(bytes(64 * 1024 * 1024))
            case b"busy":
                raise PostroomError(Kind.IN_USE, "not now")
        return maildrop_pb2.CommitResponse(removed=len(request.deleted_uids))


def tls(folder: Path, service: str) -> Tls:
    return Tls(
        certificate=folder / f"{service}.pem",
        key=folder / f"{service}.key",
        authority=folder / "ca.pem",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificates")
    make_development_certificates(path)
    return path


def sign(
    folder: Path, scope: str = "maildrop", expires_at: int = LATER, address: str = "ann@example.org"
) -> str:
    signer = TicketSigner(read_signing_key((folder / "ticket.key").read_bytes()))
    return signer.sign(Ticket(7, address, frozenset({scope}), expires_at))


@asynccontextmanager
async def served(
    folder: Path,
    caller: str = "pop3",
    maildrops: Maildrops | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[tuple[Channel, int]]:
    verifier = TicketVerifier(read_verification_keys([(folder / "ticket.pub").read_bytes()]))
    server = Server(tls(folder, "store"), verifier)
    server.add(MAILDROP, maildrops or Maildrops())
    port = await server.start("127.0.0.1:0")
    channel = Channel(f"127.0.0.1:{port}", "store", tls(folder, caller), clock)
    try:
        yield channel, port
    finally:
        await channel.close()
        await server.stop(0)


async def test_a_unary_call_is_answered(folder: Path) -> None:
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        answer = await stub.Commit(
            maildrop_pb2.CommitRequest(deleted_uids=[4, 5]), metadata=ticketed(sign(folder))
        )
        assert answer.removed == 2


class Listener:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def hear(self, done: int, goal: int) -> None:
        self.told.append((done, goal))


async def test_the_progress_of_a_task_s_calls_is_heard(folder: Path) -> None:
    listener = Listener()
    metadata = ticketed(sign(folder))
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)

        async def calls() -> None:
            progress.hear(listener.hear)
            await stub.Commit(maildrop_pb2.CommitRequest(lease_id=b"slow"), metadata=metadata)
            assert listener.told == [(1, 3), (2, 3)]
            locked = stub.Lock(maildrop_pb2.LockRequest(), metadata=together(metadata, 0))
            assert len([answer async for answer in locked]) == 2
            assert listener.told[2:] == [(5, 10)]
            alone = stub.Lock(maildrop_pb2.LockRequest(), metadata=metadata)
            assert len([answer async for answer in alone]) == 2

        await asyncio.create_task(calls())
        # Others don't hear it, and neither does who is gone.
        await stub.Commit(maildrop_pb2.CommitRequest(lease_id=b"slow"), metadata=metadata)
        assert len(listener.told) == 3


async def test_who_listens_is_not_kept_alive() -> None:
    async def look() -> None:
        listener = Listener()
        progress.hear(listener.hear)
        assert progress.listener() == listener.hear
        del listener
        gc.collect()
        assert progress.listener() is None

    await asyncio.create_task(look())


async def test_a_unary_call_by_itself_means_the_same_as_on_the_stream(folder: Path) -> None:
    async with served(folder) as (channel, _):
        stub = maildrop_pb2_grpc.MaildropServiceStub(channel.plain)
        answer = await stub.Commit(
            maildrop_pb2.CommitRequest(deleted_uids=[4]), metadata=ticketed(sign(folder))
        )
        assert answer.removed == 1
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Commit(maildrop_pb2.CommitRequest(lease_id=b"busy"))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        rich = rpc_status.from_call(refused.value)
        assert rich is not None
        reason = ErrorInfo()
        assert rich.details[0].Unpack(reason)
        assert (reason.domain, reason.reason) == ("postroom", "UNAUTHENTICATED")


async def test_a_hundred_calls_at_once_get_their_own_answers(folder: Path) -> None:
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        ticket = ticketed(sign(folder))
        answers = await asyncio.gather(
            *(
                stub.Commit(maildrop_pb2.CommitRequest(deleted_uids=range(size)), metadata=ticket)
                for size in range(100)
            )
        )
        assert [answer.removed for answer in answers] == list(range(100))


@pytest.mark.parametrize(
    ("ticket", "kind"),
    [
        ("", Kind.UNAUTHENTICATED),
        ("garbage", Kind.UNAUTHENTICATED),
        ("expired", Kind.EXPIRED),
        ("submit", Kind.DENIED),
    ],
)
async def test_a_ticket_is_needed(folder: Path, ticket: str, kind: Kind) -> None:
    token = {
        "expired": sign(folder, expires_at=1_000_000),
        "submit": sign(folder, scope="submit"),
    }.get(ticket, ticket)
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        with pytest.raises(PostroomError) as refused:
            await stub.Commit(maildrop_pb2.CommitRequest(), metadata=ticketed(token))
        assert refused.value.kind is kind


async def test_a_service_that_may_not_call_is_denied(folder: Path) -> None:
    async with served(folder, caller="smtp") as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        with pytest.raises(PostroomError) as refused:
            await stub.Commit(maildrop_pb2.CommitRequest(), metadata=ticketed(sign(folder)))
        assert refused.value.kind is Kind.DENIED
        with pytest.raises(PostroomError) as refused:
            async for _ in stub.Lock(maildrop_pb2.LockRequest(), metadata=ticketed(sign(folder))):
                pass
        assert refused.value.kind is Kind.DENIED


async def test_errors_keep_their_kind_and_crashes_tell_nothing(folder: Path) -> None:
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        ticket = ticketed(sign(folder))
        with pytest.raises(PostroomError) as busy:
            await stub.Commit(maildrop_pb2.CommitRequest(lease_id=b"busy"), metadata=ticket)
        assert (busy.value.kind, busy.value.message) == (Kind.IN_USE, "not now")
        with pytest.raises(PostroomError) as crash:
            await stub.Commit(maildrop_pb2.CommitRequest(lease_id=b"crash"), metadata=ticket)
        assert crash.value.kind is Kind.INTERNAL
        assert "secret" not in crash.value.message
        with pytest.raises(PostroomError) as lost:
            async for _ in stub.Retrieve(maildrop_pb2.RetrieveRequest(), metadata=ticket):
                pass
        assert lost.value.kind is Kind.LEASE_LOST


async def test_a_stream_of_responses_arrives(folder: Path) -> None:
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        answers = [
            answer
            async for answer in stub.Lock(
                maildrop_pb2.LockRequest(), metadata=ticketed(sign(folder))
            )
        ]
        assert answers[0].lease_id == b"ann@example.org"
        assert list(answers[1].uids) == [1, 2, 3]


async def test_a_deadline_ends_a_call(folder: Path) -> None:
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        with pytest.raises(PostroomError) as late:
            await stub.RenewLease(
                maildrop_pb2.RenewLeaseRequest(), timeout=0.1, metadata=ticketed(sign(folder))
            )
        assert late.value.kind is Kind.DEADLINE


async def answers(stub: maildrop_pb2_grpc.MaildropServiceAsyncStub, ticket: Metadata) -> bool:
    try:
        await stub.Commit(maildrop_pb2.CommitRequest(), metadata=ticket)
    except PostroomError as error:
        if error.kind is not Kind.UNAVAILABLE:
            raise
        return False
    return True


async def test_a_service_that_is_away_is_unavailable_and_comes_back(folder: Path) -> None:
    async with served(folder) as (_, port):
        pass
    channel = Channel(f"127.0.0.1:{port}", "store", tls(folder, "pop3"))
    stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
    ticket = ticketed(sign(folder))
    with pytest.raises(PostroomError) as away:
        await stub.Commit(maildrop_pb2.CommitRequest(), metadata=ticket)
    assert away.value.kind is Kind.UNAVAILABLE
    verifier = TicketVerifier(read_verification_keys([(folder / "ticket.pub").read_bytes()]))
    server = Server(tls(folder, "store"), verifier)
    server.add(MAILDROP, Maildrops())
    await server.start(f"127.0.0.1:{port}")
    try:
        async with asyncio.timeout(10):
            while not await answers(stub, ticket):
                pass
    finally:
        await channel.close()
        await server.stop(0)


async def test_health_and_a_client_without_certificate(folder: Path) -> None:
    async with served(folder, caller="probe") as (channel, port):
        health = health_pb2_grpc.HealthStub(channel.plain)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        anonymous = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes())
        options = [("grpc.ssl_target_name_override", "store.postroom")]
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", anonymous, options) as stranger:
            with pytest.raises(grpc.aio.AioRpcError):
                await health_pb2_grpc.HealthStub(stranger).Check(
                    health_pb2.HealthCheckRequest(), timeout=5
                )


async def test_an_answer_too_long_to_be_sent_fails_its_own_call_alone(folder: Path) -> None:
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        ticket = ticketed(sign(folder))
        waiting = asyncio.create_task(
            stub.RenewLease(maildrop_pb2.RenewLeaseRequest(), metadata=ticket, timeout=60)
        )
        with pytest.raises(PostroomError) as refused:
            await stub.Commit(maildrop_pb2.CommitRequest(lease_id=b"huge"), metadata=ticket)
        assert refused.value.kind is Kind.LIMIT_EXCEEDED
        answer = await stub.Commit(maildrop_pb2.CommitRequest(), metadata=ticket)
        assert answer.removed == 0
        assert not waiting.done()
        waiting.cancel()


async def test_a_request_too_long_to_be_sent_fails_at_once(folder: Path) -> None:
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        with pytest.raises(PostroomError) as refused:
            await stub.Commit(
                maildrop_pb2.CommitRequest(lease_id=bytes(5_000_000)),
                metadata=ticketed(sign(folder)),
            )
        assert refused.value.kind is Kind.LIMIT_EXCEEDED


async def test_a_stop_answers_what_was_begun_and_takes_nothing_new(folder: Path) -> None:
    server = Server(
        tls(folder, "store"),
        TicketVerifier(read_verification_keys([(folder / "ticket.pub").read_bytes()])),
    )
    maildrops = Gated()
    server.add(MAILDROP, maildrops)
    port = await server.start("127.0.0.1:0")
    channel = Channel(f"127.0.0.1:{port}", "store", tls(folder, "pop3"))
    stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
    ticket = ticketed(sign(folder))
    begun = asyncio.create_task(stub.Commit(maildrop_pb2.CommitRequest(), metadata=ticket))
    await maildrops.begun.wait()

    stopping = asyncio.create_task(server.stop(60))
    await server.draining.wait()
    late = asyncio.create_task(stub.Commit(maildrop_pb2.CommitRequest(), metadata=ticket))
    maildrops.gate.set()

    assert (await begun).removed == 0
    with pytest.raises(PostroomError) as refused:
        await late
    assert refused.value.kind is Kind.UNAVAILABLE
    # The streams have ended, so nothing makes it wait for its 60 seconds.
    await asyncio.wait_for(stopping, 20)
    await channel.close()


class Gated(Maildrops):
    """Says when a commit has begun, and holds it back."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()

    async def Commit(
        self, request: maildrop_pb2.CommitRequest, call: Call
    ) -> maildrop_pb2.CommitResponse:
        self.begun.set()
        await self.gate.wait()
        return maildrop_pb2.CommitResponse()


async def test_an_upload_arrives(folder: Path) -> None:
    async def pieces() -> AsyncGenerator[message_pb2.UploadRequest, None]:
        for number in range(10):
            yield message_pb2.UploadRequest(data=b"%d" % number)

    async with uploads_served(folder) as (messages, channel):
        answer = await upload(folder, channel, pieces())
        assert answer.upload_id == b"0123456789"
        assert not messages.refused.is_set()


async def test_the_requests_of_an_upload_are_at_rest_when_it_has_failed(folder: Path) -> None:
    """Who goes on with their source, a client's connection, must be alone with it."""
    reading = closed = False

    async def pieces() -> AsyncGenerator[message_pb2.UploadRequest, None]:
        nonlocal reading, closed
        yield message_pb2.UploadRequest(data=b"refuse")
        reading = True
        try:
            await messages.refused.wait()
            await another_call(channel)  # by now the refusal is here as well
        finally:
            reading = False
        try:
            yield message_pb2.UploadRequest(data=b"in vain")
        finally:
            closed = True

    async with uploads_served(folder) as (messages, channel):
        with pytest.raises(PostroomError) as refused:
            await upload(folder, channel, pieces())
        assert (reading, closed) == (False, True)
        assert refused.value.kind is Kind.LIMIT_EXCEEDED


async def test_what_the_requests_of_an_upload_raise_is_raised(folder: Path) -> None:
    async def pieces() -> AsyncGenerator[message_pb2.UploadRequest, None]:
        yield message_pb2.UploadRequest(data=b"begun")
        raise ConnectionResetError("the client is gone")

    async with uploads_served(folder) as (_, channel):
        with pytest.raises(ConnectionResetError):
            await upload(folder, channel, pieces())


class Messages:
    """Answers an upload with what came, unless its first piece asks for a refusal."""

    def __init__(self) -> None:
        self.refused = asyncio.Event()

    def __getattr__(self, rpc: str) -> Callable[..., Awaitable[None]]:
        """What the tests don't call."""

        async def unsupported(request: object, call: Call) -> None:
            raise PostroomError(Kind.UNSUPPORTED, rpc)

        return unsupported

    async def Upload(
        self, requests: AsyncIterator[message_pb2.UploadRequest], call: Call
    ) -> message_pb2.UploadResponse:
        content = b""
        async for request in requests:
            content += request.data
            if content == b"refuse":
                self.refused.set()
                raise PostroomError(Kind.LIMIT_EXCEEDED, "no room")
        return message_pb2.UploadResponse(upload_id=content)


@asynccontextmanager
async def uploads_served(folder: Path) -> AsyncIterator[tuple[Messages, Channel]]:
    verifier = TicketVerifier(read_verification_keys([(folder / "ticket.pub").read_bytes()]))
    server = Server(tls(folder, "store"), verifier)
    messages = Messages()
    server.add(MESSAGE, messages)
    port = await server.start("127.0.0.1:0")
    channel = Channel(f"127.0.0.1:{port}", "store", tls(folder, "imap"))
    try:
        yield messages, channel
    finally:
        await channel.close()
        await server.stop(0)


async def upload(
    folder: Path, channel: Channel, requests: AsyncGenerator[message_pb2.UploadRequest, None]
) -> message_pb2.UploadResponse:
    stub = channel.stub(message_pb2_grpc.MessageServiceStub)
    return await stub.Upload(requests, metadata=ticketed(sign(folder, scope="mail")))


async def another_call(channel: Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel.plain)
    await health.Check(health_pb2.HealthCheckRequest())


@pytest.mark.parametrize("most", [0, 4, 1_000_000])
async def test_a_short_stream_comes_with_other_calls(folder: Path, most: int) -> None:
    """Of 4 bytes at most it is too long, and comes by itself after all."""
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        metadata = together(ticketed(sign(folder)), most)
        told = [one async for one in stub.Lock(maildrop_pb2.LockRequest(), metadata=metadata)]
        assert [one.lease_id for one in told] == [b"ann@example.org", b""]
        assert list(told[1].uids) == [1, 2, 3]


async def test_a_short_stream_fails_like_any_other(folder: Path) -> None:
    async with served(folder) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        request = maildrop_pb2.RetrieveRequest()
        with pytest.raises(PostroomError) as refused:
            async for _ in stub.Retrieve(request, metadata=together(ticketed(sign(folder)), 0)):
                pass
        assert refused.value.kind is Kind.LEASE_LOST
        with pytest.raises(PostroomError) as refused:
            async for _ in stub.Retrieve(request, metadata=together((), 0)):
                pass
        assert refused.value.kind is Kind.UNAUTHENTICATED


@pytest.fixture
def soon_over(tmp_path: Path) -> tuple[Path, datetime.datetime]:
    """Certificates that are good for some seconds, and when they end."""
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=4)
    folder = tmp_path / "certificates"
    make_development_certificates(folder, now=ends - datetime.timedelta(days=CERTIFICATE_DAYS))
    return folder, ends


async def test_calls_go_on_where_certificates_end_and_others_take_their_place(
    soon_over: tuple[Path, datetime.datetime], tmp_path: Path
) -> None:
    (folder, ends), former = soon_over, tmp_path / "former"
    shutil.copytree(folder, former)
    maildrops, now = Maildrops(), 0.0
    async with served(folder, maildrops=maildrops, clock=lambda: now) as (channel, port):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        ticket = ticketed(sign(folder))
        long = ticketed(sign(folder, address="long@example.org"))
        stream = stub.Lock(maildrop_pb2.LockRequest(), metadata=long)
        assert (await anext(stream)).lease_id == b"long@example.org"
        waiting = maildrop_pb2.CommitRequest(lease_id=b"long", deleted_uids=[1])
        under_way = asyncio.create_task(stub.Commit(waiting, metadata=ticket))
        assert await answers(stub, ticket)
        old = channel.plain

        left = ends - datetime.datetime.now(datetime.UTC)
        await asyncio.sleep(left.total_seconds() + 0.1)
        late = Channel(f"127.0.0.1:{port}", "store", tls(former, "pop3"))
        assert not await answers(late.stub(maildrop_pb2_grpc.MaildropServiceStub), ticket)
        await late.close()
        make_development_certificates(folder)
        now += CHECK_SECONDS + 1

        assert await answers(stub, ticket)
        assert channel.plain is not old
        assert old.get_state() is grpc.ChannelConnectivity.READY
        maildrops.released.set()
        assert (await under_way).removed == 1
        assert list((await anext(stream)).uids) == [1, 2, 3]
        assert [rest async for rest in stream] == []
        async with asyncio.timeout(10):
            while old.get_state() is not grpc.ChannelConnectivity.SHUTDOWN:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await answers(stub, ticket)


async def test_a_key_of_another_certificate_is_not_taken_up(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    for each in (folder, other):
        make_development_certificates(each)
    now = 0.0
    async with served(folder, clock=lambda: now) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        ticket, old = ticketed(sign(folder)), channel.plain
        own = (folder / "pop3.key").read_bytes()
        for content, taken_up in (((other / "pop3.key").read_bytes(), False), (own, True)):
            (folder / "pop3.key").write_bytes(content)
            now += CHECK_SECONDS + 1
            assert (channel.plain is not old) == taken_up
            assert await answers(stub, ticket)


async def test_a_channel_that_closes_ends_what_is_under_way_on_former_connections(
    tmp_path: Path,
) -> None:
    make_development_certificates(tmp_path)
    now = 0.0
    async with served(tmp_path, clock=lambda: now) as (channel, _):
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        waiting = maildrop_pb2.CommitRequest(lease_id=b"long")
        metadata = ticketed(sign(tmp_path))
        under_way = asyncio.create_task(stub.Commit(waiting, metadata=metadata))
        assert await answers(stub, metadata)
        (tmp_path / "pop3.pem").write_bytes((tmp_path / "pop3.pem").read_bytes())
        now += CHECK_SECONDS + 1
        assert await answers(stub, metadata)
        await channel.close()
        with pytest.raises(PostroomError) as ended:
            await under_way
        assert ended.value.kind is Kind.UNAVAILABLE
