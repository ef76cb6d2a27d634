"""What waits and what URLs open, over real gRPC with mutual TLS and tickets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from postroom.store.v1 import sending_pb2, url_pb2
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.server import Call, Server
from postroom_chassis.settings import Tls
from postroom_chassis.tickets import (
    Ticket,
    TicketSigner,
    TicketVerifier,
    read_signing_key,
    read_verification_keys,
)
from postroom_smtp.ports import Identity
from postroom_smtp.remote import RemoteUrls, RemoteWaiting

LATER = 4_000_000_000
Datum = url_pb2.FetchUrlsResponse.Datum


async def _nothing(_request: object, _call: Call) -> None:
    raise AssertionError


class Sending:
    """Seven wait for a domain, eight with those below it."""

    Lease = Extend = Read = Settle = staticmethod(_nothing)

    async def Hasten(
        self, request: sending_pb2.HastenRequest, call: Call
    ) -> sending_pb2.HastenResponse:
        assert request.domain == "uu.example"
        return sending_pb2.HastenResponse(waiting=7 + request.subdomains)


class UrlsOfTheStore:
    """One URL opens something, in three pieces."""

    Authorize = ResetKeys = staticmethod(_nothing)

    async def Fetch(
        self, request: url_pb2.FetchUrlsRequest, call: Call
    ) -> AsyncIterator[url_pb2.FetchUrlsResponse]:
        assert call.ticket.account_id == 7
        (wanted,) = request.urls
        assert list(wanted.items) == [url_pb2.FetchUrlsRequest.ITEM_BODY]
        if wanted.url != "imap://right":
            yield url_pb2.FetchUrlsResponse(data=[Datum(missing=True)])
            return
        yield url_pb2.FetchUrlsResponse(data=[Datum(data=b"one", more=True)])
        yield url_pb2.FetchUrlsResponse(data=[Datum(data=b"two", more=True), Datum(data=b"three")])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Channel]:
    make_development_certificates(tmp_path)
    verifier = TicketVerifier(read_verification_keys([(tmp_path / "ticket.pub").read_bytes()]))
    server = Server(_tls(tmp_path, "store"), verifier)
    server.add(sending_pb2.DESCRIPTOR.services_by_name["SendingService"], Sending())
    server.add(url_pb2.DESCRIPTOR.services_by_name["UrlService"], UrlsOfTheStore())
    async with AsyncExitStack() as stack:
        port = await server.start("127.0.0.1:0")
        stack.push_async_callback(server.stop, 0)
        channel = Channel(f"127.0.0.1:{port}", "store", _tls(tmp_path, "smtp"))
        stack.push_async_callback(channel.close)
        yield channel


def _tls(folder: Path, service: str) -> Tls:
    return Tls(
        certificate=folder / f"{service}.pem",
        key=folder / f"{service}.key",
        authority=folder / "ca.pem",
    )


def identity(folder: Path, scope: str = "submit") -> Identity:
    signer = TicketSigner(read_signing_key((folder / "ticket.key").read_bytes()))
    ticket = signer.sign(Ticket(7, "ann@example.org", frozenset({scope}), LATER, 0))
    return Identity(7, "ann@example.org", ticket)


async def test_a_domain_is_hastened(store: Channel) -> None:
    waiting = RemoteWaiting(store)
    assert await waiting.hasten("uu.example", subdomains=False) == 7
    assert await waiting.hasten("uu.example", subdomains=True) == 8


async def test_a_url_is_read_in_somebodys_name(store: Channel, tmp_path: Path) -> None:
    urls, ann = RemoteUrls(store), identity(tmp_path)
    assert [piece async for piece in urls.fetch(ann, "imap://right")] == [b"one", b"two", b"three"]
    with pytest.raises(PostroomError) as refused:
        [piece async for piece in urls.fetch(ann, "imap://wrong")]
    assert refused.value.kind is Kind.NOT_FOUND
    with pytest.raises(PostroomError) as refused:
        [piece async for piece in urls.fetch(identity(tmp_path, "quota"), "imap://right")]
    assert refused.value.kind is Kind.DENIED
