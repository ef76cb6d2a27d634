"""What is asked of the queue beyond one call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.model import PAGE, QueueEntry, QueueState, every
from postroom_admin.ports import Queue

Change = Callable[[Sequence[int]], Awaitable[int]]
BUSY = (Kind.CONFLICT, Kind.NOT_FOUND)  # it is being sent now, or has been


@dataclass(frozen=True, slots=True)
class Changed:
    """How many entries were changed, and how many were being sent, or had been, meanwhile."""

    changed: int
    passed_over: int = 0


async def entries_for(
    queue: Queue, domain: str, state: QueueState | None, most: int
) -> list[QueueEntry]:
    """The oldest entries for a domain (empty: for all), in a state (None: in any)."""
    found: list[QueueEntry] = []
    size = PAGE if state else min(PAGE, most)
    async for entry in every(lambda token: queue.list(domain, token, size)):
        if state in (None, entry.state):
            found.append(entry)
        if len(found) == most:
            break
    return found


async def change_entries(change: Change, queue_ids: Sequence[int]) -> Changed:
    """Change entries that somebody named, any number of them. Raises PostroomError as `change`."""
    changed = 0
    for start in range(0, len(queue_ids), PAGE):
        changed += await change(queue_ids[start : start + PAGE])
    return Changed(changed)


async def change_all(queue: Queue, change: Change, domain: str) -> Changed:
    """Change all entries for a domain (empty: for all), but for those that are being sent."""
    idle: dict[int, list[int]] = {}  # by account: the store changes those of one all or none
    passed_over = 0
    async for entry in every(lambda token: queue.list(domain, token)):
        if entry.state is QueueState.SENDING:
            passed_over += 1
        else:
            idle.setdefault(entry.account_id, []).append(entry.queue_id)
    changed = 0
    waiting = [
        ids[start : start + PAGE] for ids in idle.values() for start in range(0, len(ids), PAGE)
    ]
    while waiting:
        some = waiting.pop()
        try:
            changed += await change(some)
        except PostroomError as error:
            if error.kind not in BUSY:
                raise
            if len(some) == 1:
                passed_over += 1
            else:  # it is one of these, or more: all others are changed
                middle = len(some) // 2
                waiting += [some[:middle], some[middle:]]
    return Changed(changed, passed_over)
