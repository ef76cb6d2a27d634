"""MaildropService: POP3's view of a mailbox."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from postroom.store.v1 import maildrop_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from sqlalchemy import Connection

from postroom_store import maildrop, reading
from postroom_store.answers import once
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers
from postroom_store.reading import Fetch, Wanted
from postroom_store.rpc.fetching import PIECE_BYTES
from postroom_store.rpc.mailboxes import Provision
from postroom_store.transaction import Transaction
from postroom_store.uid_ranges import ranges_of
from postroom_store.writer import Writers

ROWS = 50_000  # messages in one response: 400 KB
MOST_UIDS = 1000


class MaildropService:
    """See protos/postroom/store/v1/maildrop.proto."""

    def __init__(
        self,
        readers: Readers,
        writers: Writers,
        provision: Provision,
        files: BlobFiles | None,
        lease_seconds: float,
    ) -> None:
        self._readers = readers
        self._writers = writers
        self._provision = provision
        self._files = files
        self._lease_seconds = lease_seconds

    async def Lock(
        self, request: maildrop_pb2.LockRequest, call: Call
    ) -> AsyncIterator[maildrop_pb2.LockResponse]:
        if not request.idempotency_key:
            raise PostroomError(Kind.INVALID, "an idempotency key is needed")
        account_id = call.ticket.account_id
        await self._provision(account_id)
        lease_id = hashlib.blake2b(request.idempotency_key, digest_size=16).digest()
        mailbox_id = await self._writers.run(
            account_id,
            lambda t: maildrop.lock(t, account_id, request.mailbox, lease_id, self._lease_seconds),
            durable=False,
        )
        drop = await self._readers.run(lambda c: maildrop.snapshot(c, account_id, mailbox_id))
        response = maildrop_pb2.LockResponse(
            lease_id=lease_id, uid_validity=drop.uid_validity, mailbox_id=drop.mailbox_id
        )
        for start in range(0, max(len(drop.uids), 1), ROWS):
            response.uids.extend(drop.uids[start : start + ROWS])
            response.sizes.extend(drop.sizes[start : start + ROWS])
            yield response
            response = maildrop_pb2.LockResponse()

    async def RenewLease(
        self, request: maildrop_pb2.RenewLeaseRequest, call: Call
    ) -> maildrop_pb2.RenewLeaseResponse:
        account_id = call.ticket.account_id
        await self._writers.run(
            account_id,
            lambda t: maildrop.renew(t, account_id, request.lease_id, self._lease_seconds),
            durable=False,
        )
        return maildrop_pb2.RenewLeaseResponse()

    async def Retrieve(
        self, request: maildrop_pb2.RetrieveRequest, call: Call
    ) -> AsyncIterator[maildrop_pb2.RetrieveResponse]:
        if not 0 < len(request.uids) <= MOST_UIDS:
            raise PostroomError(Kind.INVALID, f"1 to {MOST_UIDS} messages")
        account_id = call.ticket.account_id

        def find(connection: Connection) -> int:
            return maildrop.find(connection, account_id, request.lease_id)

        mailbox_id = await self._readers.run(find)
        ranges = ranges_of(sorted(set(request.uids)))
        fetch = Fetch(account_id, mailbox_id, ranges, (), (Wanted(""),), self._files)
        position: reading.Position | None = (0, 0)
        while position is not None:
            batch, position = await self._read(fetch, position)
            for response in _responses(batch):
                yield response

    async def _read(
        self, fetch: Fetch, position: reading.Position
    ) -> tuple[reading.Batch, reading.Position | None]:
        return await self._readers.run(lambda c: fetch.read(c, position))

    async def Commit(
        self, request: maildrop_pb2.CommitRequest, call: Call
    ) -> maildrop_pb2.CommitResponse:
        account_id = call.ticket.account_id

        left = maildrop.Update(
            list(request.deleted_uids), list(request.retrieved_uids), request.expire_before
        )

        def commit(transaction: Transaction) -> bytes:
            removed = maildrop.commit(transaction, account_id, request.lease_id, left)
            return maildrop_pb2.CommitResponse(removed=removed).SerializeToString()

        # The lease names the session, so it names its one commit too.
        key = b"commit" + request.lease_id[:32]
        answer = await self._writers.run(account_id, once(account_id, key, commit))
        return maildrop_pb2.CommitResponse.FromString(answer)


def _responses(batch: reading.Batch) -> list[maildrop_pb2.RetrieveResponse]:
    """A batch as responses: its last content in pieces where it is large."""
    if not batch.uids:
        return []
    contents = [content or b"" for content in batch.sections[0]]
    last = contents[-1]
    contents[-1] = last[:PIECE_BYTES]
    responses = [maildrop_pb2.RetrieveResponse(uids=batch.uids, contents=contents)]
    for start in range(PIECE_BYTES, len(last), PIECE_BYTES):
        responses[-1].more = True
        piece = last[start : start + PIECE_BYTES]
        responses.append(maildrop_pb2.RetrieveResponse(uids=batch.uids[-1:], contents=[piece]))
    return responses
