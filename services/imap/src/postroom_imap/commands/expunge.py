"""EXPUNGE, UID EXPUNGE, CLOSE (RFC 3501 sections 6.4.2, 6.4.3; RFC 4315 section 2.1)."""

from __future__ import annotations

from postroom_imap.fetching import Rows
from postroom_imap.keywords import DELETED
from postroom_imap.message_limit import limited
from postroom_imap.ports.columns import Ranges
from postroom_imap.protocol.commands import Close, Expunge, UidExpunge
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.status import untagged_no
from postroom_imap.protocol.rights import EXPUNGE
from postroom_imap.protocol.sequence_set import runs
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker


async def expunge(session: Session, tag: bytes, command: Expunge) -> None:
    if _may_change(session, tag):
        code = await _remove(session, ())
        session.finish(tag, "EXPUNGE completed", code)


async def uid_expunge(session: Session, tag: bytes, command: UidExpunge) -> None:
    if not _may_change(session, tag):
        return
    tracker, code = session.selected, None
    positions = tracker.positions(command.uids, uid=True)
    deleted, limit = limited(session, _deleted(tracker, positions))
    if limit is not None:
        positions = deleted
    if uids := tracker.ranges_at(positions):
        code = await _remove(session, uids)
    if limit is not None and code is not None:
        session.write(untagged_no("Not all were expunged", limit))
    session.finish(tag, "EXPUNGE completed", code or limit, uid=True)


def _deleted(tracker: Tracker, positions: list[range]) -> list[range]:
    """Those of the messages that have \\Deleted."""
    rows = Rows(tracker, positions)  # without those that are gone already
    flagged = zip(rows.uids, rows.flags, strict=True)
    return list(runs(tracker.position(uid) for uid, mask in flagged if mask & DELETED))


async def close(session: Session, tag: bytes, command: Close) -> None:
    tracker, code = session.selected, None
    if _expunges(tracker) and any(mask & DELETED for mask in tracker.view.flags):
        # What others did and the client won't hear of now must not hide behind this modseq.
        session.write(b"".join(tracker.tell(expunge=False)))
        whole = tracker.aligned
        code = await _remove(session, ())
        code = code if whole else None
    session.unselect()
    session.finish(tag, "CLOSE completed", code)


def _expunges(tracker: Tracker) -> bool:
    """Whether CLOSE expunges: whoever may not leaves the mailbox all the same (RFC 4314 s. 4)."""
    return not tracker.read_only and EXPUNGE in tracker.standing.rights


def _may_change(session: Session, tag: bytes) -> bool:
    if session.selected.read_only:
        session.refuse(tag, "The mailbox is selected read-only")
        return False
    return True


async def _remove(session: Session, uids: Ranges) -> bytes | None:
    """Expunge; what a client that follows modseqs hears of it (RFC 7162 section 3.2.7)."""
    tracker, front = session.selected, session.front
    change = await front.messages.expunge(session.ticket, tracker.view.key, uids)
    await front.views.take(tracker.standing, change, tracker)
    if change is None or tracker.standing.hidden or not session.dialect.modseq:
        return None
    return codes.highest_modseq(tracker.view.modseq)
