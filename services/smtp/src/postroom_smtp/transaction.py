"""One mail transaction (RFC 5321 section 3.3): who sends, who gets it, and its delivery."""

from __future__ import annotations

import asyncio
import base64
import secrets
from dataclasses import dataclass, field
from functools import cache

from opentelemetry import trace as tracing
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from prometheus_client import Counter

from postroom_smtp.ports import (
    Account,
    Delivery,
    Directory,
    LocalRecipient,
    Resolution,
    Store,
    Uploaded,
    Whereabouts,
)
from postroom_smtp.protocol import reply
from postroom_smtp.protocol.command import POSTMASTER, Mail
from postroom_smtp.protocol.envelope import Recipient
from postroom_smtp.protocol.path import Path
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.settings import SmtpSettings

log = logs.logger(__name__)

MESSAGES = Counter("postroom_smtp_messages_total", "Messages by outcome", ["outcome"])
RECIPIENTS = Counter("postroom_smtp_recipients_total", "Recipients by outcome", ["outcome"])

# Between repeats of a delivery whose answer was lost. The client waits ten minutes (RFC 5321
# section 4.5.3.2.6), and a call may take twenty seconds.
PAUSES = (0.1, 0.5, 2.0)
REPEATABLE = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE})

RECIPIENT_REFUSALS = {
    Whereabouts.UNKNOWN: reply.UNKNOWN_RECIPIENT,
    Whereabouts.INVALID: reply.IMPOSSIBLE_RECIPIENT,
}


@dataclass(slots=True)
class Transaction:
    """A transaction between MAIL and the reply to its DATA.

    Attributes:
        relays: whether the client may send to addresses elsewhere.
        key: names the message to the store.
        message_id: names it in replies, logs and its Received field.
        accepted: the addresses that RCPT was answered 250 for.
    """

    mail: Mail
    relays: bool
    directory: Directory
    store: Store
    settings: SmtpSettings
    key: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    message_id: str = field(init=False)
    accepted: list[str] = field(default_factory=list)
    _local: dict[int, LocalRecipient] = field(default_factory=dict)
    _queue: dict[str, Recipient] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.message_id = base64.b32encode(self.key[:10]).decode().lower()

    @property
    def stays_here(self) -> bool:
        """Whether it is delivered to anybody here."""
        return bool(self._local)

    async def add(self, recipient: Path) -> Reply:
        """Take one more recipient, or say why not."""
        answer = await self._add(recipient)
        _counter(RECIPIENTS, answer.code, answer.enhanced).inc()
        if answer.permanent:
            log.info("smtp.recipient_refused", recipient=str(recipient), reply=str(answer))
        return answer

    async def deliver(self, content: bytes | Uploaded, size: int, submitter: str = "") -> Reply:
        """Have the store take the message; its 250 is said after that and never before.

        Args:
            submitter: the ticket of who signed in.
        """
        delivery = Delivery(
            self.key,
            str(self.mail.sender),
            content,
            tuple(self._local.values()),
            tuple(self._queue.values()),
            submitter,
            f"{tracing.get_current_span().get_span_context().trace_id:032x}",
        )
        try:
            await self._deliver(delivery)
            answer = Reply(250, "2.0.0", f"taken as {self.message_id}")
        except PostroomError as error:
            log.warning("smtp.delivery_failed", message=self.message_id, why=error.kind)
            answer = reply.refusal(error)
        self.note(answer, size)
        return answer

    def note(self, answer: Reply, size: int) -> None:
        """Count and log what became of the message."""
        _counter(MESSAGES, answer.code, answer.enhanced).inc()
        log.info(
            "smtp.message",
            message=self.message_id,
            sender=str(self.mail.sender),
            recipients=len(self.accepted),
            size=size,
            reply=str(answer),
        )

    async def _deliver(self, delivery: Delivery) -> None:
        for pause in PAUSES:
            try:
                return await self.store.deliver(delivery)
            except PostroomError as error:
                if error.kind not in REPEATABLE:
                    raise
            await asyncio.sleep(pause)
        return await self.store.deliver(delivery)

    async def _add(self, recipient: Path) -> Reply:
        if len(self.accepted) >= self.settings.recipients:
            return reply.TOO_MANY_RECIPIENTS
        if not recipient.ascii and not self.mail.smtputf8:
            return reply.NOT_ASCII
        try:
            resolution = await self._resolve(recipient)
            if refused := RECIPIENT_REFUSALS.get(resolution.whereabouts):
                return refused
            if resolution.whereabouts is Whereabouts.FOREIGN and not self.relays:
                return reply.NO_RELAYING
            if not await self._have_room(resolution.accounts):
                return reply.OVER_QUOTA
        except PostroomError as error:
            return reply.refusal(error)
        self._take(str(recipient), resolution)
        return reply.RECIPIENT_OK

    def _take(self, address: str, resolution: Resolution) -> None:
        self.accepted.append(address)
        if resolution.whereabouts is Whereabouts.FOREIGN:
            self._queue[address] = Recipient(address)
        for account in resolution.accounts:
            # Once in each mailbox, however many of the addresses lead there.
            self._local.setdefault(account.account_id, LocalRecipient(account.account_id, address))
        for forward in resolution.forwards:
            self._queue.setdefault(forward, Recipient(forward))

    async def _resolve(self, recipient: Path) -> Resolution:
        if recipient.local.lower() != POSTMASTER.local:
            return await self.directory.resolve(str(recipient))
        # RFC 5321 section 4.5.1: mail for postmaster is taken in every domain of ours, and without
        # a domain too.
        domain = recipient.domain or self.settings.hostname
        resolution = await self.directory.resolve(f"{recipient.local}@{domain}")
        lost = resolution.whereabouts is Whereabouts.UNKNOWN or (
            not recipient.domain and resolution.whereabouts is not Whereabouts.LOCAL
        )
        if lost and self.settings.postmaster:
            return await self.directory.resolve(self.settings.postmaster)
        return Resolution(Whereabouts.UNKNOWN) if lost else resolution

    async def _have_room(self, accounts: tuple[Account, ...]) -> bool:
        limited = [account for account in accounts if account.limited]
        if len(limited) <= 1:
            return not limited or await self.store.admit(limited[0], self.mail.size)
        asked = [self.store.admit(account, self.mail.size) for account in limited]
        return all(await asyncio.gather(*asked))


@cache  # there are as many outcomes as replies
def _counter(of: Counter, code: int, enhanced: str) -> Counter:
    return of.labels(f"{code} {enhanced}")
