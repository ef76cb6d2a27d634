"""SORT, THREAD and their UID forms (RFC 5256, RFC 5267)."""

from __future__ import annotations

from postroom_imap.commands.search import (
    answer_of,
    follows_modseqs,
    numbers_of,
    refuses_charset,
    refuses_numbers,
    saving,
)
from postroom_imap.protocol.commands import Sort, Thread
from postroom_imap.protocol.commands.result_options import ResultOption
from postroom_imap.protocol.responses.searching import sort_response, thread_response
from postroom_imap.session import Session


async def sort(session: Session, tag: bytes, command: Sort) -> None:
    tracker, result = session.selected, command.result
    if refuses_charset(session, tag, command.charset, result, optional=False):
        return
    if refuses_numbers(session, tag, command.program):
        return
    modseqs = follows_modseqs(session, command.program)
    with saving(tracker, result):
        found = await session.front.sorting.sort(
            session.ticket,
            tracker,
            command.program,
            command.criteria,
            comparator=session.comparator,
            scored=result is not None and ResultOption.RELEVANCY in result,
        )
    if result is not None:
        answer = answer_of(tracker, tag, result, found, command.uid, modseqs=modseqs)
    else:
        highest = tracker.highest_modseq(found.positions) if modseqs else 0
        answer = sort_response(numbers_of(tracker, found.positions, command.uid), highest)
    session.finish(tag, "SORT completed", before=answer, expunge=command.uid, uid=command.uid)


async def thread(session: Session, tag: bytes, command: Thread) -> None:
    tracker = session.selected
    if refuses_charset(session, tag, command.charset, optional=False):
        return
    if refuses_numbers(session, tag, command.program):
        return
    follows_modseqs(session, command.program)
    positions, forest = await session.front.sorting.thread(
        session.ticket,
        tracker,
        command.program,
        command.algorithm,
        comparator=session.comparator,
    )
    answer = thread_response(forest, numbers_of(tracker, positions, command.uid))
    session.finish(tag, "THREAD completed", before=answer, expunge=command.uid, uid=command.uid)
