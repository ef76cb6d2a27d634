"""The ports over gRPC: auth and store as a session sees them.

What many connections ask at once travels together (`Coalescer`): resolutions, permissions, room,
deliveries. Answers of the directory are kept for two seconds, so that a sender that sends many
messages to one address asks once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

from grpc_health.v1 import health_pb2, health_pb2_grpc
from postroom.auth.v1 import authentication_pb2, directory_pb2, directory_pb2_grpc
from postroom.store.v1 import (
    delivery_pb2,
    delivery_pb2_grpc,
    message_pb2,
    sending_pb2,
    sending_pb2_grpc,
    url_pb2,
    url_pb2_grpc,
)
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_chassis.rpc.client import Channel, ticketed
from postroom_chassis.rpc.coalesce import Coalescer
from postroom_chassis.rpc.signing_in import SigningIn

from postroom_smtp.ports import (
    Account,
    Answer,
    Delivery,
    Identity,
    Resolution,
    Uploaded,
    Whereabouts,
)
from postroom_smtp.protocol.envelope import (
    NOTHING_ASKED,
    Body,
    Notify,
    Recipient,
    Request,
    Return,
)
from postroom_smtp.recent import Recent

DIRECTORY_SECONDS = 2.0
REMEMBERED = 10_000  # answers of the directory
MOST_ITEMS = 1_000  # in a call, by contract
DELIVER_BYTES = 1024 * 1024  # of contents in a call, by contract
DELIVER_LANES = 2  # while the store commits one batch, the next is on its way, if it is worth it
DELIVER_LEAST = 128 * 1024  # of contents in that next one

WHEREABOUTS = {
    directory_pb2.Resolution.KIND_LOCAL: Whereabouts.LOCAL,
    directory_pb2.Resolution.KIND_UNKNOWN: Whereabouts.UNKNOWN,
    directory_pb2.Resolution.KIND_FOREIGN: Whereabouts.FOREIGN,
    directory_pb2.Resolution.KIND_INVALID: Whereabouts.INVALID,
}
RETURN = {
    None: delivery_pb2.Request.RETURN_UNSPECIFIED,
    Return.FULL: delivery_pb2.Request.RETURN_FULL,
    Return.HEADERS: delivery_pb2.Request.RETURN_HEADERS,
}
BODY = {
    Body.SEVEN_BIT: delivery_pb2.Request.BODY_UNSPECIFIED,
    Body.EIGHT_BIT: delivery_pb2.Request.BODY_8BITMIME,
    Body.BINARY: delivery_pb2.Request.BODY_BINARYMIME,
}
NOTIFY = {
    Notify.NEVER: delivery_pb2.NOTIFY_NEVER,
    Notify.SUCCESS: delivery_pb2.NOTIFY_SUCCESS,
    Notify.FAILURE: delivery_pb2.NOTIFY_FAILURE,
    Notify.DELAY: delivery_pb2.NOTIFY_DELAY,
}


async def check(channel: Channel) -> None:
    """Raise unless the service at the other end says that it serves."""
    health = channel.stub(health_pb2_grpc.HealthStub)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise PostroomError(Kind.UNAVAILABLE, "it does not serve now")


class RemoteAuthenticator:
    """Authenticator over postroom.auth.v1.AuthenticationService."""

    def __init__(self, auth: Channel) -> None:
        self._auth = SigningIn(auth, "smtp")

    async def mechanisms(self, client: Client) -> Sequence[str]:
        return tuple((await self._auth.offer(client)).mechanisms)

    async def authenticate(
        self, client: Client, mechanism: str, initial: bytes | None, answer: Answer
    ) -> Identity:
        success = await self._auth.authenticate(client, mechanism, initial, answer)
        # RFC 4954 section 4: data that end an exchange travel as a last challenge.
        if success.additional_data:
            await answer(success.additional_data)
        return _identity(success.ticket)

    async def renew(self, identity: Identity) -> Identity:
        return _identity(await self._auth.renew(identity.ticket))


class RemoteDirectory:
    """Directory over postroom.auth.v1.DirectoryService."""

    def __init__(self, auth: Channel) -> None:
        self._stub = auth.stub(directory_pb2_grpc.DirectoryServiceStub)
        self._resolve = Coalescer(self._resolve_many, most=MOST_ITEMS)
        self._resolved = Recent[str, Resolution](DIRECTORY_SECONDS, REMEMBERED)
        self._permitted = Recent[tuple[int, str], bool](DIRECTORY_SECONDS, REMEMBERED)

    async def resolve(self, address: str) -> Resolution:
        resolution = self._resolved.get(address)
        if resolution is None:
            resolution = await self._resolve(address)
            if resolution is None:
                raise PostroomError(Kind.UNAVAILABLE, "its directory can't be asked now")
            # Who was unknown a moment ago may have been made since: only what is there is kept.
            if resolution.whereabouts is Whereabouts.LOCAL:
                self._resolved.put(address, resolution)
        return resolution

    async def may_send_as(self, account_id: int, address: str) -> bool:
        permitted = self._permitted.get((account_id, address))
        if permitted is None:
            request = directory_pb2.MaySendAsRequest(account_id=account_id, addresses=[address])
            permitted = (await self._stub.MaySendAs(request)).allowed[0]
            if permitted:
                self._permitted.put((account_id, address), permitted)
        return permitted

    async def _resolve_many(self, addresses: Sequence[str]) -> list[Resolution | None]:
        request = directory_pb2.ResolveRequest(addresses=addresses)
        answer = await self._stub.Resolve(request)
        return [_resolution(one) for one in answer.resolutions]


class RemoteStore:
    """Store over postroom.store.v1.DeliveryService."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(delivery_pb2_grpc.DeliveryServiceStub)
        self._admit = Coalescer(self._admit_many, most=MOST_ITEMS)
        self._deliver = Coalescer(
            self._deliver_many,
            size=_weight,
            most=DELIVER_BYTES,
            lanes=DELIVER_LANES,
            least=DELIVER_LEAST,
        )

    async def admit(self, account: Account, size: int) -> bool:
        return await self._admit((account, size))

    async def upload(self, pieces: AsyncIterator[bytes]) -> Uploaded:
        requests = (message_pb2.UploadRequest(data=piece) async for piece in pieces)
        return Uploaded((await self._stub.Upload(requests)).upload_id)

    async def deliver(self, delivery: Delivery) -> None:
        result = await self._deliver(_encoded(delivery))
        if result.error_kind:
            known = result.error_kind in Kind.__members__
            kind = Kind(result.error_kind) if known else Kind.INTERNAL
            raise PostroomError(kind, result.error_message)

    async def _admit_many(self, asked: Sequence[tuple[Account, int]]) -> list[bool]:
        # A call has one size for all mailboxes. Who has room for the largest has room; only who
        # hasn't is asked for by their own size.
        accounts = list({account: None for account, _ in asked})
        largest = max(size for _, size in asked)
        roomy = dict(zip(accounts, await self._ask(accounts, largest), strict=True))
        return [
            roomy[account] or (size < largest and (await self._ask([account], size))[0])
            for account, size in asked
        ]

    async def _ask(self, accounts: Sequence[Account], size: int) -> Sequence[bool]:
        mailboxes = [
            delivery_pb2.AdmitRequest.Mailbox(
                account_id=account.account_id,
                quota_bytes=account.quota_bytes,
                quota_messages=account.quota_messages,
            )
            for account in accounts
        ]
        request = delivery_pb2.AdmitRequest(mailboxes=mailboxes, size=size)
        return (await self._stub.Admit(request)).admitted

    async def _deliver_many(
        self, deliveries: Sequence[delivery_pb2.Delivery]
    ) -> Sequence[delivery_pb2.DeliveryResult]:
        request = delivery_pb2.DeliverRequest(deliveries=deliveries)
        return (await self._stub.Deliver(request)).results


class RemoteWaiting:
    """Waiting over postroom.store.v1.SendingService."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(sending_pb2_grpc.SendingServiceStub)

    async def hasten(self, domain: str, *, subdomains: bool) -> int:
        request = sending_pb2.HastenRequest(domain=domain, subdomains=subdomains)
        return (await self._stub.Hasten(request)).waiting


class RemoteUrls:
    """Urls over postroom.store.v1.UrlService."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(url_pb2_grpc.UrlServiceStub)

    async def fetch(self, identity: Identity, url: str) -> AsyncGenerator[bytes, None]:
        wanted = url_pb2.FetchUrlsRequest.Url(url=url, items=[_BODY])
        request = url_pb2.FetchUrlsRequest(urls=[wanted])
        call = self._stub.Fetch(request, metadata=ticketed(identity.ticket))
        async with aclosing(
            cast("AsyncGenerator[url_pb2.FetchUrlsResponse, None]", call)
        ) as responses:
            async for response in responses:
                for datum in response.data:
                    if datum.missing:
                        raise PostroomError(Kind.NOT_FOUND, "the URL opens nothing")
                    yield datum.data


_BODY = url_pb2.FetchUrlsRequest.ITEM_BODY


def _weight(delivery: delivery_pb2.Delivery) -> int:
    """Of a call that holds DELIVER_BYTES and MOST_ITEMS at most."""
    return max(delivery.ByteSize(), DELIVER_BYTES // MOST_ITEMS + 1)


def _encoded(delivery: Delivery) -> delivery_pb2.Delivery:
    encoded = delivery_pb2.Delivery(
        idempotency_key=delivery.key,
        sender=delivery.sender,
        local=[
            delivery_pb2.LocalRecipient(
                account_id=one.account_id, address=one.address, mailbox=one.mailbox, seen=one.seen
            )
            for one in delivery.local
        ],
        queue=map(_queue_recipient, delivery.queue),
        submitter_ticket=delivery.submitter,
        trace_id=delivery.trace_id,
        request=_request(delivery.request),
        reception=delivery_pb2.Reception(
            message_id=delivery.arrival.message_id,
            client=delivery.arrival.client,
            name=delivery.arrival.name,
            verdict=delivery.arrival.verdict,
        ),
    )
    if isinstance(delivery.content, Uploaded):
        encoded.upload_id = delivery.content.upload_id
    else:
        encoded.content = delivery.content
    return encoded


def _queue_recipient(recipient: Recipient) -> delivery_pb2.QueueRecipient:
    return delivery_pb2.QueueRecipient(
        address=recipient.address,
        original=recipient.original,
        notify=[NOTIFY[each] for each in recipient.notify],
        sender=recipient.sender or "",
    )


def _request(request: Request) -> delivery_pb2.Request | None:
    if request == NOTHING_ASKED:
        return None
    return delivery_pb2.Request(
        ret=RETURN[request.ret],
        envid=request.envid,
        require_tls=request.require_tls,
        smtputf8=request.smtputf8,
        body=BODY[request.body],
        hold_until=request.hold_until,
        deliver_by=request.deliver_by,
        by_returns=request.by_returns,
        priority=request.priority,
        tls_optional=request.tls_optional,
    )


def _resolution(resolution: directory_pb2.Resolution) -> Resolution | None:
    """What was answered; None: it can't be said now."""
    if resolution.kind == directory_pb2.Resolution.KIND_UNAVAILABLE:
        return None
    if resolution.kind not in WHEREABOUTS:
        raise PostroomError(Kind.INTERNAL, "the directory's answer isn't understood")
    return Resolution(
        WHEREABOUTS[resolution.kind],
        tuple(
            Account(one.account_id, one.address, one.quota_bytes, one.quota_messages)
            for one in resolution.recipients
        ),
        tuple(resolution.forwards),
    )


def _identity(ticket: authentication_pb2.Ticket) -> Identity:
    return Identity(
        ticket.account_id,
        ticket.address,
        ticket.token,
        ticket.expires_at,
        ticket.renew_seconds,
    )
