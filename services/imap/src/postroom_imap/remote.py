"""The ports over gRPC: auth and store as a session sees them.

A write carries an idempotency key and is repeated with the same key when its answer is lost, so
that it is done once; a read that answers at once is repeated too. What streams is not.
"""

from __future__ import annotations

import asyncio
import os
import time
from array import array
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from collections.abc import Sequence as Seq
from contextlib import aclosing
from typing import Any, Literal, TypeVar, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from postroom.auth.v1 import authentication_pb2, authentication_pb2_grpc
from postroom.store.v1 import (
    change_pb2,
    change_pb2_grpc,
    mailbox_pb2,
    mailbox_pb2_grpc,
    message_pb2,
    message_pb2_grpc,
)
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import Channel, ticketed, together

from postroom_imap import ports
from postroom_imap.ports import (
    AllOf,
    AnyOf,
    Appended,
    Batch,
    Change,
    Client,
    Column,
    Columns,
    Compares,
    Copied,
    FlagMode,
    Follower,
    HasFlag,
    HasHeader,
    HasText,
    InUids,
    Mailbox,
    NewMessage,
    Not,
    OpenedMailbox,
    Ranges,
    Respond,
    Section,
    SectionData,
    SignedIn,
    SpecialUse,
    StoreKey,
    Ticket,
    UploadId,
)

log = logs.logger(__name__)
T = TypeVar("T")

ATTEMPTS = 5
RETRY_SECONDS = 0.1
MECHANISMS_SECONDS = 60.0  # how long an answer about mechanisms is kept
EXCHANGE_SECONDS = 300.0
FEW_MESSAGES = 16  # a fetch of so many probably brings few bytes, and goes with other calls
FEW_BYTES = 512 * 1024
RECONNECT_SECONDS = (0.1, 5.0)  # the first pause, and the longest
MOST_RESPONSES = 4096  # of a search

_LOST = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE})

AuthenticateRequest = authentication_pb2.AuthenticateRequest


async def check(channel: Channel) -> None:
    """Raise unless the service at the other end says that it serves."""
    health = health_pb2_grpc.HealthStub(channel.grpc)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise PostroomError(Kind.UNAVAILABLE, "it does not serve now")


async def _repeat(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call that may be repeated until its answer is there, a few times."""
    for attempt in range(1, ATTEMPTS):
        try:
            return await call()
        except PostroomError as error:
            if error.kind not in _LOST:
                raise
            log.info("rpc.repeated", attempt=attempt, why=error.kind)
            await asyncio.sleep(RETRY_SECONDS * attempt)
    return await call()


def _key() -> bytes:
    return os.urandom(16)


def _closing(responses: AsyncIterable[T]) -> aclosing[AsyncGenerator[T, None]]:
    """End a stream of responses where its reader ends."""
    return aclosing(cast("AsyncGenerator[T, None]", responses))


# -- auth


class RemoteAuthenticator:
    """Authenticator over postroom.auth.v1.AuthenticationService."""

    def __init__(self, auth: Channel) -> None:
        self._stub = auth.stub(authentication_pb2_grpc.AuthenticationServiceStub)
        self._offers: dict[bool, tuple[float, tuple[str, ...]]] = {}

    async def mechanisms(self, client: Client) -> tuple[str, ...]:
        expires, offer = self._offers.get(client.secure, (0.0, ()))
        if time.monotonic() >= expires:
            request = authentication_pb2.ListMechanismsRequest(client=_client(client))
            offer = tuple((await self._stub.ListMechanisms(request)).mechanisms)
            self._offers[client.secure] = (time.monotonic() + MECHANISMS_SECONDS, offer)
        return offer

    async def authenticate(
        self, mechanism: str, initial_response: bytes | None, client: Client, respond: Respond
    ) -> SignedIn:
        if initial_response is not None:
            # One small call costs a fraction of a stream; it is for mechanisms of one step.
            request = authentication_pb2.SignInRequest(
                mechanism=mechanism, initial_response=initial_response, client=_client(client)
            )
            try:
                success = await self._stub.SignIn(request)
            except PostroomError as error:
                if error.kind is not Kind.UNSUPPORTED:
                    raise
            else:
                return SignedIn(_ticket(success.ticket), success.additional_data)
        return await self._exchange(mechanism, initial_response, client, respond)

    async def _exchange(
        self, mechanism: str, initial_response: bytes | None, client: Client, respond: Respond
    ) -> SignedIn:
        start = AuthenticateRequest.Start(mechanism=mechanism, client=_client(client))
        if initial_response is not None:
            start.initial_response = initial_response
        requests: asyncio.Queue[AuthenticateRequest] = asyncio.Queue()
        requests.put_nowait(AuthenticateRequest(start=start))
        call = self._stub.Authenticate(_taken(requests), timeout=EXCHANGE_SECONDS)
        async with _closing(call) as responses:
            async for response in responses:
                if response.WhichOneof("step") == "success":
                    success = response.success
                    return SignedIn(_ticket(success.ticket), success.additional_data)
                said = await respond(response.challenge)
                requests.put_nowait(
                    AuthenticateRequest(cancel=True)
                    if said is None
                    else AuthenticateRequest(response=said)
                )
        raise PostroomError(Kind.INTERNAL, "the exchange ended without an outcome")

    async def renew(self, ticket: Ticket) -> Ticket:
        request = authentication_pb2.RenewRequest(token=ticket.token)
        return _ticket((await _repeat(lambda: self._stub.Renew(request))).ticket)


async def _taken(
    requests: asyncio.Queue[AuthenticateRequest],
) -> AsyncIterator[AuthenticateRequest]:
    while True:
        yield await requests.get()


def _client(client: Client) -> authentication_pb2.Client:
    return authentication_pb2.Client(
        protocol="imap",
        address=client.address,
        secure=client.secure,
        tls_version=client.tls_version,
    )


def _ticket(ticket: authentication_pb2.Ticket) -> Ticket:
    return Ticket(ticket.token, ticket.account_id, ticket.address, ticket.expires_at)


# -- mailboxes

_SPECIAL_USES = {
    mailbox_pb2.SPECIAL_USE_ALL: SpecialUse.ALL,
    mailbox_pb2.SPECIAL_USE_ARCHIVE: SpecialUse.ARCHIVE,
    mailbox_pb2.SPECIAL_USE_DRAFTS: SpecialUse.DRAFTS,
    mailbox_pb2.SPECIAL_USE_FLAGGED: SpecialUse.FLAGGED,
    mailbox_pb2.SPECIAL_USE_JUNK: SpecialUse.JUNK,
    mailbox_pb2.SPECIAL_USE_SENT: SpecialUse.SENT,
    mailbox_pb2.SPECIAL_USE_TRASH: SpecialUse.TRASH,
}


class RemoteMailboxes:
    """Mailboxes over postroom.store.v1.MailboxService."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(mailbox_pb2_grpc.MailboxServiceStub)

    async def list(self, ticket: Ticket) -> Seq[Mailbox]:
        found: list[Mailbox] = []
        request = mailbox_pb2.ListRequest()
        while True:
            page = await self._call(self._stub.List, request, ticket)
            found += map(_mailbox, page.mailboxes)
            if not page.next_page_token:
                return found
            request = mailbox_pb2.ListRequest(page_token=page.next_page_token)

    async def status(self, ticket: Ticket, name: str) -> Mailbox:
        request = mailbox_pb2.StatusRequest(names=[name])
        return _mailbox((await self._call(self._stub.Status, request, ticket)).mailboxes[0])

    async def create(self, ticket: Ticket, name: str) -> Mailbox:
        request = mailbox_pb2.CreateRequest(idempotency_key=_key(), name=name)
        return _mailbox(await self._call(self._stub.Create, request, ticket))

    async def delete(self, ticket: Ticket, name: str) -> None:
        request = mailbox_pb2.DeleteRequest(idempotency_key=_key(), name=name)
        await self._call(self._stub.Delete, request, ticket)

    async def rename(self, ticket: Ticket, name: str, new_name: str) -> None:
        request = mailbox_pb2.RenameRequest(idempotency_key=_key(), name=name, new_name=new_name)
        await self._call(self._stub.Rename, request, ticket)

    async def subscribe(self, ticket: Ticket, name: str, subscribed: bool) -> None:
        request = mailbox_pb2.SubscribeRequest(
            idempotency_key=_key(), name=name, subscribed=subscribed
        )
        await self._call(self._stub.Subscribe, request, ticket)

    async def _call(self, method: Any, request: Any, ticket: Ticket) -> Any:
        metadata = ticketed(ticket.token)
        return await _repeat(lambda: method(request, metadata=metadata))


def _mailbox(mailbox: mailbox_pb2.Mailbox) -> Mailbox:
    counts = mailbox.counts
    return Mailbox(
        mailbox_id=mailbox.mailbox_id,
        name=mailbox.name,
        selectable=mailbox.selectable,
        subscribed=mailbox.subscribed,
        special_use=_SPECIAL_USES.get(mailbox.special_use),
        uid_validity=mailbox.uid_validity,
        messages=counts.messages,
        unseen=counts.unseen,
        uid_next=counts.uid_next,
        modseq=counts.highest_modseq,
    )


# -- messages

_COLUMNS = {
    Column.INTERNALDATE: (message_pb2.COLUMN_INTERNALDATE, "internaldates"),
    Column.SIZE: (message_pb2.COLUMN_SIZE, "sizes"),
    Column.ENVELOPE: (message_pb2.COLUMN_ENVELOPE, "envelopes"),
    Column.BODY: (message_pb2.COLUMN_BODY, "bodies"),
    Column.BODYSTRUCTURE: (message_pb2.COLUMN_BODYSTRUCTURE, "bodystructures"),
    Column.HEADER: (message_pb2.COLUMN_HEADER, "headers"),
}
_TEXTS = {
    ports.Text.WHOLE: message_pb2.Section.TEXT_UNSPECIFIED,
    ports.Text.HEADER: message_pb2.Section.TEXT_HEADER,
    ports.Text.TEXT: message_pb2.Section.TEXT_TEXT,
    ports.Text.MIME: message_pb2.Section.TEXT_MIME,
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

    async def open(self, ticket: Ticket, name: str) -> OpenedMailbox:
        return await _repeat(lambda: self._open(ticket, name))

    async def _open(self, ticket: Ticket, name: str) -> OpenedMailbox:
        request = message_pb2.OpenRequest(name=name)
        mailbox: message_pb2.OpenMailbox | None = None
        columns = Columns()
        call = self._stub.Open(request, metadata=together(ticketed(ticket.token), 0))
        async with _closing(call) as responses:
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
            keywords=_keywords(mailbox.keywords),
            columns=columns,
        )

    async def fetch(
        self,
        ticket: Ticket,
        mailbox_id: int,
        uids: Ranges,
        columns: Seq[Column],
        sections: Seq[Section],
    ) -> AsyncIterator[Batch]:
        request = message_pb2.FetchRequest(
            mailbox_id=mailbox_id,
            uids=_ranges(uids),
            columns=[_COLUMNS[column][0] for column in columns],
            sections=map(_section, sections),
        )
        fields = [(column, _COLUMNS[column][1]) for column in columns]
        metadata = ticketed(ticket.token)
        if sum(last - first + 1 for first, last in uids) <= FEW_MESSAGES:
            metadata = together(metadata, FEW_BYTES)
        call = self._stub.Fetch(request, metadata=metadata)
        async with _closing(call) as responses:
            async for response in responses:
                yield Batch(
                    response.uids,
                    {column: getattr(response, name) for column, name in fields},
                    list(map(_section_data, response.sections)),
                )

    async def upload(self, ticket: Ticket, pieces: AsyncIterable[bytes]) -> UploadId:
        requests = (message_pb2.UploadRequest(data=piece) async for piece in pieces)
        response = await self._stub.Upload(requests, metadata=ticketed(ticket.token))
        return UploadId(response.upload_id)

    async def append(self, ticket: Ticket, name: str, message: NewMessage) -> Appended:
        new = message_pb2.NewMessage(flags=message.flags)
        match message.source:
            case UploadId(value):
                new.upload_id = value
            case bytes(content):
                new.content = content
        if message.internal_date is not None:
            new.internaldate = message.internal_date
        request = message_pb2.AppendRequest(idempotency_key=_key(), name=name, messages=[new])
        response = await self._call(self._stub.Append, request, ticket)
        return Appended(response.uid_validity, list(response.uids), _change(response.change))

    async def store_flags(
        self, ticket: Ticket, mailbox_id: int, uids: Ranges, mode: FlagMode, flags: Seq[str]
    ) -> Change | None:
        request = message_pb2.StoreFlagsRequest(
            idempotency_key=_key(),
            mailbox_id=mailbox_id,
            uids=_ranges(uids),
            mode=_MODES[mode],
            flags=flags,
        )
        return _change_in(await self._call(self._stub.StoreFlags, request, ticket), "change")

    async def copy(self, ticket: Ticket, mailbox_id: int, uids: Ranges, target: str) -> Copied:
        return await self._copy(self._stub.Copy, ticket, mailbox_id, uids, target)

    async def move(self, ticket: Ticket, mailbox_id: int, uids: Ranges, target: str) -> Copied:
        return await self._copy(self._stub.Move, ticket, mailbox_id, uids, target)

    async def expunge(self, ticket: Ticket, mailbox_id: int, uids: Ranges) -> Change | None:
        request = message_pb2.ExpungeRequest(
            idempotency_key=_key(), mailbox_id=mailbox_id, uids=_ranges(uids)
        )
        return _change_in(await self._call(self._stub.Expunge, request, ticket), "change")

    async def search(self, ticket: Ticket, mailbox_id: int, key: StoreKey) -> Seq[int]:
        request = message_pb2.SearchRequest(mailbox_id=mailbox_id, key=_search_key(key))
        return await _repeat(lambda: self._search(ticket, request))

    async def _search(self, ticket: Ticket, request: message_pb2.SearchRequest) -> Seq[int]:
        found = array("I")
        call = self._stub.Search(request, metadata=together(ticketed(ticket.token), 0))
        async with _closing(call) as responses:
            async for response in responses:
                found.extend(response.uids)
        return found

    async def _copy(
        self, method: Any, ticket: Ticket, mailbox_id: int, uids: Ranges, target: str
    ) -> Copied:
        request = message_pb2.CopyRequest(
            idempotency_key=_key(), mailbox_id=mailbox_id, uids=_ranges(uids), target=target
        )
        response = await self._call(method, request, ticket)
        return Copied(
            response.uid_validity,
            list(response.source_uids),
            list(response.target_uids),
            _change_in(response, "source_change"),
            _change_in(response, "target_change"),
        )

    async def _call(self, method: Any, request: Any, ticket: Ticket) -> Any:
        metadata = ticketed(ticket.token)
        return await _repeat(lambda: method(request, metadata=metadata))


def _ranges(uids: Ranges) -> list[message_pb2.UidRange]:
    return [message_pb2.UidRange(first=first, last=last) for first, last in uids]


def _section(section: Section) -> message_pb2.Section:
    wanted = message_pb2.Section(path=section.path, text=_TEXTS[section.text])
    if section.partial is not None:
        wanted.partial.offset, wanted.partial.length = section.partial
    return wanted


def _section_data(column: message_pb2.SectionColumn) -> SectionData:
    data: list[bytes | None] = list(column.data)
    if column.missing:
        data = [None if gone else datum for datum, gone in zip(data, column.missing, strict=True)]
    return SectionData(data, column.size if column.more else 0)


def _keywords(keywords: Seq[message_pb2.Keyword]) -> list[tuple[int, str]]:
    return [(keyword.number, keyword.name) for keyword in keywords]


def _columns_in(change: message_pb2.Change, field: Literal["added", "flagged"]) -> Columns:
    if not change.HasField(field):
        return Columns()
    message: message_pb2.Columns = getattr(change, field)
    return Columns(
        array("I", message.uids),
        array("Q", message.flags),
        array("Q", message.modseqs),
        array("Q", message.email_ids),
    )


def _change_in(response: Any, field: str) -> Change | None:
    return _change(getattr(response, field)) if response.HasField(field) else None


def _change(change: message_pb2.Change) -> Change:
    return Change(
        mailbox_id=change.mailbox_id,
        previous=change.previous_modseq,
        modseq=change.modseq,
        uid_next=change.uid_next,
        added=_columns_in(change, "added"),
        flagged=_columns_in(change, "flagged"),
        expunged=list(change.expunged),
        keywords=_keywords(change.keywords),
        deleted=change.deleted,
    )


def _search_key(key: StoreKey) -> message_pb2.SearchKey:
    message = message_pb2.SearchKey()
    match key:
        case AllOf(keys):
            message.all_of.SetInParent()
            message.all_of.keys.extend(map(_search_key, keys))
        case AnyOf(keys):
            message.any_of.SetInParent()
            message.any_of.keys.extend(map(_search_key, keys))
        case Not(inner):
            getattr(message, "not").CopyFrom(_search_key(inner))
        case InUids(ranges):
            message.uids.SetInParent()
            message.uids.uids.extend(_ranges(ranges))
        case HasFlag(name):
            message.flag.name = name
        case HasHeader(name, text):
            message.header.field, message.header.value = name, text
        case HasText(field, text):
            setattr(message, field.value, text)
        case Compares(field, number):
            setattr(message, field.value, number)
    return message


# -- changes


class RemoteChanges:
    """Changes over one stream of postroom.store.v1.ChangeService, made anew when it breaks."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(change_pb2_grpc.ChangeServiceStub)
        self._followers: dict[tuple[int, int], Follower] = {}
        self._unconfirmed: dict[tuple[int, int], None] = {}
        self._requests: asyncio.Queue[change_pb2.WatchRequest] = asyncio.Queue()
        self._runner: asyncio.Task[None] | None = None

    def add(self, follower: Follower) -> None:
        key = (follower.account_id, follower.mailbox_id)
        self._followers[key] = follower
        self._ask(key, follower)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())

    def remove(self, follower: Follower) -> None:
        key = (follower.account_id, follower.mailbox_id)
        if self._followers.get(key) is not follower:
            return
        del self._followers[key]
        self._unconfirmed.pop(key, None)
        remove = change_pb2.WatchRequest.Remove(account_id=key[0], mailbox_id=key[1])
        self._requests.put_nowait(change_pb2.WatchRequest(remove=remove))

    async def close(self) -> None:
        """End the stream."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)

    def _ask(self, key: tuple[int, int], follower: Follower) -> None:
        self._unconfirmed[key] = None
        add = change_pb2.WatchRequest.Add(
            ticket=follower.ticket.token,
            mailbox_id=follower.mailbox_id,
            since=follower.modseq,
            account_id=key[0],
        )
        self._requests.put_nowait(change_pb2.WatchRequest(add=add))

    async def _run(self) -> None:
        pause, longest = RECONNECT_SECONDS
        while True:
            started = time.monotonic()
            try:
                await self._follow()
            except PostroomError as error:
                log.warning("changes.lost", why=error.kind)
            except Exception:
                # Without this stream every session here would slowly go blind.
                log.exception("changes.failed")
            if time.monotonic() - started > longest:
                pause = RECONNECT_SECONDS[0]
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _follow(self) -> None:
        """Ask for every mailbox from where its view is, and hand out what comes."""
        self._requests = asyncio.Queue()
        for key, follower in self._followers.items():
            self._ask(key, follower)
        open_stream = cast(Callable[..., Any], self._stub.Watch)
        stream = open_stream(None)
        sender = asyncio.create_task(self._send(stream, self._requests))
        try:
            async for response in stream:
                self._hand_out(response)
        except grpc.aio.AioRpcError as error:
            raise PostroomError(Kind.UNAVAILABLE, error.code().name) from error
        finally:
            sender.cancel()
            stream.cancel()

    async def _send(self, stream: Any, requests: asyncio.Queue[change_pb2.WatchRequest]) -> None:
        try:
            while True:
                await stream.write(await requests.get())
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            stream.cancel()  # whoever reads it learns why

    def _hand_out(self, response: change_pb2.WatchResponse) -> None:
        for watching in response.watching:
            self._unconfirmed.pop((watching.account_id, watching.mailbox_id), None)
        for refusal in response.refusals:
            self._refuse(refusal)
        for told in response.changes:
            key = (told.account_id, told.change.mailbox_id)
            follower = self._followers.get(key)
            # What this process did itself is mostly known by then, from the answer.
            if follower is not None and told.change.modseq > follower.modseq:
                follower.follow(_change(told.change))

    def _refuse(self, refusal: change_pb2.Refusal) -> None:
        key = (refusal.account_id, refusal.mailbox_id)
        if key not in self._unconfirmed:
            return
        del self._unconfirmed[key]
        follower = self._followers.pop(key, None)
        if follower is not None:
            follower.lose(temporary=refusal.kind != Kind.NOT_FOUND)
