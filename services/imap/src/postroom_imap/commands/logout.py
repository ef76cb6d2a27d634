"""LOGOUT (RFC 3501 section 6.1.3)."""

from __future__ import annotations

from postroom_imap.protocol.commands import Logout
from postroom_imap.protocol.responses import status
from postroom_imap.session import Goodbye, Session


async def logout(session: Session, tag: bytes, command: Logout) -> None:
    raise Goodbye(status.bye("Goodbye") + status.ok(tag, "LOGOUT completed"))
