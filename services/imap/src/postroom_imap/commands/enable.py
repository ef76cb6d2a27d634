"""ENABLE (RFC 5161): what this session is told differently from now on."""

from __future__ import annotations

from postroom_imap.protocol.commands import Enable
from postroom_imap.protocol.extension import extension
from postroom_imap.protocol.responses import status
from postroom_imap.session import Session


async def enable(session: Session, tag: bytes, command: Enable) -> None:
    # What isn't known, can't be enabled or is on already is passed over (section 3.1).
    wanted = [extension(name) for name in command.capabilities]
    fresh = [each for each in wanted if each is not None and each not in session.enabled]
    for each in fresh:
        session.enable(each)
    session.finish(tag, "ENABLE completed", before=status.enabled(fresh))
