"""A whole store, and the stubs of those who call it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from postroom.store.v1 import (
    admin_pb2_grpc,
    change_pb2_grpc,
    delivery_pb2_grpc,
    mailbox_pb2_grpc,
    maildrop_pb2_grpc,
    message_pb2,
    message_pb2_grpc,
    queue_pb2_grpc,
    screening_pb2_grpc,
    sending_pb2_grpc,
    trace_pb2_grpc,
    url_pb2_grpc,
)
from postroom_chassis.rpc.client import Metadata, ticketed
from postroom_store.__main__ import start
from postroom_store.settings import StoreSettings

from tests.harness.services import Certificates, running

ANN = 7


@dataclass
class Callers:
    """The store's stubs, each on a channel of the service that may use it."""

    certificates: Certificates
    messages: message_pb2_grpc.MessageServiceAsyncStub
    mailboxes: mailbox_pb2_grpc.MailboxServiceAsyncStub
    changes: change_pb2_grpc.ChangeServiceAsyncStub
    maildrop: maildrop_pb2_grpc.MaildropServiceAsyncStub
    delivery: delivery_pb2_grpc.DeliveryServiceAsyncStub
    queue: queue_pb2_grpc.QueueServiceAsyncStub
    admin: admin_pb2_grpc.AdminServiceAsyncStub
    urls: url_pb2_grpc.UrlServiceAsyncStub
    sending: sending_pb2_grpc.SendingServiceAsyncStub
    screening: screening_pb2_grpc.ScreeningServiceAsyncStub
    trace: trace_pb2_grpc.TraceServiceAsyncStub
    submitted: url_pb2_grpc.UrlServiceAsyncStub

    def ticket(self, account_id: int = ANN, **claims: int) -> Metadata:
        return ticketed(self.certificates.ticket(account_id, **claims))  # type: ignore[arg-type]

    async def open(self, name: str = "INBOX") -> message_pb2.OpenResponse:
        """A small mailbox, in one response."""
        answers = [
            answer
            async for answer in self.messages.Open(
                message_pb2.OpenRequest(name=name), metadata=self.ticket()
            )
        ]
        assert len(answers) == 1
        return answers[0]

    async def content(self, mailbox_id: int, uid: int) -> bytes:
        """The whole of one message."""
        request = message_pb2.FetchRequest(
            mailbox_id=mailbox_id,
            uids=[message_pb2.UidRange(first=uid, last=uid)],
            sections=[message_pb2.Section()],
        )
        pieces = [
            piece
            async for answer in self.messages.Fetch(request, metadata=self.ticket())
            for piece in answer.sections[0].data
        ]
        return b"".join(pieces)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["sql", "fs"])
def blobs(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def store(
    database_url: str, blobs: str, certificates: Certificates, tmp_path: Path
) -> AsyncIterator[Callers]:
    settings = StoreSettings(
        **certificates.settings("store"),
        database_url=database_url,
        ticket_public_keys=str(certificates.folder / "ticket.pub"),
        blobs=blobs,
        blob_folder=tmp_path / "blobs",
        blob_inline_bytes=1000,
        message_bytes=8 * 1024 * 1024,
    )
    async with running(settings, start) as service, AsyncExitStack() as stack:
        channels = {
            caller: await stack.enter_async_context(
                certificates.channel(service.ports["rpc"], "store", caller)
            )
            for caller in ("imap", "pop3", "smtp", "admin")
        }
        yield Callers(
            certificates,
            channels["imap"].stub(message_pb2_grpc.MessageServiceStub),
            channels["imap"].stub(mailbox_pb2_grpc.MailboxServiceStub),
            channels["imap"].stub(change_pb2_grpc.ChangeServiceStub),
            channels["pop3"].stub(maildrop_pb2_grpc.MaildropServiceStub),
            channels["smtp"].stub(delivery_pb2_grpc.DeliveryServiceStub),
            channels["admin"].stub(queue_pb2_grpc.QueueServiceStub),
            channels["admin"].stub(admin_pb2_grpc.AdminServiceStub),
            channels["imap"].stub(url_pb2_grpc.UrlServiceStub),
            channels["smtp"].stub(sending_pb2_grpc.SendingServiceStub),
            channels["smtp"].stub(screening_pb2_grpc.ScreeningServiceStub),
            channels["admin"].stub(trace_pb2_grpc.TraceServiceStub),
            channels["smtp"].stub(url_pb2_grpc.UrlServiceStub),
        )
