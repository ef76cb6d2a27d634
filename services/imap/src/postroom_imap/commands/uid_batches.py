"""UIDBATCHES (draft-ietf-mailmaint-imap-uidbatches): ranges of UIDs with so many messages each."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_imap.protocol.commands import UidBatches
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.messages import uid_batches as response
from postroom_imap.session import Session

LEAST = 500  # messages in a batch that a client may ask for; no server may ask for more
MOST_MESSAGES = 100_000  # in the batches of one command that names which it wants
MOST_BATCHES = 10_000


async def uid_batches(session: Session, tag: bytes, command: UidBatches) -> None:
    size, wanted = command.size, command.batches
    if size < LEAST:
        session.refuse(tag, f"A batch has at least {LEAST} messages", codes.TOO_FEW)
        return
    if wanted is not None:
        first, last = wanted
        if first > last:
            session.reject(tag, "The first batch comes first", codes.CLIENT_BUG)
            return
        if last - first >= MOST_BATCHES or (last - first + 1) * size > MOST_MESSAGES:
            session.refuse(tag, "That is too much for one command", codes.TOO_MANY)
            return
    ranges = batches(session.selected.uids[: session.selected.exists], size, wanted)
    session.finish(tag, "UIDBATCHES completed", before=response(tag, ranges), uid=True)


def batches(
    uids: Sequence[int], size: int, wanted: tuple[int, int] | None = None
) -> list[tuple[int, int]]:
    """Batches from the highest UID down, each as its highest and lowest UID, without gaps.

    Args:
        uids: ascending.
        wanted: the first and the last batch, from 1; None for all.
    """
    first, last = wanted or (1, MOST_BATCHES)
    found: list[tuple[int, int]] = []
    for number in range(first, last + 1):
        stop = len(uids) - (number - 1) * size
        if stop <= 0:
            break
        start = stop - size
        # A batch reaches down to where the next one begins, the last one to 1.
        low = uids[start - 1] + 1 if start > 0 else 1
        found.append((uids[stop - 1], low))
    return found
