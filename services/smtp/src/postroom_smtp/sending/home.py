"""What was held for people here (RFC 4865) is delivered when its time has come."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from postroom_chassis.rpc.repeating import repeat

from postroom_smtp.ports import (
    Delivery,
    Directory,
    LocalRecipient,
    Resolution,
    Store,
    Uploaded,
    Whereabouts,
)
from postroom_smtp.protocol.envelope import Recipient
from postroom_smtp.protocol.response import Response
from postroom_smtp.protocol.srs import Rewriting
from postroom_smtp.protocol.trace import return_path
from postroom_smtp.sending.content import Content
from postroom_smtp.sending.ports import Entry, Queue
from postroom_smtp.spool import MEMORY_BYTES

DELIVERED = Response(250, "2.0.0", ("delivered here",))
NOBODY = Response(550, "5.1.1", ("nobody has this address any more",))
FULL = Response(452, "4.2.2", ("the mailbox is full",))


@dataclass(frozen=True, slots=True)
class Home:
    """Delivers entries whose recipients are here.

    Args:
        rewriting: gives what their aliases forward a reverse-path of ours.
    """

    queue: Queue
    store: Store
    directory: Directory
    rewriting: Rewriting | None = None

    async def deliver(self, lease_id: bytes, entry: Entry) -> Response | None:
        """Deliver an entry, once, however often that is repeated; None: it is to go elsewhere.

        Raises PostroomError, also CONFLICT where the lease doesn't hold it.
        """
        address = entry.recipient.address
        found = await repeat(lambda: self.directory.resolve(address))
        if found.whereabouts is Whereabouts.FOREIGN:
            return None
        if not found.accounts and not found.forwards:
            return NOBODY
        for account in found.accounts:
            if account.limited and not await self.store.admit(account, entry.message.size):
                return FULL
        delivery = await self._addressed(lease_id, entry, found)
        await repeat(lambda: self.store.deliver(delivery))
        return DELIVERED

    async def _addressed(self, lease_id: bytes, entry: Entry, found: Resolution) -> Delivery:
        recipient, sender = entry.recipient, entry.reverse_path
        content = Content(lambda: self.queue.read(lease_id, entry.queue_id), entry.message.size)
        await content.begin()
        pieces = _pieces(return_path(sender) if found.accounts else b"", content)
        if content.size <= MEMORY_BYTES:
            source: bytes | Uploaded = b"".join([piece async for piece in pieces])
        else:
            source = await self.store.upload(pieces)
        return Delivery(
            hashlib.sha256(f"home {entry.queue_id}".encode()).digest()[:16],
            sender,
            source,
            tuple(LocalRecipient(one.account_id, recipient.address) for one in found.accounts),
            tuple(self._forwarded(forward, entry) for forward in found.forwards),
            trace_id=entry.trace_id,
            # What was asked for goes on with what is forwarded; the time has come.
            request=replace(entry.message.request, hold_until=0),
        )

    def _forwarded(self, address: str, entry: Entry) -> Recipient:
        recipient, sender = entry.recipient, None
        if self.rewriting is not None and entry.reverse_path:
            sender = self.rewriting.forward(entry.reverse_path, time.time())
        return Recipient(address, recipient.original, recipient.notify, sender)


async def _pieces(head: bytes, content: Content) -> AsyncIterator[bytes]:
    yield head
    async for piece in content.pieces():
        yield piece
