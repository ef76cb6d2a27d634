"""The hub: every watcher sees a chain without gaps, whoever wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from postroom.store.v1 import change_pb2
from postroom_chassis.quota import UNLIMITED
from postroom_chassis.rpc.server import Call
from postroom_chassis.tickets import TicketVerifier, read_verification_keys
from postroom_store import mailboxes, messages, metadata, reading, tables
from postroom_store.accounts import AccountNews, news_since
from postroom_store.database import Readers, open_engine
from postroom_store.domain.change import Change, Published
from postroom_store.ingest import Ingest
from postroom_store.lookouts import Lookouts
from postroom_store.messages import Arrival
from postroom_store.notices import Notices
from postroom_store.rpc.changes import ChangeService
from postroom_store.transaction import Transaction
from postroom_store.watch import ChangeHub, Watcher
from postroom_store.writer import Writer
from sqlalchemy import Engine

from tests.harness.services import Certificates

from .conftest import Store

ANN = 7
CONTENT = Ingest(None, 0).prepare(b"Subject: x\r\n\r\n")


def append(transaction: Transaction) -> Change:
    inbox = transaction.mailbox_named(ANN, "INBOX")
    return messages.append(transaction, inbox, [Arrival(CONTENT)], UNLIMITED).change


@asynccontextmanager
async def hub_of(engine: Engine) -> AsyncIterator[ChangeHub]:
    readers = Readers(engine, 1)

    async def read_since(account_id: int, mailbox_id: int, since: int) -> Change | None:
        return await readers.run(lambda c: reading.changes_since(c, account_id, mailbox_id, since))

    async def read_account(account_id: int, since: int) -> AccountNews | None:
        return await readers.run(lambda c: news_since(c, account_id, since))

    try:
        yield ChangeHub(read_since, read_account)
    finally:
        readers.close()


async def collect(watcher: Watcher, enough: Callable[[list[Change]], bool]) -> list[Change]:
    """What a watcher is told until it is enough."""
    told: list[Change] = []
    async with asyncio.timeout(30):
        while not enough(told):
            told += [one.change for one in await watcher.wait() if isinstance(one, Published)]
    return told


def uids(changes: list[Change]) -> list[int]:
    return [uid for change in changes for uid in change.added.uids]


def assert_chain(changes: list[Change], since: int) -> None:
    for change in changes:
        assert change.previous == since
        since = change.modseq


async def test_changes_arrive_in_order_without_gaps(store: Store) -> None:
    async with hub_of(store.engine) as hub:
        writer = Writer(store.engine, hub.publish, 5)
        first = await writer.run(append)
        watcher = Watcher(hub)
        watcher.follow(ANN, first.mailbox_id, first.modseq)
        await asyncio.gather(*(writer.run(append) for _ in range(40)))
        told = await collect(watcher, lambda told: len(uids(told)) >= 40)
        assert uids(told) == list(range(2, 42))
        assert_chain(told, first.modseq)
        writer.close()


async def test_a_watcher_that_starts_behind_is_told_what_it_missed(store: Store) -> None:
    async with hub_of(store.engine) as hub:
        writer = Writer(store.engine, hub.publish, 5)
        first = await writer.run(append)
        for _ in range(3):
            await writer.run(append)
        watcher = Watcher(hub)
        watcher.follow(ANN, first.mailbox_id, first.modseq)
        told = await collect(watcher, lambda told: len(uids(told)) >= 3)
        assert uids(told) == [2, 3, 4]
        assert_chain(told, first.modseq)
        writer.close()


async def test_a_slow_watcher_is_told_everything_in_the_end(store: Store) -> None:
    async with hub_of(store.engine) as hub:
        writer = Writer(store.engine, hub.publish, 5)
        first = await writer.run(append)
        watcher = Watcher(hub)
        watcher.follow(ANN, first.mailbox_id, first.modseq)
        for _ in range(6):
            await asyncio.gather(*(writer.run(append) for _ in range(100)))
        told = await collect(watcher, lambda told: len(uids(told)) >= 600)
        assert uids(told) == list(range(2, 602))
        assert_chain(told, first.modseq)
        writer.close()


async def test_a_removed_mailbox_is_told(store: Store) -> None:
    async with hub_of(store.engine) as hub:
        writer = Writer(store.engine, hub.publish, 5)
        made = await writer.run(lambda t: mailboxes.create(t, ANN, "x", 0, mailboxes.Limits(100)))
        watcher = Watcher(hub)
        watcher.follow(ANN, made.mailbox_id, made.highest_modseq)
        await writer.run(lambda t: mailboxes.remove(t, ANN, "x"))
        told = await collect(watcher, lambda told: any(change.deleted for change in told))
        assert told[-1].deleted
        writer.close()


async def test_another_process_on_postgresql_is_told(postgresql_url: str) -> None:
    here, there = open_engine(postgresql_url, 4), open_engine(postgresql_url, 4)
    tables.metadata.create_all(here)
    ours, theirs = Notices(), Notices()
    async with hub_of(here) as hub:
        listening = asyncio.create_task(ours.listen(here, hub, Lookouts()))
        writer = Writer(there, lambda _changes: None, 5, theirs.send)
        first = await writer.run(append)
        watcher = Watcher(hub)
        watcher.follow(ANN, first.mailbox_id, first.modseq)
        told: list[Published | AccountNews] = []
        async with asyncio.timeout(30):
            while not told:
                # Notices begin once LISTEN is in force; until then each append is another chance.
                await writer.run(append)
                try:
                    told = await asyncio.wait_for(watcher.wait(), 0.2)
                except TimeoutError:
                    continue
        assert isinstance(told[0], Published)
        assert told[0].change.previous == first.modseq
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        writer.close()
    here.dispose()
    there.dispose()


async def news(watcher: Watcher) -> AccountNews:
    """What a watcher is told of an account next, of several transactions perhaps."""
    async with asyncio.timeout(30):
        while True:
            for one in await watcher.wait():
                if isinstance(one, AccountNews):
                    return one


def names(told: AccountNews) -> list[str]:
    return [one.name for one in told.mailboxes]


LIMITS = mailboxes.Limits(100)
FIRST = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]


async def test_who_watches_an_account_is_told_its_tree_first(store: Store) -> None:
    async with hub_of(store.engine) as hub:
        writer = Writer(store.engine, hub.publish, 5)
        await writer.run(append)
        watcher = Watcher(hub)
        watcher.follow_account(ANN, 0)
        told = await news(watcher)
        assert told.tree
        assert names(told) == FIRST
        assert [m.messages for m in (one.mailbox for one in told.mailboxes) if m] == [
            int(name == "INBOX") for name in FIRST
        ]
        writer.close()


async def test_an_account_s_changed_mailboxes_are_told_with_their_counts(store: Store) -> None:
    async with hub_of(store.engine) as hub:
        writer = Writer(store.engine, hub.publish, 5)
        await writer.run(append)
        watcher = Watcher(hub)
        watcher.follow_account(ANN, 0)
        before = await news(watcher)
        await asyncio.gather(*(writer.run(append) for _ in range(5)))
        told = await news(watcher)
        while (mailbox := told.mailboxes[0].mailbox) is not None and mailbox.messages < 6:
            told = await news(watcher)
        assert (told.tree, names(told)) == (False, ["INBOX"])
        assert told.modseq > before.modseq
        watcher.leave_account(ANN)
        other = Watcher(hub)
        other.follow_account(ANN, before.modseq)  # a lost stream, made anew
        assert names(await news(other)) == ["INBOX"]
        writer.close()


async def test_what_was_committed_but_not_noticed_yet_is_told_too(store: Store) -> None:
    """Else the modseq that is told would hide it, from a stream made anew for ever."""
    held: list[tuple[int, Change]] = []
    async with hub_of(store.engine) as hub:
        writer, late = Writer(store.engine, hub.publish, 5), Writer(store.engine, held.extend, 5)
        await writer.run(append)
        watcher = Watcher(hub)
        watcher.follow_account(ANN, 0)
        await news(watcher)
        writer.close()  # one writer at a time keeps rows in memory
        trash = [Arrival(CONTENT)]
        await late.run(
            lambda t: messages.append(t, t.mailbox_named(ANN, "Trash"), trash, UNLIMITED)
        )
        made = await late.run(append)
        hub.publish([(ANN, made)])  # the other notice is still on its way
        assert names(await news(watcher)) == ["INBOX", "Trash"]
        late.close()


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda t: mailboxes.create(t, ANN, "a/b", 0, LIMITS), [*FIRST, "a", "a/b"]),
        (lambda t: mailboxes.remove(t, ANN, "Sent"), [n for n in FIRST if n != "Sent"]),
        (lambda t: mailboxes.rename(t, ANN, "Sent", "new", LIMITS), [*FIRST, "new"]),
        (lambda t: mailboxes.subscribe(t, ANN, "elsewhere", True), [*FIRST, "elsewhere"]),
        (lambda t: mailboxes.subscribe(t, ANN, "Sent", False), FIRST),
    ],
)
async def test_a_changed_tree_is_told_whole(
    store: Store, change: Callable[[Transaction], object], left: list[str]
) -> None:
    async with hub_of(store.engine) as hub:
        writer = Writer(store.engine, hub.publish, 5)
        await writer.run(append)
        watcher = Watcher(hub)
        watcher.follow_account(ANN, 0)
        await news(watcher)
        await writer.run(change)
        told = await news(watcher)
        assert told.tree
        assert {*names(told)} == {*left} | {one.name for one in told.mailboxes if one.subscribed}
        writer.close()


async def test_annotations_are_told_by_their_names(store: Store) -> None:
    async with hub_of(store.engine) as hub:
        writer = Writer(store.engine, hub.publish, 5)
        inbox = await writer.run(lambda t: t.mailbox_named(ANN, "INBOX").mailbox_id)
        watcher = Watcher(hub)
        watcher.follow_account(ANN, 0)
        await news(watcher)
        values: dict[str, bytes | None] = {"/private/a": b"x", "/shared/b": b"y"}
        await writer.run(lambda t: metadata.write(t, ANN, "INBOX", ANN, values))
        told = await news(watcher)
        assert (told.tree, told.mailboxes) == (False, [])
        assert dict(told.annotated) == {inbox: ["/private/a", "/shared/b"]}
        await writer.run(lambda t: metadata.write(t, ANN, "INBOX", ANN, {"/private/a": None}))
        assert dict((await news(watcher)).annotated) == {inbox: ["/private/a"]}
        await writer.run(lambda t: metadata.write(t, ANN, "", ANN, {"/private/c": b"z"}))
        assert dict((await news(watcher)).annotated) == {0: ["/private/c"]}
        await writer.run(lambda t: metadata.write(t, ANN, "INBOX", ANN + 1, {"/private/d": b""}))
        assert dict((await news(watcher)).annotated) == {}  # somebody else's
        writer.close()


async def test_an_account_is_watched_across_processes_on_postgresql(postgresql_url: str) -> None:
    here, there = open_engine(postgresql_url, 4), open_engine(postgresql_url, 4)
    tables.metadata.create_all(here)
    ours, theirs = Notices(), Notices()
    async with hub_of(here) as hub:
        listening = asyncio.create_task(ours.listen(here, hub, Lookouts()))
        writer = Writer(there, lambda _changes: None, 5, theirs.send)
        await writer.run(append)
        watcher = Watcher(hub)
        watcher.follow_account(ANN, 0)
        await news(watcher)
        told: AccountNews | None = None
        async with asyncio.timeout(30):
            while told is None:
                # Notices begin once LISTEN is in force; until then each is another chance.
                await writer.run(lambda t: mailboxes.subscribe(t, ANN, "elsewhere", True))
                try:
                    told = await asyncio.wait_for(news(watcher), 0.2)
                except TimeoutError:
                    continue
        assert told.tree
        assert "elsewhere" in names(told)
        await writer.run(append)
        while (told := await news(watcher)).tree:
            continue
        assert names(told) == ["INBOX"]
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        writer.close()
    here.dispose()
    there.dispose()


async def test_a_stream_that_can_not_read_ends_rather_than_goes_blind(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    verifier = TicketVerifier(read_verification_keys([(tmp_path / "ticket.pub").read_bytes()]))

    async def broken(_account_id: int, _mailbox_id: int, _since: int) -> Change | None:
        raise OSError("the database is away")

    async def requests() -> AsyncIterator[change_pb2.WatchRequest]:
        add = change_pb2.WatchRequest.Add(ticket=certificates.ticket(ANN), mailbox_id=1)
        yield change_pb2.WatchRequest(add=add)
        await asyncio.Event().wait()  # the caller stays

    async def empty(_account_id: int, _since: int) -> AccountNews | None:
        return None

    async def provision(_account_id: int) -> None:
        return

    readers = Readers(open_engine(f"sqlite:///{tmp_path}/store.db", 1), 1)
    service = ChangeService(ChangeHub(broken, empty), verifier, provision, readers)
    stream = service.Watch(requests(), Call("imap", None))
    async with asyncio.timeout(30):
        assert (await anext(stream)).watching[0].mailbox_id == 1
        with pytest.raises(OSError, match="away"):
            await anext(stream)
    readers.close()
