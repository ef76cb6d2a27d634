"""Search programs, with the index full, half full and empty: the answers are the same."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from postroom.store.v1 import message_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import UNLIMITED
from postroom_mime import casemap, search_text
from postroom_store import mailboxes, messages, tables
from postroom_store.blobs import BlobFiles, digest_of
from postroom_store.database import Readers, Unheard, is_sqlite
from postroom_store.ingest import Ingest
from postroom_store.messages import Arrival
from postroom_store.rpc.searching import key_of_message
from postroom_store.search import index, program, several
from postroom_store.search.collation import ASCII, OCTET, UNICODE, Collation
from postroom_store.search.extraction import Extraction
from postroom_store.search.index import Indexer
from postroom_store.search.program import (
    STAR,
    AllOf,
    AnyOf,
    Compared,
    Flag,
    Fuzzy,
    Header,
    Key,
    Not,
    Numbers,
    Text,
    Uids,
)
from postroom_store.search.several import (
    FoundInMailbox,
    Reach,
    Scope,
    SearchInSeveral,
    names_of,
)
from postroom_store.writer import Writers
from sqlalchemy import select, text, update

from .conftest import Store
from .test_extraction import DEADLY

ANN, BOB = 7, 8
NO_LIMITS = mailboxes.Limits(1000, 0)
INGEST = Ingest(None, 0)
MAILS = (
    b"From: Ann <ann@example.org>\r\n"
    + b"Subject: Gr\xc3\xbc\xc3\x9fe aus Bern\r\n\r\nhello 100% sure\r\n",
    b"From: bob@example.org\r\n"
    + b"Subject: =?utf-8?q?Stra=C3=9Fe?=\r\nX-Odd: yes\r\n\r\nan apple_pie\r\n",
    b"From: ann@example.org\r\nSubject: lunch\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n"
    + b"Hello again, \"quoted\" 'words'\r\n"
    + b"x" * 2000,
)


async def fill(store: Store, account_id: int, ingest: Ingest = INGEST) -> int:
    change = None
    for number, mail in enumerate(MAILS):
        arrival = Arrival(ingest.prepare(mail), ["\\Seen", "work"][: number % 3], 1_000 + number)
        change = (
            await store.write(
                lambda t, a=arrival: messages.append(  # type: ignore[misc]
                    t, t.mailbox_named(account_id, "INBOX"), [a], UNLIMITED
                )
            )
        ).change
    assert change is not None
    return change.mailbox_id


def search(
    store: Store,
    mailbox_id: int,
    key: Key,
    files: BlobFiles | None = None,
    deadline: float | None = None,
) -> list[int]:
    """The UIDs of Ann's messages that match."""
    found = store.read(lambda c: program.search(c, files, ANN, mailbox_id, key, deadline))
    return found.uids


async def index_all(
    store: Store, files: BlobFiles | None = None, extraction: Extraction | None = None
) -> bool:
    readers = Readers(store.engine, 1)
    indexer = Indexer(readers, Writers([store.writer]), files, extraction)
    complete = await indexer.catch_up()
    indexer.close()
    readers.close()
    return complete


class ToldWriters(Writers):
    """Tells when something was written."""

    def __init__(self, store: Store) -> None:
        super().__init__([store.writer])
        self.written = asyncio.Event()

    async def run(self, *arguments: Any, **options: Any) -> Any:
        answer = await super().run(*arguments, **options)
        self.written.set()
        return answer


def indexed_uids(store: Store, mailbox_id: int) -> set[int]:
    """The messages of MAILS that are found by what they share, without a look at the others."""
    return store.read(lambda c: index.find(c, ANN, mailbox_id, ("headers",), ["@example.org"]))


async def test_what_comes_is_indexed_in_the_background(store: Store) -> None:
    readers = Readers(store.engine, 1)
    writers = ToldWriters(store)
    indexer = Indexer(readers, writers, None)
    indexing = asyncio.create_task(indexer.run())
    mailbox_id = await fill(store, ANN)
    indexer.wake()
    async with asyncio.timeout(30):
        while indexed_uids(store, mailbox_id) != {1, 2, 3}:
            await writers.written.wait()
            writers.written.clear()
    indexing.cancel()
    await asyncio.gather(indexing, return_exceptions=True)
    readers.close()


@pytest.mark.parametrize("indexed", ["nothing", "everything", "the first"])
@pytest.mark.parametrize(
    ("key", "uids"),
    [
        (AllOf(), [1, 2, 3]),
        (Text(("subject",), "GRÜSSE"), [1]),
        (Text(("subject",), "straße"), [2]),
        (Text(("subject",), "st"), [2]),
        (Text(("body",), "hello"), [1, 3]),
        (Text(("body",), "100%"), [1]),
        (Text(("body",), "100_"), []),
        (Text(("body",), "apple_pie"), [2]),
        (Text(("body",), '"quoted"'), [3]),
        (Text(("body",), "'words'"), [3]),
        (Text(("from_",), "ann@"), [1, 3]),
        (Text(("headers", "body"), "lunch"), [3]),
        (Text(("body",), ""), [1, 2, 3]),
        (Header("X-Odd", ""), [2]),
        (Header("x-odd", "YES"), [2]),
        (Header("subject", "bern"), [1]),
        (Flag("\\Seen"), [2, 3]),
        (Flag("WORK"), [3]),
        (Flag("unheard-of"), []),
        (Not(Flag("\\Seen")), [1]),
        (Uids(((2, 9), (1, 1))), [1, 2, 3]),
        (Compared("size", low=1000), [3]),
        (Compared("internaldate", low=1001, high=1002), [2]),
        (Compared("sent_at", low=1_700_000_000), [3]),
        (Compared("saved_at", low=1_700_000_000), [1, 2, 3]),
        (Compared("saved_at", high=1_700_000_000), []),
        (Compared("email_id", low=2, high=3), [2]),
        (Compared("thread_id", low=3, high=4), [3]),
        (AllOf((Compared("thread_id", low=3, high=4), Text(("body",), "~"))), []),
        (Fuzzy(("subject",), "aus GRUSSE bern"), [1]),
        (Fuzzy(("body",), "again hallo"), [3]),
        (Fuzzy(("body",), "helo"), [1, 3]),
        (Fuzzy(("body",), "hellooo"), [1, 3]),
        (Fuzzy(("body",), "pie"), [2]),
        (Fuzzy(("body",), "unicorn"), []),
        (Fuzzy(("body",), "~"), []),
        (Fuzzy(("headers", "body"), "lunch time"), [3]),
        (Not(Fuzzy(("body",), "helo")), [2]),
        (AnyOf((Flag("work"), Text(("subject",), "bern"))), [1, 3]),
        (AllOf((Text(("body",), "hello"), Not(Flag("\\Seen")))), [1]),
        (AllOf((Uids(((2, 3),)), Header("subject", "lunch"))), [3]),
    ],
)
async def test_a_key_finds(store: Store, key: Key, uids: list[int], indexed: str) -> None:
    await fill(store, BOB)
    mailbox_id = await fill(store, ANN)
    if indexed == "everything":
        await index_all(store)
    elif indexed == "the first":
        found = {1: search_text(MAILS[0])}
        await store.write(lambda t: index.add(t, ANN, found))
    assert search(store, mailbox_id, key) == uids


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("key", "scores"),
    [
        (Fuzzy(("body",), "hello"), {1: 100, 3: 100}),
        (Fuzzy(("body",), "helo"), {1: 60, 3: 60}),
        (Fuzzy(("body",), "hello again"), {1: 50, 3: 100}),
        (
            AnyOf((Fuzzy(("subject",), "bern"), Fuzzy(("body",), "helo"))),
            {1: 80, 3: 60},
        ),
        (AllOf((Fuzzy(("body",), "helo"), Flag("work"))), {3: 60}),
        (Flag("work"), {3: 100}),
    ],
)
async def test_how_relevant_a_message_is(
    store: Store, key: Key, scores: dict[int, int], indexed: bool
) -> None:
    mailbox_id = await fill(store, ANN)
    if indexed:
        await index_all(store)
    found = store.read(lambda c: program.search(c, None, ANN, mailbox_id, key, scored=True))
    assert dict(zip(found.uids, found.scores, strict=True)) == scores


async def test_what_messages_are_sorted_by(store: Store) -> None:
    mailbox_id = await fill(store, ANN)
    columns = ("sent_at", "size", "subject", "from", "display_from", "message_id", "is_reply")
    found = store.read(lambda c: program.search(c, None, ANN, mailbox_id, AllOf(), columns=columns))
    assert found.uids == [1, 2, 3]
    assert found.columns == {
        "sent_at": [1000, 1001, 1704067200],
        "size": [len(mail) for mail in MAILS],
        "subject": [casemap("Grüße aus Bern"), casemap("Straße"), "LUNCH"],
        "from": ["ANN", "BOB", "ANN"],
        "display_from": ["ANN", "BOB@EXAMPLE.ORG", "ANN@EXAMPLE.ORG"],
        "message_id": ["", "", ""],
        "is_reply": [0, 0, 0],
    }
    found = store.read(
        lambda c: program.search(
            c, None, ANN, mailbox_id, Uids(((1, 1), (3, 3))), columns=["internaldate"]
        )
    )
    assert (found.uids, found.columns) == ([1, 3], {"internaldate": [1000, 1002]})


async def test_columns_of_messages_that_lie_far_apart(store: Store) -> None:
    mailbox_id = await fill(store, ANN)
    await store.write(
        lambda t: t.execute(
            update(tables.placements)
            .where(tables.placements.c.account_id == ANN, tables.placements.c.uid == 3)
            .values(uid=70_000)
        )
    )
    found = store.read(
        lambda c: program.search(c, None, ANN, mailbox_id, AllOf(), columns=["internaldate"])
    )
    assert (found.uids, found.columns) == (
        [1, 2, 70_000],
        {"internaldate": [1000, 1001, 1002]},
    )


async def test_what_left_the_index_is_not_found(store: Store) -> None:
    mailbox_id = await fill(store, ANN)
    await index_all(store)
    found = {1: search_text(MAILS[0])}
    await store.write(lambda t: index.remove(t, ANN, found))
    assert store.read(lambda c: index.find(c, ANN, mailbox_id, ("body",), ["hello"])) == {3}
    assert search(store, mailbox_id, AllOf()) == [1, 2, 3]


async def test_thousands_of_ranges(store: Store) -> None:
    mailbox_id = await fill(store, ANN)
    odd = Uids(tuple((uid, uid) for uid in range(1, 10_000, 2)))
    assert search(store, mailbox_id, odd) == [1, 3]


async def test_an_email_is_in_the_index_once(store: Store) -> None:
    mailbox_id = await fill(store, ANN)
    found = {1: search_text(MAILS[0])}
    for _ in range(2):
        await store.write(lambda t: index.add(t, ANN, found))
    await store.write(lambda t: index.remove(t, ANN, found))
    assert store.read(lambda c: index.find(c, ANN, mailbox_id, ("body",), ["hello"])) == set()


async def test_an_email_that_is_gone_is_not_indexed(store: Store) -> None:
    await fill(store, ANN)
    found = {99: search_text(MAILS[0])}
    await store.write(lambda t: index.add(t, ANN, found))
    table = "search_index" if is_sqlite(store.engine) else "search_text"
    count = text(f"SELECT count(*) FROM {table}")  # noqa: S608
    assert store.read(lambda c: c.execute(count).scalar()) == 0


async def test_a_damaged_content_does_not_stop_the_indexer(store: Store) -> None:
    mailbox_id = await fill(store, ANN)
    blobs = tables.blobs
    first = select(tables.emails.c.digest).where(tables.emails.c.email_id == 1)
    await store.write(
        lambda t: t.execute(
            update(blobs).where(blobs.c.digest == first.scalar_subquery()).values(data=b"torn")
        )
    )
    await index_all(store)
    key = Text(("body",), "hello")
    assert search(store, mailbox_id, key) == [3]


async def test_a_message_that_ends_the_extraction_does_not_stop_the_others(store: Store) -> None:
    mailbox_id = await fill(store, ANN)
    assert await index_all(store, extraction=Extraction(DEADLY))
    assert indexed_uids(store, mailbox_id) == {1, 3}
    states = store.read(lambda c: c.execute(select(tables.emails.c.indexed)).scalars().all())
    assert sorted(states) == [index.WHOLE, index.WHOLE, index.UNREADABLE]


async def test_a_file_that_cannot_be_read_now_is_indexed_later(
    store: Store, tmp_path: Path
) -> None:
    files = BlobFiles(tmp_path / "contents")
    mailbox_id = await fill(store, ANN, Ingest(files, 100))
    (large,) = [path for path in files.folder.rglob("*") if path.is_file()]
    content = large.read_bytes()
    large.unlink()
    large.mkdir()  # reading it is an I/O error
    assert not await index_all(store, files)
    assert indexed_uids(store, mailbox_id) == {1, 2}
    large.rmdir()
    large.write_bytes(content)
    assert await index_all(store, files)
    assert indexed_uids(store, mailbox_id) == {1, 2, 3}


async def test_what_is_not_mounted_is_not_taken_for_gone(store: Store, tmp_path: Path) -> None:
    files = BlobFiles(tmp_path / "contents")
    mailbox_id = await fill(store, ANN, Ingest(files, 0))
    for unmounted in (BlobFiles(tmp_path / "elsewhere"), None):
        assert not await index_all(store, unmounted)
    assert indexed_uids(store, mailbox_id) == set()
    assert await index_all(store, files)
    assert indexed_uids(store, mailbox_id) == {1, 2, 3}


async def test_a_file_that_is_gone_is_indexed_as_empty(store: Store, tmp_path: Path) -> None:
    files = BlobFiles(tmp_path / "contents")
    mailbox_id = await fill(store, ANN, Ingest(files, 0))
    files.path(digest_of(MAILS[0])).unlink()
    assert await index_all(store, files)
    assert indexed_uids(store, mailbox_id) == {2, 3}


LONG = (
    b"Subject: long\r\n\r\nthe beginning\r\n"
    + b"0123456789 filling\r\n" * 70_000
    + b"zebra, qu at the end\r\n"
)


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("key", "found"),
    [
        (Text(("body",), "the beginning"), True),
        (Text(("body",), "zebra"), True),
        (Text(("headers", "body"), "ZEBRA, qu"), True),
        (Text(("body",), "qu"), True),
        (Text(("body",), "unicorn"), False),
        (Text(("subject",), "zebra"), False),
        (Text(("subject",), "long"), True),
        (Not(Text(("body",), "zebra")), False),
        (AllOf((Text(("body",), "zebra"), Flag("\\Seen"))), False),
        (AllOf((Text(("body",), "zebra"), Text(("body",), "the beginning"))), True),
        (AnyOf((Text(("body",), "unicorn"), Text(("body",), "zebra"))), True),
    ],
)
async def test_a_long_text_is_searched_to_its_end(
    store: Store, key: Key, found: bool, indexed: bool
) -> None:
    arrival = Arrival(INGEST.prepare(LONG), [], 1000)
    appended = await store.write(
        lambda t: messages.append(t, t.mailbox_named(ANN, "INBOX"), [arrival], UNLIMITED)
    )
    assert appended.change is not None
    mailbox_id = appended.change.mailbox_id
    if indexed:
        await index_all(store)
    uids = search(store, mailbox_id, key)
    assert uids == ([1] if found else [])


class CountedFiles(BlobFiles):
    """Notes what is read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        object.__setattr__(self, "seen", [])

    def read(self, digest: bytes) -> bytes:
        self.seen.append(digest)  # type: ignore[attr-defined]
        return super().read(digest)


async def test_each_message_is_read_once_for_all_keys(store: Store, tmp_path: Path) -> None:
    files = CountedFiles(tmp_path / "contents")
    mailbox_id = await fill(store, ANN, Ingest(files, 0))
    short = tuple(Text(("body",), f"~{letter}") for letter in "abcdefghij" * 90)
    key = AnyOf((*short, AllOf((Text(("subject",), "st"), Not(Flag("work")))), Header("x", "y")))
    assert search(store, mailbox_id, key, files) == [2]
    assert sorted(files.seen) == sorted(map(digest_of, MAILS))  # type: ignore[attr-defined]


async def test_a_search_ends_in_time(store: Store) -> None:
    mailbox_id = await fill(store, ANN)
    with pytest.raises(PostroomError) as refused:
        search(store, mailbox_id, Text(("body",), "x"), deadline=0.0)
    assert refused.value.kind is Kind.LIMIT_EXCEEDED


async def test_a_search_tells_of_what_it_cannot_read_now(store: Store, tmp_path: Path) -> None:
    files = BlobFiles(tmp_path / "contents")
    mailbox_id = await fill(store, ANN, Ingest(files, 0))
    unmounted = BlobFiles(tmp_path / "elsewhere")
    key = Text(("body",), "hello")
    with pytest.raises(PostroomError) as refused:
        search(store, mailbox_id, key, unmounted)
    assert refused.value.kind is Kind.UNAVAILABLE


def nested(depth: int) -> message_pb2.SearchKey:
    key = message_pb2.SearchKey(flag=message_pb2.SearchKey.Flag(name="x"))
    for _ in range(depth):
        outer = message_pb2.SearchKey()
        getattr(outer, "not").CopyFrom(key)
        key = outer
    return key


@pytest.mark.parametrize(
    "key",
    [
        message_pb2.SearchKey(),
        nested(60),
        message_pb2.SearchKey(
            all_of=message_pb2.SearchKey.Keys(keys=[message_pb2.SearchKey(larger=1)] * 1001)
        ),
    ],
)
def test_absurd_programs_are_refused(key: message_pb2.SearchKey) -> None:
    with pytest.raises(PostroomError) as refused:
        key_of_message(key)
    assert refused.value.kind is Kind.INVALID


def test_a_deep_program_is_read() -> None:
    assert isinstance(key_of_message(nested(50)), Not)


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("collation", "key", "uids"),
    [
        (UNICODE, Text(("subject",), "GRU"), [1]),
        (ASCII, Text(("subject",), "gRü"), [1]),
        (ASCII, Text(("subject",), "GRÜ"), []),
        (ASCII, Text(("subject",), "strasse"), []),
        (OCTET, Text(("subject",), "Grü"), [1]),
        (OCTET, Text(("subject",), "Gru"), []),
        (OCTET, Text(("subject",), "grü"), []),
        (OCTET, Text(("subject",), "Straße"), [2]),
        (OCTET, Text(("body",), "ello"), [1, 3]),
        (OCTET, Text(("body",), "hello"), [1]),
        (OCTET, Text(("body",), "sure\r"), [1]),
        (OCTET, Text(("body",), ""), [1, 2, 3]),
        (OCTET, Text(("headers", "body"), "From: Ann <"), [1]),
        (OCTET, Header("SUBJECT", "aus Bern"), [1]),
        (OCTET, Header("subject", "bern"), []),
        (OCTET, Not(Text(("body",), "hello")), [2, 3]),
        (OCTET, AllOf((Text(("body",), "ello"), Flag("work"))), [3]),
    ],
)
async def test_collations(
    store: Store, collation: Collation, key: Key, uids: list[int], indexed: bool
) -> None:
    mailbox_id = await fill(store, ANN)
    if indexed:
        await index_all(store)
    found = store.read(lambda c: program.search(c, None, ANN, mailbox_id, key, collation=collation))
    assert found.uids == uids


async def test_a_long_text_is_searched_as_it_is(store: Store) -> None:
    arrival = Arrival(INGEST.prepare(LONG), [], 1000)
    appended = await store.write(
        lambda t: messages.append(t, t.mailbox_named(ANN, "INBOX"), [arrival], UNLIMITED)
    )
    assert appended.change is not None
    mailbox_id = appended.change.mailbox_id
    await index_all(store)
    for text_, uids in (("filling\r\nzebra, qu at", [1]), ("Zebra", [])):
        key = Text(("body",), text_)
        found = store.read(
            lambda c, key=key: program.search(c, None, ANN, mailbox_id, key, collation=OCTET)  # type: ignore[misc]
        )
        assert found.uids == uids


async def test_fuzzy_keys_are_exact_by_other_collations() -> None:
    key = message_pb2.SearchKey(fuzzy=message_pb2.SearchKey(subject="lunch"))
    assert key_of_message(key) == Fuzzy(("subject",), "lunch")
    assert key_of_message(key, OCTET) == Text(("subject",), "lunch")


async def test_what_messages_are_sorted_by_as_it_is(store: Store) -> None:
    mailbox_id = await fill(store, ANN)
    found = store.read(
        lambda c: program.search(
            c,
            None,
            ANN,
            mailbox_id,
            Uids(((1, 2),)),
            collation=OCTET,
            columns=["size", "subject", "from", "display_from"],
        )
    )
    assert found.columns == {
        "size": [len(mail) for mail in MAILS[:2]],
        "subject": ["Grüße aus Bern", "Straße"],
        "from": ["ann", "bob"],
        "display_from": ["Ann", "bob@example.org"],
    }


async def make_tree(store: Store) -> dict[str, int]:
    """Ann's mailboxes by name; each has MAILS, and Sent is not subscribed any more."""
    for name in ("A", "A/B", "A/B/C", "AB"):
        await store.write(lambda t, n=name: mailboxes.create(t, ANN, n, 0, NO_LIMITS))  # type: ignore[misc]
    await store.write(lambda t: mailboxes.subscribe(t, ANN, "Sent", False))
    await store.write(lambda t: mailboxes.subscribe(t, ANN, "nowhere", True))
    made = {}
    for name in ("INBOX", "A", "A/B", "A/B/C", "AB", "Sent"):
        arrivals = [Arrival(INGEST.prepare(mail), [], 1_000) for mail in MAILS]
        appended = await store.write(
            lambda t, n=name, a=arrivals: messages.append(t, t.mailbox_named(ANN, n), a, UNLIMITED)  # type: ignore[misc]
        )
        made[name] = appended.change.mailbox_id
    return made


def search_in_several(store: Store, *scopes: Scope, **options: Any) -> dict[str, list[int]]:
    """The UIDs of Ann's messages that match, by mailbox."""
    found: list[FoundInMailbox] = []
    asked = SearchInSeveral(ANN, scopes, **{"key": Text(("subject",), "lunch"), **options})
    store.read(lambda c: asked.run(c, None, found.append))
    return {one.mailbox.name: list(one.uids) for one in found}


def named(reach: Reach, *names: str) -> Scope:
    return Scope(reach, names_of(names))


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("scopes", "names"),
    [
        ([Scope(Reach.INBOXES)], ["INBOX"]),
        ([Scope(Reach.PERSONAL)], ["A", "A/B", "A/B/C", "AB", "INBOX", "Sent"]),
        ([Scope(Reach.SUBSCRIBED)], ["INBOX"]),
        ([named(Reach.NAMES, "A", "inbox", "nowhere", "//")], ["A", "INBOX"]),
        ([named(Reach.SUBTREES, "A")], ["A", "A/B", "A/B/C"]),
        ([named(Reach.SUBTREES_ONE, "A")], ["A", "A/B"]),
        ([named(Reach.SUBTREES, "A/B", "nowhere")], ["A/B", "A/B/C"]),
        (
            [named(Reach.SUBTREES, "A"), named(Reach.NAMES, "A", "Sent")],
            ["A", "A/B", "A/B/C", "Sent"],
        ),
        ([], []),
    ],
)
async def test_several_mailboxes(
    store: Store, scopes: list[Scope], names: list[str], indexed: bool
) -> None:
    await fill(store, BOB)
    await make_tree(store)
    if indexed:
        await index_all(store)
    assert search_in_several(store, *scopes) == {name: [3] for name in names}


async def test_one_of_several_mailboxes_has_a_program_of_its_own(store: Store) -> None:
    made = await make_tree(store)
    scope = Scope(Reach.ID, mailbox_id=made["A"])
    own = {made["A"]: Uids(((1, 2),))}
    found = search_in_several(store, scope, named(Reach.NAMES, "AB", "Sent"), own=own)
    assert found == {"A": [1, 2], "AB": [3], "Sent": [3]}


@pytest.mark.parametrize(
    ("key", "uids"),
    [
        (Numbers([(1, 2)], uids=False), [2, 3]),
        (Numbers([(2, STAR)], uids=False), [3]),
        (Numbers([(STAR, STAR)], uids=False), [3]),
        (Numbers([(9, STAR)], uids=False), [3]),
        (Numbers([(9, 12)], uids=False), []),
        (Numbers([(1, 2)], uids=True), [2]),
        (Numbers([(STAR, STAR), (1, 1)], uids=True), [3]),
        (Not(Numbers([(1, 1)], uids=False)), [3]),
        (AllOf((Numbers([(2, 2)], uids=False), Text(("body",), "~"))), []),
        (AnyOf((Numbers([(2, 2)], uids=False), Text(("body",), "~"))), [3]),
    ],
)
async def test_numbers_of_a_mailbox(store: Store, key: Key, uids: list[int]) -> None:
    made = await make_tree(store)
    await store.write(
        lambda t: messages.remove(t, t.mailbox(ANN, made["A"]), ((1, 1),)),
    )
    found = search_in_several(store, named(Reach.NAMES, "A"), key=key)
    assert found == ({"A": uids} if uids else {})


async def test_numbers_of_nothing(store: Store) -> None:
    await make_tree(store)
    key = Numbers([(1, STAR)], uids=False)
    assert search_in_several(store, named(Reach.NAMES, "Trash"), key=key) == {}


async def test_what_is_told_of_messages_in_several_mailboxes(store: Store) -> None:
    await make_tree(store)
    found: list[FoundInMailbox] = []
    key = Fuzzy(("body",), "helo")
    asked = SearchInSeveral(ANN, [named(Reach.NAMES, "AB")], key, scored=True, modseqs=True)
    store.read(lambda c: asked.run(c, None, found.append))
    (one,) = found
    assert (list(one.uids), one.scores) == ([1, 3], [60, 60])
    assert list(one.modseqs) == [one.mailbox.highest_modseq] * 2


async def test_much_is_looked_up_for_each_mailbox(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(several, "MOST_HELD", 0)
    await make_tree(store)
    await index_all(store)
    key = AllOf((Text(("body",), "hello"), Text(("subject",), "lunch")))
    scope = named(Reach.NAMES, "A", "AB")
    assert search_in_several(store, scope, key=key) == {"A": [3], "AB": [3]}


@pytest.mark.parametrize("bound", ["MOST_MAILBOXES", "MOST_FOUND"])
async def test_a_search_in_too_much_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(several, bound, 2)
    await make_tree(store)
    assert search_in_several(store, Scope(Reach.INBOXES)) == {"INBOX": [3]}
    with pytest.raises(PostroomError) as raised:
        search_in_several(store, Scope(Reach.PERSONAL))
    assert raised.value.kind is Kind.LIMIT_EXCEEDED


async def test_a_search_in_several_mailboxes_ends_in_time(store: Store) -> None:
    await make_tree(store)
    with pytest.raises(PostroomError) as raised:
        search_in_several(store, Scope(Reach.PERSONAL), deadline=time.monotonic() - 1)
    assert raised.value.kind is Kind.LIMIT_EXCEEDED


async def test_several_mailboxes_are_searched_as_of_one_moment(store: Store) -> None:
    made = await make_tree(store)
    names: list[str] = []

    def tell(found: FoundInMailbox) -> None:
        names.append(found.mailbox.name)
        if len(names) == 1:
            # Another thread of the store, while the search is under way.
            done = threading.Thread(target=lambda: asyncio.run(remove()))
            done.start()
            done.join()

    async def remove() -> None:
        await store.write(lambda t: mailboxes.remove(t, ANN, "Sent"))

    asked = SearchInSeveral(ANN, [named(Reach.NAMES, "A", "Sent")], Text(("subject",), "lunch"))
    readers = Readers(store.engine, 1)
    await asyncio.to_thread(asyncio.run, readers.run(lambda c: asked.run(c, None, tell)))
    readers.close()
    assert names == ["A", "Sent"]
    assert search_in_several(store, Scope(Reach.ID, mailbox_id=made["Sent"])) == {}


async def test_who_hears_no_more_ends_the_work(store: Store) -> None:
    readers = Readers(store.engine, 1)
    ended: asyncio.Future[type[BaseException] | None] = asyncio.get_running_loop().create_future()
    go_on = threading.Event()

    def work(_: Any, tell: Any) -> None:
        try:
            tell(1)
            go_on.wait(30)
            tell(2)
        except BaseException as error:
            ended.get_loop().call_soon_threadsafe(ended.set_result, type(error))
            raise

    told = readers.tell(work)
    assert await anext(told) == 1
    await told.aclose()
    go_on.set()
    assert await asyncio.wait_for(ended, 30) is Unheard
    readers.close()
