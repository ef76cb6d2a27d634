"""COMPRESS (RFC 4978): the connection is compressed both ways from here on."""

from __future__ import annotations

from postroom_imap.protocol.commands import Compress
from postroom_imap.protocol.responses import codes
from postroom_imap.session import Session


async def compress(session: Session, tag: bytes, command: Compress) -> None:
    if command.algorithm != "DEFLATE":
        session.reject(tag, "DEFLATE is the one algorithm there is")
        return
    if session.connection.compressed:
        # BAD, as section 3 has it; NO is for compression by another layer, which TLS here never is.
        session.reject(tag, "DEFLATE is active already", codes.COMPRESSION_ACTIVE)
        return
    session.finish(tag, "DEFLATE is active")
    session.connection.start_compression()
