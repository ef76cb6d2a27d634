"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 sections 6.3.3 to 6.3.7)."""

from __future__ import annotations

from postroom_imap.protocol.commands import Create, Delete, Rename, Subscribe, Unsubscribe
from postroom_imap.protocol.mailbox_name import DELIMITER
from postroom_imap.session import Session


async def create(session: Session, tag: bytes, command: Create) -> None:
    # A separator at the end only says that inferiors will follow (section 6.3.3).
    name = command.mailbox.removesuffix(DELIMITER)
    await session.front.mailboxes.create(session.ticket, name)
    session.finish(tag, "CREATE completed")


async def delete(session: Session, tag: bytes, command: Delete) -> None:
    await session.front.mailboxes.delete(session.ticket, command.mailbox)
    session.front.views.forget_names(session.ticket.account_id)
    if session.tracker is not None and session.tracker.view.name == command.mailbox:
        session.unselect()
    session.finish(tag, "DELETE completed")


async def rename(session: Session, tag: bytes, command: Rename) -> None:
    await session.front.mailboxes.rename(session.ticket, command.mailbox, command.new_name)
    session.front.views.forget_names(session.ticket.account_id)
    session.finish(tag, "RENAME completed")


async def subscribe(session: Session, tag: bytes, command: Subscribe) -> None:
    await session.front.mailboxes.subscribe(session.ticket, command.mailbox, True)
    session.finish(tag, "SUBSCRIBE completed")


async def unsubscribe(session: Session, tag: bytes, command: Unsubscribe) -> None:
    await session.front.mailboxes.subscribe(session.ticket, command.mailbox, False)
    session.finish(tag, "UNSUBSCRIBE completed")
