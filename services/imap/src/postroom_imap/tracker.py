"""What one session has been told of its mailbox: sequence numbers, and the news still to tell.

RFC 3501 section 7.4.1: EXPUNGE, which shifts sequence numbers, is never sent while FETCH, STORE or
SEARCH run, nor between commands. So the session's numbers come from the array of UIDs as it was
when it was last told, which is the view's own array as long as nothing was expunged since; a
session that is up to date holds a reference and three numbers.

New messages are held back with the expunges before them: EXISTS may not shrink (section 7.3.1).

A client that follows modseqs must not take one from beyond an expunge that it wasn't told of: it
would never hear of it after a lost connection. While expunges are held back, HIGHESTMODSEQ tells it
how far it may go (RFC 7162 section 3.2, RFC 5162 erratum 1810).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import Flag, auto

from postroom_imap.dialect import PLAIN, Dialect
from postroom_imap.keywords import RECENT
from postroom_imap.ports.columns import Ranges, uid_array
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses import mailboxes as mailbox_responses
from postroom_imap.protocol.responses.annotation import changed_annotations
from postroom_imap.protocol.responses.status import bye, untagged_ok
from postroom_imap.protocol.sequence_set import SequenceSet, runs
from postroom_imap.standing import Standing
from postroom_imap.view import News


class Heed(Flag):
    """Which news the client wants to hear of (RFC 5465 section 3.1)."""

    MESSAGES = auto()
    FLAGS = auto()
    ANNOTATIONS = auto()
    ALL = MESSAGES | FLAGS | ANNOTATIONS
    NOTHING = 0


class Tracker:
    """One session's selected mailbox.

    Attributes:
        standing: what the person is to the mailbox.
        view: the mailbox.
        read_only: selected by EXAMINE.
        dialect: in what words the session is told.
        heed: which news it is told.
        annotates: selected with ANNOTATE: it is told of annotations that change (RFC 5257
            section 4.4).
        uids: message n of the session has UID uids[n - 1], up to `exists`.
        recent: ranges of UIDs that are \\Recent in this session, ascending.
        leaving: what is told before messages, by their UIDs, are expunged.
        saved: the UIDs that `$` stands for (RFC 5182), ascending.
    """

    __slots__ = (
        "_flags_told",
        "_keywords_told",
        "_modseq_safe",
        "_modseq_told",
        "_told",
        "_withheld",
        "annotates",
        "dialect",
        "exists",
        "heed",
        "leaving",
        "read_only",
        "recent",
        "saved",
        "standing",
        "uids",
        "view",
    )

    def __init__(
        self,
        standing: Standing,
        read_only: bool,
        dialect: Dialect = PLAIN,
        *,
        annotates: bool = False,
    ) -> None:
        self.standing = standing
        self.view = view = standing.view
        self.read_only = read_only
        self.dialect = dialect
        self.annotates = annotates
        self.heed = Heed.ALL
        self.uids = view.uids
        self.exists = len(view.uids)
        self.recent: list[tuple[int, int]] = []
        self.saved = uid_array()
        self.leaving: Callable[[Sequence[int]], list[bytes]] | None = None
        self._told = self._flags_told = view.applied
        self._modseq_told = self._modseq_safe = view.modseq
        self._withheld = False
        self._keywords_told = len(view.keywords.names)
        self._claim()

    # -- looking

    @property
    def aligned(self) -> bool:
        """Whether the session's positions are the view's: nothing was expunged unbeknown to it."""
        return self.uids is self.view.uids

    def positions(self, wanted: SequenceSet, uid: bool) -> list[range]:
        """Positions (sequence number minus one) of the messages in a set, ascending."""
        if wanted.saved:
            return list(runs(self.positions_of(self.saved)))
        if not uid:
            return [range(low - 1, high) for low, high in wanted.resolve(self.exists)]
        if self.exists == len(self.uids):
            return wanted.slices(self.uids)
        return wanted.slices(self.uids[: self.exists])

    def uids_at(self, positions: Iterable[range]) -> array[int]:
        """The UIDs of messages by position."""
        parts = [self.uids[part.start : part.stop] for part in positions]
        return parts[0] if len(parts) == 1 else array("I", [uid for part in parts for uid in part])

    def without(self, positions: Iterable[range], uids: Collection[int]) -> list[range]:
        """Positions but for those of some UIDs."""
        return list(runs(p for part in positions for p in part if self.uids[p] not in uids))

    def changed_since(self, positions: Iterable[range], modseq: int) -> list[range]:
        """Positions of messages that were changed after a modseq."""
        if self.aligned:
            modseqs = self.view.modseqs
            return list(runs(p for part in positions for p in part if modseqs[p] > modseq))
        changed = frozenset(self.view.changed_since(modseq))
        return list(runs(p for part in positions for p in part if self.uids[p] in changed))

    def highest_modseq(self, positions: Iterable[int]) -> int:
        """The highest modseq of some messages; 0 where there are none any more."""
        view = self.view
        if self.aligned:
            return max((view.modseqs[position] for position in positions), default=0)
        indexes = view.indexes(self.uids[position] for position in sorted(positions))
        return max((view.modseqs[index] for index in indexes), default=0)

    def ranges_at(self, positions: Iterable[range]) -> Ranges:
        """The UIDs of messages by position, as ranges that hold no other message of the mailbox."""
        uids = self.uids
        return [(uids[part.start], uids[part.stop - 1]) for part in positions if part]

    def positions_of(self, uids: Sequence[int]) -> Sequence[int]:
        """Where the session counts messages (UIDs ascending); those it was not told of are out."""
        known, end = self.uids, self.exists
        if len(uids) * 8 > end:
            wanted = frozenset(uids)
            return [index for index in range(end) if known[index] in wanted]
        found: list[int] = []
        index = 0
        for uid in uids:
            index = bisect_left(known, uid, index, end)
            if index < end and known[index] == uid:
                found.append(index)
        return found

    def position(self, uid: int) -> int:
        """Where the session counts a message, or -1 where it was not told of it."""
        index = bisect_left(self.uids, uid, 0, self.exists)
        return index if index < self.exists and self.uids[index] == uid else -1

    @property
    def last_uid(self) -> int:
        """The highest UID that the session was told of, or 0."""
        return self.uids[self.exists - 1] if self.exists else 0

    def after(self, uid: int) -> range:
        """Positions of the messages behind a UID."""
        return range(bisect_right(self.uids, uid, 0, self.exists), self.exists)

    def recent_count(self) -> int:
        """How many messages are \\Recent in this session."""
        uids, end = self.uids, self.exists
        return sum(
            bisect_left(uids, high, 0, end) - bisect_left(uids, low, 0, end)
            for low, high in self.recent
        )

    def is_recent(self, uid: int) -> bool:
        """Whether a message is \\Recent in this session."""
        return any(low <= uid < high for low, high in self.recent)

    def mark_recent(self, uids: array[int], masks: array[int]) -> array[int]:
        """The masks of messages (ascending by UID) with this session's \\Recent in them."""
        for low, high in self.recent:
            for index in range(bisect_left(uids, low), bisect_left(uids, high)):
                masks[index] |= RECENT
        return masks

    @property
    def modseq_told(self) -> int:
        """The modseq up to which the session knows all."""
        return self._modseq_safe

    @property
    def told(self) -> tuple[int, int]:
        """How much of what happened the session knows: of messages, and of their flags."""
        return self._told, self._flags_told

    def farewell(self) -> bytes:
        """What ends the session, where it can't go on with the mailbox; else nothing."""
        if self.view.gone:
            return bye("The selected mailbox was deleted")
        if self.standing.ended:
            return bye("The selected mailbox is shared with you no more")
        return b""

    # -- telling

    def tell(self, *, expunge: bool = True, uid: bool = False) -> list[bytes]:
        """The untagged responses for what happened since the session was last told.

        Args:
            expunge: the command in hand lets sequence numbers shift (section 7.4.1).
            uid: FETCH responses name UIDs (RFC 3501 section 6.4.8).
        """
        view = self.view
        if self._told == view.applied or self.standing.hidden or not self._heeds():
            return []
        out: list[bytes] = []
        if expunge or self.aligned:
            news = view.news_since(self._told)
            recent = self.recent_count()
            out += self._tell_expunged(news)
            self._told = view.applied
            out += self._tell_keywords()
            out += self._tell_flags(uid)
            out += self._tell_new(recent)
            self._modseq_safe = view.modseq
        else:
            out += self._tell_keywords()
            out += self._tell_flags(uid)
        self._flags_told = view.applied
        self._modseq_told = view.modseq
        if self.dialect.modseq and self.dialect.vanished:
            out += self._tell_modseq()
        return out

    def _heeds(self) -> bool:
        """Whether there is anything to tell: what the session expunged itself in any case."""
        if self.heed:
            return True
        news = self.view.news_since(self._told)
        return news is None or any(one.origin is self and one.expunged for one in news)

    def _tell_expunged(self, news: list[News] | None) -> list[bytes]:
        view = self.view
        if self.uids is view.uids:
            return []
        was, end = self.uids, self.exists
        if news is None:
            there = frozenset(view.uids)
            gone = [index for index in range(end) if was[index] not in there]
        else:
            places = {self.position(uid) for one in news for uid in one.expunged}
            gone = sorted(places - {-1})
        uids = [was[index] for index in gone]
        before = self.leaving(uids) if self.leaving is not None and uids else []
        self.uids = view.uids
        self.exists = end - len(gone)
        return before + self.dialect.gone([index + 1 for index in gone], uids)

    def _tell_keywords(self) -> list[bytes]:
        keywords = self.view.keywords
        if len(keywords.names) == self._keywords_told:
            return []
        self._keywords_told = len(keywords.names)
        return [mailbox_responses.flags_response(keywords.flags())]

    def _tell_flags(self, uid: bool) -> list[bytes]:
        """New flags of messages that the session knows of and the mailbox still has."""
        view, heed = self.view, self.heed
        if not heed & (Heed.FLAGS | Heed.ANNOTATIONS):
            return []
        news = view.news_since(self._flags_told)
        changed: Collection[int] = ()
        annotated: dict[int, set[str]] = {}
        if news is None:
            changed = view.changed_since(self._modseq_told)
        else:
            others = [one for one in news if one.origin is not self]
            if Heed.FLAGS in heed:
                changed = {uid for one in others for uid in one.flagged}
            if Heed.ANNOTATIONS in heed and (self.annotates or self.dialect.modseq):
                annotated = self._annotated(others)
        out: list[bytes] = []
        for number in sorted({*changed, *annotated}):
            index, position = view.index(number), self.position(number)
            if index < 0 or position < 0:
                continue
            mask = view.flags[index] | (RECENT if self.is_recent(number) else 0)
            flags, modseq = view.keywords[mask], view.modseqs[index]
            if self.annotates and (entries := annotated.get(number)):
                flags += b" " + changed_annotations(entries)
            out.append(self.dialect.flags(position + 1, number, flags, modseq, uid_too=uid))
        return out

    def _annotated(self, news: Iterable[News]) -> dict[int, set[str]]:
        """Names of annotations that changed, as far as the session sees them, by UID."""
        found: dict[int, set[str]] = {}
        for one in news:
            for uid, entry, holder in one.annotated:
                if holder in (0, self.standing.ticket.account_id):
                    found.setdefault(uid, set()).add(entry)
        return found

    def _tell_new(self, recent_before: int) -> list[bytes]:
        known = self.exists
        self.exists = len(self.view.uids)
        self._claim()
        out = [mailbox_responses.exists(self.exists)] if self.exists > known else []
        if self.dialect.recent and (recent := self.recent_count()) != recent_before:
            out.append(mailbox_responses.recent(recent))
        return out

    def _tell_modseq(self) -> list[bytes]:
        """How far the client's modseqs are whole, where they weren't or aren't."""
        withheld, self._withheld = self._withheld, self._told != self.view.applied
        if not (withheld or self._withheld):
            return []
        return [untagged_ok("Highest", codes.highest_modseq(self._modseq_safe))]

    def _claim(self) -> None:
        """Take the messages that are recent to nobody yet; EXAMINE only looks at them."""
        if not self.dialect.recent:
            self.recent = []
            return
        view = self.view
        end = self.uids[self.exists - 1] + 1 if self.exists else 0
        start = max(view.unclaimed, self.recent[-1][1] if self.recent else 0)
        if start >= end:
            return
        if self.recent and self.recent[-1][1] == start:
            self.recent[-1] = (self.recent[-1][0], end)
        else:
            self.recent.append((start, end))
        if not self.read_only:
            view.unclaimed = end
