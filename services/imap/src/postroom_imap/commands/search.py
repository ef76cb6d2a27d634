"""SEARCH, UID SEARCH (RFC 3501 section 6.4.4)."""

from __future__ import annotations

from collections.abc import Iterable

from postroom_imap.protocol.commands import Search
from postroom_imap.protocol.responses.messages import search_response
from postroom_imap.searching import LocalSearch, for_store, is_local
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker


async def search(session: Session, tag: bytes, command: Search) -> None:
    tracker = session.selected
    program = command.program
    if is_local(program):
        positions = LocalSearch(tracker).run(program)
    else:
        view = tracker.view
        key = for_store(program, tracker)
        found = await session.front.messages.search(session.ticket, view.mailbox_id, key)
        positions = [p for p in map(tracker.position, found) if p >= 0]
    session.finish(
        tag,
        "SEARCH completed",
        before=search_response(_numbers(tracker, positions, command.uid)),
        expunge=command.uid,
        uid=command.uid,
    )


def _numbers(tracker: Tracker, positions: Iterable[int], uid: bool) -> Iterable[int]:
    return (tracker.uids[p] for p in positions) if uid else (p + 1 for p in positions)
