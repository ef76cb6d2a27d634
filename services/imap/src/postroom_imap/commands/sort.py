"""SORT, THREAD and their UID forms (RFC 5256, RFC 5267)."""

from __future__ import annotations

from postroom_imap.commands.search import (
    answer_of,
    follows_modseqs,
    numbers_of,
    refuses_charset,
    refuses_numbers,
    saves,
    saving,
)
from postroom_imap.contexts import keep
from postroom_imap.filters import without_filters
from postroom_imap.message_limit import limited_search, refuses_all
from postroom_imap.ports.columns import uid_array
from postroom_imap.protocol.commands import Sort, Thread
from postroom_imap.protocol.commands.result_options import ResultOption, ResultOptions
from postroom_imap.protocol.commands.search_keys import SearchKey
from postroom_imap.protocol.responses.searching import sort_response
from postroom_imap.session import Session


async def sort(session: Session, tag: bytes, command: Sort) -> None:
    tracker, result = session.selected, command.result
    program = await _checked(session, tag, command, result)
    if program is None:
        if saves(result):
            tracker.saved = uid_array()
        return
    modseqs = follows_modseqs(session, program)
    with saving(tracker, result):
        found = await session.front.sorting.sort(
            session.ticket,
            tracker,
            program,
            command.criteria,
            comparator=session.comparator,
            scored=result is not None and ResultOption.RELEVANCY in result,
        )
    if result is not None:
        answer = answer_of(tracker, tag, result, found, command.uid, modseqs=modseqs)
    else:
        highest = tracker.highest_modseq(found.positions) if modseqs else 0
        answer = sort_response(numbers_of(tracker, found.positions, command.uid), highest)
    if result is not None and ResultOption.UPDATE in result:
        keep(session, tag, program, found, uid=command.uid, criteria=command.criteria)
    session.finish(tag, "SORT completed", before=answer, expunge=command.uid, uid=command.uid)


async def thread(session: Session, tag: bytes, command: Thread) -> None:
    tracker = session.selected
    program = await _checked(session, tag, command)
    if program is None:
        return
    follows_modseqs(session, program)
    answer = await session.front.sorting.thread(
        session.ticket,
        tracker,
        program,
        command.algorithm,
        comparator=session.comparator,
        uid=command.uid,
    )
    session.finish(tag, "THREAD completed", before=answer, expunge=command.uid, uid=command.uid)


async def _checked(
    session: Session, tag: bytes, command: Sort | Thread, result: ResultOptions | None = None
) -> SearchKey | None:
    """The program that is to be run; None where the command was refused."""
    if refuses_charset(session, tag, command.charset, result, optional=False):
        return None
    program = await without_filters(session, tag, command.program, command.charset)
    if program is None or refuses_numbers(session, tag, program):
        return None
    _, limit = limited_search(session, program)
    if limit is not None:  # an order of some of them would be none (RFC 9738 section 3)
        most = session.front.bounds.message_limit
        refuses_all(session, tag, most + 1, most)
        return None
    return program
