"""DeliveryService: mail that comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from postroom.store.v1 import delivery_pb2, message_pb2
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from postroom_chassis.rpc.server import Call
from postroom_chassis.tickets import SCOPE_SUBMIT, TicketVerifier

from postroom_store import delivery
from postroom_store.answers import once
from postroom_store.database import Readers
from postroom_store.delivery import (
    Arrival,
    Delivery,
    LocalRecipient,
    RemoteRecipient,
    domain_of,
)
from postroom_store.domain.names import INBOX, canonical
from postroom_store.ingest import Content
from postroom_store.transaction import NO_ACCOUNT, Transaction
from postroom_store.uploads import Contents
from postroom_store.writer import Writers

log = logs.logger(__name__)

MOST_MAILBOXES = 1000
MOST_DELIVERIES = 1000
MOST_RECIPIENTS = 10_000
INLINE_BYTES = (1024 + 64) * 1024  # a mebibyte with its trace fields
MOST_ADDRESS = 1024  # characters; paths have at most 256 octets (RFC 5321 section 4.5.3.1.3)
MOST_NAME = 255  # characters of what is only kept to be looked at
MOST_VERDICT = 4096
MOST_REQUEST = 4096  # octets


class DeliveryService:
    """See protos/postroom/store/v1/delivery.proto."""

    def __init__(
        self, readers: Readers, writers: Writers, contents: Contents, verifier: TicketVerifier
    ) -> None:
        self._verifier = verifier
        self._readers = readers
        self._writers = writers
        self._contents = contents

    async def Admit(
        self, request: delivery_pb2.AdmitRequest, call: Call
    ) -> delivery_pb2.AdmitResponse:
        if len(request.mailboxes) > MOST_MAILBOXES:
            raise PostroomError(Kind.INVALID, f"more than {MOST_MAILBOXES} mailboxes")
        wanted = [
            (mailbox.account_id, Quota(mailbox.quota_bytes, mailbox.quota_messages))
            for mailbox in request.mailboxes
        ]
        admitted = await self._readers.run(lambda c: delivery.admit(c, wanted, request.size))
        return delivery_pb2.AdmitResponse(admitted=admitted)

    async def Upload(
        self, requests: AsyncIterator[message_pb2.UploadRequest], call: Call
    ) -> message_pb2.UploadResponse:
        (upload_id,), size = await self._contents.upload(
            NO_ACCOUNT, ((request.data, False) async for request in requests)
        )
        return message_pb2.UploadResponse(upload_id=upload_id, size=size)

    async def Deliver(
        self, request: delivery_pb2.DeliverRequest, call: Call
    ) -> delivery_pb2.DeliverResponse:
        if len(request.deliveries) > MOST_DELIVERIES:
            raise PostroomError(Kind.INVALID, f"more than {MOST_DELIVERIES} deliveries")
        if sum(len(each.content) for each in request.deliveries) > INLINE_BYTES:
            raise PostroomError(Kind.INVALID, "more than 1 MiB must be uploaded first")
        results = await asyncio.gather(*map(self._deliver, request.deliveries))
        return delivery_pb2.DeliverResponse(results=results)

    async def _deliver(self, incoming: delivery_pb2.Delivery) -> delivery_pb2.DeliveryResult:
        try:
            return await self._take(incoming)
        except PostroomError as error:
            return delivery_pb2.DeliveryResult(error_kind=error.kind, error_message=error.message)
        except Exception:
            log.exception("delivery.failed")
            return delivery_pb2.DeliveryResult(
                error_kind=Kind.INTERNAL, error_message="something went wrong here"
            )

    async def _take(self, incoming: delivery_pb2.Delivery) -> delivery_pb2.DeliveryResult:
        if not 0 < len(incoming.local) + len(incoming.queue) <= MOST_RECIPIENTS:
            raise PostroomError(Kind.INVALID, f"1 to {MOST_RECIPIENTS} recipients are needed")
        if len(incoming.sender) > MOST_ADDRESS:
            raise PostroomError(Kind.INVALID, f"an address has at most {MOST_ADDRESS} characters")
        if incoming.WhichOneof("source") != "upload_id":
            return await self._keep(incoming, await self._contents.prepare(incoming.content))
        async with self._contents.large:
            content = await self._contents.uploaded(NO_ACCOUNT, incoming.upload_id)
            return await self._keep(incoming, content)

    def _submitter(self, token: str) -> int:
        if not token:
            return NO_ACCOUNT
        ticket = self._verifier.verify(token)
        if SCOPE_SUBMIT not in ticket.scopes:
            raise PostroomError(Kind.DENIED, "the ticket is for something else")
        return ticket.account_id

    async def _keep(
        self, incoming: delivery_pb2.Delivery, content: Content
    ) -> delivery_pb2.DeliveryResult:
        wanted = Delivery(
            content,
            incoming.sender,
            [
                LocalRecipient(
                    one.account_id, canonical(one.mailbox) if one.mailbox else INBOX, one.seen
                )
                for one in incoming.local
            ],
            [_remote(one) for one in incoming.queue],
            self._submitter(incoming.submitter_ticket),
            incoming.trace_id,
            _request(incoming.request),
            max(incoming.request.hold_until, 0),
            _arrival(incoming.reception),
            incoming.request.priority,
        )

        def deliver(transaction: Transaction) -> bytes:
            queue_ids = delivery.deliver(transaction, wanted)
            return delivery_pb2.DeliveryResult(queue_ids=queue_ids).SerializeToString()

        operation = once(wanted.home, incoming.idempotency_key, deliver)
        answer = await self._writers.run(wanted.home, operation)
        return delivery_pb2.DeliveryResult.FromString(answer)


def _remote(recipient: delivery_pb2.QueueRecipient) -> RemoteRecipient:
    asked = set(recipient.notify)
    if delivery_pb2.NOTIFY_NEVER in asked and len(asked) > 1:
        raise PostroomError(Kind.INVALID, "NEVER stands alone (RFC 3461 section 4.1)")
    if not asked <= set(delivery_pb2.Notify.values()):
        raise PostroomError(Kind.INVALID, "no such Notify")
    texts = (recipient.address, recipient.original, recipient.sender)
    if max(map(len, texts)) > MOST_ADDRESS:
        raise PostroomError(Kind.INVALID, f"an address has at most {MOST_ADDRESS} characters")
    if not domain_of(recipient.address):
        raise PostroomError(Kind.INVALID, "an address elsewhere has a domain")
    notify = sum(1 << value for value in asked if value)
    return RemoteRecipient(recipient.address, recipient.original, notify, recipient.sender)


def _request(request: delivery_pb2.Request) -> bytes:
    encoded = request.SerializeToString()
    if len(encoded) > MOST_REQUEST:
        raise PostroomError(Kind.INVALID, f"a request has at most {MOST_REQUEST} octets")
    return encoded


def _arrival(reception: delivery_pb2.Reception) -> Arrival:
    return Arrival(
        reception.message_id[:MOST_NAME],
        reception.client[:MOST_NAME],
        reception.name[:MOST_NAME],
        reception.verdict[:MOST_VERDICT],
    )
