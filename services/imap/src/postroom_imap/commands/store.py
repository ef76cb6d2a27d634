"""STORE, UID STORE (RFC 3501 section 6.4.6; conditional: RFC 7162 section 3.1.3).

Of flags, or of annotations (RFC 5257 section 4.5).
"""

from __future__ import annotations

from collections.abc import Sequence

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap import replies
from postroom_imap.fetching import Fetching, Rows
from postroom_imap.message_limit import limited
from postroom_imap.plan import compile_plan
from postroom_imap.ports.columns import MailboxKey, Ranges
from postroom_imap.ports.messages import FlagMode, Stored
from postroom_imap.protocol.commands import FetchAttribute, FetchItems, Store, StoreMode
from postroom_imap.protocol.extension import Extension
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.status import untagged_no
from postroom_imap.protocol.rights import EVERY_FLAG, settable
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
# What an annotation that can't be kept is answered (RFC 5257 section 4.5).
_ANNOTATE = {
    Kind.TOO_LARGE: codes.ANNOTATE_TOO_BIG,
    Kind.LIMIT_EXCEEDED: codes.ANNOTATE_TOO_MANY,
}


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
    try:
        stored = await _stored(session, view.key, uids, command)
    except PostroomError as error:
        if not command.annotations or not _refuse(session, tag, error):
            raise
        return
    await front.views.take(tracker.standing, stored.change, tracker)
    modified = frozenset(stored.modified)
    if modified:
        positions = tracker.without(positions, modified)
    rows = Rows(tracker, positions)
    if items := _answer(session, command, silent=_is_silent(tracker, command)):
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


async def _stored(session: Session, key: MailboxKey, uids: Ranges, command: Store) -> Stored:
    messages, since = session.front.messages, command.unchanged_since
    if command.annotations:
        return await messages.store_annotations(
            session.ticket, key, uids, command.annotations, since
        )
    mode = _MODES[command.mode]
    return await messages.store_flags(session.ticket, key, uids, mode, command.flags, since)


def _refuse(session: Session, tag: bytes, error: PostroomError) -> bool:
    """Answer why annotations can't be set, if it is for one of their own reasons."""
    if error.kind is Kind.INVALID:  # a part that isn't there (RFC 5257 section 3.2.1)
        session.reject(tag, replies.text_of(error))
    elif error.kind in _ANNOTATE:
        session.refuse(tag, replies.text_of(error), _ANNOTATE[error.kind])
    else:
        return False
    return True


def _answer(session: Session, command: Store, *, silent: bool) -> FetchItems | None:
    """What the client hears of what it did; of modseqs in any case, even if it wants silence."""
    if session.dialect.modseq:
        return _MODSEQ if silent else _FLAGS_AND_MODSEQ
    return None if silent else _FLAGS[command.uid]


def _is_silent(tracker: Tracker, command: Store) -> bool:
    """Whether the client needs no answer; it does where some flags stay as they were.

    They do without a word of refusal, where the right to others is there (RFC 4314 section 4).
    """
    rights = tracker.standing.rights
    if command.annotations:
        return command.silent
    if command.mode is StoreMode.REPLACE:
        return command.silent and set(rights) >= EVERY_FLAG
    return command.silent and len(settable(command.flags, rights)) == len(command.flags)


def _modified(tracker: Tracker, uids: Sequence[int], uid: bool) -> bytes:
    numbers = uids if uid else [tracker.position(number) + 1 for number in uids]
    return codes.modified(SequenceSet.of(numbers))
