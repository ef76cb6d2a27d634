"""A message as it is checked: its fields, and hashes of its body, in bounded memory and threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from postroom_smtp.protocol.dkim import BodyHash, Canon
from postroom_smtp.protocol.fields import MOST_FIELDS, Field, split_fields, split_message
from postroom_smtp.protocol.header import without
from postroom_smtp.spool import Spool

P = ParamSpec("P")
T = TypeVar("T")

# How a body is hashed: its canonicalization, and how much of it.
Wanted = tuple[Canon, int | None]

SMALL_BYTES = 32 * 1024  # that are worked on at once: a thread would cost more


@dataclass(frozen=True, slots=True)
class Hashed:
    """A body's hash, and how many octets there were to hash."""

    digest: bytes
    size: int


class Workers:
    """Threads for what takes long, so many and no more; and turns for messages that are large.

    Args:
        large: how many messages that aren't in memory are read at a time.
    """

    def __init__(self, threads: int, large: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "checks")
        self._turns = asyncio.Semaphore(large)

    async def run(self, size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what works on so many octets."""
        if size <= SMALL_BYTES:
            return work(*args, **kwargs)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    def turn(self, spool: Spool) -> AbstractAsyncContextManager[None]:
        """Held while a message is read."""
        return nullcontext() if spool.in_memory else self._turns

    def close(self) -> None:
        """No more work is taken."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Content:
    """A message.

    Args:
        added: fields that will stand before it.
        removed: those of its own that won't be in it (see `Judgement`).

    Attributes:
        whole: its header section has ended within what is looked at, and every field was told
            apart.
        size: octets of the header section.
    """

    def __init__(
        self,
        spool: Spool,
        workers: Workers,
        *,
        added: bytes = b"",
        removed: Collection[tuple[str, int]] = (),
    ) -> None:
        header, ended = split_message(spool.header)
        self.spool = spool
        self.workers = workers
        self.size = len(header)
        self.fields: list[Field] = split_fields(added + without(header, removed))
        complete = ended or len(header) == spool.size
        self.whole = complete and len(self.fields) <= MOST_FIELDS
        self._hashed: dict[Wanted, Hashed] = {}

    def changed(
        self, added: bytes, removed: Collection[tuple[str, int]], *, other_body: bool
    ) -> Content:
        """The same message with other fields, and perhaps another body."""
        content = Content(self.spool, self.workers, added=added, removed=removed)
        if not other_body:
            content._hashed = self._hashed
        return content

    def named(self, name: str) -> list[Field]:
        """The fields of a name, from the top."""
        return [field for field in self.fields if field.name == name]

    async def hash_body(self, wanted: Iterable[Wanted]) -> dict[Wanted, Hashed]:
        """Hash the body once for all that is wanted; what was hashed before is known."""
        hashes = {each: BodyHash(*each) for each in wanted if each not in self._hashed}
        if hashes:
            async with self.workers.turn(self.spool):
                skipped = self.size
                async for piece in self.spool.pieces():
                    rest = piece[skipped:]
                    skipped = max(0, skipped - len(piece))
                    await self.workers.run(len(rest), _update, list(hashes.values()), rest)
        self._hashed.update((each, Hashed(one.finish(), one.size)) for each, one in hashes.items())
        return self._hashed


def _update(hashes: list[BodyHash], piece: bytes) -> None:
    for each in hashes:
        each.update(piece)
