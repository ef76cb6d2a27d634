"""ScreeningService: greylists and rates, shared by smtp's replicas."""

from __future__ import annotations

from postroom.store.v1 import screening_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call

from postroom_store import screening
from postroom_store.domain.greylist import Times
from postroom_store.screening import Counted
from postroom_store.transaction import NO_ACCOUNT
from postroom_store.writer import Writers

MOST_KEYS = 1000
KEY_BYTES = 16
MOST_SECONDS = 366 * 86_400
MOST_WINDOW = 86_400


class ScreeningService:
    """See protos/postroom/store/v1/screening.proto."""

    def __init__(self, writers: Writers) -> None:
        self._writers = writers

    async def Greylist(
        self, request: screening_pb2.GreylistRequest, call: Call
    ) -> screening_pb2.GreylistResponse:
        keys = list(request.keys)
        _check_keys(keys)
        times = Times(request.delay_seconds, request.retry_seconds, request.pass_seconds)
        if not times.delay <= times.retry <= MOST_SECONDS or not 0 < times.known <= MOST_SECONDS:
            raise PostroomError(Kind.INVALID, "such times can't be kept")
        # What a power cut takes is noted again.
        waits = await self._writers.run(
            NO_ACCOUNT, lambda t: screening.greylist(t, keys, times), durable=False
        )
        return screening_pb2.GreylistResponse(wait_seconds=waits)

    async def Count(
        self, request: screening_pb2.CountRequest, call: Call
    ) -> screening_pb2.CountResponse:
        _check_keys([one.key for one in request.counted])
        if any(not 1 <= one.seconds <= MOST_WINDOW for one in request.counted):
            raise PostroomError(Kind.INVALID, f"1 to {MOST_WINDOW} seconds")
        counted = [Counted(one.key, one.amount, one.most, one.seconds) for one in request.counted]
        waits = await self._writers.run(
            NO_ACCOUNT, lambda t: screening.count(t, counted), durable=False
        )
        return screening_pb2.CountResponse(wait_seconds=waits)


def _check_keys(keys: list[bytes]) -> None:
    if len(keys) > MOST_KEYS or any(len(key) != KEY_BYTES for key in keys):
        raise PostroomError(Kind.INVALID, f"up to {MOST_KEYS} keys of {KEY_BYTES} octets")
