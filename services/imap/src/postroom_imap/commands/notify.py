"""NOTIFY (RFC 5465): what a session wants to hear of from now on, in commands and between them."""

from __future__ import annotations

from postroom_imap.notification import Notification
from postroom_imap.protocol.commands import Notify
from postroom_imap.session import Session


async def notify(session: Session, tag: bytes, command: Notify) -> None:
    notification = Notification(session, command.groups)
    await notification.start()
    session.notify(notification)
    told = notification.statuses() if command.status else b""
    session.finish(tag, "NOTIFY completed", before=told)
