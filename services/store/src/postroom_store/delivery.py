"""Mail that comes in from SMTP: into mailboxes, and into the queue of what goes elsewhere."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from postroom_chassis.quota import UNLIMITED, Quota
from sqlalchemy import Connection, select

from postroom_store import messages, tables
from postroom_store.domain.names import INBOX
from postroom_store.ingest import Content, add_blob
from postroom_store.messages import Arrival
from postroom_store.transaction import Mailbox, Transaction

WAITING = 1
HELD = 2
LEASED = 3


@dataclass(frozen=True, slots=True)
class LocalRecipient:
    account_id: int
    mailbox: str = INBOX


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message with its envelope.

    Attributes:
        sender: reverse-path; empty for the null sender.
        remote: addresses elsewhere, one queue entry each.
        submitter: the account that submitted it, or transaction.NO_ACCOUNT.
    """

    content: Content
    sender: str
    local: Sequence[LocalRecipient]
    remote: Sequence[str]
    submitter: int
    trace_id: str

    @property
    def home(self) -> int:
        """The account under which the delivery as a whole is remembered, and the first locked."""
        if self.remote or not self.local:
            return self.submitter
        return min(recipient.account_id for recipient in self.local)

    @property
    def accounts(self) -> list[int]:
        """Every account that it touches, in the order in which they are locked."""
        accounts = {recipient.account_id for recipient in self.local}
        if self.remote:
            accounts.add(self.submitter)
        return sorted(accounts)


def deliver(transaction: Transaction, delivery: Delivery) -> list[int]:
    """Put a message into every recipient's mailbox and into the queue; answer the queue's ids."""
    for account_id in delivery.accounts:
        transaction.account(account_id)
    for recipient in dict.fromkeys(delivery.local):
        mailbox = _mailbox(transaction, recipient)
        messages.append(transaction, mailbox, [Arrival(delivery.content)], UNLIMITED)
    if not delivery.remote:
        return []
    add_blob(transaction, delivery.submitter, delivery.content)
    return [_enqueue(transaction, delivery, recipient) for recipient in delivery.remote]


def _mailbox(transaction: Transaction, recipient: LocalRecipient) -> Mailbox:
    """The mailbox that was asked for, or INBOX: mail is never lost to a name."""
    found = transaction.find_mailbox(recipient.account_id, recipient.mailbox)
    if found is not None and found.selectable:
        return found
    return transaction.mailbox_named(recipient.account_id, INBOX)


def _enqueue(transaction: Transaction, delivery: Delivery, recipient: str) -> int:
    queue_id = new_queue_id(transaction.now)
    row: dict[str, Any] = {
        "account_id": delivery.submitter,
        "queue_id": queue_id,
        "sender": delivery.sender,
        "recipient": recipient,
        "domain": recipient.rpartition("@")[2].lower(),
        "state": WAITING,
        "digest": delivery.content.digest,
        "size": delivery.content.size,
        "created_at": transaction.now,
        "next_attempt_at": transaction.now,
        "attempts": 0,
        "last_reply": "",
        "message_id": delivery.content.derived.message_id or "",
        "trace_id": delivery.trace_id[:32],
    }
    transaction.add(tables.queue, row)
    return queue_id


def new_queue_id(now: int) -> int:
    """An id that grows with time: 33 bits of seconds over 30 random ones."""
    return now << 30 | secrets.randbits(30)


def admit(connection: Connection, wanted: Sequence[tuple[int, Quota]], size: int) -> list[bool]:
    """Whether accounts have room for a message.

    Args:
        wanted: account ids with their quotas.
    """
    column = tables.accounts.c
    ids = {account_id for account_id, quota in wanted if quota != UNLIMITED}
    statement = select(column.account_id, column.used_bytes, column.used_messages)
    rows = connection.execute(statement.where(column.account_id.in_(ids))) if ids else ()
    used = {account_id: (held, count) for account_id, held, count in rows}

    def roomy(account_id: int, quota: Quota) -> bool:
        held, count = used.get(account_id, (0, 0))
        return (not quota.bytes or held + size <= quota.bytes) and (
            not quota.messages or count < quota.messages
        )

    return [roomy(account_id, quota) for account_id, quota in wanted]
