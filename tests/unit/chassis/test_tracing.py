"""A trace goes on in the service that is called, in whichever way it is called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from postroom.store.v1 import maildrop_pb2, maildrop_pb2_grpc
from postroom_chassis import tracing
from postroom_chassis.rpc.client import Channel, ticketed
from postroom_chassis.rpc.server import Call, Server
from postroom_chassis.tickets import TicketVerifier, read_verification_keys

from tests.harness.services import Certificates

MAILDROP = maildrop_pb2.DESCRIPTOR.services_by_name["MaildropService"]
OURS = 0x0AF7651916CD43DD8448EB211C80319C
OTHERS = 0x4BF92F3577B34DA6A3CE929D0E0E4736


class Noting:
    """Notes under which trace each call is served, as a line that it logs would say."""

    def __init__(self) -> None:
        self.noted: list[int] = []

    def _note(self) -> None:
        self.noted.append(trace.get_current_span().get_span_context().trace_id)

    async def Lock(
        self, request: maildrop_pb2.LockRequest, call: Call
    ) -> AsyncIterator[maildrop_pb2.LockResponse]:
        self._note()
        yield maildrop_pb2.LockResponse()

    async def RenewLease(
        self, request: maildrop_pb2.RenewLeaseRequest, call: Call
    ) -> maildrop_pb2.RenewLeaseResponse:
        self._note()
        return maildrop_pb2.RenewLeaseResponse()

    async def Retrieve(
        self, request: maildrop_pb2.RetrieveRequest, call: Call
    ) -> AsyncIterator[maildrop_pb2.RetrieveResponse]:
        self._note()
        yield maildrop_pb2.RetrieveResponse()

    async def Commit(
        self, request: maildrop_pb2.CommitRequest, call: Call
    ) -> maildrop_pb2.CommitResponse:
        self._note()
        return maildrop_pb2.CommitResponse()


@contextmanager
def within(trace_id: int) -> Iterator[None]:
    """As a connection whose span has this trace."""
    context = SpanContext(trace_id, 0xB7AD6B7169203331, is_remote=False, trace_flags=TraceFlags(0))
    with trace.use_span(NonRecordingSpan(context)):
        yield


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def served(certificates: Certificates, noting: Noting) -> AsyncIterator[Channel]:
    key = (certificates.folder / "ticket.pub").read_bytes()
    server = Server(certificates.tls("store"), TicketVerifier(read_verification_keys([key])))
    server.add(MAILDROP, noting)
    port = await server.start("127.0.0.1:0")
    try:
        async with certificates.channel(port, "store", "pop3") as channel:
            yield channel
    finally:
        await server.stop(0)


async def test_unary_calls_share_a_stream_and_no_trace(certificates: Certificates) -> None:
    noting = Noting()
    ticket = ticketed(certificates.ticket(7, scope="maildrop"))
    async with served(certificates, noting) as channel:
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        for trace_id in (OURS, OTHERS):
            with within(trace_id):
                await stub.Commit(maildrop_pb2.CommitRequest(), metadata=ticket)

    assert noting.noted == [OURS, OTHERS]


async def test_streams_carry_the_trace(certificates: Certificates) -> None:
    noting = Noting()
    ticket = ticketed(certificates.ticket(7, scope="maildrop"))
    async with served(certificates, noting) as channel:
        stub = channel.stub(maildrop_pb2_grpc.MaildropServiceStub)
        for trace_id in (OURS, OTHERS):
            with within(trace_id):
                async for _ in stub.Retrieve(maildrop_pb2.RetrieveRequest(), metadata=ticket):
                    pass

    assert noting.noted == [OURS, OTHERS]


def test_a_header_names_the_current_span() -> None:
    assert tracing.traceparent() == ""
    with within(OURS):
        assert tracing.traceparent() == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        "00-xyz-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    ],
)
def test_what_is_not_a_traceparent_is_left_alone(header: str) -> None:
    assert tracing.parse_traceparent(header) is None
