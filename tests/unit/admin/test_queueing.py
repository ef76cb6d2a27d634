"""Changes to many entries while some of them are being sent."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from postroom_admin.model import QueueState
from postroom_admin.queueing import Changed, change_all, change_entries, entries_for
from postroom_chassis.errors import Kind, PostroomError

from tests.unit.admin.fakes import FakeQueue


def with_entries(count: int) -> FakeQueue:
    queue = FakeQueue()
    for number in range(count):
        queue.put(f"{number}@example.com")
    return queue


async def test_those_that_are_being_sent_are_passed_over() -> None:
    queue = with_entries(5)
    queue.put("x@example.com", state=QueueState.SENDING)
    assert await change_all(queue, queue.hold, "example.com") == Changed(5, 1)
    assert queue.calls == [[1, 2, 3, 4, 5]]


async def test_those_that_were_sent_meanwhile_are_found_by_halves() -> None:
    queue = with_entries(2000)
    gone = {1, 700, 701, 2000}

    async def hold(queue_ids: Sequence[int]) -> int:
        if not gone.isdisjoint(queue_ids):
            queue.calls.append([])
            raise PostroomError(Kind.NOT_FOUND, "it is sent")
        return await queue.hold(queue_ids)

    assert await change_all(queue, hold, "") == Changed(1996, 4)
    assert {one for call in queue.calls for one in call} == set(range(1, 2001)) - gone
    assert len(queue.calls) < 100


async def test_whatever_else_goes_wrong_ends_it() -> None:
    queue = with_entries(3)

    async def hold(queue_ids: Sequence[int]) -> int:
        raise PostroomError(Kind.UNAVAILABLE, "away")

    with pytest.raises(PostroomError, match="away"):
        await change_all(queue, hold, "")


async def test_an_empty_queue_is_not_changed() -> None:
    queue = FakeQueue()
    assert await change_all(queue, queue.cancel, "") == Changed(0)
    assert queue.calls == []


async def test_named_entries_are_all_changed_or_it_is_told() -> None:
    queue = with_entries(2)
    assert await change_entries(queue.hold, [1, 2]) == Changed(2)
    with pytest.raises(PostroomError) as missing:
        await change_entries(queue.hold, [1, 3])
    assert missing.value.kind is Kind.NOT_FOUND


async def test_entries_in_a_state() -> None:
    queue = with_entries(2500)
    await queue.hold([3, 2400])
    held = await entries_for(queue, "", QueueState.HELD, 10)
    assert [one.queue_id for one in held] == [3, 2400]
    assert len(await entries_for(queue, "", None, 1200)) == 1200
    assert len(await entries_for(queue, "", QueueState.WAITING, 1)) == 1
    assert await entries_for(queue, "example.net", None, 10) == []
