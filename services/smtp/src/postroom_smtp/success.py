"""Notices of success (RFC 3461 section 5.2.3): for whom the message has come to somebody here."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError

from postroom_smtp.notice import to_sender
from postroom_smtp.ports import Delivery, Directory, Store
from postroom_smtp.protocol.command import Rcpt
from postroom_smtp.protocol.dsn import Action, Notice, Report, compose
from postroom_smtp.protocol.envelope import Recipient
from postroom_smtp.transaction import Transaction

log = logs.logger(__name__)

DELIVERED = "2.1.5"


@dataclass(frozen=True, slots=True)
class Successes:
    """Tells senders what was delivered.

    Args:
        hostname: what we are called.
    """

    directory: Directory
    store: Store
    hostname: str

    async def tell(self, transaction: Transaction, header: bytes) -> None:
        """Send the notice that a sender asked for. The message is taken: what goes wrong here is
        logged, and changes nothing of that.

        Args:
            header: the message's header section, which the notice returns.
        """
        try:
            delivery = await self._addressed(transaction, header)
            if delivery is not None:
                await self.store.deliver(delivery)
        except PostroomError as error:
            log.warning("smtp.notice_failed", message=transaction.message_id, why=error.kind)
        except Exception:
            log.exception("smtp.notice_failed", message=transaction.message_id)

    async def _addressed(self, transaction: Transaction, header: bytes) -> Delivery | None:
        sender, now = transaction.sender, time.time()
        found = await self.directory.resolve(sender)
        message_id = f"{transaction.message_id}.success@{self.hostname}"
        asked = transaction.mail.request
        content = compose(
            Notice(
                self.hostname,
                sender,
                tuple(_report(one, now) for one in transaction.told),
                message_id,
                now,
                now,
                asked.envid,
                header,
            )
        )
        key = hashlib.sha256(transaction.key + b"success").digest()[:16]
        return to_sender(sender, found, content, key=key, message_id=message_id, asked=asked)


def _report(recipient: Rcpt, now: float) -> Report:
    address = Recipient(str(recipient.path), recipient.original, recipient.notify)
    return Report(address, Action.DELIVERED, DELIVERED, at=now)
