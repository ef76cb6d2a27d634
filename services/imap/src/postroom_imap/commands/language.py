"""LANGUAGE (RFC 5255 section 3.2): what people read is told in another language."""

from __future__ import annotations

from postroom_chassis.language import speak

from postroom_imap.protocol.commands import Language
from postroom_imap.protocol.language import WORDING
from postroom_imap.protocol.responses.status import languages
from postroom_imap.session import Session


async def language(session: Session, tag: bytes, command: Language) -> None:
    if not command.ranges:
        session.finish(tag, "LANGUAGE completed", before=languages(WORDING.supported))
        return
    found = WORDING.look_up(command.ranges)
    if found is None:
        session.refuse(tag, "No such language is spoken here")
        return
    speak(found)  # at once, so that the OK is in it already
    session.finish(tag, "English is spoken now", before=languages((found,)))
