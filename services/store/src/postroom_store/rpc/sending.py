"""SendingService: workers lease what is in the queue, and settle it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence, Set
from contextlib import suppress

from postroom.store.v1 import delivery_pb2, sending_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from prometheus_client import Counter

from postroom_store import destinations, leasing, queue, settling
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers
from postroom_store.destinations import Wish
from postroom_store.leasing import PIECE_BYTES, Batch
from postroom_store.lookouts import Lookout, Lookouts
from postroom_store.settling import Attempt, Outcome, Reached, Settled, Settlement
from postroom_store.transaction import NO_ACCOUNT
from postroom_store.writer import Writers

LEASED = Counter("postroom_store_queue_leased_total", "Queue entries leased")
SETTLED = Counter("postroom_store_queue_settled_total", "Queue entries settled", ["outcome"])

MOST_LEASES = 1000
MOST_SETTLEMENTS = 100
MOST_ENTRIES = 1000
MOST_LIMITS = 1000
MOST_WAIT = 20
LEASE_SECONDS = (30, 3600)
MOST_NAME = 255
BUSY_SECONDS = 0.05  # before a second look where others were leasing the same
SPARE_SECONDS = 1.0  # of a call's time that is left for its answer


class SendingService:
    """See protos/postroom/store/v1/sending.proto."""

    def __init__(
        self,
        readers: Readers,
        writers: Writers,
        files: BlobFiles | None,
        lookouts: Lookouts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._readers = readers
        self._writers = writers
        self._files = files
        self._lookouts = lookouts
        self._clock = clock
        self._turn = ""  # the destination that had the last turn
        self._leasing = asyncio.Lock()  # so that no two look for the same
        self._returning: set[asyncio.Task[None]] = set()

    async def Lease(
        self, request: sending_pb2.LeaseRequest, call: Call
    ) -> sending_pb2.LeaseResponse:
        wish = _wish(request)
        _check(request.wait_seconds, 0, MOST_WAIT, "seconds to wait")
        if self._lookouts.closing:
            # Not an empty answer: whoever gets one asks again at once.
            raise PostroomError(Kind.UNAVAILABLE, "this store is ending")
        end = time.monotonic() + request.wait_seconds
        if call.deadline is not None:
            end = min(end, call.deadline - SPARE_SECONDS)
        with Lookout(self._lookouts) as lookout:
            batches = await self._lease(wish, lookout, end)
        LEASED.inc(sum(len(batch.entries) for batch in batches))
        return sending_pb2.LeaseResponse(batches=map(_batch_message, batches))

    async def _lease(self, wish: Wish, lookout: Lookout, end: float) -> list[Batch]:
        """Lease what is due, or what comes due before the end of the time."""
        only: Set[str] | None = None
        next_at: float | None = None
        while True:
            async with self._leasing:
                batches, busy, seen = await self._try(wish, only)
            left = end - time.monotonic()
            if batches or left <= 0 or self._lookouts.closing:
                return batches
            if busy:
                lookout.wake(only) if only is not None else lookout.wake_all()
                await asyncio.sleep(min(BUSY_SECONDS, left))
            if seen is not None and (only is None or next_at is None or seen < next_at):
                next_at = seen
            elif only is None:
                next_at = None
            until = left if next_at is None else min(left, max(next_at - self._clock(), 0))
            only = await lookout.wait(until)

    async def _try(self, wish: Wish, only: Set[str] | None) -> tuple[list[Batch], bool, int | None]:
        """Lease what is due of some destinations, or of all.

        Answers also whether others took it, or have it locked just now; and when something more
        comes due.
        """
        now, after = int(self._clock()), self._turn
        seen = await self._readers.run(lambda c: destinations.look(c, wish, now, after, only))
        if not seen.domains:
            return [], False, seen.next_at
        batches = await self._lease_of(wish, seen.domains)
        if only is None and batches:
            self._turn = batches[-1].domain
        return batches, not batches, seen.next_at

    async def _lease_of(self, wish: Wish, domains: Sequence[str]) -> list[Batch]:
        """Lease; what nobody waits for any more is given back at once."""
        leased = asyncio.ensure_future(
            self._writers.run(NO_ACCOUNT, lambda t: leasing.lease(t, wish, domains))
        )
        try:
            return await asyncio.shield(leased)
        except asyncio.CancelledError:
            returning = asyncio.create_task(self._give_back(leased))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
            raise

    async def _give_back(self, leased: asyncio.Future[list[Batch]]) -> None:
        with suppress(PostroomError):
            ended = [Settlement(batch.lease_id, (), ended=True) for batch in await leased]
            await self._writers.run(NO_ACCOUNT, lambda t: settling.settle(t, ended))

    async def Extend(
        self, request: sending_pb2.ExtendRequest, call: Call
    ) -> sending_pb2.ExtendResponse:
        _check(len(request.lease_ids), 0, MOST_LEASES, "leases")
        _check(request.lease_seconds, *LEASE_SECONDS, "seconds of a lease")
        lease_ids = list(request.lease_ids)
        lost = await self._writers.run(
            NO_ACCOUNT, lambda t: leasing.extend(t, lease_ids, request.lease_seconds)
        )
        return sending_pb2.ExtendResponse(lost=lost)

    async def Read(
        self, request: sending_pb2.ReadEntryRequest, call: Call
    ) -> AsyncIterator[sending_pb2.ReadEntryResponse]:
        start, more = 0, True
        while more:
            # Asked for anew each time: the lease may have ended meanwhile.
            piece, more = await self._read(request, start)
            for at in range(0, max(len(piece), 1), PIECE_BYTES):
                yield sending_pb2.ReadEntryResponse(data=piece[at : at + PIECE_BYTES])
            start += len(piece)

    async def _read(self, request: sending_pb2.ReadEntryRequest, start: int) -> tuple[bytes, bool]:
        now, files = int(self._clock()), self._files
        lease_id, queue_id = request.lease_id, request.queue_id
        return await self._readers.run(
            lambda c: leasing.read_piece(c, files, now, lease_id, queue_id, start)
        )

    async def Settle(
        self, request: sending_pb2.SettleRequest, call: Call
    ) -> sending_pb2.SettleResponse:
        _check(len(request.settlements), 0, MOST_SETTLEMENTS, "settlements")
        settlements = [_settlement(one) for one in request.settlements]
        outcomes = await self._writers.run(NO_ACCOUNT, lambda t: settling.settle(t, settlements))
        for outcome, count in outcomes.counts.items():
            SETTLED.labels(outcome.name.lower()).inc(count)
        return sending_pb2.SettleResponse(lost=outcomes.lost)

    async def Hasten(
        self, request: sending_pb2.HastenRequest, call: Call
    ) -> sending_pb2.HastenResponse:
        domain = queue.named(request.domain)
        if not domain or len(domain) > MOST_NAME:
            raise PostroomError(Kind.INVALID, "a domain is needed")
        domains = [domain]
        if request.subdomains:
            domains = await self._readers.run(lambda c: queue.domains_below(c, domain))
        for name in domains:
            # In steps, so that others are served in between.
            while await self._writers.run(NO_ACCOUNT, lambda t, n=name: queue.hasten(t, n)):  # type: ignore[misc]
                pass
        waiting = await self._readers.run(lambda c: queue.count_waiting(c, domains))
        return sending_pb2.HastenResponse(waiting=waiting)


def _check(value: int, least: int, most: int, what: str) -> None:
    if not least <= value <= most:
        raise PostroomError(Kind.INVALID, f"{least} to {most} {what}")


def _wish(request: sending_pb2.LeaseRequest) -> Wish:
    _check(len(request.worker), 1, MOST_NAME, "characters of a worker's name")
    _check(request.batches, 1, 100, "batches")
    _check(request.entries, 1, MOST_ENTRIES, "entries")
    _check(request.per_domain, 1, 1000, "batches of a domain")
    _check(request.lease_seconds, *LEASE_SECONDS, "seconds of a lease")
    _check(len(request.limits), 0, MOST_LIMITS, "limits")
    limits = {queue.named(one.domain): one.batches for one in request.limits}
    return Wish(
        request.worker.replace("\0", ""),
        request.batches,
        request.entries,
        request.per_domain,
        request.lease_seconds,
        limits,
    )


def _batch_message(batch: Batch) -> sending_pb2.Batch:
    entries = (
        sending_pb2.LeasedEntry(
            queue_id=entry.queue_id,
            message=entry.message,
            account_id=entry.account_id,
            sender=entry.sender,
            recipient=delivery_pb2.QueueRecipient(
                address=entry.recipient,
                original=entry.original,
                notify=[v for v in delivery_pb2.Notify.values() if entry.notify >> v & 1],
                sender=entry.own_sender,
            ),
            created_at=entry.created_at,
            attempts=entry.attempts,
            delay_told=entry.delay_told,
            trace_id=entry.trace_id,
            suppressed=entry.suppressed,
        )
        for entry in batch.entries
    )
    messages = (
        sending_pb2.LeasedMessage(
            size=message.size,
            message_id=message.message_id,
            request=delivery_pb2.Request.FromString(message.request),
            eight_bit=message.eight_bit,
        )
        for message in batch.messages
    )
    return sending_pb2.Batch(
        lease_id=batch.lease_id,
        domain=batch.domain,
        expires_at=batch.expires_at,
        failures=batch.failures,
        entries=entries,
        messages=messages,
    )


def _settlement(settlement: sending_pb2.Settlement) -> Settlement:
    _check(len(settlement.entries), 0, MOST_ENTRIES, "entries")
    if not settlement.lease_id:
        raise PostroomError(Kind.INVALID, "a settlement names its lease")
    told = settlement.destination
    return Settlement(
        settlement.lease_id,
        [_settled(entry) for entry in settlement.entries],
        settlement.ended,
        Reached(told.reached, told.retry_at, told.reply)
        if settlement.HasField("destination")
        else None,
    )


def _settled(entry: sending_pb2.SettledEntry) -> Settled:
    if entry.untried:
        return Settled(entry.queue_id, None, entry.next_attempt_at, entry.delay_told)
    attempt = entry.attempt
    try:
        outcome = Outcome(attempt.outcome)
    except ValueError:
        raise PostroomError(Kind.INVALID, "an attempt has an outcome") from None
    if outcome is Outcome.DEFERRED and entry.next_attempt_at <= 0:
        raise PostroomError(Kind.INVALID, "what is deferred is due some time")
    return Settled(
        entry.queue_id,
        Attempt(attempt.at, outcome, attempt.reply, attempt.host, attempt.tls),
        entry.next_attempt_at,
        entry.delay_told,
    )
