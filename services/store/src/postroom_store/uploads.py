"""Contents that came ahead of the write that will use them, being too large to travel in it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from postroom_chassis.errors import Kind, PostroomError
from postroom_mime import derive
from sqlalchemy import Connection, select

from postroom_store import tables
from postroom_store.blobs import BlobFiles, Packing
from postroom_store.database import Readers
from postroom_store.ingest import Content, Ingest
from postroom_store.reading import read_content
from postroom_store.transaction import Transaction
from postroom_store.writer import Writers

INLINE_PARSE_BYTES = 64 * 1024  # what is parsed in the loop's own thread: a millisecond or so
PARSERS = 2
LARGE_AT_ONCE = 4  # operations that hold uploaded contents, some three times their size, in memory


class Contents:
    """Takes contents in, whole or in chunks, and makes them ready to be kept.

    Args:
        most_bytes: the largest message.
    """

    def __init__(
        self,
        ingest: Ingest,
        readers: Readers,
        writers: Writers,
        files: BlobFiles | None,
        most_bytes: int,
    ) -> None:
        self._ingest = ingest
        self._readers = readers
        self._writers = writers
        self._files = files
        self._most_bytes = most_bytes
        self._pool = ThreadPoolExecutor(PARSERS, thread_name_prefix="parser")
        # Held while whole contents are in memory. Never while a client is waited for: it could
        # keep the others out.
        self.large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def prepare(self, content: bytes) -> Content:
        """A message that came whole, ready to be kept. Raises PostroomError TOO_LARGE."""
        if len(content) > self._most_bytes:
            raise self._too_large()
        if len(content) <= INLINE_PARSE_BYTES:
            return self._ingest.prepare(content)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._ingest.prepare, content)

    async def upload(self, account_id: int, chunks: AsyncIterator[bytes]) -> tuple[bytes, int]:
        """Keep a content for a later write; answers its upload id and size.

        Raises PostroomError TOO_LARGE.
        """
        loop = asyncio.get_running_loop()
        packing = Packing()
        try:
            async for chunk in chunks:
                if packing.size + len(chunk) > self._most_bytes:
                    raise self._too_large()
                await loop.run_in_executor(self._pool, packing.add, chunk)
            async with self.large:
                return await self._note(account_id, packing)
        finally:
            packing.close()

    async def _note(self, account_id: int, packing: Packing) -> tuple[bytes, int]:
        """Keep a packed content and note that it waits for a write."""
        loop = asyncio.get_running_loop()
        digest, packed = await loop.run_in_executor(self._pool, self._keep, packing)
        upload_id = secrets.token_bytes(16)

        def note(transaction: Transaction) -> None:
            transaction.account(account_id)
            row = {"account_id": account_id, "digest": digest, "size": packing.size}
            created = {"created_at": transaction.now}
            transaction.add_missing(tables.blobs, row | {"data": packed} | created)
            transaction.add(tables.uploads, row | {"upload_id": upload_id} | created)

        await self._writers.run(account_id, note)
        return upload_id, packing.size

    def _keep(self, packing: Packing) -> tuple[bytes, bytes | None]:
        digest, packed = packing.finish()
        return digest, self._ingest.keep(digest, packed, packing.size)

    async def uploaded(self, account_id: int, upload_id: bytes) -> Content:
        """A content that was uploaded before; to be called, and used, while holding `large`.

        Raises PostroomError NOT_FOUND.
        """

        def read(connection: Connection) -> tuple[bytes, bytes, bytes | None]:
            column = tables.uploads.c
            statement = select(column.digest).where(
                column.account_id == account_id, column.upload_id == upload_id
            )
            digest = connection.execute(statement).scalar()
            if digest is None:
                raise PostroomError(Kind.NOT_FOUND, "there is no such upload")
            content = read_content(connection, self._files, account_id, digest)
            blob = tables.blobs.c
            packed = connection.execute(
                select(blob.data).where(blob.account_id == account_id, blob.digest == digest)
            ).scalar()
            return bytes(digest), content, packed

        digest, content, packed = await self._readers.run(read)
        loop = asyncio.get_running_loop()
        derived = await loop.run_in_executor(self._pool, derive, content)
        return Content(digest, len(content), packed, derived)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _too_large(self) -> PostroomError:
        return PostroomError(Kind.TOO_LARGE, f"a message has at most {self._most_bytes} bytes")
