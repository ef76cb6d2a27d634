"""The store's queue in memory, as SendingService has it, for one process."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from postroom_chassis.errors import Kind, PostroomError
from postroom_smtp.protocol.envelope import NOTHING_ASKED, Recipient, Request
from postroom_smtp.sending.ports import (
    Attempt,
    Batch,
    Destination,
    Entry,
    Fate,
    Message,
    Outcome,
    Settlement,
    Wish,
)

PIECE_BYTES = 64 * 1024
SWEEP_SECONDS = 0.05  # between two looks for leases that are over
DONE = frozenset({Outcome.DELIVERED, Outcome.RELAYED, Outcome.FAILED})


@dataclass(slots=True)
class Waiting:
    """An entry, and what has become of it.

    Attributes:
        due: when it may be leased, Unix seconds; its lease's end while it is.
        outcome: the last one.
    """

    entry: Entry
    content: bytes
    due: float
    attempts: list[Attempt] = field(default_factory=list)
    lease_id: bytes = b""
    done: bool = False
    delay_told: bool = False

    @property
    def outcome(self) -> Outcome | None:
        return self.attempts[-1].outcome if self.attempts else None


@dataclass(slots=True)
class Domain:
    """Entries for one domain.

    Attributes:
        due: (time, queue id), a heap; what was settled since is passed over.
    """

    due: list[tuple[float, int]] = field(default_factory=list)
    leases: dict[bytes, float] = field(default_factory=dict)
    failures: int = 0
    retry_at: float = 0.0
    reply: str = ""
    most: int = 0


class MemoryQueue:
    """A queue that keeps the contract of postroom.store.v1.SendingService.

    Attributes:
        entries: all there ever were.
        domains: by name.
        settled: outcomes, as they came.
        fault: what every call raises; `refused` is set when one does.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.entries: dict[int, Waiting] = {}
        self.domains: dict[str, Domain] = {}
        self.settled: Counter[Outcome] = Counter()
        self.fault: PostroomError | None = None
        self.refused = asyncio.Event()
        self._leases: dict[bytes, tuple[str, set[int]]] = {}
        self._numbers = itertools.count(1)
        self._news = asyncio.Event()
        self._swept = 0.0

    # What tests do.

    def add(
        self,
        recipients: Sequence[str | Recipient],
        content: bytes,
        *,
        sender: str = "ann@here.example",
        account_id: int = 0,
        request: Request = NOTHING_ASKED,
        age: float = 0.0,
        suppressed: bool = False,
    ) -> list[int]:
        """Queue a message; the numbers of its entries, in the order of recipients."""
        message = Message(len(content), "<1@here>", request, not content.isascii())
        added = []
        for each in recipients:
            recipient = each if isinstance(each, Recipient) else Recipient(each)
            number = next(self._numbers)
            entry = Entry(
                number,
                message,
                account_id,
                sender,
                recipient,
                int(self.clock() - age),
                trace_id="t",
                suppressed=suppressed,
            )
            self.entries[number] = Waiting(entry, content, 0.0)
            self._due(number, self.clock())
            added.append(number)
        self._tell()
        return added

    def expire(self) -> None:
        """End all leases, as if their time were over."""
        for lease_id in list(self._leases):
            self._end(lease_id)

    def hasten(self) -> None:
        """Let everything be tried at once."""
        for domain in self.domains.values():
            domain.retry_at = 0.0
        for number, waiting in self.entries.items():
            if not waiting.done and not waiting.lease_id:
                self._due(number, self.clock())
        self._tell()

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until something holds that changes by a settlement."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def until_settled(self, numbers: Sequence[int], times: int = 1) -> list[Attempt]:
        """Wait until each of the entries was settled so often; their last attempts."""
        await self.until(lambda: all(len(self.entries[one].attempts) >= times for one in numbers))
        return [self.entries[one].attempts[-1] for one in numbers]

    async def until_idle(self, seconds: float = 20.0) -> None:
        """Wait until no lease is held."""
        await self.until(lambda: not self._leases, seconds)

    async def until_quiet(self, seconds: float = 20.0) -> None:
        """Wait until nothing is leased, and nothing is due."""
        await self.until(
            lambda: not self._leases and not any(map(self._is_due, self.entries.values())), seconds
        )

    def _is_due(self, waiting: Waiting) -> bool:
        now = self.clock()
        left_alone = self._domain(waiting.entry).retry_at > now
        return not waiting.done and waiting.due <= now and not left_alone

    # What a worker does.

    async def lease(self, wish: Wish) -> Sequence[Batch]:
        deadline = asyncio.get_running_loop().time() + wish.wait_seconds
        while True:
            self._fail()
            batches = self._lease_now(wish)
            left = deadline - asyncio.get_running_loop().time()
            if batches or left <= 0:
                return batches
            self._news.clear()
            try:
                async with asyncio.timeout(min(left, 0.2)):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def extend(self, leases: Sequence[bytes], seconds: int) -> frozenset[bytes]:
        self._fail()
        self._sweep()
        lost = frozenset(one for one in leases if one not in self._leases)
        for lease_id in leases:
            if lease_id not in lost:
                name, numbers = self._leases[lease_id]
                self.domains[name].leases[lease_id] = self.clock() + seconds
                for number in numbers:
                    self.entries[number].due = self.clock() + seconds
        return lost

    async def read(self, lease_id: bytes, queue_id: int) -> AsyncIterator[bytes]:
        self._fail()
        if queue_id not in self._held(lease_id):
            raise PostroomError(Kind.CONFLICT, "the lease doesn't hold it")
        content = self.entries[queue_id].content
        for at in range(0, len(content), PIECE_BYTES):
            yield content[at : at + PIECE_BYTES]

    async def settle(self, settlement: Settlement) -> frozenset[int]:
        self._fail()
        held = self._held(settlement.lease_id)
        lost = frozenset(one.queue_id for one in settlement.fates if one.queue_id not in held)
        for fate in settlement.fates:
            if fate.queue_id not in lost:
                self._settle(fate, held)
        if settlement.lease_id in self._leases:
            name, _ = self._leases[settlement.lease_id]
            if settlement.destination is not None:
                self._note(self.domains[name], settlement.destination)
            if settlement.ended:
                self._end(settlement.lease_id)
        self._tell()
        return lost

    def _lease_now(self, wish: Wish) -> list[Batch]:
        self._sweep()
        batches: list[Batch] = []
        turn = list(self.domains)
        while turn and len(batches) < wish.batches:
            # Each has one before any has two; who had one comes last the next time.
            again = []
            for name in turn:
                domain = self.domains[name]
                limit = 1 if domain.failures else wish.limits.get(name, wish.per_domain)
                if domain.retry_at > self.clock() or len(domain.leases) >= limit:
                    continue
                if numbers := self._take(domain, wish.entries):
                    batches.append(self._leased(name, numbers, wish.lease_seconds))
                    self.domains[name] = self.domains.pop(name)
                    again.append(name)
                if len(batches) == wish.batches:
                    break
            turn = again
        return batches

    def _take(self, domain: Domain, most: int) -> list[int]:
        taken: list[int] = []
        now = self.clock()
        while domain.due and len(taken) < most and domain.due[0][0] <= now:
            due, number = heapq.heappop(domain.due)
            waiting = self.entries[number]
            if not waiting.done and not waiting.lease_id and waiting.due == due:
                taken.append(number)
        return taken

    def _leased(self, name: str, numbers: list[int], seconds: int) -> Batch:
        lease_id = secrets.token_bytes(16)
        domain = self.domains[name]
        expires_at = self.clock() + seconds
        domain.leases[lease_id] = expires_at
        domain.most = max(domain.most, len(domain.leases))
        self._leases[lease_id] = name, set(numbers)
        entries = []
        for number in numbers:
            waiting = self.entries[number]
            waiting.lease_id = lease_id
            waiting.due = expires_at
            entry = waiting.entry
            entries.append(
                Entry(
                    number,
                    entry.message,
                    entry.account_id,
                    entry.sender,
                    entry.recipient,
                    entry.created_at,
                    len(waiting.attempts),
                    waiting.delay_told,
                    entry.trace_id,
                    entry.suppressed,
                )
            )
        return Batch(lease_id, name, int(expires_at), domain.failures, tuple(entries))

    def _settle(self, fate: Fate, held: set[int]) -> None:
        waiting = self.entries[fate.queue_id]
        waiting.delay_told = waiting.delay_told or fate.delay_told
        if not fate.untried:
            waiting.attempts.append(fate.attempt)
            waiting.done = fate.attempt.outcome in DONE
            self.settled[fate.attempt.outcome] += 1
        held.discard(fate.queue_id)
        waiting.lease_id = b""
        if not waiting.done:
            self._due(fate.queue_id, float(fate.next_attempt_at))

    def _note(self, domain: Domain, told: Destination) -> None:
        domain.failures = 0 if told.reached else domain.failures + 1
        domain.retry_at = 0.0 if told.reached else float(told.retry_at)
        domain.reply = told.reply

    def _end(self, lease_id: bytes) -> None:
        name, numbers = self._leases.pop(lease_id)
        del self.domains[name].leases[lease_id]
        for number in numbers:
            self.entries[number].lease_id = b""
            self._due(number, self.clock())
        self._tell()

    def _due(self, number: int, at: float) -> None:
        waiting = self.entries[number]
        waiting.due = at
        heapq.heappush(self._domain(waiting.entry).due, (at, number))

    def _held(self, lease_id: bytes) -> set[int]:
        self._sweep()
        return self._leases[lease_id][1] if lease_id in self._leases else set()

    def _sweep(self) -> None:
        now = self.clock()
        if abs(now - self._swept) < SWEEP_SECONDS:
            return
        self._swept = now
        for lease_id, (name, _) in list(self._leases.items()):
            if self.domains[name].leases[lease_id] <= now:
                self._end(lease_id)

    def _domain(self, entry: Entry) -> Domain:
        name = entry.recipient.address.rpartition("@")[2].lower()
        return self.domains.setdefault(name, Domain())

    def _fail(self) -> None:
        if self.fault is not None:
            self.refused.set()
            raise self.fault

    def _tell(self) -> None:
        self._news.set()
