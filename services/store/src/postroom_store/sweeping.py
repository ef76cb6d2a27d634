"""Garbage goes by itself: what was expunged long ago, contents without messages, old answers, and
what is known of mail that left the queue long ago.

In steps, each a short transaction of one account, so that clients are served in between. Replicas
may sweep at the same time; what one finds gone is gone.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from prometheus_client import Counter
from sqlalchemy.exc import DBAPIError

from postroom_store import destinations, maintenance, screening
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers
from postroom_store.maintenance import STEP, Swept
from postroom_store.settings import StoreSettings
from postroom_store.transaction import NO_ACCOUNT
from postroom_store.writer import Writers

log = logs.logger(__name__)

CONTENTS = Counter("postroom_store_swept_contents_total", "Contents removed as garbage")
BYTES = Counter("postroom_store_swept_bytes_total", "Bytes of contents removed as garbage")
ENTRIES = Counter(
    "postroom_store_swept_queue_entries_total", "Entries of the past that were forgotten"
)
EXPUNGED = Counter("postroom_store_swept_expunged_total", "Expunged messages that were let go")

PAUSE_SECONDS = 0.005
FILE_GRACE_SECONDS = 600.0  # from the writing of a file to the commit that refers to it
SCREENING_SECONDS = 60.0
DAY = 24 * 3600


class Sweeper:
    """Collects garbage, when told to and now and then."""

    def __init__(
        self, readers: Readers, writers: Writers, files: BlobFiles | None, settings: StoreSettings
    ) -> None:
        self._readers = readers
        self._writers = writers
        self._files = files
        self._settings = settings

    async def run(self) -> None:
        """Sweep all accounts every so many hours, until cancelled."""
        seconds = self._settings.sweep_hours * 3600
        # Replicas that start together shall not sweep together.
        await asyncio.sleep(random.uniform(0, seconds / 10))  # noqa: S311 (no secret)
        while True:
            began = time.monotonic()
            try:
                await self._sweep_all()
            except (PostroomError, DBAPIError, OSError) as error:
                log.warning("store.sweep_failed", error=type(error).__name__)
            await asyncio.sleep(max(seconds - (time.monotonic() - began), seconds / 10))

    async def _sweep_all(self) -> None:
        expunged = contents = size = 0
        async for swept in self.sweep():
            expunged += swept.expunged
            contents += swept.contents
            size += swept.size
        log.info("store.swept", expunged=expunged, contents=contents, bytes=size)

    async def sweep(self) -> AsyncIterator[Swept]:
        """Collect everybody's garbage, and files that no row refers to, in steps."""
        for account_id in await self._readers.run(lambda c: maintenance.accounts_of(c, 0)):
            async for swept in self._sweep_account(account_id):
                yield _counted(swept)
                await asyncio.sleep(PAUSE_SECONDS)
        old = int(time.time() - DAY)
        forgotten = 1
        while forgotten:
            forgotten = await self._writers.run(
                NO_ACCOUNT, lambda t: destinations.forget(t, old, STEP)
            )
            await asyncio.sleep(PAUSE_SECONDS)
        if self._files is None:
            return
        files = maintenance.old_files(self._files, time.time() - FILE_GRACE_SECONDS)
        while digests := await asyncio.to_thread(next, files, None):
            await self.remove_files(digests)

    async def _sweep_account(self, account_id: int) -> AsyncIterator[Swept]:
        now = int(time.time())
        settings = self._settings
        answers = int(now - settings.idempotency_hours * 3600)
        uploads = int(now - settings.upload_seconds)
        before = int(now - settings.expunge_days * DAY)
        run = self._writers.run
        await run(account_id, lambda t: maintenance.forget_old(t, account_id, answers, uploads))
        while (
            swept := await run(
                account_id,
                lambda t: maintenance.sweep_expunged(t, self._files, account_id, before),
            )
        ).more:
            yield swept
        finished = int(now - settings.attempt_days * DAY)
        while entries := await run(
            account_id, lambda t: maintenance.sweep_finished(t, account_id, finished)
        ):
            yield Swept(entries=entries)
        while (
            swept := await run(account_id, lambda t: maintenance.sweep_contents(t, account_id))
        ).more:
            await self.remove_files(swept.digests)
            yield swept

    async def remove_files(self, digests: Sequence[bytes]) -> None:
        """Remove those of some contents' files that no row refers to any more."""
        if self._files is None or not digests:
            return
        before = time.time() - FILE_GRACE_SECONDS
        unused = await self._readers.run(lambda c: maintenance.unused_files(c, digests))
        for digest in unused:
            await asyncio.to_thread(self._files.discard, digest, before)


class ScreeningSweeper:
    """Forgets what was remembered of senders, more often: anybody can make it grow."""

    def __init__(self, writers: Writers, settings: StoreSettings) -> None:
        self._writers = writers
        self._settings = settings

    async def run(self) -> None:
        """Sweep every so many seconds, until cancelled."""
        while True:
            await asyncio.sleep(random.uniform(0.5, 1.5) * SCREENING_SECONDS)  # noqa: S311 (no secret)
            try:
                await self.sweep()
            except PostroomError as error:
                log.warning("store.sweep_failed", error=type(error).__name__)

    async def sweep(self) -> None:
        noted, counted = self._settings.greylist_entries, self._settings.rate_entries
        forgotten = 1
        while forgotten:
            forgotten = await self._writers.run(
                NO_ACCOUNT, lambda t: screening.forget(t, noted, counted), durable=False
            )
            await asyncio.sleep(PAUSE_SECONDS)


def _counted(swept: Swept) -> Swept:
    ENTRIES.inc(swept.entries)
    EXPUNGED.inc(swept.expunged)
    CONTENTS.inc(swept.contents)
    BYTES.inc(swept.size)
    return swept
