"""How calls are made: repeated where that is safe, closed where their reader ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar, cast

from grpc_health.v1 import health_pb2, health_pb2_grpc
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import Channel

log = logs.logger(__name__)

T = TypeVar("T")

ATTEMPTS = 5
RETRY_SECONDS = 0.1

_LOST = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE})


async def check(channel: Channel) -> None:
    """Raise unless the service at the other end says that it serves."""
    health = health_pb2_grpc.HealthStub(channel.grpc)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise PostroomError(Kind.UNAVAILABLE, "it does not serve now")


async def repeat(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call that may be repeated until its answer is there, a few times."""
    for attempt in range(1, ATTEMPTS):
        try:
            return await call()
        except PostroomError as error:
            if error.kind not in _LOST:
                raise
            log.info("rpc.repeated", attempt=attempt, why=error.kind)
            await asyncio.sleep(RETRY_SECONDS * attempt)
    return await call()


def fresh_key() -> bytes:
    """An idempotency key for one write, however often it is repeated."""
    return os.urandom(16)


def closing(responses: AsyncIterable[T]) -> aclosing[AsyncGenerator[T, None]]:
    """End a stream of responses where its reader ends."""
    return aclosing(cast("AsyncGenerator[T, None]", responses))
