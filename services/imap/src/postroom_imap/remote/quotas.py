"""Quotas over auth and store."""

from __future__ import annotations

from postroom.auth.v1 import quota_pb2 as auth_pb2
from postroom.auth.v1 import quota_pb2_grpc as auth_grpc
from postroom.store.v1 import quota_pb2, quota_pb2_grpc
from postroom_chassis.quota import Quota as Limits
from postroom_chassis.rpc.client import Channel, ticketed
from postroom_chassis.rpc.repeating import repeat

from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.quotas import Quota, Resource
from postroom_imap.remote.identity import ticket_of


class RemoteQuotas:
    """Quotas over postroom.auth.v1.QuotaService and postroom.store.v1.QuotaService."""

    def __init__(self, auth: Channel, store: Channel) -> None:
        self._auth = auth.stub(auth_grpc.QuotaServiceStub)
        self._store = store.stub(quota_pb2_grpc.QuotaServiceStub)

    async def usage(self, ticket: Ticket) -> Quota:
        metadata, request = ticketed(ticket.token), quota_pb2.GetQuotaRequest()
        answer = await repeat(lambda: self._store.GetQuota(request, metadata=metadata))
        return Quota(
            _resource(answer.bytes), _resource(answer.messages), _resource(answer.mailboxes)
        )

    async def open(self, ticket: Ticket, address: str) -> Ticket:
        metadata, request = ticketed(ticket.token), auth_pb2.OpenQuotaRequest(address=address)
        return ticket_of(await repeat(lambda: self._auth.OpenQuota(request, metadata=metadata)))

    async def set(self, ticket: Ticket, address: str, limits: Limits) -> Ticket:
        metadata = ticketed(ticket.token)
        request = auth_pb2.SetQuotaRequest(
            address=address,
            bytes=limits.bytes,
            messages=limits.messages,
            mailboxes=limits.mailboxes,
        )
        return ticket_of(await repeat(lambda: self._auth.SetQuota(request, metadata=metadata)))


def _resource(resource: quota_pb2.GetQuotaResponse.Resource) -> Resource:
    return Resource(resource.usage, resource.limit)
