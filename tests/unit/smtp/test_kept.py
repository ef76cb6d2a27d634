"""Answers that are kept for a while."""

from __future__ import annotations

import asyncio

import pytest
from postroom_smtp.checks.kept import Kept


async def test_an_answer_is_asked_for_once() -> None:
    kept, asked, go = Kept[str, int](60, 10), [], asyncio.Event()

    async def ask() -> int:
        asked.append(1)
        await go.wait()
        return 7

    waiting = [asyncio.create_task(kept.get("a", ask)) for _ in range(5)]
    await asyncio.sleep(0)
    # Who goes away takes the answer from nobody else.
    waiting.pop().cancel()
    go.set()
    assert await asyncio.gather(*waiting) == [7] * 4
    assert await kept.get("a", ask) == 7
    assert len(asked) == 1


async def test_what_fails_is_asked_again() -> None:
    kept, answers = Kept[str, int](60, 10), iter([ValueError("no"), 7])

    async def ask() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ValueError, match="no"):
        await kept.get("a", ask)
    assert await kept.get("a", ask) == 7


async def test_what_is_not_worth_it_or_too_old_is_asked_again() -> None:
    asked: list[int] = []

    async def ask() -> int:
        asked.append(1)
        return 7

    picky, old = Kept[str, int](60, 10, worth=lambda answer: answer > 7), Kept[str, int](0, 10)
    for kept in (picky, old):
        asked.clear()
        assert [await kept.get("a", ask) for _ in range(2)] == [7, 7]
        assert len(asked) == 2


def test_the_oldest_goes_first() -> None:
    kept = Kept[int, bool](60, 3)
    for key in (1, 2, 3, 1, 4):
        kept.put(key, True)
    assert [key for key in range(5) if kept.has(key)] == [1, 3, 4]
