"""Reading ahead: how many calls a walk costs, and how much is held."""

from __future__ import annotations

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_pop3.protocol.maildrop import Maildrop
from postroom_pop3.retrieval import Retrieval

from tests.unit.pop3.fakes import FakeLocked, Inbox, lock


def opened(*messages: bytes, most: int = 1000) -> tuple[Retrieval, FakeLocked, Maildrop]:
    locked = lock(Inbox.of(*messages))
    maildrop = Maildrop(locked.snapshot)
    return Retrieval(locked, maildrop, most), locked, maildrop


async def test_a_walk_costs_few_calls() -> None:
    messages = [b"%d" % number for number in range(300)]
    retrieval, locked, _ = opened(*messages)
    assert [await retrieval.content(index) for index in range(300)] == messages
    assert len(locked.asked) < 10
    assert sum(map(len, locked.asked)) == 300
    await retrieval.close()


async def test_jumps_fetch_what_is_asked_for_alone() -> None:
    retrieval, locked, _ = opened(b"a", b"b", b"c", b"d")
    assert await retrieval.content(3) == b"d"
    assert await retrieval.content(1) == b"b"
    assert locked.asked == [[20], [14]]


async def test_a_batch_has_a_size() -> None:
    retrieval, locked, _ = opened(*[b"x" * 400] * 20)
    for index in range(20):
        await retrieval.content(index)
    assert max(map(len, locked.asked)) == 2
    await retrieval.close()


async def test_marked_messages_are_not_fetched() -> None:
    retrieval, locked, maildrop = opened(b"a", b"b", b"c")
    maildrop.mark(2)
    await retrieval.content(0)
    await retrieval.content(2)
    assert locked.asked == [[11, 17]]
    await retrieval.close()


async def test_a_message_that_was_removed_is_not_found_and_the_next_is() -> None:
    retrieval, locked, _ = opened(b"a", b"b", b"c")
    del locked.inbox.messages[14]
    await retrieval.content(0)
    with pytest.raises(PostroomError) as gone:
        await retrieval.content(1)
    assert gone.value.kind is Kind.NOT_FOUND
    assert await retrieval.content(2) == b"c"
    await retrieval.close()


async def test_a_fault_ahead_is_told_when_it_matters_and_then_forgotten() -> None:
    retrieval, locked, _ = opened(b"a", b"b", b"c", b"d")
    await retrieval.content(0)
    locked.faults.append(PostroomError(Kind.UNAVAILABLE, "away"))
    await retrieval.content(1)
    with pytest.raises(PostroomError):
        await retrieval.content(2)
    assert await retrieval.content(2) == b"c"
    await retrieval.close()


async def test_a_large_message_is_streamed_and_none_is_read_ahead_past_it() -> None:
    retrieval, locked, _ = opened(b"a", b"x" * 2000, b"c")
    assert not retrieval.streams(0)
    assert retrieval.streams(1)
    await retrieval.content(0)
    assert b"".join([piece async for piece in retrieval.stream(1)]) == b"x" * 2000
    assert await retrieval.content(2) == b"c"
    assert locked.asked == [[11], [14], [17]]
    await retrieval.close()
