"""What a service keeps doing in the background ends with it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest
from postroom_chassis import lifecycle
from postroom_chassis.lifecycle import Service


async def test_the_end_of_what_is_kept_is_waited_for() -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            told.append("work")

    async with AsyncExitStack() as stack:
        stack.callback(told.append, "what it stands on")
        Service(stack).keep(work())
        await asyncio.sleep(0)
    assert told == ["work", "what it stands on"]


async def test_a_cancellation_that_is_lost_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "CANCEL_SECONDS", 0.01)
    lost: list[str] = []

    async def work() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        lost.append("once")
        await asyncio.Event().wait()

    async with asyncio.timeout(30), AsyncExitStack() as stack:
        Service(stack).keep(work())
        await asyncio.sleep(0)
    assert lost == ["once"]


async def test_what_has_ended_by_itself_holds_nobody_up() -> None:
    told: list[str] = []

    async def work() -> None:
        told.append("work")

    async with asyncio.timeout(30), AsyncExitStack() as stack:
        Service(stack).keep(work())
        await asyncio.sleep(0)
    assert told == ["work"]
