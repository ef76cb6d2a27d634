"""How calls are made: by a key where they are repeated, closed where their reader ends."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import TypeVar, cast

from grpc_health.v1 import health_pb2, health_pb2_grpc
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import Channel

T = TypeVar("T")


async def check(channel: Channel) -> None:
    """Raise unless the service at the other end says that it serves."""
    health = channel.stub(health_pb2_grpc.HealthStub)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise PostroomError(Kind.UNAVAILABLE, "it does not serve now")


def fresh_key() -> bytes:
    """An idempotency key for one write, however often it is repeated."""
    return os.urandom(16)


def closing(responses: AsyncIterable[T]) -> aclosing[AsyncGenerator[T, None]]:
    """End a stream of responses where its reader ends."""
    return aclosing(cast("AsyncGenerator[T, None]", responses))
