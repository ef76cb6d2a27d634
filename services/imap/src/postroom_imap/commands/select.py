"""SELECT, EXAMINE, UNSELECT (RFC 3501 sections 6.3.1, 6.3.2; RFC 3691)."""

from __future__ import annotations

from postroom_imap.protocol import flag
from postroom_imap.protocol.commands import Examine, Select, Unselect
from postroom_imap.protocol.object_id import mailbox_id
from postroom_imap.protocol.responses import codes, mailboxes
from postroom_imap.protocol.responses.status import untagged_ok
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker


async def select(session: Session, tag: bytes, command: Select | Examine) -> None:
    read_only = isinstance(command, Examine)
    # A failed SELECT leaves no mailbox selected (section 6.3.1).
    session.unselect()
    view = await session.front.views.acquire(session.ticket, command.mailbox)
    tracker = Tracker(view, read_only)
    session.select(tracker)
    code, text = codes.READ_WRITE, "SELECT completed"
    if read_only:
        code, text = codes.READ_ONLY, "EXAMINE completed"
    session.finish(tag, text, code, before=b"".join(_describe(tracker)))


def _describe(tracker: Tracker) -> list[bytes]:
    view = tracker.view
    flags = view.keywords.flags()
    permanent = [] if tracker.read_only else [*flags, *_new_keywords(tracker)]
    _, first_unseen = view.unseen
    return [
        mailboxes.flags_response(flags),
        untagged_ok("Flags that can be changed", codes.permanent_flags(permanent)),
        mailboxes.exists(tracker.exists),
        mailboxes.recent(tracker.recent_count()),
        *([untagged_ok("First unseen", codes.unseen(first_unseen + 1))] * (first_unseen >= 0)),
        untagged_ok("UIDs are valid", codes.uid_validity(view.uid_validity)),
        untagged_ok("Next UID", codes.uid_next(view.uid_next)),
        untagged_ok("Object id", codes.mailbox_id(mailbox_id(view.account_id, view.mailbox_id))),
    ]


def _new_keywords(tracker: Tracker) -> list[str]:
    return [] if tracker.view.keywords.full else [flag.ANY_KEYWORD]


async def unselect(session: Session, tag: bytes, command: Unselect) -> None:
    session.unselect()
    session.finish(tag, "UNSELECT completed")
