"""STORE, UID STORE (RFC 3501 section 6.4.6)."""

from __future__ import annotations

from postroom_imap.fetching import Fetching, Rows
from postroom_imap.plan import compile_plan
from postroom_imap.ports.messages import FlagMode
from postroom_imap.protocol.commands import FetchAttribute, FetchItems, Store, StoreMode
from postroom_imap.protocol.responses import codes
from postroom_imap.session import Session

_MODES = {
    StoreMode.ADD: FlagMode.ADD,
    StoreMode.REMOVE: FlagMode.REMOVE,
    StoreMode.REPLACE: FlagMode.REPLACE,
}
_ANSWERS = {
    False: compile_plan(FetchItems((FetchAttribute.FLAGS,)), flags_too=False),
    True: compile_plan(FetchItems((FetchAttribute.UID, FetchAttribute.FLAGS)), flags_too=False),
}


async def store(session: Session, tag: bytes, command: Store) -> None:
    tracker, front = session.selected, session.front
    if tracker.read_only:
        session.refuse(tag, "The mailbox is selected read-only")
        return
    if not command.uid and command.sequence_set.exceeds(tracker.exists):
        session.reject(tag, "No message has such a number")
        return
    positions = tracker.positions(command.sequence_set, command.uid)
    if not positions:
        session.finish(tag, "No messages", expunge=command.uid, uid=command.uid)
        return
    view = tracker.view
    uids = tracker.ranges_at(positions)
    change = await front.messages.store_flags(
        session.ticket, view.mailbox_id, uids, _MODES[command.mode], command.flags
    )
    await front.views.take(view, session.ticket, change, tracker)
    rows = Rows(tracker, positions)
    if not command.silent:
        # Other sessions' news first: they may hold a FLAGS response that these flags need.
        session.write(b"".join(tracker.tell(expunge=False, uid=command.uid)))
        await Fetching(tracker, _ANSWERS[command.uid], rows, front.items, session).write_all()
    if rows.gone and not command.uid:
        session.write(b"".join(tracker.tell(expunge=False)))
        session.refuse(tag, "Some of the messages are gone", codes.EXPUNGE_ISSUED)
        return
    session.finish(tag, "STORE completed", expunge=command.uid, uid=command.uid)
