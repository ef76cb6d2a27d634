"""One mail transaction (RFC 5321 section 3.3): who sends, who gets it, and its delivery."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from opentelemetry import trace as tracing
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from prometheus_client import Counter

from postroom_smtp.ports import (
    UNKNOWN_ARRIVAL,
    Account,
    Arrival,
    Delivery,
    Directory,
    Judgement,
    LocalRecipient,
    Resolution,
    Store,
    Uploaded,
    Whereabouts,
)
from postroom_smtp.protocol import reply
from postroom_smtp.protocol.command import POSTMASTER, Mail, Rcpt
from postroom_smtp.protocol.envelope import Body, Notify, Recipient
from postroom_smtp.protocol.header import values
from postroom_smtp.protocol.path import Path
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.protocol.srs import Forged, Rewriting, verp
from postroom_smtp.reception import Reception
from postroom_smtp.settings import SmtpSettings

log = logs.logger(__name__)

MESSAGES = Counter("postroom_smtp_messages_total", "Messages by outcome", ["outcome"])
RECIPIENTS = Counter("postroom_smtp_recipients_total", "Recipients by outcome", ["outcome"])

# Between repeats of a delivery whose answer was lost. The client waits ten minutes (RFC 5321
# section 4.5.3.2.6), and a call may take twenty seconds.
PAUSES = (0.1, 0.5, 2.0)
REPEATABLE = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE})
DELIVERIES_AT_ONCE = 20  # of one message by LMTP

RECIPIENT_REFUSALS = {
    Whereabouts.UNKNOWN: reply.UNKNOWN_RECIPIENT,
    Whereabouts.INVALID: reply.IMPOSSIBLE_RECIPIENT,
}

# Says why somebody doesn't get mail from this client.
Objection = Callable[[str], Awaitable[Reply | None]]


@dataclass(slots=True)
class Share:
    """Who gets the message because of one address, and of none before it.

    Attributes:
        others: the places of addresses that lead to some of the same, and came before.
    """

    recipient: Rcpt
    resolution: Resolution
    local: list[LocalRecipient] = field(default_factory=list)
    queue: list[Recipient] = field(default_factory=list)
    others: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Transaction:
    """A transaction between MAIL and the reply to its content.

    Attributes:
        relays: whether the client may send to addresses elsewhere.
        domains: elsewhere, to which everybody may send.
        objection: is asked of each recipient that is otherwise right.
        one_by_one: each recipient has a delivery and a reply of its own (RFC 2033 section 4.2).
        rewriting: gives what is forwarded a reverse-path of ours.
        key: names the message to the store.
        sender: the reverse-path, empty for the null one.
        stays_here: whether it is delivered to anybody here.
        forwarded: whether some of it goes on to addresses that the client didn't name.
        message_id: names it in replies, logs and its Received field.
        accepted: the addresses that RCPT was answered 250 for.
        told: those of them here whose sender wants to hear that they got it.
        reception: the content, once some of it has come.
        copy_to: the mailbox of who sends it, for a copy; empty: none.
    """

    mail: Mail
    relays: bool
    directory: Directory
    store: Store
    settings: SmtpSettings
    domains: frozenset[str] = frozenset()
    objection: Objection | None = None
    one_by_one: bool = False
    rewriting: Rewriting | None = None
    key: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    message_id: str = field(init=False)
    sender: str = field(init=False)
    stays_here: bool = False
    forwarded: bool = False
    accepted: list[str] = field(default_factory=list)
    told: list[Rcpt] = field(default_factory=list)
    reception: Reception | None = None
    copy_to: str = ""
    _shares: list[Share] = field(default_factory=list)
    _owners: dict[int | str, int] = field(default_factory=dict)
    _ahead: dict[Rcpt, Reply | Resolution] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sender = str(self.mail.sender)
        self.message_id = self.key[:10].hex()

    @property
    def takes_data(self) -> bool:
        """Whether its content may follow DATA: it has not come in pieces, and has lines (RFC 3030
        sections 2 and 3)."""
        return self.reception is None and self.mail.request.body is not Body.BINARY

    def heed(self, header: bytes) -> None:
        """Take what the message itself asks for along (RFC 8689 section 5)."""
        asked = self.mail.request
        if asked.require_tls or b"tls-required" not in header.lower():
            return
        if any(value.lower() == b"no" for value in values(header, "tls-required")):
            self.mail = replace(self.mail, request=replace(asked, tls_optional=True))

    def close(self) -> None:
        """It is over: let go of what has come."""
        if self.reception is not None:
            self.reception.spool.close()

    async def look_ahead(self, recipients: Sequence[Rcpt]) -> None:
        """Find out about recipients of a pipeline together (RFC 2920)."""
        wanted = list(dict.fromkeys(recipients))[: self.settings.recipients - len(self.accepted)]
        self._ahead = dict(
            zip(wanted, await asyncio.gather(*map(self._judge, wanted)), strict=True)
        )

    def knows(self, recipient: Rcpt) -> bool:
        """Whether it was found out about already."""
        return recipient in self._ahead

    def forget_ahead(self) -> None:
        """The pipeline has ended."""
        self._ahead.clear()

    async def add(self, recipient: Rcpt) -> Reply:
        """Take one more recipient, or say why not."""
        answer = await self._add(recipient)
        _counter(RECIPIENTS, answer.code, answer.enhanced).inc()
        if answer.permanent:
            log.info("smtp.recipient_refused", recipient=str(recipient.path), reply=str(answer))
        return answer

    async def deliver(
        self,
        content: bytes | Uploaded,
        size: int,
        *,
        submitter: str = "",
        mailbox: str = "",
        copy: LocalRecipient | None = None,
        arrival: Arrival = UNKNOWN_ARRIVAL,
    ) -> list[Reply]:
        """Have the store take the message; its 250 is said after that and never before.

        Args:
            submitter: the ticket of who signed in.
            mailbox: where it goes in place of INBOX.
            copy: where the sender keeps it.

        Returns a reply, or one for each recipient.
        """

        def delivery(key: bytes, shares: Sequence[Share]) -> Delivery:
            local = [one for share in shares for one in share.local]
            if mailbox:
                local = [LocalRecipient(one.account_id, one.address, mailbox) for one in local]
            if copy is not None:
                local.append(copy)
            return Delivery(
                key,
                self.sender,
                content,
                tuple(local),
                tuple(one for share in shares for one in share.queue),
                submitter,
                f"{tracing.get_current_span().get_span_context().trace_id:032x}",
                self.mail.request,
                arrival,
            )

        if not self.one_by_one:
            answer = await self._take_over(delivery(self.key, self._shares))
            self.note(answer, size)
            return [answer]
        gate = asyncio.Semaphore(DELIVERIES_AT_ONCE)

        async def share_out(place: int, share: Share) -> Reply:
            if not share.local and not share.queue:
                return self._taken()  # as those others are answered who get it by this address
            async with gate:
                return await self._take_over(delivery(self._key_of(place), [share]))

        answers = await asyncio.gather(
            *(share_out(place, share) for place, share in enumerate(self._shares))
        )
        replies = [
            min((answers[other] for other in {place, *share.others}), key=_worst)
            for place, share in enumerate(self._shares)
        ]
        for answer in replies:
            self.note(answer, size)
        return replies

    async def redirect(self, judgement: Judgement) -> Reply | None:
        """Do what filters want with who sends it and who gets it; why that can't be done."""
        if judgement.sender is not None:
            self.sender = judgement.sender
        if judgement.dropped or judgement.sender is not None:
            self._share_anew(judgement.dropped)
        for address in judgement.added:
            try:
                resolution = await self.directory.resolve(address)
            except PostroomError as error:
                return reply.refusal(error)
            if resolution.whereabouts in RECIPIENT_REFUSALS:
                log.warning("smtp.recipient_unknown", message=self.message_id, recipient=address)
                continue
            self._lead(0, self._shares[0], Rcpt(_path(address)), resolution)
        return None

    def _share_anew(self, dropped: Collection[str]) -> None:
        """Give shares to the remaining recipients alone, as if there had been no others: what they
        have together with one that is dropped is theirs still. Each keeps its place, and so its
        reply.
        """
        self._owners.clear()
        self.stays_here = self.forwarded = False
        self.told = [one for one in self.told if str(one.path) not in dropped]
        for place, old in enumerate(self._shares):
            share = self._shares[place] = Share(old.recipient, old.resolution)
            if str(old.recipient.path) not in dropped:
                self._lead(place, share, old.recipient, old.resolution)

    @property
    def nobody_left(self) -> bool:
        """Whether nobody gets it."""
        return not any(share.local or share.queue for share in self._shares)

    def refuse(self, answer: Reply, size: int) -> list[Reply]:
        """Nobody gets it."""
        self.note(answer, size)
        return self._for_everybody(answer)

    def lose(self, size: int) -> list[Reply]:
        """It is taken, and nobody gets it."""
        return self.refuse(self._taken(), size)

    def _for_everybody(self, answer: Reply) -> list[Reply]:
        """One answer for all recipients, as often as it is to be said."""
        return [answer] * (len(self._shares) if self.one_by_one else 1)

    def note(self, answer: Reply, size: int) -> None:
        """Count and log what became of the message."""
        _counter(MESSAGES, answer.code, answer.enhanced).inc()
        log.info(
            "smtp.message",
            message=self.message_id,
            sender=self.sender,
            recipients=len(self.accepted),
            size=size,
            reply=str(answer),
        )

    def _taken(self) -> Reply:
        return Reply(250, "2.0.0", f"taken as {self.message_id}")

    def _key_of(self, place: int) -> bytes:
        return hashlib.sha256(self.key + place.to_bytes(4, "big")).digest()[:16]

    async def _take_over(self, delivery: Delivery) -> Reply:
        for pause in (*PAUSES, None):
            try:
                await self.store.deliver(delivery)
                return self._taken()
            except PostroomError as error:
                if error.kind not in REPEATABLE or pause is None:
                    log.warning("smtp.delivery_failed", message=self.message_id, why=error.kind)
                    return reply.refusal(error)
            await asyncio.sleep(pause)
        raise AssertionError

    async def _add(self, recipient: Rcpt) -> Reply:
        if len(self.accepted) >= self.settings.recipients:
            return reply.TOO_MANY_RECIPIENTS
        judged = self._ahead.get(recipient)
        if judged is None:
            judged = await self._judge(recipient)
        if isinstance(judged, Reply):
            return judged
        # One after the other, in the order in which they come: filters are told of them so.
        if self.objection is not None and (refused := await self.objection(str(recipient.path))):
            return refused
        self._take(recipient, judged)
        return reply.RECIPIENT_OK

    async def _judge(self, recipient: Rcpt) -> Reply | Resolution:
        """Where mail for somebody goes, or why it isn't taken."""
        path = recipient.path
        if not path.ascii and not self.mail.smtputf8:
            return reply.NOT_ASCII
        try:
            resolution = await self._resolve(path)
            if refused := RECIPIENT_REFUSALS.get(resolution.whereabouts):
                return refused
            if resolution.whereabouts is Whereabouts.FOREIGN and not self._may_relay(path):
                return reply.NO_RELAYING
            if not await self._have_room(resolution.accounts):
                return reply.OVER_QUOTA
        except PostroomError as error:
            return reply.refusal(error)
        return resolution

    def _may_relay(self, path: Path) -> bool:
        return self.relays or path.domain.lower() in self.domains

    def _take(self, recipient: Rcpt, resolution: Resolution) -> None:
        self.accepted.append(str(recipient.path))
        place, share = len(self._shares), Share(recipient, resolution)
        self._shares.append(share)
        self._lead(place, share, recipient, resolution)
        held = self.mail.request.hold_until > 0
        if resolution.accounts and not held and Notify.SUCCESS in recipient.notify:
            self.told.append(recipient)

    def _lead(self, place: int, share: Share, recipient: Rcpt, resolution: Resolution) -> None:
        """Add to a share all those to whom an address leads."""
        address = str(recipient.path)
        if self.mail.request.hold_until:
            # RFC 4865: it waits in the queue, whoever gets it; where that leads is asked then.
            for each in _lasting(recipient.path, resolution):
                if self._owns(place, share, each):
                    share.queue.append(self._elsewhere(each, recipient, resolution))
            return
        # Once in each mailbox, however many of the addresses lead there.
        for account in resolution.accounts:
            self.stays_here = True
            if self._owns(place, share, account.account_id):
                share.local.append(LocalRecipient(account.account_id, address))
        if resolution.whereabouts is Whereabouts.FOREIGN and self._owns(place, share, address):
            share.queue.append(self._elsewhere(address, recipient, resolution))
        for forward in resolution.forwards:
            if self._owns(place, share, forward):
                self.forwarded = True
                share.queue.append(self._forward(forward, recipient))

    def _owns(self, place: int, share: Share, whom: int | str) -> bool:
        owner = self._owners.setdefault(whom, place)
        if owner != place:
            share.others.add(owner)
        return owner == place

    def _elsewhere(self, address: str, recipient: Rcpt, resolution: Resolution) -> Recipient:
        """Who is named by the client; with a reverse-path of the recipient's own where the sender
        wants that (VERP), so that a bounce says whose it is."""
        leaves = resolution.whereabouts is Whereabouts.FOREIGN
        sender = verp(self.sender, address, self.mail.verp) if self.mail.verp and leaves else None
        return Recipient(address, recipient.original, recipient.notify, sender)

    def _forward(self, address: str, recipient: Rcpt) -> Recipient:
        """What the sender asks for goes on with the message (RFC 3461 section 5.2.7), which has a
        reverse-path of ours from here on."""
        original, sender = recipient.original, None
        if recipient.notify and not original and recipient.path.ascii:
            original = f"rfc822;{recipient.path}"
        if self.rewriting is not None and self.sender:
            rewritten = self.rewriting.forward(self.sender, time.time())
            sender = rewritten if rewritten != self.sender else None
        return Recipient(address, original, recipient.notify, sender)

    async def _resolve(self, recipient: Path) -> Resolution:
        if self.rewriting is not None and (found := await self._returned(recipient)):
            return found
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
            found = await self.directory.resolve(self.settings.postmaster)
            if found.whereabouts is not Whereabouts.FOREIGN:
                return found
            # It is there, and its mail goes on.
            return Resolution(Whereabouts.LOCAL, forwards=(self.settings.postmaster,))
        return Resolution(Whereabouts.UNKNOWN) if lost else resolution

    async def _returned(self, recipient: Path) -> Resolution | None:
        """Where a bounce goes whose address we made for what was forwarded; None: it is no such."""
        try:
            sender = self.rewriting and self.rewriting.reverse(str(recipient), time.time())
        except Forged:
            return Resolution(Whereabouts.UNKNOWN)
        if not sender:
            return None
        if self.sender:  # such an address is for bounces, and opens no way for anything else
            return Resolution(Whereabouts.UNKNOWN)
        found = await self.directory.resolve(sender)
        if found.whereabouts is Whereabouts.FOREIGN:
            return Resolution(Whereabouts.LOCAL, forwards=(sender,))
        return found

    async def _have_room(self, accounts: tuple[Account, ...]) -> bool:
        limited = [account for account in accounts if account.limited]
        if len(limited) <= 1:
            return not limited or await self.store.admit(limited[0], self.mail.size)
        asked = [self.store.admit(account, self.mail.size) for account in limited]
        return all(await asyncio.gather(*asked))


def _path(address: str) -> Path:
    local, _, domain = address.rpartition("@")
    return Path(local, domain)


def _lasting(recipient: Path, resolution: Resolution) -> list[str]:
    """What an address is called when others resolve it; postmaster's may be our own to find."""
    found = [*(account.address for account in resolution.accounts), *resolution.forwards]
    if recipient.local.lower() == POSTMASTER.local and found:
        return found
    return [str(recipient)]


def _worst(answer: Reply) -> int:
    return -answer.code


@cache  # there are as many outcomes as replies
def _counter(of: Counter, code: int, enhanced: str) -> Counter:
    return of.labels(f"{code} {enhanced}")
