"""STARTTLS (RFC 3501 section 6.2.1)."""

from __future__ import annotations

from postroom_imap.protocol.commands import StartTls
from postroom_imap.protocol.responses import status
from postroom_imap.session import Session


async def starttls(session: Session, tag: bytes, command: StartTls) -> None:
    tls = session.front.tls
    if tls is None or not session.tls_offered:
        session.reject(tag, "TLS is active already, or not offered here")
        return
    session.write(status.ok(tag, "Begin TLS negotiation now"))
    # Drops what was sent in clear text behind the command (RFC 9051 section 6.2.1).
    await session.connection.start_tls(tls)
