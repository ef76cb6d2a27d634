"""ESEARCH, the command (RFC 7377): a search of several mailboxes, selected or not.

Each mailbox that has a match is told of as the store finds it; one that is deleted meanwhile may
still be told of, as it was when the search began. Of the selected mailbox those messages are told
of that the session knows.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import compress
from typing import cast

from postroom_imap.commands.search import (
    follows_modseqs,
    refuses_charset,
    refuses_numbers,
    saves,
    saving,
)
from postroom_imap.filters import without_filters
from postroom_imap.message_limit import limited_search
from postroom_imap.ports.columns import uid_array
from postroom_imap.ports.searching import FoundInMailbox, Reach, Scope
from postroom_imap.protocol.commands import MultiSearch
from postroom_imap.protocol.commands.multisearch import Source, SourceMailboxes
from postroom_imap.protocol.commands.result_options import EVERYTHING, ResultOption, ResultOptions
from postroom_imap.protocol.commands.search_keys import SearchKey
from postroom_imap.protocol.responses.searching import esearch_of_mailbox
from postroom_imap.results import data_items, referred
from postroom_imap.searching import find, for_store, names_saved
from postroom_imap.session import Session

_REACHES = {
    Source.INBOXES: Reach.INBOXES,
    Source.PERSONAL: Reach.PERSONAL,
    Source.SUBSCRIBED: Reach.SUBSCRIBED,
    Source.SUBTREE: Reach.SUBTREES,
    Source.SUBTREE_ONE: Reach.SUBTREES_ONE,
    Source.MAILBOXES: Reach.NAMES,
}


async def multi_search(session: Session, tag: bytes, command: MultiSearch) -> None:
    result = command.result or EVERYTHING
    if why := _impossible(session, command, result):
        session.reject(tag, why)
        return
    if refuses_charset(session, tag, command.charset, result):
        return
    program = await without_filters(session, tag, command.program, command.charset)
    if program is None:
        if saves(result):
            session.selected.saved = uid_array()
        return
    if refuses_numbers(session, tag, program):
        return
    if names_saved(program) and not command.of_selected_alone:
        session.reject(tag, "$ stands for messages of the selected mailbox alone")
        return
    modseqs = follows_modseqs(session, program)
    limit = None
    sources: Sequence[SourceMailboxes] = command.sources
    if command.of_selected_alone:
        program, limit = limited_search(session, program)
        await _search_selected(session, tag, program, result, modseqs)
    else:
        if _names_shared(session, sources):
            # In another account, it takes a search of its own.
            sources = [one for one in sources if one.source is not Source.SELECTED]
            await _search_selected(session, tag, program, result, modseqs)
        await _search_others(session, tag, sources, program, result, modseqs)
    session.finish(tag, "ESEARCH completed", limit, uid=True)


def _impossible(session: Session, command: MultiSearch, result: ResultOptions) -> str:
    """Why a command can't be obeyed in this state (section 2.2); else nothing."""
    if session.tracker is None and any(one.source is Source.SELECTED for one in command.sources):
        return "No mailbox is selected"
    if saves(result) and not command.of_selected_alone:
        return "Only what is found in the selected mailbox can be saved"
    if ResultOption.UPDATE in result:
        return "Only the results of SEARCH and SORT can be kept true"
    return ""


def _names_shared(session: Session, sources: Sequence[SourceMailboxes]) -> bool:
    """Whether the selected mailbox is to be searched, and is somebody else's."""
    if session.tracker is None or not session.tracker.standing.guest:
        return False
    return any(one.source is Source.SELECTED for one in sources)


async def _search_selected(
    session: Session, tag: bytes, program: SearchKey, result: ResultOptions, modseqs: bool
) -> None:
    tracker = session.selected
    with saving(tracker, result):
        found = await find(
            session.front.messages,
            session.ticket,
            tracker,
            program,
            session.comparator,
            scored=ResultOption.RELEVANCY in result,
        )
    uids = [tracker.uids[position] for position in found.positions]
    if saves(result):
        tracker.saved = uid_array()
        tracker.saved.extend(referred(result, uids))
    if not uids or result.only_save:
        return
    items = [*data_items(result, uids, found.scores)]
    if modseqs and (highest := tracker.highest_modseq(referred(result, found.positions))):
        items.append(b"MODSEQ %d" % highest)
    name, validity = tracker.standing.name, tracker.view.uid_validity
    session.write(esearch_of_mailbox(tag, name, validity, items, utf8=session.utf8))


async def _search_others(
    session: Session,
    tag: bytes,
    sources: Sequence[SourceMailboxes],
    program: SearchKey,
    result: ResultOptions,
    modseqs: bool,
) -> None:
    tracker, account_id, now = session.tracker, session.ticket.account_id, int(time.time())
    own = None
    if tracker is not None and not tracker.standing.guest:
        own = tracker.view.mailbox_id, for_store(program, account_id, tracker, now)
    answers = session.front.messages.search_many(
        session.ticket,
        [_scope(session, one) for one in sources],
        for_store(program, account_id, None, now),
        own=own,
        comparator=session.comparator,
        scored=ResultOption.RELEVANCY in result,
        modseqs=modseqs,
    )
    async with aclosing(cast("AsyncGenerator[FoundInMailbox, None]", answers)) as mailboxes:
        async for found in mailboxes:
            session.write(_describe(session, tag, found, result))
            await session.breathe()


def _scope(session: Session, wanted: SourceMailboxes) -> Scope:
    if wanted.source is Source.SELECTED:
        return Scope(Reach.ID, mailbox_id=session.selected.view.mailbox_id)
    return Scope(_REACHES[wanted.source], wanted.names)


def _describe(session: Session, tag: bytes, found: FoundInMailbox, result: ResultOptions) -> bytes:
    """ESEARCH of one mailbox; nothing where the session doesn't know of the messages yet."""
    uids: Sequence[int] = found.matches.uids
    scores: Sequence[int] = found.matches.scores
    modseqs: Sequence[int] = found.modseqs
    tracker = session.tracker
    key = (session.ticket.account_id, found.mailbox_id)
    if tracker is not None and tracker.view.key == key:
        known = {tracker.uids[position] for position in tracker.positions_of(found.matches.uids)}
        kept = [uid in known for uid in uids]
        uids, scores, modseqs = (list(compress(one, kept)) for one in (uids, scores, modseqs))
    if not uids:
        return b""
    items = [*data_items(result, uids, scores)]
    if modseqs:
        told = frozenset(referred(result, uids))
        changed = zip(uids, modseqs, strict=True)
        highest = max((modseq for uid, modseq in changed if uid in told), default=0)
        items += [b"MODSEQ %d" % highest] if highest else []
    return esearch_of_mailbox(tag, found.name, found.uid_validity, items, utf8=session.utf8)
