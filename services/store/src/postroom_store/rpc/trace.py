"""TraceService: the life of a message."""

from __future__ import annotations

import time
from collections.abc import Callable

from postroom.store.v1 import delivery_pb2, trace_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call

from postroom_store import trace
from postroom_store.database import Readers
from postroom_store.delivery import Arrival
from postroom_store.rpc.queue import attempt_messages

MOST_NAME = 998  # a line's


class TraceService:
    """See protos/postroom/store/v1/trace.proto."""

    def __init__(self, readers: Readers, clock: Callable[[], float] = time.time) -> None:
        self._readers = readers
        self._clock = clock

    async def Trace(self, request: trace_pb2.TraceRequest, call: Call) -> trace_pb2.TraceResponse:
        if not 0 < len(request.message_id) <= MOST_NAME:
            raise PostroomError(Kind.INVALID, "a Message-ID is needed")
        name, now = request.message_id.replace("\0", ""), int(self._clock())
        copies, entries = await self._readers.run(lambda c: trace.trace(c, now, name))
        if not copies and not entries:
            raise PostroomError(Kind.NOT_FOUND, "nothing is known of such a message")
        return trace_pb2.TraceResponse(
            copies=map(_copy_message, copies), entries=map(_entry_message, entries)
        )


def _copy_message(copy: trace.Copy) -> trace_pb2.TracedCopy:
    return trace_pb2.TracedCopy(
        account_id=copy.account_id,
        mailbox=copy.mailbox,
        uid=copy.uid,
        delivered_at=copy.delivered_at,
        seen=copy.seen,
        expunged_at=copy.expunged_at,
        sender=copy.sender,
        reception=_reception(copy.arrival),
    )


def _entry_message(entry: trace.Entry) -> trace_pb2.TracedEntry:
    return trace_pb2.TracedEntry(
        queue_id=entry.queue_id,
        account_id=entry.account_id,
        sender=entry.sender,
        recipient=entry.recipient,
        created_at=entry.created_at,
        state=entry.state,  # type: ignore[arg-type]  # numbered as the proto's
        next_attempt_at=entry.next_attempt_at,
        attempts=attempt_messages(entry.attempts),
        reception=_reception(entry.arrival),
        cancelled_at=entry.cancelled_at,
    )


def _reception(arrival: Arrival) -> delivery_pb2.Reception:
    return delivery_pb2.Reception(
        message_id=arrival.arrival_id,
        client=arrival.client,
        name=arrival.name,
        verdict=arrival.verdict,
    )
