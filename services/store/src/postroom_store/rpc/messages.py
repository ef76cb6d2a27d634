"""MessageService: the messages of a mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from postroom.store.v1 import mailbox_pb2, message_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from postroom_chassis.rpc.server import Call
from postroom_chassis.tickets import Ticket
from sqlalchemy import Connection

from postroom_store import annotating, annotation, copying, messages, reading
from postroom_store.acl import Access, admit
from postroom_store.annotation import Setting
from postroom_store.answers import once
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers
from postroom_store.domain import annotation_names as naming
from postroom_store.domain.change import Change, Columns
from postroom_store.domain.rights import (
    ANNOTATE,
    DELETE_MESSAGES,
    EXPUNGE,
    INSERT,
    READ,
    changeable,
    settable,
)
from postroom_store.messages import Message
from postroom_store.metadata import SHARED
from postroom_store.references import Reference, References
from postroom_store.rpc.arrivals import Arrivals, BadReference, ReadReference, settings_of_messages
from postroom_store.rpc.encoding import (
    change_message,
    keyword_messages,
    range_messages,
    ranges_of_message,
)
from postroom_store.rpc.fetching import (
    annotations_of_message,
    response_messages,
    wanted_of_message,
)
from postroom_store.rpc.mailboxes import Provision
from postroom_store.rpc.searching import (
    collation_of_message,
    columns_of_message,
    key_of_message,
    several_messages,
    several_of_message,
    sorted_by_of_message,
)
from postroom_store.rpc.searching import response_messages as found_messages
from postroom_store.search.program import Found, search
from postroom_store.search.several import FoundInMailbox
from postroom_store.sharing import (
    Place,
    Sharing,
    check_readable,
    find_mailbox,
    find_mailbox_named,
    guarded,
)
from postroom_store.transaction import Mailbox, Transaction
from postroom_store.uid_ranges import Ranges, ranges_of
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
        sharing: Sharing,
    ) -> None:
        self._readers = readers
        self._searchers = searchers
        self._writers = writers
        self._provision = provision
        self._contents = contents
        self._files = files
        self._sharing = sharing
        self._copies = copying.Copies(readers, writers, contents)

    async def Open(
        self, request: message_pb2.OpenRequest, call: Call
    ) -> AsyncIterator[message_pb2.OpenResponse]:
        await self._provision(call.ticket.account_id)
        find = await self._finding(request, call.ticket)

        def read(connection: Connection) -> tuple[Mailbox, str, Columns]:
            mailbox, rights = find(connection)
            return mailbox, rights, reading.columns_of(connection, mailbox)

        mailbox, rights, columns = await self._readers.run(read)
        guest = mailbox.account_id != call.ticket.account_id
        response = message_pb2.OpenResponse(
            mailbox=message_pb2.OpenMailbox(
                mailbox_id=mailbox.mailbox_id,
                name=mailbox.name,
                uid_validity=mailbox.uid_validity,
                uid_next=mailbox.uid_next,
                highest_modseq=mailbox.highest_modseq,
                messages=mailbox.messages,
                keywords=keyword_messages(enumerate(mailbox.keywords)),
                rights=rights if guest else "",
                owner=mailbox.account_id if guest else 0,
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

    async def _finding(
        self, request: message_pb2.OpenRequest, ticket: Ticket
    ) -> Callable[[Connection], tuple[Mailbox, str]]:
        """What finds the mailbox that is to be opened, by its name or its id."""
        if not request.mailbox_id:
            place = await self._sharing.locate(ticket, request.name)
            return lambda connection: find_mailbox_named(connection, place, READ)
        access = Access(ticket.account_id, request.owner or ticket.account_id)
        return lambda connection: find_mailbox(connection, access, request.mailbox_id, READ)

    async def Fetch(
        self, request: message_pb2.FetchRequest, call: Call
    ) -> AsyncIterator[message_pb2.FetchResponse]:
        if len(request.sections) > MOST_SECTIONS:
            raise PostroomError(Kind.INVALID, f"more than {MOST_SECTIONS} sections")
        access = _access(request, call)
        fetch = reading.Fetch(
            access.owner,
            request.mailbox_id,
            ranges_of_message(request.uids),
            tuple(dict.fromkeys(COLUMNS[column] for column in request.columns)),
            tuple(wanted_of_message(section) for section in request.sections),
            self._files,
            annotations_of_message(request.annotations, access.person),
        )

        def begin(connection: Connection) -> tuple[reading.Batch, reading.Position | None]:
            find_mailbox(connection, access, request.mailbox_id, READ)
            return fetch.read(connection, (0, 0))

        upcoming = asyncio.ensure_future(self._readers.run(begin))
        try:
            while True:
                batch, position = await upcoming
                if position is not None:
                    # One batch ahead: it is read while this one is sent.
                    upcoming = asyncio.ensure_future(self._read(access, fetch, position))
                for response in response_messages(batch):
                    yield response
                if position is None:
                    return
        finally:
            upcoming.cancel()

    async def _read(
        self, access: Access, fetch: reading.Fetch, position: reading.Position
    ) -> tuple[reading.Batch, reading.Position | None]:
        read = guarded(access, fetch.mailbox_id, lambda c: fetch.read(c, position))
        return await self._readers.run(read)

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
        place = await self._sharing.locate(ticket, request.name)
        access = place.access
        quota = _quota(ticket, access, request.owner_quota)
        replaced = request.replaced if request.HasField("replaced") else None
        if replaced is not None:
            if len(request.messages) != 1:
                raise PostroomError(Kind.INVALID, "one message replaces another")
            if (replaced.owner or ticket.account_id) != place.owner:
                raise PostroomError(Kind.UNSUPPORTED, "a message is replaced in its own account")

        def append(transaction: Transaction) -> bytes:
            mailbox = transaction.mailbox_named(place.owner, place.name)
            holders = {one.holder for arrival in arrivals.ready for one in arrival.annotations}
            # RFC 5257 section 3.4
            needed = INSERT + READ * bool(holders - {SHARED}) + ANNOTATE * (SHARED in holders)
            rights = admit(transaction, access, mailbox, needed)
            arrivals.check(transaction)
            source = _replaced(transaction, access, replaced) if replaced is not None else None
            permitted = arrivals.ready
            if access.guest:
                permitted = [replace(a, flags=settable(a.flags, rights)) for a in permitted]
            done = messages.append(transaction, mailbox, permitted, quota, replaced=source)
            return message_pb2.AppendResponse(
                uid_validity=done.uid_validity,
                uids=done.uids,
                change=_told(done.change, access),
                source_change=_told(done.source_change, access),
            ).SerializeToString()

        arrivals = Arrivals(
            self._contents,
            ticket.account_id,
            self._reading_references(ticket),
            annotator=ticket.account_id,
            stays=not access.guest,
        )
        try:
            async with arrivals.taking(request.messages):
                answer = await self._once(access, request.idempotency_key, append)
        except BadReference as bad:
            # Repeated after it was done, what it referred to may be what it replaced.
            owner, key = access.owner, access.key(request.idempotency_key)
            done = await self._writers.run(owner, lambda t: t.recall_answer(owner, key))
            if done is not None:
                return message_pb2.AppendResponse.FromString(done)
            return message_pb2.AppendResponse(
                bad_reference=message_pb2.AppendResponse.BadReference(
                    message=bad.message, piece=bad.piece
                )
            )
        return message_pb2.AppendResponse.FromString(answer)

    def _reading_references(self, ticket: Ticket) -> ReadReference:
        """What reads what references name: messages that the person may read, else nothing."""

        async def read(reference: Reference) -> bytes | None:
            try:
                place = await self._sharing.locate(ticket, reference.mailbox)
                if place.access.guest:
                    await self._readers.run(lambda c: find_mailbox_named(c, place, READ))
            except PostroomError:
                return None
            there = replace(reference, mailbox=place.name)
            return await self._readers.run(
                lambda c: References(c, self._files, place.owner).read(there)
            )

        return read

    async def StoreFlags(
        self, request: message_pb2.StoreFlagsRequest, call: Call
    ) -> message_pb2.StoreFlagsResponse:
        ranges = ranges_of_message(request.uids)
        mode = MODES.get(request.mode)
        if mode is None:
            raise PostroomError(Kind.INVALID, "a mode is needed")
        since = request.unchanged_since if request.HasField("unchanged_since") else None
        access = await self._enter(request, call, READ)

        def store(transaction: Transaction) -> bytes:
            mailbox = transaction.mailbox(access.owner, request.mailbox_id)
            rights = admit(transaction, access, mailbox, READ)
            flags, changeable = _changeable(request.flags, mode, rights)
            done = messages.store_flags(
                transaction, mailbox, ranges, mode, flags, since, changeable
            )
            return message_pb2.StoreFlagsResponse(
                change=_told(done.change, access), modified=done.modified
            ).SerializeToString()

        answer = await self._once(access, request.idempotency_key, store, durable=False)
        return message_pb2.StoreFlagsResponse.FromString(answer)

    async def StoreAnnotations(
        self, request: message_pb2.StoreAnnotationsRequest, call: Call
    ) -> message_pb2.StoreAnnotationsResponse:
        ranges = ranges_of_message(request.uids)
        settings = settings_of_messages(request.annotations, call.ticket.account_id)
        annotation.check(settings)
        since = request.unchanged_since if request.HasField("unchanged_since") else None
        needed = READ + ANNOTATE * any(one.holder == SHARED for one in settings)
        access = await self._enter(request, call, needed)
        if any(naming.part_of(one.entry) for one in settings):
            await self._check_parts(access, request.mailbox_id, ranges, settings)

        def store(transaction: Transaction) -> bytes:
            mailbox = transaction.mailbox(access.owner, request.mailbox_id)
            admit(transaction, access, mailbox, needed)
            done = annotating.store(transaction, mailbox, ranges, settings, access.person, since)
            return message_pb2.StoreAnnotationsResponse(
                change=_told(done.change, access), modified=done.modified
            ).SerializeToString()

        answer = await self._once(access, request.idempotency_key, store)
        return message_pb2.StoreAnnotationsResponse.FromString(answer)

    async def _check_parts(
        self, access: Access, mailbox_id: int, ranges: Ranges, settings: Sequence[Setting]
    ) -> None:
        """See that each message has the parts that are annotated: what it is made of never changes.

        Raises PostroomError INVALID.
        """
        fetch = reading.Fetch(access.owner, mailbox_id, ranges, ("structure",), (), None)
        position: reading.Position | None = (0, 0) if ranges else None
        while position is not None:
            batch, position = await self._read(access, fetch, position)
            for structure in batch.columns.get("structure", ()):
                annotating.check_parts(bytes(structure), settings)

    async def Copy(self, request: message_pb2.CopyRequest, call: Call) -> message_pb2.CopyResponse:
        return await self._copy(request, call, move=False)

    async def Move(self, request: message_pb2.CopyRequest, call: Call) -> message_pb2.CopyResponse:
        return await self._copy(request, call, move=True)

    async def _copy(
        self, request: message_pb2.CopyRequest, call: Call, *, move: bool
    ) -> message_pb2.CopyResponse:
        ticket = call.ticket
        ranges = ranges_of_message(request.uids)
        needed = READ + DELETE_MESSAGES + EXPUNGE if move else READ
        access = await self._enter(request, call, needed)
        place = await self._sharing.locate(ticket, request.target)
        quota = _quota(ticket, place.access, request.owner_quota)
        if place.owner != access.owner:
            return await self._copy_across(request, ranges, access, place, quota, move=move)

        def copy(transaction: Transaction) -> bytes:
            source = transaction.mailbox(access.owner, request.mailbox_id)
            admit(transaction, access, source, needed)
            target = transaction.mailbox_named(place.owner, place.name)
            rights = admit(transaction, access, target, INSERT)
            done = messages.copy(
                transaction,
                source,
                ranges,
                target,
                quota,
                move=move,
                tell=call.progress,
                settable=changeable(rights),
                holders=_holders(access, rights),
            )
            return message_pb2.CopyResponse(
                uid_validity=done.uid_validity,
                source_uids=done.source_uids,
                target_uids=done.target_uids,
                source_change=_told(done.source_change, access),
                target_change=_told(done.target_change, access),
            ).SerializeToString()

        answer = await self._once(access, request.idempotency_key, copy)
        return message_pb2.CopyResponse.FromString(answer)

    async def _copy_across(
        self,
        request: message_pb2.CopyRequest,
        ranges: Ranges,
        access: Access,
        place: Place,
        quota: Quota,
        *,
        move: bool,
    ) -> message_pb2.CopyResponse:
        """Copy from one account into another; a move takes away what the copy answers it copied.

        Each step is done once under the call's key, so that a repeat goes on where it was cut off.
        """
        copies = await self._copies.read(access, request.mailbox_id, ranges)
        await self._copies.carry(place, copies)

        def copy(transaction: Transaction) -> bytes:
            target = transaction.mailbox_named(place.owner, place.name)
            rights = admit(transaction, place.access, target, INSERT)
            holders = _holders(place.access, rights)
            done = copying.add(transaction, target, copies, quota, changeable(rights), holders)
            return message_pb2.CopyResponse(
                uid_validity=done.uid_validity,
                source_uids=done.source_uids,
                target_uids=done.target_uids,
                target_change=_told(done.target_change, place.access),
            ).SerializeToString()

        key = request.idempotency_key
        answer = message_pb2.CopyResponse.FromString(await self._once(place.access, key, copy))
        if not move or not answer.source_uids:
            return answer

        def take_away(transaction: Transaction) -> bytes:
            source = transaction.mailbox(access.owner, request.mailbox_id)
            admit(transaction, access, source, READ + DELETE_MESSAGES + EXPUNGE)
            gone = messages.remove(transaction, source, ranges_of(answer.source_uids))
            return message_pb2.CopyResponse(source_change=_told(gone, access)).SerializeToString()

        answer.MergeFromString(await self._once(access, key, take_away))
        return answer

    async def Expunge(
        self, request: message_pb2.ExpungeRequest, call: Call
    ) -> message_pb2.ExpungeResponse:
        ranges = ranges_of_message(request.uids) or None
        access = await self._enter(request, call, EXPUNGE)

        def expunge(transaction: Transaction) -> bytes:
            mailbox = transaction.mailbox(access.owner, request.mailbox_id)
            admit(transaction, access, mailbox, EXPUNGE)
            change = messages.expunge(transaction, mailbox, ranges)
            return message_pb2.ExpungeResponse(change=_told(change, access)).SerializeToString()

        answer = await self._once(access, request.idempotency_key, expunge)
        return message_pb2.ExpungeResponse.FromString(answer)

    async def Vanished(
        self, request: message_pb2.VanishedRequest, call: Call
    ) -> message_pb2.VanishedResponse:
        access = _access(request, call)
        ranges = ranges_of_message(request.uids)

        def read(connection: Connection) -> list[tuple[int, int]] | None:
            mailbox_id, since = request.mailbox_id, request.since
            return reading.vanished(connection, access.owner, mailbox_id, since, ranges)

        gone = await self._readers.run(guarded(access, request.mailbox_id, read))
        if gone is None:
            return message_pb2.VanishedResponse(forgotten=True)
        return message_pb2.VanishedResponse(uids=range_messages(gone))

    async def Search(
        self, request: message_pb2.SearchRequest, call: Call
    ) -> AsyncIterator[message_pb2.SearchResponse]:
        access = _access(request, call)
        collation = collation_of_message(request.collation)
        key = key_of_message(request.key, collation, access.person)
        columns = columns_of_message(request.columns)
        sorted_by = sorted_by_of_message(request.annotations, access.person)

        def run(connection: Connection, told: Callable[[int, int], None]) -> Found:
            check_readable(connection, access, request.mailbox_id)
            return search(
                connection,
                self._files,
                access.owner,
                request.mailbox_id,
                key,
                call.deadline,
                collation=collation,
                scored=request.scores,
                columns=columns,
                sorted_by=sorted_by,
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

    async def _enter(self, request: Any, call: Call, needed: str) -> Access:
        return await self._sharing.enter(call.ticket, request.owner, request.mailbox_id, needed)

    async def _once(
        self,
        access: Access,
        key: bytes,
        work: Callable[[Transaction], bytes],
        *,
        durable: bool = True,
    ) -> bytes:
        operation = once(access.owner, access.key(key), work)
        return await self._writers.run(access.owner, operation, durable=durable)


def _replaced(
    transaction: Transaction, access: Access, replaced: message_pb2.AppendRequest.Replaced
) -> tuple[Mailbox, Message]:
    """A message that is to be replaced. Raises PostroomError: CONFLICT; see `admit`."""
    if access.guest:
        source = transaction.mailbox(access.owner, replaced.mailbox_id)
        admit(transaction, access, source, READ + DELETE_MESSAGES + EXPUNGE)
    return messages.find(transaction, access.owner, replaced.mailbox_id, replaced.uid)


def _access(request: Any, call: Call) -> Access:
    """Whose account a read is in. Nothing is checked yet: see `guarded`."""
    return Access(call.ticket.account_id, request.owner or call.ticket.account_id)


def _quota(ticket: Ticket, access: Access, owner_quota: mailbox_pb2.OwnerQuota) -> Quota:
    """What the account that is written to may keep."""
    if not access.guest:
        return ticket.quota
    return Quota(owner_quota.bytes, owner_quota.messages, owner_quota.mailboxes)


def _told(change: Change | None, access: Access) -> message_pb2.Change | None:
    """A change as who made it is told of it."""
    return change_message(change, (access.person,), access.owner if access.guest else 0)


def _holders(access: Access, rights: str) -> tuple[int, ...]:
    """Whose annotations go along with copies into a mailbox (RFC 5257 section 4.6)."""
    return (access.person,) * (READ in rights) + (SHARED,) * (ANNOTATE in rights)


def _changeable(flags: Sequence[str], mode: str, rights: str) -> tuple[Sequence[str], int]:
    """What of some flags may be changed, and the mask of all that may be (RFC 4314 section 4).

    Raises PostroomError DENIED where nothing of it may: a client is told then, and only then.
    """
    mask = changeable(rights)
    permitted = settable(flags, rights)
    if not mask or (flags and not permitted and mode != "replace"):
        raise PostroomError(Kind.DENIED, "the right to change these flags is needed")
    return permitted, mask
