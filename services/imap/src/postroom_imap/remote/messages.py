"""Messages over store."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from collections.abc import Sequence as Seq
from itertools import islice
from typing import Any

from postroom.store.v1 import (
    message_pb2,
    message_pb2_grpc,
)
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from postroom_chassis.rpc.client import Channel, ticketed, together
from postroom_chassis.rpc.repeating import repeat

from postroom_imap.ports.columns import (
    Change,
    Columns,
    MailboxKey,
    OpenedMailbox,
    Ranges,
)
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.messages import (
    Appended,
    BadReference,
    Batch,
    Catenation,
    Column,
    Copied,
    FlagMode,
    Form,
    NewMessage,
    Reference,
    Replaced,
    Section,
    SectionData,
    Stored,
    Text,
    UploadId,
)
from postroom_imap.ports.searching import FoundInMailbox, Matches, Scope, SortColumn, StoreKey
from postroom_imap.protocol.collation import DEFAULT, Collation
from postroom_imap.protocol.commands.annotation import AnnotationColumn, AnnotationSetting
from postroom_imap.protocol.rights import ALL as ALL_RIGHTS
from postroom_imap.remote.calls import closing, fresh_key
from postroom_imap.remote.encoding import (
    change_in,
    change_of,
    keywords_of,
    owner_of,
    owner_quota,
    range_messages,
)
from postroom_imap.remote.searching import (
    COLLATIONS,
    SORT_COLUMNS,
    found_in_mailbox,
    scope_message,
    search_key_message,
    take_matches,
    tells_progress,
)

FEW_MESSAGES = 16  # a fetch of so many probably brings few bytes, and goes with other calls
FEW_BYTES = 512 * 1024

_COLUMNS = {
    Column.INTERNALDATE: (message_pb2.COLUMN_INTERNALDATE, "internaldates"),
    Column.SIZE: (message_pb2.COLUMN_SIZE, "sizes"),
    Column.ENVELOPE: (message_pb2.COLUMN_ENVELOPE, "envelopes"),
    Column.BODY: (message_pb2.COLUMN_BODY, "bodies"),
    Column.BODYSTRUCTURE: (message_pb2.COLUMN_BODYSTRUCTURE, "bodystructures"),
    Column.HEADER: (message_pb2.COLUMN_HEADER, "headers"),
    Column.THREAD_ID: (message_pb2.COLUMN_THREAD_ID, "thread_ids"),
    Column.PREVIEW: (message_pb2.COLUMN_PREVIEW, "previews"),
    Column.SAVEDATE: (message_pb2.COLUMN_SAVEDATE, "savedates"),
}
_TEXTS = {
    Text.WHOLE: message_pb2.Section.TEXT_UNSPECIFIED,
    Text.HEADER: message_pb2.Section.TEXT_HEADER,
    Text.TEXT: message_pb2.Section.TEXT_TEXT,
    Text.MIME: message_pb2.Section.TEXT_MIME,
}
_FORMS = {
    Form.RAW: message_pb2.Section.FORM_UNSPECIFIED,
    Form.DECODED: message_pb2.Section.FORM_DECODED,
    Form.DECODED_SIZE: message_pb2.Section.FORM_DECODED_SIZE,
}
_MODES = {
    FlagMode.ADD: message_pb2.StoreFlagsRequest.MODE_ADD,
    FlagMode.REMOVE: message_pb2.StoreFlagsRequest.MODE_REMOVE,
    FlagMode.REPLACE: message_pb2.StoreFlagsRequest.MODE_REPLACE,
}


class RemoteMessages:
    """Messages over postroom.store.v1.MessageService."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(message_pb2_grpc.MessageServiceStub)

    async def open(self, ticket: Ticket, mailbox: str | MailboxKey) -> OpenedMailbox:
        if isinstance(mailbox, str):
            request = message_pb2.OpenRequest(name=mailbox)
        else:
            owner = owner_of(ticket, mailbox)
            request = message_pb2.OpenRequest(mailbox_id=mailbox[1], owner=owner)
        return await repeat(lambda: self._open(ticket, request))

    async def _open(self, ticket: Ticket, request: message_pb2.OpenRequest) -> OpenedMailbox:
        mailbox: message_pb2.OpenMailbox | None = None
        columns = Columns()
        call = self._stub.Open(request, metadata=together(ticketed(ticket.token), 0))
        async with closing(call) as responses:
            async for response in responses:
                mailbox = mailbox or response.mailbox
                columns.uids.extend(response.messages.uids)
                columns.flags.extend(response.messages.flags)
                columns.modseqs.extend(response.messages.modseqs)
                columns.email_ids.extend(response.messages.email_ids)
        if mailbox is None:
            raise PostroomError(Kind.INTERNAL, "a mailbox was opened without an answer")
        return OpenedMailbox(
            mailbox_id=mailbox.mailbox_id,
            name=mailbox.name,
            uid_validity=mailbox.uid_validity,
            uid_next=mailbox.uid_next,
            modseq=mailbox.highest_modseq,
            keywords=keywords_of(mailbox.keywords),
            columns=columns,
            rights=mailbox.rights if mailbox.owner else ALL_RIGHTS,
            owner=mailbox.owner,
        )

    async def fetch(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        columns: Seq[Column],
        sections: Seq[Section],
        annotations: Seq[str] = (),
    ) -> AsyncIterator[Batch]:
        request = message_pb2.FetchRequest(
            mailbox_id=mailbox[1],
            owner=owner_of(ticket, mailbox),
            uids=range_messages(uids),
            columns=[_COLUMNS[column][0] for column in columns],
            sections=map(_section, sections),
            annotations=annotations,
        )
        fields = [(column, _COLUMNS[column][1]) for column in columns]
        metadata = ticketed(ticket.token)
        if sum(last - first + 1 for first, last in uids) <= FEW_MESSAGES:
            metadata = together(metadata, FEW_BYTES)
        call = self._stub.Fetch(request, metadata=metadata)
        async with closing(call) as responses:
            async for response in responses:
                yield Batch(
                    response.uids,
                    {column: getattr(response, name) for column, name in fields},
                    list(map(_section_data, response.sections)),
                    _annotations(response.annotations),
                )

    async def upload(self, ticket: Ticket, pieces: AsyncIterable[bytes]) -> UploadId:
        requests = (message_pb2.UploadRequest(data=piece) async for piece in pieces)
        response = await self._stub.Upload(requests, metadata=ticketed(ticket.token))
        return UploadId(response.upload_id)

    async def upload_many(self, ticket: Ticket, contents: Seq[bytes]) -> Seq[UploadId]:
        async def upload() -> message_pb2.UploadResponse:
            requests = _whole_contents(contents)
            return await self._stub.Upload(requests, metadata=ticketed(ticket.token))

        response = await repeat(upload)
        return [UploadId(value) for value in response.upload_ids]

    async def append(
        self,
        ticket: Ticket,
        name: str,
        *messages: NewMessage,
        replaced: Replaced | None = None,
        quota: Quota | None = None,
    ) -> Appended:
        request = message_pb2.AppendRequest(
            idempotency_key=fresh_key(),
            name=name,
            messages=map(_new_message, messages),
            owner_quota=owner_quota(quota),
        )
        if replaced is not None:
            request.replaced.mailbox_id, request.replaced.uid = replaced.mailbox[1], replaced.uid
            request.replaced.owner = owner_of(ticket, replaced.mailbox)
        response = await self._call(self._stub.Append, request, ticket)
        if response.HasField("bad_reference"):
            raise BadReference(response.bad_reference.message, response.bad_reference.piece)
        return Appended(
            response.uid_validity,
            list(response.uids),
            change_of(response.change),
            change_in(response, "source_change"),
        )

    async def store_flags(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        mode: FlagMode,
        flags: Seq[str],
        unchanged_since: int | None = None,
    ) -> Stored:
        request = message_pb2.StoreFlagsRequest(
            idempotency_key=fresh_key(),
            mailbox_id=mailbox[1],
            owner=owner_of(ticket, mailbox),
            uids=range_messages(uids),
            mode=_MODES[mode],
            flags=flags,
            unchanged_since=unchanged_since,
        )
        response = await self._call(self._stub.StoreFlags, request, ticket)
        return Stored(change_in(response, "change"), list(response.modified))

    async def store_annotations(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        annotations: Seq[AnnotationSetting],
        unchanged_since: int | None = None,
    ) -> Stored:
        request = message_pb2.StoreAnnotationsRequest(
            idempotency_key=fresh_key(),
            mailbox_id=mailbox[1],
            owner=owner_of(ticket, mailbox),
            uids=range_messages(uids),
            annotations=map(_new_annotation, annotations),
            unchanged_since=unchanged_since,
        )
        response = await self._call(self._stub.StoreAnnotations, request, ticket)
        return Stored(change_in(response, "change"), list(response.modified))

    async def vanished(self, ticket: Ticket, mailbox: MailboxKey, since: int) -> Ranges | None:
        request = message_pb2.VanishedRequest(
            mailbox_id=mailbox[1], owner=owner_of(ticket, mailbox), since=since
        )
        response = await self._call(self._stub.Vanished, request, ticket)
        if response.forgotten:
            return None
        return [(gone.first, gone.last) for gone in response.uids]

    async def copy(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        target: str,
        quota: Quota | None = None,
    ) -> Copied:
        return await self._copy(self._stub.Copy, ticket, mailbox, uids, target, quota)

    async def move(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        target: str,
        quota: Quota | None = None,
    ) -> Copied:
        return await self._copy(self._stub.Move, ticket, mailbox, uids, target, quota)

    async def expunge(self, ticket: Ticket, mailbox: MailboxKey, uids: Ranges) -> Change | None:
        request = message_pb2.ExpungeRequest(
            idempotency_key=fresh_key(),
            mailbox_id=mailbox[1],
            owner=owner_of(ticket, mailbox),
            uids=range_messages(uids),
        )
        return change_in(await self._call(self._stub.Expunge, request, ticket), "change")

    async def search(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        key: StoreKey,
        *,
        comparator: Collation = DEFAULT,
        columns: Seq[SortColumn] = (),
        annotations: Seq[AnnotationColumn] = (),
        scored: bool = False,
    ) -> Matches:
        request = message_pb2.SearchRequest(
            mailbox_id=mailbox[1],
            owner=owner_of(ticket, mailbox),
            key=search_key_message(key),
            columns=[SORT_COLUMNS[column] for column in columns],
            scores=scored,
            collation=COLLATIONS[comparator],
            progress=bool(columns or annotations),  # it comes by itself, then
            annotations=[
                message_pb2.SortAnnotation(entry=each.entry, shared=each.shared)
                for each in annotations
            ],
        )
        return await repeat(lambda: self._search(ticket, request, columns))

    async def _search(
        self, ticket: Ticket, request: message_pb2.SearchRequest, columns: Seq[SortColumn]
    ) -> Matches:
        found = Matches(
            columns={column: [] for column in columns},
            annotations=[[] for _ in request.annotations],
        )
        metadata = ticketed(ticket.token)
        # Columns are as large as what a fetch brings, and are no answer to share a stream with.
        wide = columns or request.annotations
        call = self._stub.Search(request, metadata=metadata if wide else together(metadata, 0))
        async with closing(call) as responses:
            async for response in responses:
                if not tells_progress(response):
                    take_matches(found, response)
        return found

    async def search_many(
        self,
        ticket: Ticket,
        scopes: Seq[Scope],
        key: StoreKey,
        *,
        own: tuple[int, StoreKey] | None = None,
        comparator: Collation = DEFAULT,
        scored: bool = False,
        modseqs: bool = False,
    ) -> AsyncIterator[FoundInMailbox]:
        request = message_pb2.SearchManyRequest(
            scopes=map(scope_message, scopes),
            key=search_key_message(key),
            collation=COLLATIONS[comparator],
            scores=scored,
            modseqs=modseqs,
        )
        if own is not None:
            request.own.mailbox_id = own[0]
            request.own.key.CopyFrom(search_key_message(own[1]))
        last: FoundInMailbox | None = None
        call = self._stub.SearchMany(request, metadata=ticketed(ticket.token))
        async with closing(call) as responses:
            async for response in responses:
                if tells_progress(response):
                    continue
                if last is None or last.mailbox_id != response.mailbox_id:
                    if last is not None:
                        yield last
                    last = found_in_mailbox(response)
                take_matches(last.matches, response.found)
                last.modseqs.extend(response.modseqs)
        if last is not None:
            yield last

    async def _copy(
        self,
        method: Any,
        ticket: Ticket,
        mailbox: MailboxKey,
        uids: Ranges,
        target: str,
        quota: Quota | None,
    ) -> Copied:
        request = message_pb2.CopyRequest(
            idempotency_key=fresh_key(),
            mailbox_id=mailbox[1],
            owner=owner_of(ticket, mailbox),
            uids=range_messages(uids),
            target=target,
            owner_quota=owner_quota(quota),
        )
        response = await self._call(method, request, ticket)
        return Copied(
            response.uid_validity,
            list(response.source_uids),
            list(response.target_uids),
            change_in(response, "source_change"),
            change_in(response, "target_change"),
        )

    async def _call(self, method: Any, request: Any, ticket: Ticket) -> Any:
        metadata = ticketed(ticket.token)
        return await repeat(lambda: method(request, metadata=metadata))


async def _whole_contents(contents: Seq[bytes]) -> AsyncIterator[message_pb2.UploadRequest]:
    for content in contents:
        yield message_pb2.UploadRequest(data=content, end=True)


def _new_message(message: NewMessage) -> message_pb2.NewMessage:
    new = message_pb2.NewMessage(flags=message.flags)
    match message.source:
        case UploadId(value):
            new.upload_id = value
        case bytes(content):
            new.content = content
        case Catenation(pieces):
            new.catenation.pieces.extend(map(_piece, pieces))
    if message.internal_date is not None:
        new.internaldate = message.internal_date
    new.annotations.extend(map(_new_annotation, message.annotations))
    return new


def _new_annotation(setting: AnnotationSetting) -> message_pb2.NewAnnotation:
    return message_pb2.NewAnnotation(
        entry=setting.entry, shared=setting.shared, value=setting.value
    )


def _annotations(
    columns: message_pb2.AnnotationColumns,
) -> list[Mapping[tuple[str, bool], bytes]]:
    """The annotations of each message."""
    names = (columns.names[place] for place in columns.entries)
    each = zip(zip(names, columns.shared, strict=True), columns.values, strict=True)
    return [dict(islice(each, count)) for count in columns.counts]


def _piece(piece: bytes | UploadId | Reference) -> message_pb2.Catenation.Piece:
    match piece:
        case UploadId(value):
            return message_pb2.Catenation.Piece(upload_id=value)
        case bytes(content):
            return message_pb2.Catenation.Piece(content=content)
    reference = message_pb2.Reference(
        name=piece.mailbox,
        uid_validity=piece.uid_validity,
        uid=piece.uid,
        section=piece.section,
    )
    if piece.partial is not None:
        reference.partial.offset, reference.partial.length = piece.partial
    return message_pb2.Catenation.Piece(reference=reference)


def _section(section: Section) -> message_pb2.Section:
    wanted = message_pb2.Section(
        path=section.path, text=_TEXTS[section.text], form=_FORMS[section.form]
    )
    if section.partial is not None:
        wanted.partial.offset, wanted.partial.length = section.partial
    return wanted


def _section_data(column: message_pb2.SectionColumn) -> SectionData:
    data: list[bytes | None] = list(column.data)
    if column.missing:
        data = [None if gone else datum for datum, gone in zip(data, column.missing, strict=True)]
    return SectionData(data, column.size if column.more else 0)
