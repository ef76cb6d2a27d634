"""The ports of checks over gRPC: the store's screening, auth's keys.

What many connections ask at once travels together (`Coalescer`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from postroom.auth.v1 import dkim_pb2, dkim_pb2_grpc
from postroom.store.v1 import screening_pb2, screening_pb2_grpc
from postroom_chassis import logs
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.coalesce import Coalescer

from postroom_smtp.checks.kept import Kept
from postroom_smtp.checks.ports import Counted
from postroom_smtp.checks.settings import CheckSettings
from postroom_smtp.protocol.dkim import SigningKey, load_signing_key

log = logs.logger(__name__)

MOST_ITEMS = 1_000  # in a call, by contract
SCREENING_SECONDS = 5.0  # a client waits for it at every command
KEYS_SECONDS = 60.0
DOMAINS = 10_000  # whose keys are kept


class RemoteScreening:
    """Screening over postroom.store.v1.ScreeningService."""

    def __init__(self, store: Channel, settings: CheckSettings) -> None:
        self._stub = store.stub(screening_pb2_grpc.ScreeningServiceStub)
        self._settings = settings
        self._greylist = Coalescer(self._greylist_many, most=MOST_ITEMS)
        self._count = Coalescer(self._count_many, most=MOST_ITEMS)

    async def greylist(self, keys: Sequence[bytes]) -> Sequence[int]:
        return await asyncio.gather(*map(self._greylist, keys))

    async def count(self, counted: Sequence[Counted]) -> Sequence[int]:
        return await asyncio.gather(*map(self._count, counted))

    async def _greylist_many(self, keys: Sequence[bytes]) -> Sequence[int]:
        request = screening_pb2.GreylistRequest(
            keys=keys,
            delay_seconds=self._settings.greylist_seconds,
            retry_seconds=self._settings.greylist_retry_seconds,
            pass_seconds=self._settings.greylist_pass_seconds,
        )
        answer = await self._stub.Greylist(request, timeout=SCREENING_SECONDS)
        return answer.wait_seconds

    async def _count_many(self, counted: Sequence[Counted]) -> Sequence[int]:
        request = screening_pb2.CountRequest(
            counted=[
                screening_pb2.Counted(
                    key=one.key, amount=one.amount, most=one.most, seconds=one.seconds
                )
                for one in counted
            ]
        )
        return (await self._stub.Count(request, timeout=SCREENING_SECONDS)).wait_seconds


class RemoteSigningKeys:
    """SigningKeys over postroom.auth.v1.SigningService; what it answers is kept for a minute."""

    def __init__(self, auth: Channel) -> None:
        self._stub = auth.stub(dkim_pb2_grpc.SigningServiceStub)
        self._ask = Coalescer(self._ask_many, most=MOST_ITEMS)
        self._kept = Kept[str, tuple[SigningKey, ...]](KEYS_SECONDS, DOMAINS)

    async def keys(self, domain: str) -> tuple[SigningKey, ...]:
        return await self._kept.get(domain, lambda: self._ask(domain))

    async def _ask_many(self, domains: Sequence[str]) -> list[tuple[SigningKey, ...]]:
        answer = await self._stub.Keys(dkim_pb2.SigningKeysRequest(domains=domains))
        return [tuple(filter(None, map(_loaded, one.keys))) for one in answer.domains]


def _loaded(key: dkim_pb2.SigningKey) -> SigningKey | None:
    loaded = load_signing_key(key.domain, key.selector, key.private_key)
    if loaded is None or loaded.algorithm != key.algorithm:
        log.error("smtp.key_unusable", domain=key.domain, selector=key.selector)
        return None
    return loaded
