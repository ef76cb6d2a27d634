"""NAMESPACE (RFC 2342): one personal namespace, at the root."""

from __future__ import annotations

from postroom_imap.protocol.commands import Namespace
from postroom_imap.protocol.responses.mailboxes import namespace_response
from postroom_imap.session import Session


async def namespace(session: Session, tag: bytes, command: Namespace) -> None:
    session.finish(tag, "NAMESPACE completed", before=namespace_response())
