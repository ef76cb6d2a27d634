"""argon2id (RFC 9106) in threads of its own, so that a hash never holds up the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from prometheus_client import Gauge, Histogram

from postroom_auth.domain.password import Password

log = logs.logger(__name__)
T = TypeVar("T")

HASH_SECONDS = Histogram(
    "postroom_auth_hash_seconds",
    "How long one password hash took",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
HASHES_WAITING = Gauge("postroom_auth_hashes_waiting", "Password hashes asked for and not begun")


class Argon2Hasher:
    """Hashes and verifies passwords in a bounded number of threads, for a bounded queue.

    Args:
        memory_kib, passes, lanes: argon2id's m, t and p.
        threads: hashes at a time.
        queue: calls that may wait; beyond, PostroomError UNAVAILABLE.
    """

    def __init__(
        self, *, memory_kib: int, passes: int, lanes: int, threads: int, queue: int
    ) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._room = asyncio.Semaphore(threads)
        self._queue = queue
        self._waiting = 0
        # Verified for people who don't exist; made with today's parameters so that it takes as
        # long as theirs would.
        self._nobody = self._hasher.hash(b"nobody's password")

    async def hash(self, password: Password) -> str:
        return await self.run(lambda: self._hasher.hash(password.prepared))

    async def verify(self, password_hash: str, password: Password) -> bool:
        right = await self.run(lambda: self._verify(password_hash or self._nobody, password))
        return right and password_hash != ""

    def is_outdated(self, password_hash: str) -> bool:
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _verify(self, password_hash: str, password: Password) -> bool:
        try:
            return self._hasher.verify(password_hash, password.prepared)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError):
            log.error("password.hash_unreadable")
            return False

    async def run(self, work: Callable[[], T]) -> T:
        """Run in a thread once there is one; who is cancelled while waiting leaves the queue."""
        if self._waiting >= self._queue:
            raise PostroomError(Kind.UNAVAILABLE, "too many people are signing in at this moment")
        self._waiting += 1
        HASHES_WAITING.set(self._waiting)
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
            HASHES_WAITING.set(self._waiting)
        future = asyncio.get_running_loop().run_in_executor(self._pool, HASH_SECONDS.time()(work))
        # The thread goes on after a cancellation: its room is free when it ends, not before.
        future.add_done_callback(lambda _done: self._room.release())
        return await asyncio.shield(future)
