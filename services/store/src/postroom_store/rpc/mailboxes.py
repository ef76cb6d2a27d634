"""MailboxService: the tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postroom.store.v1 import mailbox_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from sqlalchemy import Connection

from postroom_store import mailboxes, metadata, reading
from postroom_store.answers import once
from postroom_store.database import Readers
from postroom_store.domain import entries as naming
from postroom_store.domain import special_uses
from postroom_store.rpc.encoding import annotation_messages, listed_message, mailbox_message
from postroom_store.transaction import Transaction
from postroom_store.writer import Writers

MOST_NAMES = 1000

_DEPTHS: dict[int, int | None] = {
    mailbox_pb2.GetMetadataRequest.DEPTH_ENTRIES: 0,
    mailbox_pb2.GetMetadataRequest.DEPTH_CHILDREN: 1,
    mailbox_pb2.GetMetadataRequest.DEPTH_INFINITY: None,
}


class Provision:
    """Makes an account's first mailboxes when it is first asked for."""

    def __init__(self, readers: Readers, writers: Writers) -> None:
        self._readers = readers
        self._writers = writers
        self._known: set[int] = set()

    async def __call__(self, account_id: int) -> None:
        if account_id in self._known:
            return
        if not await self._readers.run(lambda c: reading.has_account(c, account_id)):
            await self._writers.run(account_id, lambda t: t.account(account_id))
        self._known.add(account_id)

    def forget(self, account_id: int) -> None:
        """The account was purged."""
        self._known.discard(account_id)


class MailboxService:
    """See protos/postroom/store/v1/mailbox.proto."""

    def __init__(
        self, readers: Readers, writers: Writers, provision: Provision, most_mailboxes: int
    ) -> None:
        self._readers = readers
        self._writers = writers
        self._provision = provision
        self._most_mailboxes = most_mailboxes

    async def List(self, request: mailbox_pb2.ListRequest, call: Call) -> mailbox_pb2.ListResponse:
        account_id = call.ticket.account_id
        await self._provision(account_id)

        entries = _entries(request.entries)

        def read(connection: Connection) -> mailbox_pb2.ListResponse:
            listed, more = reading.list_mailboxes(connection, account_id, request.page_token)
            sizes = _deleted_sizes(connection, account_id, request.deleted_sizes)
            values = metadata.read_all(connection, account_id, account_id, entries)
            found = [listed_message(one, sizes) for one in listed]
            for one, message in zip(listed, found, strict=True):
                if one.mailbox is not None and entries:
                    kept = metadata.with_uses(values[one.mailbox.mailbox_id], one.mailbox, entries)
                    message.annotations.extend(annotation_messages(kept))
            return mailbox_pb2.ListResponse(mailboxes=found, next_page_token=more)

        return await self._readers.run(read)

    async def Status(
        self, request: mailbox_pb2.StatusRequest, call: Call
    ) -> mailbox_pb2.StatusResponse:
        if len(request.names) > MOST_NAMES:
            raise PostroomError(Kind.INVALID, f"more than {MOST_NAMES} names")
        account_id = call.ticket.account_id
        await self._provision(account_id)

        def read(connection: Connection) -> mailbox_pb2.StatusResponse:
            found = [
                reading.find_mailbox_named(connection, account_id, name) for name in request.names
            ]
            sizes = _deleted_sizes(connection, account_id, request.deleted_sizes)
            return mailbox_pb2.StatusResponse(
                mailboxes=[
                    mailbox_message(one, deleted_size=sizes.get(one.mailbox_id, 0)) for one in found
                ]
            )

        return await self._readers.run(read)

    async def Create(self, request: mailbox_pb2.CreateRequest, call: Call) -> mailbox_pb2.Mailbox:
        account_id = call.ticket.account_id
        uses = special_uses.mask_of([request.special_use, *request.special_uses])
        limits = self._limits(call)

        def create(transaction: Transaction) -> bytes:
            mailbox = mailboxes.create(transaction, account_id, request.name, uses, limits)
            return mailbox_message(mailbox).SerializeToString()

        answer = await self._once(call, request.idempotency_key, create)
        return mailbox_pb2.Mailbox.FromString(answer)

    async def Delete(
        self, request: mailbox_pb2.DeleteRequest, call: Call
    ) -> mailbox_pb2.DeleteResponse:
        account_id = call.ticket.account_id

        def remove(transaction: Transaction) -> bytes:
            mailboxes.remove(transaction, account_id, request.name)
            return b""

        await self._once(call, request.idempotency_key, remove)
        return mailbox_pb2.DeleteResponse()

    async def Rename(
        self, request: mailbox_pb2.RenameRequest, call: Call
    ) -> mailbox_pb2.RenameResponse:
        account_id = call.ticket.account_id
        limits = self._limits(call)

        def rename(transaction: Transaction) -> bytes:
            mailboxes.rename(transaction, account_id, request.name, request.new_name, limits)
            return b""

        await self._once(call, request.idempotency_key, rename)
        return mailbox_pb2.RenameResponse()

    async def Subscribe(
        self, request: mailbox_pb2.SubscribeRequest, call: Call
    ) -> mailbox_pb2.SubscribeResponse:
        account_id = call.ticket.account_id

        def subscribe(transaction: Transaction) -> bytes:
            mailboxes.subscribe(transaction, account_id, request.name, request.subscribed)
            return b""

        await self._once(call, request.idempotency_key, subscribe)
        return mailbox_pb2.SubscribeResponse()

    async def GetMetadata(
        self, request: mailbox_pb2.GetMetadataRequest, call: Call
    ) -> mailbox_pb2.GetMetadataResponse:
        account_id = call.ticket.account_id
        await self._provision(account_id)
        wanted = metadata.Wanted(
            _entries(request.entries),
            _DEPTHS.get(request.depth, 0),
            request.max_size if request.HasField("max_size") else None,
        )
        found = await self._readers.run(
            lambda c: metadata.read(c, account_id, request.name, account_id, wanted)
        )
        return mailbox_pb2.GetMetadataResponse(
            annotations=annotation_messages(found.values), longest=found.longest
        )

    async def SetMetadata(
        self, request: mailbox_pb2.SetMetadataRequest, call: Call
    ) -> mailbox_pb2.SetMetadataResponse:
        account_id = call.ticket.account_id
        entries = _entries([one.entry for one in request.annotations])
        values = {
            entry: one.value if one.HasField("value") else None
            for entry, one in zip(entries, request.annotations, strict=True)
        }

        def write(transaction: Transaction) -> bytes:
            metadata.write(transaction, account_id, request.name, account_id, values)
            return b""

        await self._once(call, request.idempotency_key, write)
        return mailbox_pb2.SetMetadataResponse()

    def _limits(self, call: Call) -> mailboxes.Limits:
        return mailboxes.Limits(self._most_mailboxes, call.ticket.quota_mailboxes)

    async def _once(self, call: Call, key: bytes, work: Callable[[Transaction], bytes]) -> bytes:
        account_id = call.ticket.account_id
        return await self._writers.run(account_id, once(account_id, key, work))


def _entries(entries: Sequence[str]) -> list[str]:
    """Names of annotations as they are kept. Raises PostroomError INVALID."""
    if len(entries) > metadata.MOST_ENTRIES:
        raise PostroomError(Kind.INVALID, f"more than {metadata.MOST_ENTRIES} annotations")
    return list(map(naming.canonical, entries))


def _deleted_sizes(connection: Connection, account_id: int, wanted: bool) -> dict[int, int]:
    return reading.deleted_sizes(connection, account_id) if wanted else {}
