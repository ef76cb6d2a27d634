"""UNAUTHENTICATE (RFC 8437): the connection is as it was before anybody signed in."""

from __future__ import annotations

from postroom_imap.protocol.commands import Unauthenticate
from postroom_imap.protocol.responses import status
from postroom_imap.session import Session, StartOver


async def unauthenticate(session: Session, tag: bytes, command: Unauthenticate) -> None:
    session.write(status.ok(tag, "Nobody is signed in"))
    session.connection.end_compression()  # section 4.1: right behind the OK
    raise StartOver
