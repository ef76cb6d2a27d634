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
from postroom_store.ingest import Content, add_blob, hash_of, storable
from postroom_store.transaction import Mailbox, Transaction

WAITING = 1
HELD = 2
LEASED = 3
MOST_PRIORITY = 9
PRIORITY_SECONDS = 600  # by which mail goes ahead in its domain, for each step over 0


@dataclass(frozen=True, slots=True)
class LocalRecipient:
    """Whose mailbox gets a message; `seen`: who gets it has written it."""

    account_id: int
    mailbox: str = INBOX
    seen: bool = False


@dataclass(frozen=True, slots=True)
class RemoteRecipient:
    """An address elsewhere.

    Attributes:
        original: RFC 3461's ORCPT without xtext; empty: none.
        notify: bit n: the proto's Notify n; 0: nothing was asked.
        sender: a reverse-path of its own; empty: the delivery's.
    """

    address: str
    original: str = ""
    notify: int = 0
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a message came.

    Attributes:
        arrival_id: what its front calls it, in its reply and the Received field.
        client: IP address.
        name: what the client called itself.
        verdict: what was found out about it.
    """

    arrival_id: str = ""
    client: str = ""
    name: str = ""
    verdict: str = ""


UNKNOWN_ARRIVAL = Arrival()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message with its envelope.

    Attributes:
        sender: reverse-path; empty for the null sender.
        remote: one queue entry each.
        submitter: the account that submitted it, or transaction.NO_ACCOUNT.
        request: what the sender asks for, as the API encodes it.
        hold_until: before that nothing is sent (RFC 4865), Unix seconds; 0: at once.
        priority: RFC 6710, -9 to 9.
    """

    content: Content
    sender: str
    local: Sequence[LocalRecipient]
    remote: Sequence[RemoteRecipient]
    submitter: int
    trace_id: str
    request: bytes = b""
    hold_until: int = 0
    arrival: Arrival = UNKNOWN_ARRIVAL
    priority: int = 0

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
    came = _arrival_columns(transaction, delivery)
    for recipient in dict.fromkeys(delivery.local):
        mailbox = _mailbox(transaction, recipient)
        flags = ("\\Seen",) if recipient.seen else ()
        arrivals = [messages.Arrival(delivery.content, flags)]
        appended = messages.append(transaction, mailbox, arrivals, UNLIMITED)
        row: dict[str, Any] = {
            "account_id": mailbox.account_id,
            "email_id": appended.change.added.email_ids[-1],
            "sender": storable(delivery.sender),
        }
        transaction.add(tables.receptions, row | came)
    if not delivery.remote:
        return []
    add_blob(transaction, delivery.submitter, delivery.content)
    submission_id = new_queue_id(transaction.now)
    row = {
        "account_id": delivery.submitter,
        "submission_id": submission_id,
        "request": delivery.request,
        "eight_bit": delivery.content.eight_bit,
    }
    transaction.add(tables.submissions, row | came)
    return [
        _enqueue(transaction, delivery, submission_id, recipient) for recipient in delivery.remote
    ]


def _arrival_columns(transaction: Transaction, delivery: Delivery) -> dict[str, Any]:
    arrival, message_id = delivery.arrival, delivery.content.derived.message_id
    return {
        "message_hash": hash_of(bare(message_id)) if message_id else None,
        "arrival_hash": hash_of(bare(arrival.arrival_id)) if arrival.arrival_id else None,
        "arrival_id": storable(arrival.arrival_id),
        "client": storable(arrival.client),
        "name": storable(arrival.name),
        "verdict": storable(arrival.verdict),
        "created_at": transaction.now,
    }


def bare(message_id: str) -> str:
    """A Message-ID without its angle brackets: people copy it with them or without."""
    return message_id.strip().removeprefix("<").removesuffix(">")


def domain_of(address: str) -> str:
    """Where an address leads, as destinations are named."""
    return storable(address.rpartition("@")[2].lower().removesuffix("."))


def _mailbox(transaction: Transaction, recipient: LocalRecipient) -> Mailbox:
    """The mailbox that was asked for, or INBOX: mail is never lost to a name."""
    found = transaction.find_mailbox(recipient.account_id, recipient.mailbox)
    if found is not None and found.selectable:
        return found
    return transaction.mailbox_named(recipient.account_id, INBOX)


def _enqueue(
    transaction: Transaction, delivery: Delivery, submission_id: int, recipient: RemoteRecipient
) -> int:
    queue_id = new_queue_id(transaction.now)
    domain = domain_of(recipient.address)
    # It overtakes what came a while before it, and nothing waits for ever behind the others.
    ahead = min(max(delivery.priority, 0), MOST_PRIORITY) * PRIORITY_SECONDS
    due = max(transaction.now - ahead, delivery.hold_until)
    row: dict[str, Any] = {
        "account_id": delivery.submitter,
        "queue_id": queue_id,
        "sender": storable(delivery.sender),
        "recipient": storable(recipient.address),
        "domain": domain,
        "state": WAITING,
        "digest": delivery.content.digest,
        "size": delivery.content.size,
        "created_at": transaction.now,
        "next_attempt_at": due,
        "attempts": 0,
        "last_reply": "",
        "message_id": storable(delivery.content.derived.message_id or ""),
        "trace_id": storable(delivery.trace_id)[:32],
        "submission_id": submission_id,
        "own_sender": storable(recipient.sender),
        "original": storable(recipient.original),
        "notify": recipient.notify,
        "hold_until": delivery.hold_until,
    }
    transaction.add(tables.queue, row)
    transaction.wake(domain, due)
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
