"""STATUS (RFC 9051 section 6.3.11): of the selected mailbox from its view, else by one call."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_imap.ports.mailboxes import Mailbox
from postroom_imap.protocol.commands import Status, StatusItem
from postroom_imap.protocol.extension import Extension
from postroom_imap.protocol.object_id import ObjectId, mailbox_id
from postroom_imap.protocol.responses.mailboxes import status_response
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker

Values = dict[StatusItem, int | ObjectId]

# What a view doesn't know: it holds no sizes, and no count of \Deleted.
_STORED = frozenset({StatusItem.DELETED, StatusItem.SIZE, StatusItem.DELETED_STORAGE})


async def status(session: Session, tag: bytes, command: Status) -> None:
    tracker = session.tracker
    if (
        tracker is not None
        and tracker.standing.name == command.mailbox
        and _STORED.isdisjoint(command.items)
    ):
        told = _render(session, command.mailbox, _of_tracker(session, tracker), command.items)
    else:
        mailbox = await session.front.mailboxes.status(
            session.ticket, command.mailbox, deleted_sizes=wants_deleted_sizes(command.items)
        )
        told = describe(session, command.mailbox, mailbox, command.items)
    follow_modseqs(session, command.items)
    session.finish(tag, "STATUS completed", before=told)


def follow_modseqs(session: Session, items: Sequence[StatusItem]) -> None:
    """A client that asks for HIGHESTMODSEQ follows modseqs (RFC 7162 section 3.1.7)."""
    if StatusItem.HIGHESTMODSEQ in items:
        session.enable(Extension.CONDSTORE)


def wants_deleted_sizes(items: Sequence[StatusItem]) -> bool:
    """Whether the store must be asked for what it doesn't tell as a rule."""
    return StatusItem.DELETED_STORAGE in items


def describe(session: Session, name: str, mailbox: Mailbox, items: Sequence[StatusItem]) -> bytes:
    """The STATUS response of a mailbox as the store told of it."""
    owner = mailbox.owner or session.ticket.account_id
    view = session.front.views.find((owner, mailbox.mailbox_id))
    tracker = session.tracker
    if tracker is not None and view is tracker.view:
        recent = tracker.recent_count()
    else:
        recent = view.recent() if view is not None else 0
    values: Values = {
        StatusItem.MESSAGES: mailbox.messages,
        StatusItem.RECENT: recent,
        StatusItem.UIDNEXT: mailbox.uid_next,
        StatusItem.UIDVALIDITY: mailbox.uid_validity,
        StatusItem.UNSEEN: mailbox.unseen,
        StatusItem.DELETED: mailbox.deleted,
        StatusItem.SIZE: mailbox.size,
        StatusItem.DELETED_STORAGE: mailbox.deleted_size,
        StatusItem.HIGHESTMODSEQ: mailbox.modseq,
        StatusItem.MAILBOXID: mailbox_id(owner, mailbox.mailbox_id),
        StatusItem.APPENDLIMIT: session.front.bounds.append_bytes,
    }
    return _render(session, name, values, items)


def _of_tracker(session: Session, tracker: Tracker) -> Values:
    view = tracker.view
    return {
        StatusItem.MESSAGES: len(view.uids),
        StatusItem.RECENT: tracker.recent_count(),
        StatusItem.UIDNEXT: view.uid_next,
        StatusItem.UIDVALIDITY: view.uid_validity,
        StatusItem.UNSEEN: view.unseen[0],
        StatusItem.HIGHESTMODSEQ: view.modseq,
        StatusItem.MAILBOXID: mailbox_id(view.account_id, view.mailbox_id),
        StatusItem.APPENDLIMIT: session.front.bounds.append_bytes,
    }


def _render(session: Session, name: str, values: Values, items: Sequence[StatusItem]) -> bytes:
    return status_response(name, {item: values[item] for item in items}, utf8=session.utf8)
