"""STORE, UID STORE (RFC 3501 section 6.4.6; conditional: RFC 7162 section 3.1.3)."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_imap.fetching import Fetching, Rows
from postroom_imap.message_limit import limited
from postroom_imap.plan import compile_plan
from postroom_imap.ports.messages import FlagMode
from postroom_imap.protocol.commands import FetchAttribute, FetchItems, Store, StoreMode
from postroom_imap.protocol.extension import Extension
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.status import untagged_no
from postroom_imap.protocol.sequence_set import SequenceSet
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker

_MODES = {
    StoreMode.ADD: FlagMode.ADD,
    StoreMode.REMOVE: FlagMode.REMOVE,
    StoreMode.REPLACE: FlagMode.REPLACE,
}
_FLAGS = {
    False: FetchItems((FetchAttribute.FLAGS,)),
    True: FetchItems((FetchAttribute.UID, FetchAttribute.FLAGS)),
}
_MODSEQ = FetchItems((FetchAttribute.UID, FetchAttribute.MODSEQ))
_FLAGS_AND_MODSEQ = FetchItems((FetchAttribute.UID, FetchAttribute.FLAGS, FetchAttribute.MODSEQ))


async def store(session: Session, tag: bytes, command: Store) -> None:
    tracker, front = session.selected, session.front
    if tracker.read_only:
        session.refuse(tag, "The mailbox is selected read-only")
        return
    if command.unchanged_since is not None:
        session.enable(Extension.CONDSTORE)
    if not command.uid and command.sequence_set.exceeds(tracker.exists):
        session.reject(tag, "No message has such a number")
        return
    positions = tracker.positions(command.sequence_set, command.uid)
    if not positions:
        session.finish(tag, "No messages", expunge=command.uid, uid=command.uid)
        return
    positions, limit = limited(session, positions)
    view = tracker.view
    uids = tracker.ranges_at(positions)
    stored = await front.messages.store_flags(
        session.ticket,
        view.mailbox_id,
        uids,
        _MODES[command.mode],
        command.flags,
        command.unchanged_since,
    )
    await front.views.take(view, session.ticket, stored.change, tracker)
    modified = frozenset(stored.modified)
    if modified:
        positions = tracker.without(positions, modified)
    rows = Rows(tracker, positions)
    if items := _answer(session, command):
        # Other sessions' news first: they may hold a FLAGS response that these flags need.
        session.write(b"".join(tracker.tell(expunge=False, uid=command.uid)))
        plan = compile_plan(items, False, session.dialect)
        await Fetching(tracker, plan, rows, front.items, session).write_all()
    code = _modified(tracker, stored.modified, command.uid) if modified else None
    if rows.gone and not command.uid:
        session.write(b"".join(tracker.tell(expunge=False)))
        session.refuse(tag, "Some of the messages are gone", code or codes.EXPUNGE_ISSUED)
        return
    if limit is not None and code is not None:
        session.write(untagged_no("Not all were looked at", limit))
    text = "Some had changed meanwhile" if modified else "STORE completed"
    session.finish(tag, text, code or limit, expunge=command.uid, uid=command.uid)


def _answer(session: Session, command: Store) -> FetchItems | None:
    """What the client hears of what it did; of modseqs in any case, even if it wants silence."""
    if session.dialect.modseq:
        return _MODSEQ if command.silent else _FLAGS_AND_MODSEQ
    return None if command.silent else _FLAGS[command.uid]


def _modified(tracker: Tracker, uids: Sequence[int], uid: bool) -> bytes:
    numbers = uids if uid else [tracker.position(number) + 1 for number in uids]
    return codes.modified(SequenceSet.of(numbers))
