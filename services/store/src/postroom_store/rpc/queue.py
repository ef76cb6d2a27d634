"""QueueService: what waits to be sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from postroom.store.v1 import queue_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call

from postroom_store import queue
from postroom_store.database import Readers
from postroom_store.transaction import Transaction
from postroom_store.writer import Writers

Work = Callable[[Transaction, int, Sequence[int]], int]


class QueueService:
    """See protos/postroom/store/v1/queue.proto."""

    def __init__(self, readers: Readers, writers: Writers) -> None:
        self._readers = readers
        self._writers = writers

    async def List(
        self, request: queue_pb2.ListQueueRequest, call: Call
    ) -> queue_pb2.ListQueueResponse:
        size = request.page_size or queue.PAGE
        if not 0 < size <= queue.PAGE or not (request.page_token or "0").isdecimal():
            raise PostroomError(Kind.INVALID, "no such page")
        after = int(request.page_token or "0")
        page = await self._readers.run(lambda c: queue.list_entries(c, request.domain, after, size))
        return queue_pb2.ListQueueResponse(
            entries=map(_entry_message, page.entries),
            next_page_token=str(page.after) if page.after else "",
            total=page.total,
        )

    async def Hold(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return await self._change(request, queue.hold)

    async def Release(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return await self._change(request, queue.release)

    async def Cancel(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return await self._change(request, queue.cancel)

    async def _change(
        self, request: queue_pb2.QueueEntriesRequest, work: Work
    ) -> queue_pb2.QueueEntriesResponse:
        if not 0 < len(request.queue_ids) <= queue.PAGE:
            raise PostroomError(Kind.INVALID, f"1 to {queue.PAGE} entries")
        ids = list(request.queue_ids)
        owners = await self._readers.run(lambda c: queue.owners(c, ids))
        changed = 0
        for account_id, own in owners.items():
            changed += await self._writers.run(
                account_id,
                lambda t, a=account_id, o=own: work(t, a, o),  # type: ignore[misc]
            )
        return queue_pb2.QueueEntriesResponse(changed=changed)


def _entry_message(entry: queue.Entry) -> queue_pb2.QueueEntry:
    fields = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}
    return queue_pb2.QueueEntry(**fields)
