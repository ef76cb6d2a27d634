"""COMPARATOR (RFC 5255 section 4.7): how SEARCH, SORT and THREAD compare texts from now on."""

from __future__ import annotations

from postroom_imap.protocol.collation import matching
from postroom_imap.protocol.commands import Comparator
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.status import comparator as comparator_response
from postroom_imap.session import Session


async def comparator(session: Session, tag: bytes, command: Comparator) -> None:
    found = matching(command.orders)
    if found:
        session.comparator = found[0]
    elif command.orders:
        session.refuse(tag, "There is no such comparator", codes.BAD_COMPARATOR)
        return
    told = comparator_response(session.comparator, found if len(found) > 1 else ())
    session.finish(tag, "COMPARATOR completed", before=told)
