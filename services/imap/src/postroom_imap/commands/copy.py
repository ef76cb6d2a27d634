"""COPY and MOVE (RFC 3501 section 6.4.7; RFC 6851), with COPYUID (RFC 4315 section 3)."""

from __future__ import annotations

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap import replies
from postroom_imap.message_limit import limited, refuses_all
from postroom_imap.ports.messages import Copied
from postroom_imap.protocol.commands import Copy, Move
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.status import untagged_ok
from postroom_imap.session import Session
from postroom_imap.sharing import owner_quota


async def copy(session: Session, tag: bytes, command: Copy) -> None:
    positions = _wanted(session, tag, command)
    count = sum(map(len, positions))
    if not positions or refuses_all(session, tag, count, session.front.bounds.save_limit):
        return
    view, front = session.selected.view, session.front
    uids = session.selected.ranges_at(positions)
    try:
        quota = await owner_quota(session, command.mailbox)
        copied = await front.messages.copy(session.ticket, view.key, uids, command.mailbox, quota)
    except PostroomError as error:
        _fail(session, tag, error)
        return
    front.views.notice(session.ticket, copied.target_change)
    session.finish(tag, "COPY completed", _copy_uid(copied), uid=command.uid)


async def move(session: Session, tag: bytes, command: Move) -> None:
    tracker, front = session.selected, session.front
    if tracker.read_only:
        session.refuse(tag, "The mailbox is selected read-only")
        return
    positions, limit = limited(session, _wanted(session, tag, command))
    if not positions:
        return
    view, uids = tracker.view, tracker.ranges_at(positions)
    try:
        quota = await owner_quota(session, command.mailbox)
        moved = await front.messages.move(session.ticket, view.key, uids, command.mailbox, quota)
    except PostroomError as error:
        _fail(session, tag, error)
        return
    front.views.notice(session.ticket, moved.target_change)
    if moved.source_change is not None:
        await front.views.take(tracker.standing, moved.source_change, tracker)
    code = _copy_uid(moved)
    # COPYUID comes before the EXPUNGEs (RFC 6851 section 4.3).
    before = untagged_ok("Moved", code) if code else b""
    session.finish(tag, "MOVE completed", limit, before=before, uid=command.uid)


def _wanted(session: Session, tag: bytes, command: Copy | Move) -> list[range]:
    """Positions of the messages; where there are none, the command is answered."""
    tracker = session.selected
    if not command.uid and command.sequence_set.exceeds(tracker.exists):
        session.reject(tag, "No message has such a number")
        return []
    positions = tracker.positions(command.sequence_set, command.uid)
    if not positions:
        session.finish(tag, "No messages", uid=command.uid)
    return positions


def _fail(session: Session, tag: bytes, error: PostroomError) -> None:
    if error.kind is not Kind.NOT_FOUND:
        raise error
    session.refuse(tag, replies.text_of(error), codes.TRY_CREATE)


def _copy_uid(copied: Copied) -> bytes | None:
    if not copied.source_uids:
        return None
    return codes.copy_uid(copied.uid_validity, copied.source_uids, copied.target_uids)
