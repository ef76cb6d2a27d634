"""Contents that came ahead of the write that will use them, being too large to travel in it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

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

T = TypeVar("T")

INLINE_PARSE_BYTES = 64 * 1024  # what is parsed in the loop's own thread: a millisecond or so
PARSERS = 2
LARGE_AT_ONCE = 4  # operations that hold uploaded contents, some three times their size, in memory
MOST_CONTENTS = 1000  # of one upload
NOTED_TOGETHER = 1024 * 1024  # packed bytes of small contents that go into one transaction


class _Uploading:
    """One upload under way.

    Attributes:
        size: of the contents that ended, in bytes.
        waiting: packed bytes of those that aren't noted yet.
    """

    def __init__(self, account_id: int) -> None:
        self.account_id = account_id
        self.upload_ids: list[bytes] = []
        self.size = 0
        self.waiting = 0
        self._contents: list[tuple[bytes, bytes | None, int, bytes]] = []

    def add(self, digest: bytes, packed: bytes | None, size: int) -> None:
        """Take a content in. Raises PostroomError LIMIT_EXCEEDED."""
        if len(self.upload_ids) == MOST_CONTENTS:
            raise PostroomError(
                Kind.LIMIT_EXCEEDED, f"more than {MOST_CONTENTS} contents in an upload"
            )
        upload_id = secrets.token_bytes(16)
        self.upload_ids.append(upload_id)
        self.size += size
        self.waiting += len(packed or b"")
        self._contents.append((digest, packed, size, upload_id))

    def note(self, transaction: Transaction) -> None:
        """Note that the contents wait for a write."""
        transaction.account(self.account_id)
        for digest, packed, size, upload_id in self._contents:
            row = {"account_id": self.account_id, "digest": digest, "size": size}
            created = {"created_at": transaction.now}
            transaction.add_missing(tables.blobs, row | {"data": packed} | created)
            transaction.add(tables.uploads, row | {"upload_id": upload_id} | created)

    def noted(self) -> None:
        """That was committed."""
        self._contents.clear()
        self.waiting = 0


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
        self.most_bytes = most_bytes
        self._pool = ThreadPoolExecutor(PARSERS, thread_name_prefix="parser")
        # Held while whole contents are in memory. Never while a client is waited for: it could
        # keep the others out.
        self.large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def prepare(self, content: bytes) -> Content:
        """A message that came whole, ready to be kept. Raises PostroomError TOO_LARGE."""
        if len(content) > self.most_bytes:
            raise self._too_large()
        if len(content) <= INLINE_PARSE_BYTES:
            return self._ingest.prepare(content)
        return await self._in_pool(self._ingest.prepare, content)

    async def upload(
        self, account_id: int, chunks: AsyncIterator[tuple[bytes, bool]]
    ) -> tuple[list[bytes], int]:
        """Keep contents for a later write; answers their upload ids and their size in all.

        Args:
            chunks: bytes, and whether a content ends with them; the last one may end without.

        Raises PostroomError: TOO_LARGE, LIMIT_EXCEEDED.
        """
        uploading = _Uploading(account_id)
        packing: Packing | None = Packing()
        try:
            async for chunk, end in chunks:
                packing = packing or Packing()
                if packing.size + len(chunk) > self.most_bytes:
                    raise self._too_large()
                await self._in_pool(packing.add, chunk)
                if end:
                    await self._finish(uploading, packing)
                    packing = None
            if packing is not None:
                await self._finish(uploading, packing)
                packing = None
            await self._note(uploading)
        finally:
            if packing is not None:
                packing.close()
        return uploading.upload_ids, uploading.size

    async def _finish(self, uploading: _Uploading, packing: Packing) -> None:
        """Keep a content; a large one is noted at once, small ones some together."""
        async with self.large:
            try:
                digest, packed = await self._in_pool(self._keep, packing)
            finally:
                packing.close()
            uploading.add(digest, packed, packing.size)
            if uploading.waiting >= NOTED_TOGETHER:
                await self._note(uploading)

    async def _note(self, uploading: _Uploading) -> None:
        await self._writers.run(uploading.account_id, uploading.note)
        uploading.noted()

    def _keep(self, packing: Packing) -> tuple[bytes, bytes | None]:
        digest, packed = packing.finish()
        return digest, self._ingest.keep(digest, packed, packing.size)

    async def sizes(self, account_id: int, upload_ids: Sequence[bytes]) -> int:
        """Bytes of uploaded contents in all. Raises PostroomError NOT_FOUND where one is gone."""
        return await self._readers.run(lambda c: sizes_of(c, account_id, upload_ids))

    async def uploaded(self, account_id: int, upload_id: bytes, *, stays: bool = False) -> Content:
        """A content that was uploaded before; to be called, and used, while holding `large`.

        Args:
            stays: it will be used in the same account, so that it need not be kept once more.

        Raises PostroomError NOT_FOUND.
        """
        digest, content, packed = await self._readers.run(
            lambda c: self._read(c, account_id, upload_id)
        )
        derived = await self._in_pool(derive, content)
        eight_bit = not content.isascii()
        return Content(digest, len(content), None if stays else packed, derived, eight_bit)

    async def uploaded_bytes(self, account_id: int, upload_id: bytes) -> bytes:
        """The same, as it came."""
        _, content, _ = await self._readers.run(lambda c: self._read(c, account_id, upload_id))
        return content

    def _read(
        self, connection: Connection, account_id: int, upload_id: bytes
    ) -> tuple[bytes, bytes, bytes | None]:
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

    async def _in_pool(self, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, work, *arguments)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _too_large(self) -> PostroomError:
        return PostroomError(Kind.TOO_LARGE, f"a message has at most {self.most_bytes} bytes")


def sizes_of(connection: Connection, account_id: int, upload_ids: Sequence[bytes]) -> int:
    """Bytes of uploaded contents in all. Raises PostroomError NOT_FOUND where one is gone."""
    column = tables.uploads.c
    statement = select(column.upload_id, column.size).where(
        column.account_id == account_id, column.upload_id.in_(upload_ids)
    )
    found = {bytes(row[0]): row[1] for row in connection.execute(statement)}
    if len(found) < len(set(upload_ids)):
        raise PostroomError(Kind.NOT_FOUND, "there is no such upload")
    return sum(found[upload_id] for upload_id in upload_ids)
