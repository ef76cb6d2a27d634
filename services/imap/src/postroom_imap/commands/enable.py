"""ENABLE (RFC 5161): no extension here waits to be enabled yet, so the list stays empty."""

from __future__ import annotations

from postroom_imap.protocol.commands import Enable
from postroom_imap.protocol.responses import status
from postroom_imap.session import Session


async def enable(session: Session, tag: bytes, command: Enable) -> None:
    session.finish(tag, "ENABLE completed", before=status.enabled(()))
