"""What goes on of a message: with the fields that are put before it, without those taken out."""

from __future__ import annotations

from collections.abc import AsyncIterator

from postroom_smtp.ports import Judgement, Store, Uploaded
from postroom_smtp.protocol.header import without
from postroom_smtp.spool import MEMORY_BYTES, Spool

INLINE_BYTES = MEMORY_BYTES + 32 * 1024  # what may travel in a Deliver, with its trace fields


async def content(
    spool: Spool, trace: bytes, judgement: Judgement, store: Store
) -> bytes | Uploaded:
    """The content for the store: itself, or what stands for it once the store has it.

    Args:
        trace: fields that go before all others.

    Raises PostroomError.
    """
    head, start = trace + judgement.fields, 0
    if judgement.removed:
        header = spool.header
        head, start = head + without(header, judgement.removed), len(header)
    if spool.in_memory and len(head) + spool.size - start <= INLINE_BYTES:
        whole = await spool.whole()
        return head + (whole[start:] if start else whole)
    return await store.upload(_pieces(spool, head, start))


async def _pieces(spool: Spool, head: bytes, start: int) -> AsyncIterator[bytes]:
    yield head
    async for piece in spool.pieces(start):
        yield piece
