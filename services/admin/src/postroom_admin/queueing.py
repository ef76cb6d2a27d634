"""What is asked of the queue beyond one call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.model import PAGE, QueueEntry, QueueState, every
from postroom_admin.ports import Queue


@dataclass(frozen=True, slots=True)
class DomainSummary:
    """The mail that waits for one domain."""

    domain: str
    waiting: int
    held: int
    sending: int
    bytes: int
    oldest: datetime


async def find_entry(queue: Queue, queue_id: int) -> QueueEntry:
    """One entry. Raises PostroomError NOT_FOUND."""
    async for entry in every(lambda token: queue.list("", token)):
        if entry.queue_id == queue_id:
            return entry
    raise PostroomError(Kind.NOT_FOUND, f"there is no entry {queue_id} in the queue")


async def summarise(queue: Queue) -> list[DomainSummary]:
    """The queue by domain, the fullest first."""
    summaries: dict[str, DomainSummary] = {}
    async for entry in every(lambda token: queue.list("", token)):
        so_far = summaries.get(entry.domain) or DomainSummary(
            entry.domain, 0, 0, 0, 0, entry.created_at
        )
        summaries[entry.domain] = DomainSummary(
            domain=entry.domain,
            waiting=so_far.waiting + (entry.state is QueueState.WAITING),
            held=so_far.held + (entry.state is QueueState.HELD),
            sending=so_far.sending + (entry.state is QueueState.SENDING),
            bytes=so_far.bytes + entry.size,
            oldest=min(so_far.oldest, entry.created_at),
        )
    return sorted(
        summaries.values(), key=lambda one: (-one.waiting - one.held - one.sending, one.domain)
    )


async def ids_for(queue: Queue, domain: str) -> list[int]:
    """The ids of all entries for a domain; an empty one stands for every domain."""
    return [entry.queue_id async for entry in every(lambda token: queue.list(domain, token))]


async def change_entries(
    change: Callable[[Sequence[int]], Awaitable[int]], queue_ids: Sequence[int]
) -> int:
    """Hold, release or cancel any number of entries, and answer how many were changed."""
    changed = 0
    for start in range(0, len(queue_ids), PAGE):
        changed += await change(queue_ids[start : start + PAGE])
    return changed
