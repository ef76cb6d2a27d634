"""A view fed by hand: what happens to a mailbox, one change after the other."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import replace

from postroom_imap.keywords import SEEN
from postroom_imap.ports.columns import Annotated, Change, Columns, OpenedMailbox
from postroom_imap.ports.identity import Ticket
from postroom_imap.standing import Standing
from postroom_imap.view import MailboxView

TICKET = Ticket("token", 7, "ann@example.org", 4_000_000_000)


def columns(uids: Iterable[int], flags: int = 0, modseq: int = 1) -> Columns:
    """Messages whose email id is their UID times ten."""
    numbers = array("I", uids)
    count = len(numbers)
    return Columns(
        numbers,
        array("Q", [flags] * count),
        array("Q", [modseq] * count),
        array("Q", [uid * 10 for uid in numbers]),
    )


def opened(uids: Iterable[int], modseq: int = 1, flags: int = 0) -> OpenedMailbox:
    found = columns(uids, flags, 1)
    uid_next = max(found.uids, default=0) + 1
    return OpenedMailbox(3, "INBOX", 1_700_000_000, uid_next, modseq, (), found)


class Feed:
    """A mailbox with UIDs 1 to `messages`, and the chain of its changes."""

    def __init__(self, messages: int) -> None:
        self.view = MailboxView(TICKET, opened(range(1, messages + 1)))
        self.view.sessions = 1
        self.standing = Standing(self.view, TICKET, "INBOX")
        self.modseq = 1
        self.uid_next = messages + 1

    def add(self, count: int = 1, origin: object | None = None) -> Change:
        uids = range(self.uid_next, self.uid_next + count)
        self.uid_next += count
        return self._apply(self.change(added=columns(uids, 0, self.modseq + 1)), origin)

    def flag(self, *uids: int, flags: int = SEEN, origin: object | None = None) -> Change:
        return self._apply(self.change(flagged=columns(uids, flags, self.modseq + 1)), origin)

    def annotate(self, *entries: Annotated, flags: int = 0, origin: object | None = None) -> Change:
        """Annotations are set of messages that have some flags."""
        flagged = columns(sorted({uid for uid, _, _ in entries}), flags, self.modseq + 1)
        change = replace(self.change(flagged=flagged), annotated=entries)
        return self._apply(change, origin)

    def expunge(self, *uids: int, origin: object | None = None) -> Change:
        return self._apply(self.change(expunged=uids), origin)

    def keyword(self, number: int, name: str, *uids: int) -> Change:
        flagged = columns(uids, 1 << (8 + number), self.modseq + 1)
        return self._apply(self.change(flagged=flagged, keywords=[(number, name)]), None)

    def change(
        self,
        added: Columns | None = None,
        flagged: Columns | None = None,
        expunged: Iterable[int] = (),
        keywords: Iterable[tuple[int, str]] = (),
    ) -> Change:
        """The next change of the chain, not yet applied."""
        self.modseq += 1
        return Change(
            3,
            self.modseq - 1,
            self.modseq,
            self.uid_next,
            added or Columns(),
            flagged or Columns(),
            tuple(expunged),
            tuple(keywords),
        )

    def _apply(self, change: Change, origin: object | None) -> Change:
        self.view.follow(change, origin)
        return change
