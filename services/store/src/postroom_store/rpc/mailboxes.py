"""MailboxService: the tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postroom.store.v1 import mailbox_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from postroom_chassis.tickets import Ticket
from sqlalchemy import Connection

from postroom_store import mailboxes, metadata, reading
from postroom_store.acl import Access, admit, entries_of, rights_in, set_entry
from postroom_store.answers import once
from postroom_store.database import Readers
from postroom_store.domain import entries as naming
from postroom_store.domain import special_uses
from postroom_store.domain.names import INBOX, is_shared
from postroom_store.domain.rights import (
    ADMINISTER,
    ALL,
    DELETE_MAILBOX,
    READ,
    TO_ASK,
    WRITE,
    ordered,
    parse,
    require_to_annotate,
)
from postroom_store.rpc.encoding import (
    annotation_messages,
    listed_message,
    mailbox_message,
    shared_message,
)
from postroom_store.sharing import (
    Listing,
    Place,
    SharedMailbox,
    Sharing,
    admit_above,
    find_mailbox,
    find_mailbox_named,
    note_hint,
    owners_of,
)
from postroom_store.transaction import NO_ACCOUNT, Transaction
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
        self,
        readers: Readers,
        writers: Writers,
        provision: Provision,
        sharing: Sharing,
        most_mailboxes: int,
    ) -> None:
        self._readers = readers
        self._writers = writers
        self._provision = provision
        self._sharing = sharing
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

        response = await self._readers.run(read)
        if not response.next_page_token:
            listing = Listing(account_id, request.deleted_sizes, entries)
            response.mailboxes.extend(await self._shared(listing))
        return response

    async def _shared(self, listing: Listing) -> list[mailbox_pb2.Mailbox]:
        """What others share, and subscriptions to names that aren't there."""
        owners, subscribed = await self._readers.run(
            lambda c: (
                owners_of(c, listing.person),
                reading.shared_subscriptions(c, listing.person),
            )
        )
        found = await self._sharing.shared_with(listing, owners) if owners else []
        told = [shared_message(one, subscribed=one.name in subscribed) for one in found]
        for name in sorted(subscribed - {one.name for one in found}):
            told.append(mailbox_pb2.Mailbox(name=name, subscribed=True))
        return told

    async def Status(
        self, request: mailbox_pb2.StatusRequest, call: Call
    ) -> mailbox_pb2.StatusResponse:
        if len(request.names) > MOST_NAMES:
            raise PostroomError(Kind.INVALID, f"more than {MOST_NAMES} names")
        ticket = call.ticket
        account_id = ticket.account_id
        await self._provision(account_id)
        if any(map(is_shared, request.names)):
            told = [await self._status(ticket, n, request.deleted_sizes) for n in request.names]
            return mailbox_pb2.StatusResponse(mailboxes=told)

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

    async def _status(self, ticket: Ticket, name: str, sizes: bool) -> mailbox_pb2.Mailbox:
        place = await self._sharing.locate(ticket, name)

        def read(connection: Connection) -> mailbox_pb2.Mailbox:
            mailbox, rights = find_mailbox_named(connection, place, READ)
            deleted = _deleted_sizes(connection, place.owner, sizes).get(mailbox.mailbox_id, 0)
            if not place.access.guest:
                return mailbox_message(mailbox, deleted_size=deleted)
            return shared_message(SharedMailbox(name, mailbox, rights, deleted))

        return await self._readers.run(read)

    async def Create(self, request: mailbox_pb2.CreateRequest, call: Call) -> mailbox_pb2.Mailbox:
        place = await self._sharing.locate(call.ticket, request.name)
        uses = special_uses.mask_of([request.special_use, *request.special_uses])
        if uses and place.access.guest:
            raise PostroomError(Kind.DENIED, "special uses are the owner's to give")
        limits = self._limits(call, place.access, request.owner_quota)

        def create(transaction: Transaction) -> bytes:
            admit_above(transaction, place)
            mailbox = mailboxes.create(transaction, place.owner, place.name, uses, limits)
            if not place.access.guest:
                return mailbox_message(mailbox).SerializeToString()
            rights = rights_in(transaction, place.access, mailbox)
            shared = SharedMailbox(request.name, mailbox, rights)
            return shared_message(shared).SerializeToString()

        answer = await self._once(place.access, request.idempotency_key, create)
        return mailbox_pb2.Mailbox.FromString(answer)

    async def Delete(
        self, request: mailbox_pb2.DeleteRequest, call: Call
    ) -> mailbox_pb2.DeleteResponse:
        place = await self._sharing.locate(call.ticket, request.name)

        def remove(transaction: Transaction) -> bytes:
            _admit_to_name(transaction, place, DELETE_MAILBOX)
            mailboxes.remove(transaction, place.owner, place.name)
            return b""

        await self._once(place.access, request.idempotency_key, remove)
        return mailbox_pb2.DeleteResponse()

    async def Rename(
        self, request: mailbox_pb2.RenameRequest, call: Call
    ) -> mailbox_pb2.RenameResponse:
        place = await self._sharing.locate(call.ticket, request.name)
        target = await self._sharing.locate(call.ticket, request.new_name)
        if target.owner != place.owner:
            raise PostroomError(Kind.INVALID, "a mailbox can't be given to another account")
        limits = self._limits(call, place.access, request.owner_quota)

        def rename(transaction: Transaction) -> bytes:
            _admit_to_name(transaction, place, DELETE_MAILBOX)
            admit_above(transaction, target)
            if place.access.guest and place.name == INBOX:
                raise PostroomError(Kind.DENIED, "INBOX is its owner's to rename")
            mailboxes.rename(transaction, place.owner, place.name, target.name, limits)
            return b""

        await self._once(place.access, request.idempotency_key, rename)
        return mailbox_pb2.RenameResponse()

    async def Subscribe(
        self, request: mailbox_pb2.SubscribeRequest, call: Call
    ) -> mailbox_pb2.SubscribeResponse:
        account_id = call.ticket.account_id

        def subscribe(transaction: Transaction) -> bytes:
            mailboxes.subscribe(transaction, account_id, request.name, request.subscribed)
            return b""

        await self._once(Access(account_id, account_id), request.idempotency_key, subscribe)
        return mailbox_pb2.SubscribeResponse()

    async def GetMetadata(
        self, request: mailbox_pb2.GetMetadataRequest, call: Call
    ) -> mailbox_pb2.GetMetadataResponse:
        person = call.ticket.account_id
        await self._provision(person)
        wanted = metadata.Wanted(
            _entries(request.entries),
            _DEPTHS.get(request.depth, 0),
            request.max_size if request.HasField("max_size") else None,
        )
        place = await self._annotated(call, request.name)

        def read(connection: Connection) -> metadata.Found:
            if place.access.guest:
                require_to_annotate(find_mailbox_named(connection, place, "")[1])
            return metadata.read(connection, place.owner, place.name, person, wanted)

        found = await self._readers.run(read)
        return mailbox_pb2.GetMetadataResponse(
            annotations=annotation_messages(found.values), longest=found.longest
        )

    async def SetMetadata(
        self, request: mailbox_pb2.SetMetadataRequest, call: Call
    ) -> mailbox_pb2.SetMetadataResponse:
        person = call.ticket.account_id
        entries = _entries([one.entry for one in request.annotations])
        values = {
            entry: one.value if one.HasField("value") else None
            for entry, one in zip(entries, request.annotations, strict=True)
        }
        place = await self._annotated(call, request.name)
        needed = "" if all(map(naming.is_private, entries)) else WRITE

        def write(transaction: Transaction) -> bytes:
            if place.access.guest:
                require_to_annotate(_admit_to_name(transaction, place, needed))
            metadata.write(transaction, place.owner, place.name, person, values)
            return b""

        await self._once(place.access, request.idempotency_key, write)
        return mailbox_pb2.SetMetadataResponse()

    async def _annotated(self, call: Call, name: str) -> Place:
        """Where annotations are: with a mailbox, or with the person's server (no name)."""
        person = call.ticket.account_id
        if not name:
            return Place(Access(person, person), "")
        return await self._sharing.locate(call.ticket, name)

    def _limits(
        self, call: Call, access: Access, owner_quota: mailbox_pb2.OwnerQuota
    ) -> mailboxes.Limits:
        quota = owner_quota.mailboxes if access.guest else call.ticket.quota_mailboxes
        return mailboxes.Limits(self._most_mailboxes, quota)

    async def MyRights(
        self, request: mailbox_pb2.MyRightsRequest, call: Call
    ) -> mailbox_pb2.MyRightsResponse:
        ticket = call.ticket
        await self._provision(ticket.account_id)
        if request.name:
            place = await self._sharing.locate(ticket, request.name)
            rights = await self._readers.run(lambda c: find_mailbox_named(c, place, "")[1])
        else:
            access = Access(ticket.account_id, request.owner or ticket.account_id)
            rights = await self._readers.run(
                lambda c: find_mailbox(c, access, request.mailbox_id, "")[1]
            )
        if not set(TO_ASK) & set(rights):
            raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
        return mailbox_pb2.MyRightsResponse(rights=rights)

    async def GetAcl(
        self, request: mailbox_pb2.GetAclRequest, call: Call
    ) -> mailbox_pb2.GetAclResponse:
        await self._provision(call.ticket.account_id)
        place = await self._sharing.locate(call.ticket, request.name)

        def read(connection: Connection) -> Sequence[tuple[str, str, int]]:
            mailbox, _ = find_mailbox_named(connection, place, ADMINISTER)
            return entries_of(connection, mailbox)

        owner = (place.address or call.ticket.address, ALL, place.owner)
        entries = [owner, *await self._readers.run(read)]
        return mailbox_pb2.GetAclResponse(
            entries=[
                mailbox_pb2.AclEntry(identifier=identifier, rights=rights, account_id=account_id)
                for identifier, rights, account_id in entries
            ]
        )

    async def SetAcl(
        self, request: mailbox_pb2.SetAclRequest, call: Call
    ) -> mailbox_pb2.SetAclResponse:
        rights = parse(request.rights)
        change = _CHANGES.get(request.mode)
        if change is None or not request.identifier or request.account_id <= NO_ACCOUNT:
            raise PostroomError(Kind.INVALID, "a mode and an account are needed")
        await self._provision(call.ticket.account_id)
        place = await self._sharing.locate(call.ticket, request.name)
        await self._readers.run(lambda c: find_mailbox_named(c, place, ADMINISTER))
        grantee = request.account_id
        if grantee == place.owner:
            if change(ALL, rights) != ALL:
                raise PostroomError(Kind.INVALID, "the owner of a mailbox has all rights, always")
            return mailbox_pb2.SetAclResponse()

        def set_acl(transaction: Transaction) -> bytes:
            mailbox = transaction.mailbox_named(place.owner, place.name)
            admit(transaction, place.access, mailbox, ADMINISTER)
            set_entry(
                transaction, mailbox, grantee, request.identifier, lambda r: change(r, rights)
            )
            return b""

        if rights and request.mode != mailbox_pb2.SetAclRequest.MODE_REMOVE:
            address = place.address or call.ticket.address
            await self._writers.run(grantee, lambda t: note_hint(t, grantee, place.owner, address))
        await self._once(place.access, request.idempotency_key, set_acl)
        return mailbox_pb2.SetAclResponse()

    async def _once(
        self, access: Access, key: bytes, work: Callable[[Transaction], bytes]
    ) -> bytes:
        owner = access.owner
        return await self._writers.run(owner, once(owner, access.key(key), work))


_CHANGES: dict[int, Callable[[str, str], str]] = {
    mailbox_pb2.SetAclRequest.MODE_REPLACE: lambda before, rights: rights,
    mailbox_pb2.SetAclRequest.MODE_ADD: lambda before, rights: ordered(before + rights),
    mailbox_pb2.SetAclRequest.MODE_REMOVE: lambda before, rights: ordered(
        set(before) - set(rights)
    ),
}


def _admit_to_name(transaction: Transaction, place: Place, needed: str) -> str:
    """Let a guest do something with a mailbox by its name; answers what it may do with it.

    Raises PostroomError: see `admit`.
    """
    if not place.access.guest:
        return ALL
    mailbox = transaction.find_mailbox(place.owner, place.name)
    if mailbox is None:
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
    return admit(transaction, place.access, mailbox, needed)


def _entries(entries: Sequence[str]) -> list[str]:
    """Names of annotations as they are kept. Raises PostroomError INVALID."""
    if len(entries) > metadata.MOST_ENTRIES:
        raise PostroomError(Kind.INVALID, f"more than {metadata.MOST_ENTRIES} annotations")
    return list(map(naming.canonical, entries))


def _deleted_sizes(connection: Connection, account_id: int, wanted: bool) -> dict[int, int]:
    return reading.deleted_sizes(connection, account_id) if wanted else {}
