"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 sections 6.3.4 to 6.3.8)."""

from __future__ import annotations

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap import replies
from postroom_imap.ports.mailboxes import SpecialUse
from postroom_imap.protocol.commands import Create, Delete, Rename, Subscribe, Unsubscribe
from postroom_imap.protocol.mailbox_name import DELIMITER, INBOX
from postroom_imap.protocol.object_id import mailbox_id
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.mailboxes import list_response, old_name
from postroom_imap.session import Session
from postroom_imap.sharing import owner_quota

_USES = {use.lower(): use for use in SpecialUse}


async def create(session: Session, tag: bytes, command: Create) -> None:
    # A separator at the end only says that inferiors will follow (section 6.3.4).
    name = command.mailbox.removesuffix(DELIMITER)
    uses = [_USES.get(use.lower()) for use in command.uses]
    known = [use for use in uses if use is not None]
    if len(known) < len(uses):
        session.refuse(tag, "There is no such special use", codes.USE_ATTR)
        return
    _own(session, name)
    try:
        quota = await owner_quota(session, name)
        mailbox = await session.front.mailboxes.create(session.ticket, name, known, quota)
    except PostroomError as error:
        if error.kind is not Kind.UNSUPPORTED:
            raise
        session.refuse(tag, replies.text_of(error), codes.USE_ATTR)
        return
    owner = mailbox.owner or session.ticket.account_id
    code = codes.mailbox_id(mailbox_id(owner, mailbox.mailbox_id))
    session.finish(tag, "CREATE completed", code, before=_renamed(session, command.mailbox, name))


async def delete(session: Session, tag: bytes, command: Delete) -> None:
    _own(session, command.mailbox)
    await session.front.mailboxes.delete(session.ticket, command.mailbox)
    session.front.views.forget_names(session.ticket.account_id)
    if session.tracker is not None and session.tracker.standing.name == command.mailbox:
        session.unselect()
    session.finish(tag, "DELETE completed")


async def rename(session: Session, tag: bytes, command: Rename) -> None:
    new_name = command.new_name.removesuffix(DELIMITER)
    _own(session, new_name)
    quota = await owner_quota(session, new_name)
    await session.front.mailboxes.rename(session.ticket, command.mailbox, new_name, quota)
    session.front.views.forget_names(session.ticket.account_id)
    # INBOX gives its messages away and stays what it is.
    told = b"" if command.mailbox == INBOX else _renamed(session, command.mailbox, new_name)
    session.finish(tag, "RENAME completed", before=told)


def _renamed(session: Session, name: str, new_name: str) -> bytes:
    """What a name has become, for a client that speaks IMAP4rev2 (section 6.3.9.7)."""
    if name == new_name or not session.rev2:
        return b""
    utf8 = session.utf8
    return list_response(new_name, extended=[old_name(name, utf8=utf8)], utf8=utf8)


async def subscribe(session: Session, tag: bytes, command: Subscribe) -> None:
    _own(session, command.mailbox)
    await session.front.mailboxes.subscribe(session.ticket, command.mailbox, True)
    session.finish(tag, "SUBSCRIBE completed")


async def unsubscribe(session: Session, tag: bytes, command: Unsubscribe) -> None:
    _own(session, command.mailbox)
    await session.front.mailboxes.subscribe(session.ticket, command.mailbox, False)
    session.finish(tag, "UNSUBSCRIBE completed")


def _own(session: Session, name: str) -> None:
    """What a session does itself it need not be told (RFC 5465 section 5)."""
    if session.notification is not None:
        session.notification.own(name)
