"""STATUS (RFC 3501 section 6.3.10): of the selected mailbox from its view, else by one call."""

from __future__ import annotations

from postroom_imap.ports.mailboxes import Mailbox
from postroom_imap.protocol.commands import Status, StatusItem
from postroom_imap.protocol.responses.mailboxes import status_response
from postroom_imap.session import Session
from postroom_imap.view import MailboxView


async def status(session: Session, tag: bytes, command: Status) -> None:
    tracker, front = session.tracker, session.front
    if tracker is not None and tracker.view.name == command.mailbox:
        found = _of_view(tracker.view)
        recent = tracker.recent_count()
    else:
        mailbox = await front.mailboxes.status(session.ticket, command.mailbox)
        view = front.views.find(session.ticket.account_id, mailbox.mailbox_id)
        found = _of_mailbox(mailbox)
        recent = view.recent() if view is not None else 0
    found[StatusItem.RECENT] = recent
    values = {item: found[item] for item in command.items}
    response = status_response(command.mailbox, values, utf8=session.utf8)
    session.finish(tag, "STATUS completed", before=response)


def _of_view(view: MailboxView) -> dict[StatusItem, int]:
    return {
        StatusItem.MESSAGES: len(view.uids),
        StatusItem.UIDNEXT: view.uid_next,
        StatusItem.UIDVALIDITY: view.uid_validity,
        StatusItem.UNSEEN: view.unseen[0],
    }


def _of_mailbox(mailbox: Mailbox) -> dict[StatusItem, int]:
    return {
        StatusItem.MESSAGES: mailbox.messages,
        StatusItem.UIDNEXT: mailbox.uid_next,
        StatusItem.UIDVALIDITY: mailbox.uid_validity,
        StatusItem.UNSEEN: mailbox.unseen,
    }
