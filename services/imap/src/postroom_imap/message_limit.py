"""How many messages one command works on (RFC 9738): those with the highest UIDs.

A command that names more does its work on those, and its tagged response says so with the lowest
UID that was processed, from which the client goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from postroom_imap.protocol.commands.search_keys import AndKey, SearchKey, SequenceKey, UidKey
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.sequence_set import MAX_NUMBER, SequenceSet
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker


def limited(session: Session, positions: list[range]) -> tuple[list[range], bytes | None]:
    """The messages that a command works on, and the response code if they aren't all."""
    most = session.front.bounds.message_limit
    count = sum(map(len, positions))
    if count <= most:
        return positions, None
    positions = cut(positions, count - most, count)
    return positions, codes.message_limit(most, session.selected.uids[positions[0].start])


def limited_search(session: Session, program: SearchKey) -> tuple[SearchKey, bytes | None]:
    """A program that looks at no more messages, and the response code if they aren't all."""
    tracker = session.selected
    if tracker.exists <= session.front.bounds.message_limit:
        return program, None
    positions, code = limited(session, _named(tracker, program))
    if code is None:
        return program, None
    lowest = tracker.uids[positions[0].start]
    uids = SequenceSet.parse(b"%d:%d" % (lowest, MAX_NUMBER))
    return AndKey((program, UidKey(uids))), code


def _named(tracker: Tracker, program: SearchKey) -> list[range]:
    """The messages that a program looks at, as far as its first set tells."""
    for key in program.keys if isinstance(program, AndKey) else (program,):
        match key:
            case SequenceKey(numbers):
                return tracker.positions(numbers, uid=False)
            case UidKey(uids):
                return tracker.positions(uids, uid=True)
    return [range(tracker.exists)]


def refuses_all(session: Session, tag: bytes, count: int, most: int) -> bool:
    """Whether a command that is done whole or not at all was refused, as it names too many."""
    if count <= most:
        return False
    session.refuse(tag, f"A command works on at most {most} messages", codes.message_limit(most))
    return True


def cut(positions: Sequence[range], start: int, stop: int) -> list[range]:
    """Messages by their place among some, from 0."""
    found: list[range] = []
    for part in positions:
        if some := part[max(start, 0) : max(stop, 0)]:
            found.append(some)
        start, stop = start - len(part), stop - len(part)
    return found
