"""CAPABILITY (RFC 3501 section 6.1.1)."""

from __future__ import annotations

from postroom_imap.protocol.commands import Capability
from postroom_imap.protocol.responses import status
from postroom_imap.session import Session


async def capability(session: Session, tag: bytes, command: Capability) -> None:
    names = await session.capabilities()
    session.finish(tag, "CAPABILITY completed", before=status.capability(names))
