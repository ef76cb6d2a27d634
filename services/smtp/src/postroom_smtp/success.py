"""Notices of success (RFC 3461 section 5.2.3): for whom the message has come to somebody here."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError

from postroom_smtp.ports import Arrival, Delivery, Directory, LocalRecipient, Store, Whereabouts
from postroom_smtp.protocol.command import Rcpt
from postroom_smtp.protocol.dsn import Action, Notice, Report, compose
from postroom_smtp.protocol.envelope import Body, Notify, Recipient, Request
from postroom_smtp.protocol.trace import return_path
from postroom_smtp.transaction import Transaction

log = logs.logger(__name__)

DELIVERED = "2.1.5"
NEVER = frozenset({Notify.NEVER})


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
        if found.whereabouts is Whereabouts.FOREIGN:
            queue: tuple[Recipient, ...] = (Recipient(sender, notify=NEVER),)
        else:
            queue = tuple(Recipient(forward, notify=NEVER) for forward in found.forwards)
        local = tuple(LocalRecipient(one.account_id, sender) for one in found.accounts)
        if not local and not queue:
            return None
        key = hashlib.sha256(transaction.key + b"success").digest()[:16]
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
        body = Body.SEVEN_BIT if content.isascii() else Body.EIGHT_BIT
        return Delivery(
            key,
            "",
            (return_path("") if local else b"") + content,
            local,
            queue,
            # RFC 8689 section 5: what was to travel safely is told of safely.
            request=Request(
                require_tls=asked.require_tls, smtputf8=not sender.isascii(), body=body
            ),
            arrival=Arrival(message_id),
        )


def _report(recipient: Rcpt, now: float) -> Report:
    address = Recipient(str(recipient.path), recipient.original, recipient.notify)
    return Report(address, Action.DELIVERED, DELIVERED, at=now)
