"""SELECT, EXAMINE, UNSELECT (RFC 3501 sections 6.3.1, 6.3.2; RFC 9051; RFC 3691; RFC 7162)."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_imap.commands.urlauth import MECHANISM
from postroom_imap.fetching import Fetching, Rows
from postroom_imap.plan import compile_plan
from postroom_imap.protocol import flag, rights
from postroom_imap.protocol.commands import Examine, FetchAttribute, FetchItems, Select, Unselect
from postroom_imap.protocol.commands.annotation import MOST_VALUE_BYTES
from postroom_imap.protocol.commands.mailboxes import Resync
from postroom_imap.protocol.extension import Extension
from postroom_imap.protocol.object_id import mailbox_id
from postroom_imap.protocol.responses import codes, mailboxes, messages
from postroom_imap.protocol.responses.status import untagged_ok
from postroom_imap.resync import known_uids, vanished
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker

_CHANGED = FetchItems((FetchAttribute.UID, FetchAttribute.FLAGS, FetchAttribute.MODSEQ))


async def select(session: Session, tag: bytes, command: Select) -> None:
    if not _may_resync(session, tag, command):
        return
    read_only = isinstance(command, Examine)
    # A failed SELECT leaves no mailbox selected (section 6.3.1).
    if session.tracker is not None:
        session.unselect()
        session.write(untagged_ok("The mailbox before is closed", codes.CLOSED))
    if command.condstore:
        session.enable(Extension.CONDSTORE)
    standing = await session.front.views.acquire(session.ticket, command.mailbox)
    view = standing.view
    tracker = Tracker(standing, read_only, session.dialect, annotates=command.annotate)
    session.select(tracker)
    await session.check_view()  # what the person may do has perhaps just been changed
    session.write(b"".join(_describe(session, tracker)))
    if command.resync is not None and command.resync.uid_validity == view.uid_validity:
        await _resync(session, tracker, command.resync)
    writable = not read_only and rights.changes(standing.rights)
    code = codes.READ_WRITE if writable else codes.READ_ONLY
    session.finish(tag, "EXAMINE completed" if read_only else "SELECT completed", code)


def _may_resync(session: Session, tag: bytes, command: Select) -> bool:
    """Whether the client has enabled what it uses."""
    if command.resync is None:
        return True
    if Extension.QRESYNC not in session.enabled:
        session.reject(tag, "Enable QRESYNC first")
        return False
    if command.resync.matches is not None and session.dialect.uid_only:
        session.reject(tag, "There are no sequence numbers", codes.UID_REQUIRED)
        return False
    return True


def _describe(session: Session, tracker: Tracker) -> list[bytes]:
    view = tracker.view
    flags = view.keywords.flags()
    permanent = [] if tracker.read_only else _changeable(tracker, flags)
    _, first_unseen = view.unseen
    older = session.dialect.recent
    return [
        mailboxes.flags_response(flags),
        untagged_ok("Flags that can be changed", codes.permanent_flags(permanent)),
        mailboxes.exists(tracker.exists),
        *([mailboxes.recent(tracker.recent_count())] * older),
        *(
            [untagged_ok("First unseen", codes.unseen(first_unseen + 1))]
            * (older and first_unseen >= 0)
        ),
        untagged_ok("UIDs are valid", codes.uid_validity(view.uid_validity)),
        untagged_ok("Next UID", codes.uid_next(view.uid_next)),
        untagged_ok("Object id", codes.mailbox_id(mailbox_id(view.account_id, view.mailbox_id))),
        *(
            [untagged_ok("URLs can be authorized", codes.url_mechanisms((MECHANISM,)))]
            * (not tracker.standing.guest)
        ),
        untagged_ok("Highest", codes.highest_modseq(view.modseq)),
        untagged_ok(
            "Annotations", codes.annotations(None if tracker.read_only else MOST_VALUE_BYTES)
        ),
        # RFC 9051 section 6.3.2: how the mailbox is called.
        *([mailboxes.list_response(tracker.standing.name, utf8=session.utf8)] * session.rev2),
    ]


def _changeable(tracker: Tracker, flags: Sequence[str]) -> list[str]:
    """The flags that the person may change (RFC 4314 section 5.1), new keywords among them."""
    known = [] if tracker.view.keywords.full else [flag.ANY_KEYWORD]
    return rights.settable([*flags, *known], tracker.standing.rights)


async def _resync(session: Session, tracker: Tracker, resync: Resync) -> None:
    """Tell what happened since the client looked (RFC 7162 section 3.2.5.1)."""
    front, view = session.front, tracker.view
    if resync.modseq >= view.modseq:
        return
    gone = await front.messages.vanished(session.ticket, view.key, resync.modseq)
    known = known_uids(tracker, resync, forgotten=gone is None)
    if uids := vanished(tracker, gone, known):
        session.write(messages.vanished(uids, earlier=True))
    there = resync.uids
    positions = [range(tracker.exists)] if there is None else tracker.positions(there, uid=True)
    plan = compile_plan(_CHANGED, False, session.dialect)
    rows = Rows(tracker, tracker.changed_since(positions, resync.modseq))
    await Fetching(tracker, plan, rows, front.items, session).write_all()


async def unselect(session: Session, tag: bytes, command: Unselect) -> None:
    session.unselect()
    session.finish(tag, "UNSELECT completed")
