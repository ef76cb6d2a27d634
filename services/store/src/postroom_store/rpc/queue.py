"""QueueService: what waits to be sent."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence

from postroom.store.v1 import queue_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call

from postroom_store import queue, suppression
from postroom_store.database import Readers
from postroom_store.settling import Attempt
from postroom_store.transaction import NO_ACCOUNT, Transaction
from postroom_store.writer import Writers

Work = Callable[[Transaction, int, Sequence[int]], int]


class QueueService:
    """See protos/postroom/store/v1/queue.proto."""

    def __init__(
        self, readers: Readers, writers: Writers, clock: Callable[[], float] = time.time
    ) -> None:
        self._readers = readers
        self._writers = writers
        self._clock = clock

    async def List(
        self, request: queue_pb2.ListQueueRequest, call: Call
    ) -> queue_pb2.ListQueueResponse:
        size = request.page_size or queue.PAGE
        if not 0 < size <= queue.PAGE or not (request.page_token or "0").isdecimal():
            raise PostroomError(Kind.INVALID, "no such page")
        after, now = int(request.page_token or "0"), int(self._clock())
        page = await self._readers.run(
            lambda c: queue.list_entries(c, now, request.domain, after, size)
        )
        return queue_pb2.ListQueueResponse(
            entries=map(_entry_message, page.entries),
            next_page_token=str(page.after) if page.after else "",
            total=page.total,
        )

    async def Show(
        self, request: queue_pb2.ShowQueueEntryRequest, call: Call
    ) -> queue_pb2.ShowQueueEntryResponse:
        now = int(self._clock())
        entry, attempts = await self._readers.run(lambda c: queue.show(c, now, request.queue_id))
        return queue_pb2.ShowQueueEntryResponse(
            entry=_entry_message(entry), attempts=attempt_messages(attempts)
        )

    async def Summarize(
        self, request: queue_pb2.SummarizeQueueRequest, call: Call
    ) -> queue_pb2.SummarizeQueueResponse:
        now = int(self._clock())
        domains, total = await self._readers.run(lambda c: queue.summarize(c, now))
        return queue_pb2.SummarizeQueueResponse(
            domains=(
                queue_pb2.SummarizeQueueResponse.Domain(**dataclasses.asdict(one))
                for one in domains
            ),
            total=total,
        )

    async def Hold(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return await self._change(request, queue.hold)

    async def Release(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return await self._change(request, queue.release)

    async def Retry(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return await self._change(request, queue.retry)

    async def Cancel(
        self, request: queue_pb2.QueueEntriesRequest, call: Call
    ) -> queue_pb2.QueueEntriesResponse:
        return await self._change(request, queue.cancel)

    async def ListSuppressions(
        self, request: queue_pb2.ListSuppressionsRequest, call: Call
    ) -> queue_pb2.ListSuppressionsResponse:
        found, after = await self._readers.run(
            lambda c: suppression.list_page(c, request.page_token)
        )
        return queue_pb2.ListSuppressionsResponse(
            suppressions=(queue_pb2.Suppression(**dataclasses.asdict(one)) for one in found),
            next_page_token=after,
        )

    async def Suppress(
        self, request: queue_pb2.SuppressRequest, call: Call
    ) -> queue_pb2.SuppressResponse:
        await self._writers.run(
            NO_ACCOUNT, lambda t: suppression.suppress(t, request.address, request.reason)
        )
        return queue_pb2.SuppressResponse()

    async def Unsuppress(
        self, request: queue_pb2.UnsuppressRequest, call: Call
    ) -> queue_pb2.UnsuppressResponse:
        await self._writers.run(NO_ACCOUNT, lambda t: suppression.unsuppress(t, request.address))
        return queue_pb2.UnsuppressResponse()

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


def attempt_messages(attempts: Iterable[Attempt]) -> list[queue_pb2.Attempt]:
    return [
        queue_pb2.Attempt(
            at=one.at,
            outcome=int(one.outcome),  # type: ignore[arg-type]  # named as the proto's
            reply=one.reply,
            host=one.host,
            tls=one.tls,
        )
        for one in attempts
    ]
