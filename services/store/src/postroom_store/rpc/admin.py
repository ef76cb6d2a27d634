"""AdminService: what administrators need of the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from postroom.store.v1 import admin_pb2, mailbox_pb2, message_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from postroom_chassis.rpc.server import Call
from sqlalchemy import Connection

from postroom_store import mailboxes, maintenance, messages, reading
from postroom_store.answers import once
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers
from postroom_store.domain.names import canonical
from postroom_store.reading import Fetch, Wanted
from postroom_store.rpc.arrivals import Arrivals
from postroom_store.rpc.encoding import change_message, keyword_messages, listed_message
from postroom_store.rpc.fetching import PIECE_BYTES
from postroom_store.rpc.mailboxes import Provision
from postroom_store.settings import StoreSettings
from postroom_store.sharing import Sharing
from postroom_store.sweeping import Sweeper
from postroom_store.transaction import NO_ACCOUNT, Transaction
from postroom_store.uploads import Contents
from postroom_store.writer import Writers

PAUSE_SECONDS = 0.002  # between the steps of long work


class AdminService:
    """See protos/postroom/store/v1/admin.proto."""

    def __init__(
        self,
        readers: Readers,
        writers: Writers,
        provision: Provision,
        contents: Contents,
        files: BlobFiles | None,
        sweeper: Sweeper,
        sharing: Sharing,
        settings: StoreSettings,
    ) -> None:
        self._readers = readers
        self._writers = writers
        self._provision = provision
        self._contents = contents
        self._files = files
        self._sweeper = sweeper
        self._sharing = sharing
        self._settings = settings

    async def Usage(self, request: admin_pb2.UsageRequest, call: Call) -> admin_pb2.UsageResponse:
        if not (request.page_token or "0").isdecimal():
            raise PostroomError(Kind.INVALID, "no such page")
        after = int(request.page_token or "0")
        found = await self._readers.run(lambda c: maintenance.usage(c, request.account_id, after))
        more = str(found[-1].account_id) if len(found) == maintenance.PAGE else ""
        return admin_pb2.UsageResponse(
            accounts=[
                admin_pb2.AccountUsage(
                    account_id=each.account_id,
                    messages=each.messages,
                    bytes=each.size,
                    mailboxes=each.mailboxes,
                )
                for each in found
            ],
            next_page_token=more,
        )

    async def ListMailboxes(
        self, request: admin_pb2.ListMailboxesRequest, call: Call
    ) -> mailbox_pb2.ListResponse:
        await self._provision(request.account_id)
        listed, more = await self._readers.run(
            lambda c: reading.list_mailboxes(c, request.account_id, request.page_token)
        )
        return mailbox_pb2.ListResponse(mailboxes=map(listed_message, listed), next_page_token=more)

    async def Upload(
        self, requests: AsyncIterator[message_pb2.UploadRequest], call: Call
    ) -> message_pb2.UploadResponse:
        (upload_id,), size = await self._contents.upload(
            NO_ACCOUNT, ((request.data, False) async for request in requests)
        )
        return message_pb2.UploadResponse(upload_id=upload_id, size=size)

    async def Import(
        self, request: admin_pb2.ImportRequest, call: Call
    ) -> message_pb2.AppendResponse:
        account_id, name = request.account_id, canonical(request.name)
        if account_id < 1:
            raise PostroomError(Kind.INVALID, "an account is needed")
        quota = Quota(request.quota_bytes, request.quota_messages, request.quota_mailboxes)

        def take(transaction: Transaction) -> bytes:
            mailbox = transaction.find_mailbox(account_id, name)
            if mailbox is None or not mailbox.selectable:
                limits = mailboxes.Limits(self._settings.mailboxes, quota.mailboxes)
                mailbox = mailboxes.create(transaction, account_id, name, 0, limits)
            done = messages.append(transaction, mailbox, arrivals.ready, quota)
            return message_pb2.AppendResponse(
                uid_validity=done.uid_validity,
                uids=done.uids,
                change=change_message(done.change, ()),
            ).SerializeToString()

        operation = once(account_id, request.idempotency_key, take)
        arrivals = Arrivals(self._contents, NO_ACCOUNT)
        async with arrivals.taking(request.messages):
            answer = await self._writers.run(account_id, operation)
        return message_pb2.AppendResponse.FromString(answer)

    async def Export(
        self, request: admin_pb2.ExportRequest, call: Call
    ) -> AsyncIterator[admin_pb2.ExportResponse]:
        account_id = request.account_id
        await self._provision(account_id)
        mailbox, columns = await self._readers.run(
            lambda c: reading.open_mailbox(c, account_id, request.name)
        )
        yield admin_pb2.ExportResponse(
            total=len(columns.uids), keywords=keyword_messages(enumerate(mailbox.keywords))
        )
        flags = dict(zip(columns.uids, columns.flags, strict=True))
        everything = [(1, max(mailbox.uid_next - 1, 1))]
        fetch = Fetch(
            account_id,
            mailbox.mailbox_id,
            everything,
            ("internaldate",),
            (Wanted(""),),
            self._files,
        )
        position: reading.Position | None = (0, 0)
        while position is not None:
            batch, position = await self._read(fetch, position)
            for response in _exported(batch, flags):
                yield response

    async def _read(
        self, fetch: Fetch, position: reading.Position
    ) -> tuple[reading.Batch, reading.Position | None]:
        return await self._readers.run(lambda c: fetch.read(c, position))

    async def Undelete(
        self, request: admin_pb2.UndeleteRequest, call: Call
    ) -> admin_pb2.UndeleteResponse:
        account_id, name = request.account_id, canonical(request.name)
        restored = await self._writers.run(
            account_id,
            lambda t: maintenance.undelete(t, t.mailbox_named(account_id, name), request.since),
        )
        return admin_pb2.UndeleteResponse(restored=restored)

    async def PurgeAccount(
        self, request: admin_pb2.PurgeAccountRequest, call: Call
    ) -> admin_pb2.PurgeAccountResponse:
        account_id = request.account_id
        await self._sharing.leave(account_id)
        while swept := await self._writers.run(
            account_id, lambda t: maintenance.purge_step(t, self._files, account_id)
        ):
            await self._sweeper.remove_files(swept.digests)
            await asyncio.sleep(PAUSE_SECONDS)
        self._provision.forget(account_id)
        return admin_pb2.PurgeAccountResponse()

    async def CheckIntegrity(
        self, request: admin_pb2.CheckIntegrityRequest, call: Call
    ) -> AsyncIterator[admin_pb2.CheckIntegrityResponse]:
        def check(connection: Connection, account_id: int) -> list[str]:
            faults = list(maintenance.faults_of(connection, account_id))
            if request.contents:
                faults += maintenance.damaged_contents(connection, self._files, account_id)
            return faults

        accounts = await self._readers.run(lambda c: maintenance.accounts_of(c, request.account_id))
        for done, account_id in enumerate(accounts, 1):
            faults = await self._readers.run(_for_account(check, account_id))
            yield admin_pb2.CheckIntegrityResponse(done=done, total=len(accounts), faults=faults)

    async def CollectGarbage(
        self, request: admin_pb2.CollectGarbageRequest, call: Call
    ) -> AsyncIterator[admin_pb2.CollectGarbageResponse]:
        expunged = contents = size = 0
        async for swept in self._sweeper.sweep():
            expunged += swept.expunged
            contents += swept.contents
            size += swept.size
            yield admin_pb2.CollectGarbageResponse(expunged=expunged, contents=contents, bytes=size)
        yield admin_pb2.CollectGarbageResponse(
            expunged=expunged, contents=contents, bytes=size, finished=True
        )

    async def Reindex(
        self, request: admin_pb2.ReindexRequest, call: Call
    ) -> AsyncIterator[admin_pb2.ReindexResponse]:
        total = await self._readers.run(lambda c: maintenance.count_emails(c, request.account_id))
        done = 0
        for account_id in await self._readers.run(
            lambda c: maintenance.accounts_of(c, request.account_id)
        ):
            after = 0
            while ids := await self._readers.run(_emails_after(account_id, after)):
                await self._writers.run(account_id, self._reindex(account_id, ids))
                after = ids[-1]
                done += len(ids)
                yield admin_pb2.ReindexResponse(done=done, total=max(total, done))
                await asyncio.sleep(PAUSE_SECONDS)

    def _reindex(self, account_id: int, ids: list[int]) -> Callable[[Transaction], None]:
        return lambda t: maintenance.reindex_step(t, self._files, account_id, ids)


def _for_account(
    check: Callable[[Connection, int], list[str]], account_id: int
) -> Callable[[Connection], list[str]]:
    return lambda connection: check(connection, account_id)


def _emails_after(account_id: int, after: int) -> Callable[[Connection], list[int]]:
    return lambda connection: maintenance.email_ids_after(connection, account_id, after)


def _exported(batch: reading.Batch, flags: dict[int, int]) -> list[admin_pb2.ExportResponse]:
    """A batch as responses: its last content in pieces where it is large."""
    if not batch.uids:
        return []
    contents = [content or b"" for content in batch.sections[0]]
    last = contents[-1]
    contents[-1] = last[:PIECE_BYTES]
    responses = [
        admin_pb2.ExportResponse(
            uids=batch.uids,
            internaldates=batch.columns["internaldate"],
            flags=[flags.get(uid, 0) for uid in batch.uids],
            contents=contents,
        )
    ]
    for start in range(PIECE_BYTES, len(last), PIECE_BYTES):
        responses[-1].more = True
        piece = last[start : start + PIECE_BYTES]
        responses.append(admin_pb2.ExportResponse(uids=batch.uids[-1:], contents=[piece]))
    return responses
