"""QuotaService: what accounts keep."""

from __future__ import annotations

from postroom.store.v1 import quota_pb2
from postroom_chassis.rpc.server import Call

from postroom_store import reading
from postroom_store.database import Readers
from postroom_store.rpc.mailboxes import Provision

Resource = quota_pb2.GetQuotaResponse.Resource


class QuotaService:
    """See protos/postroom/store/v1/quota.proto."""

    def __init__(self, readers: Readers, provision: Provision, most_mailboxes: int) -> None:
        self._readers = readers
        self._provision = provision
        self._most_mailboxes = most_mailboxes

    async def GetQuota(
        self, request: quota_pb2.GetQuotaRequest, call: Call
    ) -> quota_pb2.GetQuotaResponse:
        account_id, quota = call.ticket.account_id, call.ticket.quota
        await self._provision(account_id)
        used = await self._readers.run(lambda c: reading.usage(c, account_id))
        most = min(quota.mailboxes or self._most_mailboxes, self._most_mailboxes)
        return quota_pb2.GetQuotaResponse(
            bytes=Resource(usage=used.bytes, limit=quota.bytes),
            messages=Resource(usage=used.messages, limit=quota.messages),
            mailboxes=Resource(usage=used.mailboxes, limit=most),
        )
