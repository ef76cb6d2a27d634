"""URLs over store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from postroom.store.v1 import url_pb2, url_pb2_grpc
from postroom_chassis.rpc.client import Channel, ticketed
from postroom_chassis.rpc.repeating import repeat

from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.urls import UrlDatum
from postroom_imap.protocol.commands.urlauth import UrlItem
from postroom_imap.remote.calls import closing, fresh_key

_ITEMS = {
    UrlItem.BODY: url_pb2.FetchUrlsRequest.ITEM_BODY,
    UrlItem.BINARY: url_pb2.FetchUrlsRequest.ITEM_BINARY,
    UrlItem.BODYPARTSTRUCTURE: url_pb2.FetchUrlsRequest.ITEM_BODYPARTSTRUCTURE,
}
_NAMES = {number: item for item, number in _ITEMS.items()}


class RemoteUrls:
    """URLs over postroom.store.v1.UrlService."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(url_pb2_grpc.UrlServiceStub)

    async def authorize(self, ticket: Ticket, rumps: Sequence[str]) -> Sequence[str]:
        metadata, request = ticketed(ticket.token), url_pb2.AuthorizeRequest(rumps=rumps)
        answer = await repeat(lambda: self._stub.Authorize(request, metadata=metadata))
        return list(answer.urls)

    async def reset(self, ticket: Ticket, name: str | None) -> None:
        metadata = ticketed(ticket.token)
        request = url_pb2.ResetKeysRequest(idempotency_key=fresh_key(), name=name or "")
        await repeat(lambda: self._stub.ResetKeys(request, metadata=metadata))

    async def fetch(
        self, ticket: Ticket, wanted: Sequence[tuple[str, Sequence[UrlItem]]]
    ) -> AsyncIterator[UrlDatum]:
        request = url_pb2.FetchUrlsRequest()
        for url, items in wanted:
            request.urls.add(url=url, items=[_ITEMS[item] for item in items])
        call = self._stub.Fetch(request, metadata=ticketed(ticket.token))
        async with closing(call) as responses:
            async for response in responses:
                for datum in response.data:
                    yield UrlDatum(
                        datum.url,
                        _NAMES.get(datum.item),
                        None if datum.missing else datum.data,
                        datum.size,
                        datum.more,
                    )
