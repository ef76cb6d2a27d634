"""A FETCH under way: what it holds, and what it asks the store for."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator

import pytest
from postroom_imap.fetching import Fetching, Rows
from postroom_imap.items import ItemCache
from postroom_imap.plan import Plan, compile_plan
from postroom_imap.ports.messages import Batch, Column, Section, Text
from postroom_imap.tracker import Tracker

from tests.unit.imap.mailboxes import Feed
from tests.unit.imap.test_fetch import items_of

ACCOUNT = 7  # of the feed's view


class Client:
    """Takes what is written, and keeps how much it was."""

    written = 0
    largest = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self.largest = max(self.largest, len(data))

    async def breathe(self) -> None:
        return


def fetching(messages: int, items: bytes, cache: ItemCache, output: Client) -> Fetching:
    tracker = Tracker(Feed(messages).standing, read_only=False)
    positions = [range(messages)]
    return Fetching(tracker, plan(items), Rows(tracker, positions), cache, output)


def plan(items: bytes) -> Plan:
    return compile_plan(items_of(items), flags_too=False)


@pytest.mark.parametrize(
    ("items", "column"),
    [(b"(BODY.PEEK[HEADER])", Column.HEADER), (b"(ENVELOPE)", Column.ENVELOPE)],
)
async def test_what_was_written_is_held_no_more(items: bytes, column: Column) -> None:
    """40 MB go out, of which the cache keeps next to nothing."""
    client = Client()
    under_way = fetching(4000, items, ItemCache(100_000, 65_536), client)

    async def batches() -> AsyncIterator[Batch]:
        for first in range(1, 4001, 25):
            uids = range(first, first + 25)
            yield Batch(uids, {column: [b"%d" % uid * 2500 for uid in uids]}, [])

    assert under_way.look_up() == [(1, 4000)]
    tracemalloc.start()
    try:
        assert await under_way.write_from(batches()) == 0
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert client.written > 30_000_000
    assert held < 4_000_000


def test_items_of_one_header_share_a_section() -> None:
    items = b" ".join(b"BODY.PEEK[1.HEADER.FIELDS (X-%d)]" % number for number in range(90))
    assert plan(b"(%b)" % items).sections == (Section((1,), Text.HEADER),)


def test_what_streams_is_asked_for_once_for_each_item() -> None:
    both = plan(b"(BODY.PEEK[1.HEADER] BODY.PEEK[1.HEADER.FIELDS (A)] BODY[1.HEADER.FIELDS (B)])")
    assert both.sections == (Section((1,), Text.HEADER),) * 2
    assert [part.section for part in both.parts] == [0, 1, 1]


def test_peeking_makes_no_other_plan() -> None:
    assert plan(b"(BODY[] BODY.PEEK[])").sections == (Section((), Text.WHOLE),)
    assert plan(b"BODY[]").key == plan(b"BODY.PEEK[]").key


async def test_large_items_of_the_cache_leave_in_pieces() -> None:
    client, cache = Client(), ItemCache(100_000_000, 65_536)
    items = b"(BODY.PEEK[HEADER])"
    cache.put_many(
        ACCOUNT, plan(items).key, [uid * 10 for uid in range(1, 401)], [bytes(60_000)] * 400
    )
    under_way = fetching(400, items, cache, client)
    assert under_way.look_up() == []
    assert await under_way.write_all() == 0
    assert client.written > 400 * 60_000
    assert client.largest < 400_000
