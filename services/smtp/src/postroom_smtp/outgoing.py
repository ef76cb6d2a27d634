"""What goes on of a message: with the fields that are put before it, without those taken out."""

from __future__ import annotations

from collections.abc import AsyncIterator

from postroom_smtp.ports import Judgement
from postroom_smtp.protocol.header import without
from postroom_smtp.spool import MEMORY_BYTES, Spool

INLINE_BYTES = MEMORY_BYTES + 32 * 1024  # what may travel in a Deliver, with its trace fields


class Outgoing:
    """The content for the store.

    Args:
        trace: fields that go before all others.
    """

    def __init__(self, spool: Spool, trace: bytes, judgement: Judgement) -> None:
        self._spool = spool
        self._head, self._start = trace + judgement.fields, 0
        if judgement.removed:
            header = spool.header
            self._head += without(header, judgement.removed)
            self._start = len(header)

    @property
    def size(self) -> int:
        """Octets of it."""
        return len(self._head) + self._spool.size - self._start

    @property
    def inline(self) -> bytes | None:
        """The content itself, where it is small."""
        spool, start = self._spool, self._start
        if not spool.in_memory or self.size > INLINE_BYTES:
            return None
        return self._head + (spool.held[start:] if start else spool.held)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content in pieces."""
        yield self._head
        async for piece in self._spool.pieces(self._start):
            yield piece
