"""UrlService: URLs that let others read one part of one message."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeAlias

from postroom.store.v1 import url_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from postroom_chassis.tickets import SCOPE_MAIL, Ticket
from sqlalchemy import Connection

from postroom_store import url_keys, urls
from postroom_store.answers import once
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers
from postroom_store.domain.names import canonical
from postroom_store.references import Reference, References
from postroom_store.transaction import Transaction
from postroom_store.writer import Writers

PIECE_BYTES = 1024 * 1024

Item = url_pb2.FetchUrlsRequest.Item
ItemValue: TypeAlias = "Item.ValueType"
Datum = url_pb2.FetchUrlsResponse.Datum


class UrlService:
    """See protos/postroom/store/v1/url.proto."""

    def __init__(self, readers: Readers, writers: Writers, files: BlobFiles | None) -> None:
        self._readers = readers
        self._writers = writers
        self._files = files

    async def Authorize(
        self, request: url_pb2.AuthorizeRequest, call: Call
    ) -> url_pb2.AuthorizeResponse:
        _check_number(request.rumps)
        ticket = _reader(call)
        made = await self._writers.run(
            ticket.account_id,
            lambda t: urls.authorize(t, ticket.account_id, ticket.address, request.rumps),
        )
        return url_pb2.AuthorizeResponse(urls=made)

    async def ResetKeys(
        self, request: url_pb2.ResetKeysRequest, call: Call
    ) -> url_pb2.ResetKeysResponse:
        account_id = _reader(call).account_id
        name = canonical(request.name) if request.name else ""

        def reset(transaction: Transaction) -> bytes:
            mailbox = transaction.mailbox_named(account_id, name) if name else None
            url_keys.forget(transaction, account_id, mailbox)
            return b""

        await self._writers.run(account_id, once(account_id, request.idempotency_key, reset))
        return url_pb2.ResetKeysResponse()

    async def Fetch(
        self, request: url_pb2.FetchUrlsRequest, call: Call
    ) -> AsyncIterator[url_pb2.FetchUrlsResponse]:
        _check_number(request.urls)
        for wanted in request.urls:
            if not wanted.items or {Item.ITEM_BODY, Item.ITEM_BINARY} <= set(wanted.items):
                raise PostroomError(Kind.INVALID, "one form of a URL's data is needed")
        response, size = url_pb2.FetchUrlsResponse(), 0
        for place, wanted in enumerate(request.urls):
            found = await self._read(call.ticket, wanted)
            for datum in _data(place, found):
                if size and size + len(datum.data) > PIECE_BYTES:
                    yield response
                    response, size = url_pb2.FetchUrlsResponse(), 0
                response.data.append(datum)
                size += len(datum.data)
        yield response

    async def _read(
        self, ticket: Ticket, wanted: url_pb2.FetchUrlsRequest.Url
    ) -> dict[ItemValue, bytes | None] | None:
        """What is wanted of a URL's part; None where it opens nothing, or nothing is there."""
        now = time.time()

        def read(connection: Connection) -> dict[ItemValue, bytes | None] | None:
            opened = urls.resolve(connection, ticket, wanted.url, now)
            if opened is None:
                return None
            references = References(connection, self._files, opened.account_id)
            return _items(references, opened.reference, wanted.items)

        return await self._readers.run(read)


def _reader(call: Call) -> Ticket:
    """The ticket of who reads their mail: who submits some opens URLs, and makes none."""
    if SCOPE_MAIL not in call.ticket.scopes:
        raise PostroomError(Kind.DENIED, "the ticket is for something else")
    return call.ticket


def _items(
    references: References, reference: Reference, items: Sequence[ItemValue]
) -> dict[ItemValue, bytes | None] | None:
    """What is wanted of a part; None where there is no such part."""
    decoded = Item.ITEM_BINARY in items
    found: dict[ItemValue, bytes | None] = dict.fromkeys(items)
    content = Item.ITEM_BINARY if decoded else Item.ITEM_BODY
    try:
        data = references.read(reference, decoded=decoded)
    except PostroomError as error:
        if error.kind is not Kind.UNSUPPORTED:
            raise
    else:
        if data is None:
            return None
        if content in found:
            found[content] = data
    if Item.ITEM_BODYPARTSTRUCTURE in found:
        found[Item.ITEM_BODYPARTSTRUCTURE] = references.structure(reference, decoded=decoded)
    return found


def _data(place: int, found: dict[ItemValue, bytes | None] | None) -> Iterator[Datum]:
    if found is None:
        yield Datum(url=place, missing=True)
        return
    for item, data in found.items():
        if data is None:
            yield Datum(url=place, item=item, missing=True)
            continue
        size = len(data)
        for start in range(0, max(size, 1), PIECE_BYTES):
            end = start + PIECE_BYTES
            yield Datum(url=place, item=item, data=data[start:end], size=size, more=end < size)


def _check_number(asked: Sequence[object]) -> None:
    if not 0 < len(asked) <= urls.MOST_URLS:
        raise PostroomError(Kind.INVALID, f"1 to {urls.MOST_URLS} URLs are needed")
