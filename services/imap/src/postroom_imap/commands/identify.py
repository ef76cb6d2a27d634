"""ID (RFC 2971)."""

from __future__ import annotations

from postroom_chassis import logs

from postroom_imap.protocol.commands import Id
from postroom_imap.protocol.responses.mailboxes import id_response
from postroom_imap.session import Session

log = logs.logger(__name__)

_SAID = {"name": "Postroom"}
_LOGGED = 64  # characters of a field; a client may say anything


async def identify(session: Session, tag: bytes, command: Id) -> None:
    told = {key.lower(): value for key, value in command.params if value}
    log.debug(
        "imap.client_id",
        name=told.get("name", "")[:_LOGGED],
        version=told.get("version", "")[:_LOGGED],
    )
    session.finish(tag, "ID completed", before=id_response(_SAID))
