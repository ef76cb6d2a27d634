"""MessageService: the messages of a mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from postroom.store.v1 import message_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from sqlalchemy import Connection

from postroom_store import messages, reading
from postroom_store.answers import once
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers
from postroom_store.domain.names import canonical
from postroom_store.rpc.arrivals import Arrivals, BadReference
from postroom_store.rpc.encoding import (
    change_message,
    keyword_messages,
    range_messages,
    ranges_of_message,
)
from postroom_store.rpc.fetching import response_messages, wanted_of_message
from postroom_store.rpc.mailboxes import Provision
from postroom_store.rpc.searching import (
    collation_of_message,
    columns_of_message,
    key_of_message,
    several_messages,
    several_of_message,
)
from postroom_store.rpc.searching import response_messages as found_messages
from postroom_store.search.program import Found, search
from postroom_store.search.several import FoundInMailbox
from postroom_store.transaction import Transaction
from postroom_store.uploads import Contents
from postroom_store.writer import Writers

OPEN_ROWS = 16_384  # messages in one response: some 450 KB
MOST_SECTIONS = 100

MODES = {
    message_pb2.StoreFlagsRequest.MODE_ADD: "add",
    message_pb2.StoreFlagsRequest.MODE_REMOVE: "remove",
    message_pb2.StoreFlagsRequest.MODE_REPLACE: "replace",
}
COLUMNS = {
    message_pb2.COLUMN_INTERNALDATE: "internaldate",
    message_pb2.COLUMN_SIZE: "size",
    message_pb2.COLUMN_ENVELOPE: "envelope",
    message_pb2.COLUMN_BODY: "body",
    message_pb2.COLUMN_BODYSTRUCTURE: "bodystructure",
    message_pb2.COLUMN_HEADER: "header",
    message_pb2.COLUMN_STRUCTURE: "structure",
    message_pb2.COLUMN_THREAD_ID: "thread_id",
    message_pb2.COLUMN_PREVIEW: "preview",
    message_pb2.COLUMN_SAVEDATE: "savedate",
}


class MessageService:
    """See protos/postroom/store/v1/message.proto."""

    def __init__(
        self,
        readers: Readers,
        searchers: Readers,
        writers: Writers,
        provision: Provision,
        contents: Contents,
        files: BlobFiles | None,
    ) -> None:
        self._readers = readers
        self._searchers = searchers
        self._writers = writers
        self._provision = provision
        self._contents = contents
        self._files = files

    async def Open(
        self, request: message_pb2.OpenRequest, call: Call
    ) -> AsyncIterator[message_pb2.OpenResponse]:
        account_id = call.ticket.account_id
        await self._provision(account_id)
        mailbox, columns = await self._readers.run(
            lambda c: reading.open_mailbox(c, account_id, request.name)
        )
        response = message_pb2.OpenResponse(
            mailbox=message_pb2.OpenMailbox(
                mailbox_id=mailbox.mailbox_id,
                name=mailbox.name,
                uid_validity=mailbox.uid_validity,
                uid_next=mailbox.uid_next,
                highest_modseq=mailbox.highest_modseq,
                messages=mailbox.messages,
                keywords=keyword_messages(enumerate(mailbox.keywords)),
            )
        )
        for start in range(0, max(len(columns.uids), 1), OPEN_ROWS):
            part = slice(start, start + OPEN_ROWS)
            response.messages.uids.extend(columns.uids[part])
            response.messages.flags.extend(columns.flags[part])
            response.messages.modseqs.extend(columns.modseqs[part])
            response.messages.email_ids.extend(columns.email_ids[part])
            yield response
            response = message_pb2.OpenResponse()

    async def Fetch(
        self, request: message_pb2.FetchRequest, call: Call
    ) -> AsyncIterator[message_pb2.FetchResponse]:
        if len(request.sections) > MOST_SECTIONS:
            raise PostroomError(Kind.INVALID, f"more than {MOST_SECTIONS} sections")
        account_id = call.ticket.account_id
        fetch = reading.Fetch(
            account_id,
            request.mailbox_id,
            ranges_of_message(request.uids),
            tuple(dict.fromkeys(COLUMNS[column] for column in request.columns)),
            tuple(wanted_of_message(section) for section in request.sections),
            self._files,
        )
        await self._readers.run(lambda c: reading.find_mailbox(c, account_id, request.mailbox_id))
        upcoming = asyncio.ensure_future(self._readers.run(lambda c: fetch.read(c, (0, 0))))
        try:
            while True:
                batch, position = await upcoming
                if position is not None:
                    # One batch ahead: it is read while this one is sent.
                    upcoming = asyncio.ensure_future(self._read(fetch, position))
                for response in response_messages(batch):
                    yield response
                if position is None:
                    return
        finally:
            upcoming.cancel()

    async def _read(
        self, fetch: reading.Fetch, position: reading.Position
    ) -> tuple[reading.Batch, reading.Position | None]:
        return await self._readers.run(lambda c: fetch.read(c, position))

    async def Upload(
        self, requests: AsyncIterator[message_pb2.UploadRequest], call: Call
    ) -> message_pb2.UploadResponse:
        upload_ids, size = await self._contents.upload(
            call.ticket.account_id, ((request.data, request.end) async for request in requests)
        )
        return message_pb2.UploadResponse(upload_id=upload_ids[0], size=size, upload_ids=upload_ids)

    async def Append(
        self, request: message_pb2.AppendRequest, call: Call
    ) -> message_pb2.AppendResponse:
        ticket = call.ticket
        name = canonical(request.name)
        replaced = request.replaced if request.HasField("replaced") else None
        if replaced is not None and len(request.messages) != 1:
            raise PostroomError(Kind.INVALID, "one message replaces another")

        def append(transaction: Transaction) -> bytes:
            mailbox = transaction.mailbox_named(ticket.account_id, name)
            arrivals.check(transaction)
            source = (
                messages.find(transaction, ticket.account_id, replaced.mailbox_id, replaced.uid)
                if replaced is not None
                else None
            )
            done = messages.append(
                transaction, mailbox, arrivals.ready, ticket.quota, replaced=source
            )
            return message_pb2.AppendResponse(
                uid_validity=done.uid_validity,
                uids=done.uids,
                change=change_message(done.change),
                source_change=change_message(done.source_change),
            ).SerializeToString()

        arrivals = Arrivals(self._contents, ticket.account_id, self._readers, self._files)
        try:
            async with arrivals.taking(request.messages):
                answer = await self._once(call, request.idempotency_key, append)
        except BadReference as bad:
            # Repeated after it was done, what it referred to may be what it replaced.
            account_id, key = ticket.account_id, request.idempotency_key
            done = await self._writers.run(account_id, lambda t: t.recall_answer(account_id, key))
            if done is not None:
                return message_pb2.AppendResponse.FromString(done)
            return message_pb2.AppendResponse(
                bad_reference=message_pb2.AppendResponse.BadReference(
                    message=bad.message, piece=bad.piece
                )
            )
        return message_pb2.AppendResponse.FromString(answer)

    async def StoreFlags(
        self, request: message_pb2.StoreFlagsRequest, call: Call
    ) -> message_pb2.StoreFlagsResponse:
        account_id = call.ticket.account_id
        ranges = ranges_of_message(request.uids)
        mode = MODES.get(request.mode)
        if mode is None:
            raise PostroomError(Kind.INVALID, "a mode is needed")
        since = request.unchanged_since if request.HasField("unchanged_since") else None

        def store(transaction: Transaction) -> bytes:
            mailbox = transaction.mailbox(account_id, request.mailbox_id)
            done = messages.store_flags(transaction, mailbox, ranges, mode, request.flags, since)
            return message_pb2.StoreFlagsResponse(
                change=change_message(done.change), modified=done.modified
            ).SerializeToString()

        answer = await self._once(call, request.idempotency_key, store, durable=False)
        return message_pb2.StoreFlagsResponse.FromString(answer)

    async def Copy(self, request: message_pb2.CopyRequest, call: Call) -> message_pb2.CopyResponse:
        return await self._copy(request, call, move=False)

    async def Move(self, request: message_pb2.CopyRequest, call: Call) -> message_pb2.CopyResponse:
        return await self._copy(request, call, move=True)

    async def _copy(
        self, request: message_pb2.CopyRequest, call: Call, *, move: bool
    ) -> message_pb2.CopyResponse:
        ticket = call.ticket
        ranges = ranges_of_message(request.uids)
        name = canonical(request.target)

        def copy(transaction: Transaction) -> bytes:
            source = transaction.mailbox(ticket.account_id, request.mailbox_id)
            target = transaction.mailbox_named(ticket.account_id, name)
            done = messages.copy(
                transaction,
                source,
                ranges,
                target,
                ticket.quota,
                move=move,
                tell=call.progress,
            )
            return message_pb2.CopyResponse(
                uid_validity=done.uid_validity,
                source_uids=done.source_uids,
                target_uids=done.target_uids,
                source_change=change_message(done.source_change),
                target_change=change_message(done.target_change),
            ).SerializeToString()

        answer = await self._once(call, request.idempotency_key, copy)
        return message_pb2.CopyResponse.FromString(answer)

    async def Expunge(
        self, request: message_pb2.ExpungeRequest, call: Call
    ) -> message_pb2.ExpungeResponse:
        account_id = call.ticket.account_id
        ranges = ranges_of_message(request.uids) or None

        def expunge(transaction: Transaction) -> bytes:
            mailbox = transaction.mailbox(account_id, request.mailbox_id)
            change = messages.expunge(transaction, mailbox, ranges)
            return message_pb2.ExpungeResponse(change=change_message(change)).SerializeToString()

        answer = await self._once(call, request.idempotency_key, expunge)
        return message_pb2.ExpungeResponse.FromString(answer)

    async def Vanished(
        self, request: message_pb2.VanishedRequest, call: Call
    ) -> message_pb2.VanishedResponse:
        account_id = call.ticket.account_id
        ranges = ranges_of_message(request.uids)
        gone = await self._readers.run(
            lambda c: reading.vanished(c, account_id, request.mailbox_id, request.since, ranges)
        )
        if gone is None:
            return message_pb2.VanishedResponse(forgotten=True)
        return message_pb2.VanishedResponse(uids=range_messages(gone))

    async def Search(
        self, request: message_pb2.SearchRequest, call: Call
    ) -> AsyncIterator[message_pb2.SearchResponse]:
        account_id = call.ticket.account_id
        collation = collation_of_message(request.collation)
        key = key_of_message(request.key, collation)
        columns = columns_of_message(request.columns)

        def run(connection: Connection, told: Callable[[int, int], None]) -> Found:
            return search(
                connection,
                self._files,
                account_id,
                request.mailbox_id,
                key,
                call.deadline,
                collation=collation,
                scored=request.scores,
                columns=columns,
                tell=told,
            )

        def tell_all(
            connection: Connection, tell: Callable[[Found | tuple[int, int]], None]
        ) -> None:
            tell(run(connection, lambda done, goal: tell((done, goal))))

        if not request.progress:
            found = await self._searchers.run(lambda c: run(c, call.progress))
            for response in found_messages(found):
                yield response
            return
        async with aclosing(self._searchers.tell(tell_all)) as all_told:
            async for one in all_told:
                for response in found_messages(one):
                    yield response

    async def SearchMany(
        self, request: message_pb2.SearchManyRequest, call: Call
    ) -> AsyncIterator[message_pb2.SearchManyResponse]:
        search = several_of_message(request, call.ticket.account_id, call.deadline)

        def run(
            connection: Connection, tell: Callable[[FoundInMailbox | tuple[int, int]], None]
        ) -> None:
            search.run(connection, self._files, tell, lambda done, goal: tell((done, goal)))

        async with aclosing(self._searchers.tell(run)) as found:
            async for one in found:
                for response in several_messages(one):
                    yield response

    async def _once(
        self,
        call: Call,
        key: bytes,
        work: Callable[[Transaction], bytes],
        *,
        durable: bool = True,
    ) -> bytes:
        account_id = call.ticket.account_id
        return await self._writers.run(account_id, once(account_id, key, work), durable=durable)
