"""Many requests into few calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.coalesce import Coalescer


async def test_one_after_the_other_each_leaves_at_once() -> None:
    calls: list[list[int]] = []

    async def double(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        return [2 * item for item in items]

    coalescer = Coalescer(double)
    async with asyncio.timeout(10):
        assert [await coalescer(item) for item in (1, 2, 3)] == [2, 4, 6]
    assert calls == [[1], [2], [3]]


async def test_what_arrives_while_a_call_is_under_way_leaves_together() -> None:
    calls: list[list[int]] = []
    called, opened = asyncio.Event(), asyncio.Event()

    async def double(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        called.set()
        await opened.wait()
        return [2 * item for item in items]

    coalescer = Coalescer(double, most=10)
    first = asyncio.create_task(coalescer(0))
    await called.wait()
    others = [asyncio.create_task(coalescer(item)) for item in range(1, 26)]
    await asyncio.sleep(0)
    opened.set()
    async with asyncio.timeout(10):
        assert await asyncio.gather(first, *others) == [2 * item for item in range(26)]
    assert list(map(len, calls)) == [1, 10, 10, 5]


async def test_a_call_that_fails_fails_for_its_items_alone() -> None:
    async def odd_ones_fail(items: Sequence[int]) -> list[int]:
        if items[0] % 2:
            raise OSError("no")
        return list(items)

    coalescer = Coalescer(odd_ones_fail)
    async with asyncio.timeout(10):
        for item in range(4):
            if item % 2:
                with pytest.raises(OSError, match="no"):
                    await coalescer(item)
            else:
                assert await coalescer(item) == item


async def test_a_second_call_begins_where_enough_waits() -> None:
    calls: list[list[int]] = []
    opened = asyncio.Event()

    async def double(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        await opened.wait()
        return [2 * item for item in items]

    coalescer = Coalescer(double, size=lambda item: item, lanes=2, least=10)
    asked: list[asyncio.Task[int]] = []

    async def ask(item: int) -> list[list[int]]:
        asked.append(asyncio.create_task(coalescer(item)))
        for _ in range(5):  # turns of the loop: the call is a task made by a task
            await asyncio.sleep(0)
        return calls

    assert await ask(1) == [[1]]
    assert await ask(4) == [[1]]
    assert await ask(5) == [[1]]
    assert await ask(1) == [[1], [4, 5, 1]]
    assert await ask(20) == [[1], [4, 5, 1]]
    opened.set()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*asked) == [2, 8, 10, 2, 40]
    assert calls == [[1], [4, 5, 1], [20]]


async def test_a_batch_that_asks_too_much_goes_again_in_halves() -> None:
    sizes: list[int] = []

    async def weigh(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        if sum(items) > 100:
            raise PostroomError(Kind.LIMIT_EXCEEDED, "ask for fewer")
        return list(items)

    coalescer = Coalescer(weigh)
    asked = [30, 30, 200, 30, 30, 30, 30, 30]
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*map(coalescer, asked), return_exceptions=True)
        assert await coalescer(7) == 7
    alone = answers.pop(2)
    assert isinstance(alone, PostroomError)
    assert answers == [30] * 7
    assert sizes == [8, 4, 4, 2, 2, 2, 2, 1, 1, 1]


async def test_answers_that_are_too_few_are_an_error_and_not_a_wait() -> None:
    async def nothing(_items: Sequence[int]) -> list[int]:
        return []

    async with asyncio.timeout(10):
        with pytest.raises(ValueError, match="answer"):
            await Coalescer(nothing)(1)
