"""NAMESPACE (RFC 2342): one personal namespace, at the root, and one of what others share."""

from __future__ import annotations

from postroom_imap.protocol.commands import Namespace
from postroom_imap.protocol.mailbox_name import OTHER_USERS
from postroom_imap.protocol.responses.mailboxes import namespace_response
from postroom_imap.session import Session


async def namespace(session: Session, tag: bytes, command: Namespace) -> None:
    told = namespace_response(others=(OTHER_USERS,))
    session.finish(tag, "NAMESPACE completed", before=told)
