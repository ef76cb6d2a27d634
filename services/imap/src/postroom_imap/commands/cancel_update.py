"""CANCELUPDATE (RFC 5267 section 4.3.5): results that need be kept true no more."""

from __future__ import annotations

from postroom_imap.contexts import Contexts
from postroom_imap.protocol.commands import CancelUpdate
from postroom_imap.session import Session


async def cancel_update(session: Session, tag: bytes, command: CancelUpdate) -> None:
    if isinstance(session.contexts, Contexts):
        session.contexts.cancel(command.tags)
    session.finish(tag, "CANCELUPDATE completed")
