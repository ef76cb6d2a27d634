"""SEARCH, UID SEARCH (RFC 3501 section 6.4.4, RFC 9051 section 6.4.4, RFC 4731, RFC 5182)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from postroom_chassis.errors import PostroomError

from postroom_imap.contexts import keep
from postroom_imap.filters import without_filters
from postroom_imap.message_limit import limited_search
from postroom_imap.ports.columns import uid_array
from postroom_imap.protocol.commands import Search
from postroom_imap.protocol.commands.result_options import EVERYTHING, ResultOption, ResultOptions
from postroom_imap.protocol.commands.search import CHARSETS
from postroom_imap.protocol.commands.search_keys import ModseqKey, SearchKey, SequenceKey
from postroom_imap.protocol.extension import Extension
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.searching import esearch, search_response
from postroom_imap.results import data_items, referred
from postroom_imap.searching import Found, find, names
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker


async def search(session: Session, tag: bytes, command: Search) -> None:
    tracker = session.selected
    result = command.result or (EVERYTHING if session.rev2 else None)
    if refuses_charset(session, tag, command.charset, result):
        return
    program = await without_filters(session, tag, command.program, command.charset)
    if program is None:
        if saves(result):
            tracker.saved = uid_array()
        return
    if refuses_numbers(session, tag, program):
        return
    modseqs = follows_modseqs(session, program)
    program, limit = limited_search(session, program)
    with saving(tracker, result):
        found = await find(
            session.front.messages,
            session.ticket,
            tracker,
            program,
            session.comparator,
            scored=result is not None and ResultOption.RELEVANCY in result,
        )
    if result is not None:
        answer = answer_of(tracker, tag, result, found, command.uid, modseqs=modseqs)
    else:
        highest = tracker.highest_modseq(found.positions) if modseqs else 0
        answer = search_response(numbers_of(tracker, found.positions, command.uid), highest)
    if result is not None and ResultOption.UPDATE in result:
        keep(session, tag, program, found, uid=command.uid)
    session.finish(
        tag, "SEARCH completed", limit, before=answer, expunge=command.uid, uid=command.uid
    )


def refuses_numbers(session: Session, tag: bytes, program: SearchKey) -> bool:
    """Whether the command was refused as it names messages by number (RFC 9586 section 3.1)."""
    if not session.dialect.uid_only or not names(program, SequenceKey):
        return False
    session.reject(tag, "Name messages by UID", codes.UID_REQUIRED)
    return True


def follows_modseqs(session: Session, program: SearchKey) -> bool:
    """Whether the answer is to tell the highest modseq, as MODSEQ asks (RFC 7162 section 3.1.5)."""
    if not names(program, ModseqKey):
        return False
    session.enable(Extension.CONDSTORE)
    return True


def refuses_charset(
    session: Session,
    tag: bytes,
    charset: str | None,
    result: ResultOptions | None = None,
    *,
    optional: bool = True,
) -> bool:
    """Whether the command was refused for the charset that it names.

    Args:
        optional: the grammar doesn't ask for one.
    """
    if charset is None:
        return False
    if optional and Extension.UTF8_ACCEPT in session.enabled:  # RFC 9755 section 3
        session.reject(tag, "Strings are UTF-8 here: no charset may be named")
        return True
    if charset in CHARSETS:
        return False
    if saves(result):
        session.selected.saved = uid_array()
    session.refuse(tag, "Unknown charset", codes.bad_charset(CHARSETS))
    return True


def saves(result: ResultOptions | None) -> bool:
    """Whether `$` shall stand for what is found."""
    return result is not None and ResultOption.SAVE in result


@contextmanager
def saving(tracker: Tracker, result: ResultOptions | None) -> Iterator[None]:
    """Lets `$` stand for nothing where a search that saves fails (RFC 5182 section 2.1)."""
    try:
        yield
    except PostroomError:
        if saves(result):
            tracker.saved = uid_array()
        raise


def answer_of(
    tracker: Tracker,
    tag: bytes,
    result: ResultOptions,
    found: Found,
    uid: bool,
    *,
    modseqs: bool = False,
) -> bytes:
    """The ESEARCH response; keeps what is to be saved.

    Args:
        modseqs: the highest modseq of the messages that are named is told, too (RFC 4731).
    """
    if saves(result):
        tracker.saved = uid_array()
        tracker.saved.extend(sorted(tracker.uids[p] for p in referred(result, found.positions)))
        if result.only_save:
            return b""
    numbers = numbers_of(tracker, found.positions, uid)
    items = [*data_items(result, numbers, found.scores)]
    if modseqs and (highest := tracker.highest_modseq(referred(result, found.positions))):
        items.append(b"MODSEQ %d" % highest)
    return esearch(tag, items, uid=uid)


def numbers_of(tracker: Tracker, positions: Iterable[int], uid: bool) -> list[int]:
    """What messages are called in the response to a command."""
    if uid:
        uids = tracker.uids
        return [uids[position] for position in positions]
    return [position + 1 for position in positions]
