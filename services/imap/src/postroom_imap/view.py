"""A mailbox as this process knows it: one view for all its sessions.

Columns of UID, flags, modseq and email id, ascending by UID, kept up to date by changes that form a
chain (`Change.previous` -> `Change.modseq`), from the change stream and from the answers of this
process's own writes alike. A change is applied when its chain reaches us, whole or in part (all it
says is absolute, so the part we know already does no harm), dropped when we are further on, and
kept until what lies between has come when it is ahead of us.

`uids` is never changed except at its end: an expunge puts a new array in its place. So a session
that must still count expunged messages (RFC 3501 section 7.4.1) holds on to the array that its
sequence numbers come from, and every session that is up to date shares the view's own.

Liberty: \\Recent (RFC 3501 section 2.3.2) belongs to the first read-write session *of this process*
that is told of a message; messages that were there when the process first opened the mailbox
are recent to nobody. RFC 9051 gave the flag up.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING

from postroom_imap.keywords import SEEN, Keywords
from postroom_imap.ports.columns import Annotated, Change, Columns, MailboxKey, OpenedMailbox
from postroom_imap.ports.identity import Ticket

if TYPE_CHECKING:
    from postroom_imap.standing import Standing

MOST_NEWS = 65_536  # messages in the news that lagging sessions may still read
_MOST_EARLY = 64  # changes ahead of us that are kept; beyond, the mailbox is read anew
_MOST_CUTS = 32  # runs of messages that are cut out one by one
_UNKNOWN = 1 << 63  # in the place of a modseq: later than any that is known
_LOW_BYTE = 0 if sys.byteorder == "little" else 7
_UNSEEN = bytes(not flags & SEEN for flags in range(256))


@dataclass(frozen=True, slots=True)
class News:
    """What one change did, for sessions that were not told yet.

    Attributes:
        modseq: that it led to.
        annotated: annotations that were set or removed.
        origin: the session whose command made it, and told its flags itself; else None.
    """

    modseq: int
    flagged: Sequence[int]
    expunged: Sequence[int]
    origin: object | None
    annotated: Sequence[Annotated] = ()

    @property
    def weight(self) -> int:
        """How much it counts for, in messages."""
        return 1 + len(self.flagged) + len(self.expunged) + len(self.annotated)


class MailboxView:
    """One mailbox of one account, for its owner and for whom it is shared with.

    Attributes:
        account_id: the owner's.
        ticket: of a session that has it open: what the change stream is asked with first.
        standings: of those who have it open, by account.
        rights_modseq: what others than the owner may do has changed at this modseq, or may have.
        applied: how many changes were applied ever; news are numbered by it.
        unclaimed: UIDs from here on are \\Recent to whoever claims them.
        gone: the mailbox was deleted; the columns stay as they were.
        stale: the view can't be kept up to date and must be read anew.
    """

    __slots__ = (
        "_early",
        "_listeners",
        "_news",
        "_news_weight",
        "_unseen",
        "_waiters",
        "account_id",
        "applied",
        "email_ids",
        "flags",
        "gone",
        "keywords",
        "mailbox_id",
        "modseq",
        "modseqs",
        "rights_modseq",
        "sessions",
        "stale",
        "standings",
        "ticket",
        "uid_next",
        "uid_validity",
        "uids",
        "unclaimed",
        "used_at",
    )

    def __init__(self, ticket: Ticket, opened: OpenedMailbox, unclaimed: int | None = None) -> None:
        self.account_id = opened.owner or ticket.account_id
        self.ticket = ticket
        self.mailbox_id = opened.mailbox_id
        self.standings: dict[int, Standing] = {}
        self.rights_modseq = 0
        self.uid_validity = opened.uid_validity
        self.uid_next = opened.uid_next
        self.modseq = opened.modseq
        self.keywords = Keywords(opened.keywords)
        self.uids = opened.columns.uids
        self.flags = opened.columns.flags
        self.modseqs = opened.columns.modseqs
        self.email_ids = opened.columns.email_ids
        self.unclaimed = opened.uid_next if unclaimed is None else unclaimed
        self.applied = 0
        self.gone = False
        self.stale = False
        self.sessions = 0
        self.used_at = 0.0
        self._unseen: tuple[int, int] | None = None
        self._news: deque[News] = deque()
        self._news_weight = 0
        self._early: list[tuple[Change, object | None]] = []
        self._listeners: dict[Callable[[], None], None] = {}
        self._waiters: list[tuple[int, Callable[[], None]]] = []

    @property
    def key(self) -> MailboxKey:
        """How the mailbox is named to the ports."""
        return self.account_id, self.mailbox_id

    @property
    def tickets(self) -> Sequence[Ticket]:
        """One of each person for whom the mailbox is watched: private annotations are told to whom
        they belong.
        """
        first = self.ticket.account_id
        others = (one for one in self.standings.values() if not one.ended)
        return [self.ticket, *(o.ticket for o in others if o.ticket.account_id != first)]

    # -- looking

    def index(self, uid: int) -> int:
        """Where a message is in the columns, or -1."""
        index = bisect_left(self.uids, uid)
        return index if index < len(self.uids) and self.uids[index] == uid else -1

    def indexes(self, uids: Iterable[int]) -> list[int]:
        """Where messages (ascending) are; those that are gone are left out."""
        known, end = self.uids, len(self.uids)
        found: list[int] = []
        index = 0
        for uid in uids:
            index = bisect_left(known, uid, index)
            if index < end and known[index] == uid:
                found.append(index)
        return found

    @property
    def unseen(self) -> tuple[int, int]:
        """How many messages are not \\Seen, and the index of the first (-1: none)."""
        if self._unseen is None:
            # One byte of each mask, looked at in C: SELECT asks this of any mailbox.
            low = memoryview(self.flags).cast("B")[_LOW_BYTE::8].tobytes().translate(_UNSEEN)
            self._unseen = (low.count(1), low.find(1))
        return self._unseen

    def recent(self) -> int:
        """How many messages nobody has claimed."""
        return len(self.uids) - bisect_left(self.uids, self.unclaimed)

    # -- following

    def follow(self, change: Change, origin: object | None = None) -> None:
        """Take up what happened; `origin` is the session that did it."""
        if change.rights_changed and change.modseq > self.rights_modseq:
            self.rights_modseq = change.modseq
            if change.modseq <= self.modseq or change.previous > self.modseq:
                self.call_listeners()
        if change.modseq <= self.modseq:
            self._attribute(change, origin)
            return
        if change.previous > self.modseq:
            self._keep(change, origin)
            return
        self._apply(change, origin)
        while self._early and (ready := self._next_early()) is not None:
            self._apply(*ready)
        self.call_listeners()
        self._wake()

    def _attribute(self, change: Change, origin: object | None) -> None:
        """Note who made a change that the stream told of before the answer came."""
        if origin is None:
            return
        for index in range(len(self._news) - 1, -1, -1):
            news = self._news[index]
            if news.modseq == change.modseq and news.origin is None:
                # Only where the stream told of it alone, not folded with what others did.
                if change.annotated:
                    alone = sorted(news.annotated) == sorted(change.annotated)
                else:
                    alone = sorted(news.flagged) == sorted(change.flagged.uids)
                if alone:
                    self._news[index] = replace(news, origin=origin)
                return
            if news.modseq < change.modseq:
                return

    def lose(self, temporary: bool) -> None:
        """The change stream tells us no more: for good where the mailbox is gone.

        It may be that whose ticket it was asked with may not read the mailbox any more. Nobody's
        rights are certain then, until it is read anew.
        """
        if temporary:
            self.stale = True
            self.rights_modseq = _UNKNOWN
        else:
            self.gone = True
        self.call_listeners()
        self._wake()

    def replace(self, opened: OpenedMailbox) -> None:
        """Take up the mailbox read anew, as one change from what we knew.

        Rights may have changed on the way, unbeknown to us.
        """
        self._early.clear()
        self.stale = False
        if self.rights_modseq == _UNKNOWN:
            self.rights_modseq = opened.modseq
        elif opened.modseq > self.modseq:
            self.rights_modseq = max(self.rights_modseq, opened.modseq)
        if opened.modseq > self.modseq:
            self.follow(_difference(self, opened))

    def listen(self, listener: Callable[[], None]) -> None:
        """Call after every change from now on."""
        self._listeners[listener] = None

    def call_listeners(self) -> None:
        """Let those who listen look again."""
        for listener in list(self._listeners):
            listener()

    def unlisten(self, listener: Callable[[], None]) -> None:
        self._listeners.pop(listener, None)

    def call_at(self, modseq: int, waiter: Callable[[], None]) -> None:
        """Call once when the view has reached a modseq, or can't any more."""
        self._waiters.append((modseq, waiter))

    def news_since(self, number: int) -> list[News] | None:
        """What happened after the change with this number; None where that is forgotten."""
        lag = self.applied - number
        if lag > len(self._news):
            return None
        return [self._news[index] for index in range(len(self._news) - lag, len(self._news))]

    def changed_since(self, modseq: int) -> array[int]:
        """UIDs of messages with a later modseq: what is left where the news are forgotten."""
        pairs = zip(self.uids, self.modseqs, strict=True)
        return array("I", [uid for uid, changed in pairs if changed > modseq])

    # -- applying

    def _keep(self, change: Change, origin: object | None) -> None:
        self._early.append((change, origin))
        if len(self._early) > _MOST_EARLY:
            self._early.clear()
            self.stale = True

    def _next_early(self) -> tuple[Change, object | None] | None:
        self._early = [early for early in self._early if early[0].modseq > self.modseq]
        return next((early for early in self._early if early[0].previous <= self.modseq), None)

    def _apply(self, change: Change, origin: object | None) -> None:
        if change.deleted:
            self.modseq = change.modseq
            self.gone = True
            return
        self.keywords.learn(change.keywords)
        chained = change.previous == self.modseq
        annotated = {uid for uid, _, _ in change.annotated}
        flagged = self._set_flags(change.flagged, annotated, chained)
        if known := self._add(change.added, annotated):
            flagged = flagged + known
        expunged = self._expunge(change.expunged) if change.expunged else ()
        self.modseq = change.modseq
        self.uid_next = max(self.uid_next, change.uid_next)
        self.applied += 1
        self._unseen = None
        self._tell(News(change.modseq, flagged, expunged, origin, change.annotated))

    def _add(self, added: Columns, annotated: Set[int]) -> array[int]:
        """Append what is new; answers the UIDs that we had already, whose flags were set."""
        if not added.uids:
            return array("I")
        last = self.uids[-1] if self.uids else 0
        fresh = bisect_left(added.uids, last + 1)
        known = Columns(added.uids[:fresh], added.flags[:fresh], added.modseqs[:fresh])
        flagged = self._set_flags(known, annotated, chained=False)
        self.uids.extend(added.uids[fresh:])
        self.flags.extend(added.flags[fresh:])
        self.modseqs.extend(added.modseqs[fresh:])
        self.email_ids.extend(added.email_ids[fresh:])
        return flagged

    def _set_flags(self, flagged: Columns, annotated: Set[int], chained: bool) -> array[int]:
        """Set flags that are newer than ours; answers the UIDs of the messages that have some.

        Those count that have the same flags as before, too: in between they may have had others,
        which a search in the store has seen. They don't where it is told that they were annotated.

        `chained`: the change begins where we are, so that all of it is new.
        """
        if not flagged.uids:
            return array("I")
        start = bisect_left(self.uids, flagged.uids[0])
        stop = start + len(flagged.uids)
        if chained and not annotated and self.uids[start:stop] == flagged.uids:
            # All of a run of messages: the usual shape of "mark all read".
            self.flags[start:stop] = flagged.flags
            self.modseqs[start:stop] = flagged.modseqs
            return flagged.uids
        changed = array("I")
        for uid, flags, modseq in zip(flagged.uids, flagged.flags, flagged.modseqs, strict=True):
            index = self.index(uid)
            if index >= 0 and modseq > self.modseqs[index]:
                if self.flags[index] != flags or uid not in annotated:
                    changed.append(uid)
                self.flags[index] = flags
                self.modseqs[index] = modseq
        return changed

    def _expunge(self, expunged: Sequence[int]) -> array[int]:
        """Take messages out; answers the UIDs of those that were there."""
        gone = self.indexes(sorted(expunged))
        if not gone:
            return array("I")
        told = array("I", [self.uids[index] for index in gone])
        runs = _runs(gone)
        self.uids = self.uids[:]  # sessions may hold the old one
        if len(runs) <= _MOST_CUTS:
            for column in (self.uids, self.flags, self.modseqs, self.email_ids):
                for start, stop in reversed(runs):
                    del column[start:stop]
        else:
            keep = bytearray(b"\1" * len(self.uids))
            for index in gone:
                keep[index] = 0
            self.uids = array("I", compress(self.uids, keep))
            self.flags = array("Q", compress(self.flags, keep))
            self.modseqs = array("Q", compress(self.modseqs, keep))
            self.email_ids = array("Q", compress(self.email_ids, keep))
        return told

    def _tell(self, news: News) -> None:
        self._news.append(news)
        self._news_weight += news.weight
        # The newest stays, however much it is: who made it must not be told of it.
        least = 1 if self.sessions else 0
        while len(self._news) > least and (self._news_weight > MOST_NEWS or not self.sessions):
            oldest = self._news.popleft()
            self._news_weight -= oldest.weight

    def _wake(self) -> None:
        if not self._waiters:
            return
        waiting = self._waiters
        self._waiters = []
        for modseq, waiter in waiting:
            if self.modseq >= modseq or self.stale or self.gone:
                waiter()
            else:
                self._waiters.append((modseq, waiter))


def _runs(indexes: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending indexes as half-open runs."""
    runs: list[tuple[int, int]] = []
    for index in indexes:
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs


def _difference(view: MailboxView, opened: OpenedMailbox) -> Change:
    """What makes a mailbox read anew out of a view of it, which is true up to its modseq."""
    new = opened.columns
    last = view.uids[-1] if view.uids else 0
    known = bisect_left(new.uids, last + 1)
    there = frozenset(new.uids[:known])
    later = [modseq > view.modseq for modseq in new.modseqs[:known]]
    flagged = Columns(
        array("I", compress(new.uids, later)),
        array("Q", compress(new.flags, later)),
        array("Q", compress(new.modseqs, later)),
    )
    added = Columns(new.uids[known:], new.flags[known:], new.modseqs[known:], new.email_ids[known:])
    return Change(
        mailbox_id=view.mailbox_id,
        previous=view.modseq,
        modseq=opened.modseq,
        uid_next=opened.uid_next,
        added=added,
        flagged=flagged,
        expunged=[uid for uid in view.uids if uid not in there],
        keywords=opened.keywords,
    )
