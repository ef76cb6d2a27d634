"""Calls that are made again when their answer was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

log = logs.logger(__name__)

T = TypeVar("T")

ATTEMPTS = 5
RETRY_SECONDS = 0.1  # before the second attempt; each later wait is as much longer

_LOST = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE})


async def repeat(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call that may be repeated until its answer is there, a few times.

    A service that was restarted a moment ago is there again before the client of a front notices.

    Raises:
        PostroomError: what the last attempt raised, or any that says more than that the answer was
            lost.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return await call()
        except PostroomError as error:
            if error.kind not in _LOST:
                raise
            log.info("rpc.repeated", attempt=attempt, why=error.kind)
            await asyncio.sleep(RETRY_SECONDS * attempt)
    return await call()
