"""Notices to senders (RFC 3464): made here, and delivered like any other mail."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from postroom_chassis import logs
from postroom_chassis.rpc.repeating import repeat
from prometheus_client import Counter

from postroom_smtp.notice import to_sender
from postroom_smtp.ports import Delivery, Directory, Store
from postroom_smtp.protocol.dsn import Action, Notice, Report, compose, wanted
from postroom_smtp.protocol.response import Response
from postroom_smtp.protocol.srs import Forged, Rewriting
from postroom_smtp.sending.ports import Entry

log = logs.logger(__name__)

NOTICES = Counter("postroom_smtp_notices_total", "Notices to senders by what they tell", ["action"])


@dataclass(frozen=True, slots=True)
class News:
    """What is to be told of an entry.

    Attributes:
        status: RFC 3463.
        response: what was said; host: by whom; empty: by us.
        until: how long it will be tried on, Unix seconds; 0: it won't.
        header: the message's header section, as much of it as is there.
        content: the whole message, where it is to be returned.
    """

    action: Action
    status: str
    response: Response | None = None
    host: str = ""
    until: float = 0.0
    header: bytes = b""
    content: bytes | None = None


class Notices:
    """Writes notices, and hands them to the store.

    Args:
        hostname: what we are called.
        rewriting: by which forwarded messages go out; what fails of them comes back to who sent
            them first.
        clock: Unix seconds.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        hostname: str,
        rewriting: Rewriting | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._directory = directory
        self._hostname = hostname
        self._rewriting = rewriting
        self._clock = clock

    def wanted(self, entry: Entry, action: Action) -> bool:
        """Whether the sender is to hear of it."""
        return wanted(action, entry.reverse_path, entry.recipient)

    async def tell(self, entry: Entry, news: News) -> None:
        """Deliver a notice, durably; once, however often that is repeated. Raises PostroomError."""
        delivery = await self._addressed(entry, news)
        if delivery is None:
            return
        await repeat(lambda: self._store.deliver(delivery))
        NOTICES.labels(news.action).inc()
        log.info(
            "smtp.notice",
            queue_id=entry.queue_id,
            sender=entry.reverse_path,
            recipient=entry.recipient.address,
            action=news.action,
            status=news.status,
        )

    async def _addressed(self, entry: Entry, news: News) -> Delivery | None:
        """The notice on its way; None where it can't go anywhere."""
        sender = self._sender(entry)
        found = await repeat(lambda: self._directory.resolve(sender))
        key = hashlib.sha256(f"notice {entry.queue_id} {news.action}".encode()).digest()
        message_id = f"{key.hex()[:20]}.notice@{self._hostname}"
        delivery = to_sender(
            sender,
            found,
            self._written(entry, sender, news, message_id),
            key=key,
            message_id=message_id,
            asked=entry.message.request,
            trace_id=entry.trace_id,
        )
        if delivery is None:
            log.warning("smtp.notice_undeliverable", queue_id=entry.queue_id, sender=sender)
        return delivery

    def _written(self, entry: Entry, sender: str, news: News, message_id: str) -> bytes:
        report = Report(
            entry.recipient,
            news.action,
            news.status,
            news.response,
            news.host,
            self._clock(),
            news.until,
        )
        return compose(
            Notice(
                self._hostname,
                sender,
                (report,),
                message_id,
                self._clock(),
                entry.created_at,
                entry.message.request.envid,
                news.header,
                news.content,
            )
        )

    def _sender(self, entry: Entry) -> str:
        """Who hears it: of what was forwarded, who sent it first."""
        sender = entry.reverse_path
        if self._rewriting is None:
            return sender
        try:
            return self._rewriting.reverse(sender, self._clock()) or sender
        except Forged:
            return sender
