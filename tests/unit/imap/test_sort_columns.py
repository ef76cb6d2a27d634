"""What is kept for SORT: as much as is asked for, once, and not what was expunged long ago."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from postroom_imap.ports.columns import MailboxKey
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.messages import Messages
from postroom_imap.ports.searching import InUids, Matches, SortColumn
from postroom_imap.protocol.collation import DEFAULT
from postroom_imap.sort_columns import SortColumns
from postroom_imap.tracker import Tracker

SIZE = SortColumn.SIZE
TICKET = cast("Ticket", None)


@dataclass
class Mailbox:
    """A store with one mailbox, whose messages are as large as their UIDs, and a view of it."""

    uids: array[int]
    account_id: int = 1
    mailbox_id: int = 1
    key: MailboxKey = (1, 1)
    asked: list[tuple[int, int]] = field(default_factory=list)

    async def search(
        self,
        ticket: Ticket,
        mailbox: MailboxKey,
        key: InUids,
        *,
        columns: Sequence[SortColumn],
        **_: Any,
    ) -> Matches:
        ((low, high),) = key.ranges
        self.asked.append((low, high))
        there = array("I", [uid for uid in self.uids if low <= uid <= high])
        return Matches(there, columns={name: list(there) for name in columns})

    @property
    def view(self) -> Mailbox:
        return self

    @property
    def last_uid(self) -> int:
        return self.uids[-1]

    @property
    def exists(self) -> int:
        return len(self.uids)


def kept(mailbox: Mailbox, most_bytes: int = 10_000_000) -> tuple[SortColumns, Tracker]:
    messages = cast("Messages", mailbox)
    return SortColumns(messages, most_bytes), cast("Tracker", mailbox)


async def test_what_is_known_is_not_asked_for_again() -> None:
    mailbox = Mailbox(array("I", range(1, 11)))
    columns, tracker = kept(mailbox)
    assert not columns.covers(tracker, [SIZE], DEFAULT)
    for _ in range(2):
        await columns.load(TICKET, tracker, [SIZE], DEFAULT)
        assert columns.of(tracker, SIZE, DEFAULT, [2, 9]) == [2, 9]
    mailbox.uids = array("I", [*mailbox.uids, 12])
    await columns.load(TICKET, tracker, [SIZE], DEFAULT)
    assert columns.of(tracker, SIZE, DEFAULT, [2, 11, 12]) == [2, None, 12]
    assert mailbox.asked == [(1, 10), (11, 12)]


async def test_it_begins_anew_when_most_was_expunged() -> None:
    mailbox = Mailbox(array("I", range(1, 3001)))
    columns, tracker = kept(mailbox)
    await columns.load(TICKET, tracker, [SIZE], DEFAULT)
    mailbox.uids = array("I", [5, 2999, 3001])
    await columns.load(TICKET, tracker, [SIZE], DEFAULT)
    assert columns.of(tracker, SIZE, DEFAULT, [5, 2999, 3001]) == [5, 2999, 3001]
    assert mailbox.asked == [(1, 3000), (1, 3001)]


async def test_what_was_used_last_is_kept() -> None:
    mailbox = Mailbox(array("I", range(1, 101)))
    columns, tracker = kept(mailbox, most_bytes=7_000)
    await columns.load(TICKET, tracker, [SIZE], DEFAULT)
    await columns.load(TICKET, tracker, [SortColumn.INTERNALDATE], DEFAULT)
    assert columns.covers(tracker, [SortColumn.INTERNALDATE], DEFAULT)
    assert not columns.covers(tracker, [SIZE], DEFAULT)
