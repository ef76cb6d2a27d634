"""What administrators do, called as the service's methods, against the rows that are left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postroom.store.v1 import admin_pb2, message_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import UNLIMITED
from postroom_chassis.rpc.server import Call
from postroom_mime import search_text
from postroom_store import maintenance, messages, tables
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers
from postroom_store.ingest import Ingest
from postroom_store.rpc.admin import AdminService
from postroom_store.rpc.mailboxes import Provision
from postroom_store.search import index
from postroom_store.settings import StoreSettings
from postroom_store.sharing import Sharing
from postroom_store.sweeping import Sweeper
from postroom_store.uploads import Contents
from postroom_store.writer import Writers
from sqlalchemy import Table, func, select, text, update

from .conftest import Store

ANN, BOB = 7, 8
CALL = Call("admin", None)
LONG_AGO = 1000
HELLO = b"Subject: hello\r\n\r\nHow are you?\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * 160_000  # in three pieces


@pytest.fixture
def files(tmp_path: Path) -> BlobFiles:
    return BlobFiles(tmp_path / "contents")


@pytest.fixture
def settings(database_url: str) -> StoreSettings:
    return StoreSettings(  # type: ignore[call-arg]
        database_url=database_url,
        ticket_public_keys="none",
        rpc_certificate=Path("none"),
        rpc_key=Path("none"),
        rpc_authority=Path("none"),
        expunge_days=1,
    )


@pytest.fixture
async def admin(
    store: Store, files: BlobFiles, settings: StoreSettings
) -> AsyncIterator[AdminService]:
    readers = Readers(store.engine, 2)
    writers = Writers([store.writer])
    contents = Contents(Ingest(files, 1024), readers, writers, files, 10_000_000)
    provision = Provision(readers, writers)
    sweeper = Sweeper(readers, writers, files, settings)
    sharing = Sharing(readers, writers)
    yield AdminService(readers, writers, provision, contents, files, sweeper, sharing, settings)
    contents.close()
    readers.close()


async def take_in(
    admin: AdminService, *contents: bytes, key: bytes = b"1", name: str = "Old/2020"
) -> message_pb2.AppendResponse:
    new = [
        message_pb2.NewMessage(content=content, flags=["\\Seen"], internaldate=LONG_AGO)
        for content in contents
    ]
    request = admin_pb2.ImportRequest(idempotency_key=key, account_id=ANN, name=name, messages=new)
    return await admin.Import(request, CALL)


async def upload(admin: AdminService, content: bytes) -> bytes:
    async def pieces() -> AsyncIterator[message_pb2.UploadRequest]:
        for start in range(0, len(content), 100_000):
            yield message_pb2.UploadRequest(data=content[start : start + 100_000])

    return (await admin.Upload(pieces(), CALL)).upload_id


async def take_in_large(admin: AdminService, key: bytes = b"large") -> None:
    new = message_pb2.NewMessage(upload_id=await upload(admin, LARGE))
    request = admin_pb2.ImportRequest(
        idempotency_key=key, account_id=ANN, name="Old/2020", messages=[new]
    )
    await admin.Import(request, CALL)


async def expunge(store: Store, name: str = "Old/2020") -> None:
    await store.write(lambda t: messages.remove(t, t.mailbox_named(ANN, name), ((1, 1000),)))


async def index_email(store: Store, email_id: int, content: bytes) -> None:
    await store.write(lambda t: index.add(t, ANN, {email_id: search_text(content)}))


async def age(store: Store, table: Table, column: str) -> None:
    await store.write(lambda t: t.execute(update(table).values({column: LONG_AGO})))


async def collect(admin: AdminService) -> admin_pb2.CollectGarbageResponse:
    answers = [
        answer async for answer in admin.CollectGarbage(admin_pb2.CollectGarbageRequest(), CALL)
    ]
    assert answers[-1].finished
    return answers[-1]


async def check(admin: AdminService) -> list[str]:
    request = admin_pb2.CheckIntegrityRequest(account_id=ANN, contents=True)
    return [
        fault async for answer in admin.CheckIntegrity(request, CALL) for fault in answer.faults
    ]


def count(store: Store, table: Table, account_id: int = ANN) -> int:
    statement = select(func.count()).where(table.c.account_id == account_id)
    return store.read(lambda c: int(c.execute(statement).scalar_one()))


def stored_files(files: BlobFiles) -> list[Path]:
    return [path for path in files.folder.rglob("*") if path.is_file()]


async def test_an_import_makes_the_mailbox_and_is_done_once(admin: AdminService) -> None:
    first = await take_in(admin, HELLO, HELLO)
    assert list(first.uids) == [1, 2]
    assert await take_in(admin, HELLO, HELLO) == first
    listed = await admin.ListMailboxes(admin_pb2.ListMailboxesRequest(account_id=ANN), CALL)
    counts = {mailbox.name: mailbox.counts.messages for mailbox in listed.mailboxes}
    assert counts["Old"] == 0
    assert counts["Old/2020"] == 2


async def test_an_import_over_quota_adds_nothing(admin: AdminService, store: Store) -> None:
    request = admin_pb2.ImportRequest(
        idempotency_key=b"q",
        account_id=ANN,
        name="INBOX",
        messages=[message_pb2.NewMessage(content=HELLO)],
        quota_bytes=10,
    )
    with pytest.raises(PostroomError) as refused:
        await admin.Import(request, CALL)
    assert refused.value.kind is Kind.OVER_QUOTA
    assert count(store, tables.placements) == 0


async def test_usage_counts(admin: AdminService) -> None:
    await take_in(admin, HELLO)
    usage = await admin.Usage(admin_pb2.UsageRequest(), CALL)
    assert [(each.account_id, each.messages, each.bytes) for each in usage.accounts] == [
        (ANN, 1, len(HELLO))
    ]
    assert usage.next_page_token == ""


async def test_an_export_gives_back_what_came_in(admin: AdminService) -> None:
    await take_in(admin, HELLO)
    await take_in_large(admin)
    request = admin_pb2.ExportRequest(account_id=ANN, name="Old/2020")
    answers = [answer async for answer in admin.Export(request, CALL)]
    assert answers[0].total == 2
    contents: dict[int, bytes] = {}
    for answer in answers:
        for uid, content in zip(answer.uids, answer.contents, strict=True):
            contents[uid] = contents.get(uid, b"") + content
    assert contents == {1: HELLO, 2: LARGE}
    assert [flags for answer in answers for flags in answer.flags] == [1, 0]
    assert next(date for answer in answers for date in answer.internaldates) == LONG_AGO


async def test_an_empty_mailbox_is_exported(admin: AdminService) -> None:
    await admin.ListMailboxes(admin_pb2.ListMailboxesRequest(account_id=ANN), CALL)
    request = admin_pb2.ExportRequest(account_id=ANN, name="INBOX")
    assert [answer.total async for answer in admin.Export(request, CALL)] == [0]


async def test_what_was_expunged_comes_back_with_new_uids(
    admin: AdminService, store: Store
) -> None:
    await take_in(admin, HELLO, HELLO)
    await expunge(store)
    request = admin_pb2.UndeleteRequest(account_id=ANN, name="Old/2020", since=0)
    assert (await admin.Undelete(request, CALL)).restored == 2
    assert (await admin.Undelete(request, CALL)).restored == 0
    uids = store.read(lambda c: c.execute(select(tables.placements.c.uid)).scalars().all())
    assert sorted(uids) == [3, 4]
    assert await check(admin) == []


@pytest.mark.parametrize("indexed", [False, True])
async def test_a_purge_leaves_nothing(
    admin: AdminService, store: Store, files: BlobFiles, indexed: bool
) -> None:
    await take_in(admin, HELLO, HELLO + b"again")
    if indexed:
        await index_email(store, 1, HELLO)
    await expunge(store)
    await take_in(admin, HELLO, key=b"2")
    await admin.PurgeAccount(admin_pb2.PurgeAccountRequest(account_id=ANN), CALL)
    owned = [table for table in tables.metadata.tables.values() if "account_id" in table.c]
    left = {table.name for table in owned if count(store, table)}
    assert left == set()
    assert indexed_emails(store) == []
    await admin.PurgeAccount(admin_pb2.PurgeAccountRequest(account_id=ANN), CALL)


def indexed_emails(store: Store) -> list[int]:
    """The emails that the index has with "are", whether they are placed or not."""
    statement = "SELECT email_id FROM search_text WHERE strpos(body, 'are') > 0"
    if store.engine.dialect.name == "sqlite":
        statement = "SELECT rowid FROM search_index WHERE search_index MATCH '\"are\"'"
    return store.read(lambda c: list(c.execute(text(statement)).scalars()))


async def test_garbage_is_what_is_past_its_time(
    admin: AdminService, store: Store, files: BlobFiles
) -> None:
    await take_in(admin, HELLO, HELLO + b"kept")
    await index_email(store, 1, HELLO)
    await index_email(store, 2, HELLO + b"kept")
    await store.write(lambda t: messages.remove(t, t.mailbox_named(ANN, "Old/2020"), ((1, 1),)))
    assert (await collect(admin)).expunged == 0
    await age(store, tables.tombstones, "expunged_at")
    await age(store, tables.blobs, "created_at")
    swept = await collect(admin)
    # The content stays for another day: a backup's rows may name it.
    assert (swept.expunged, swept.contents) == (1, 0)
    assert (count(store, tables.tombstones), count(store, tables.emails)) == (0, 1)
    await age(store, tables.blobs, "created_at")
    swept = await collect(admin)
    assert (swept.contents, swept.bytes) == (1, len(HELLO))
    assert len(indexed_emails(store)) == 1
    assert await check(admin) == []
    assert (await collect(admin)).contents == 0


async def test_answers_and_uploads_are_forgotten(admin: AdminService, store: Store) -> None:
    await take_in_large(admin)
    await age(store, tables.answers, "created_at")
    await age(store, tables.uploads, "created_at")
    await collect(admin)
    assert count(store, tables.answers) == 0
    assert count(store, tables.uploads, 0) == 0


async def test_an_email_goes_with_the_last_that_refers_to_it(
    admin: AdminService, store: Store
) -> None:
    await take_in(admin, HELLO)
    await store.write(
        lambda t: messages.copy(
            t, t.mailbox_named(ANN, "Old/2020"), ((1, 1),), t.mailbox_named(ANN, "INBOX"), UNLIMITED
        )
    )
    await expunge(store)
    await age(store, tables.tombstones, "expunged_at")
    assert (await collect(admin)).expunged == 1
    assert count(store, tables.emails) == 1
    await expunge(store, "INBOX")
    assert (await collect(admin)).expunged == 0
    await age(store, tables.tombstones, "expunged_at")
    assert (await collect(admin)).expunged == 1
    assert count(store, tables.emails) == 0


async def test_more_is_expunged_than_goes_in_a_step(admin: AdminService, store: Store) -> None:
    many = maintenance.EMAIL_STEP + 1
    await take_in(admin, *(HELLO + b"%d" % number for number in range(many)))
    await expunge(store)
    await age(store, tables.tombstones, "expunged_at")
    assert (await collect(admin)).expunged == many
    assert (count(store, tables.tombstones), count(store, tables.emails)) == (0, 0)


def test_old_files_are_found_folder_by_folder(files: BlobFiles) -> None:
    contents = [bytes([number]) * 32 for number in (1, 1, 2, 3)]
    for digest in contents:
        files.write(digest, b"packed")
        os.utime(files.path(digest), (LONG_AGO, LONG_AGO))
    files.write(contents[3], b"packed")  # again: just now
    torn = files.path(contents[0]).with_name(".torn")
    fresh = files.path(contents[0]).with_name(".fresh")
    for path in (torn, fresh):
        path.touch()
    os.utime(torn, (LONG_AGO, LONG_AGO))
    found = list(maintenance.old_files(files, LONG_AGO + 1))
    assert sorted(found) == [[contents[0]], [contents[2]]]
    assert not torn.exists()
    assert fresh.exists()


def test_no_folder_has_no_old_files(tmp_path: Path) -> None:
    assert list(maintenance.old_files(BlobFiles(tmp_path / "none"), LONG_AGO)) == []


@pytest.mark.parametrize("written", ["long ago", "just now"])
async def test_a_file_goes_unless_it_was_just_written_again(
    admin: AdminService, store: Store, files: BlobFiles, written: str
) -> None:
    await take_in_large(admin)
    (path,) = stored_files(files)
    if written == "long ago":
        os.utime(path, (LONG_AGO, LONG_AGO))
    await expunge(store)
    await age(store, tables.tombstones, "expunged_at")
    await age(store, tables.uploads, "created_at")
    assert (await collect(admin)).expunged == 1
    await age(store, tables.blobs, "created_at")
    assert (await collect(admin)).contents == 2  # the uploader's and the account's
    assert path.exists() is (written == "just now")


async def test_a_damaged_content_is_told_and_does_not_stop_the_rest(
    admin: AdminService, store: Store
) -> None:
    await take_in(admin, HELLO)
    await index_email(store, 1, HELLO)
    await store.write(lambda t: t.execute(update(tables.blobs).values(data=b"torn")))
    (fault,) = await check(admin)
    assert "content" in fault
    request = admin_pb2.ReindexRequest(account_id=ANN)
    assert [answer.done async for answer in admin.Reindex(request, CALL)] == [1]
    await expunge(store)
    await age(store, tables.tombstones, "expunged_at")
    await collect(admin)
    assert count(store, tables.emails) == 0


async def test_wrong_counters_are_told(admin: AdminService, store: Store) -> None:
    await take_in(admin, HELLO)
    assert await check(admin) == []
    await store.write(lambda t: t.execute(update(tables.mailboxes).values(messages=5)))
    assert any("Old/2020" in fault for fault in await check(admin))


async def test_a_reindex_makes_columns_and_index_anew(admin: AdminService, store: Store) -> None:
    await take_in(admin, HELLO, HELLO + b"again")
    await index_email(store, 1, HELLO)
    await store.write(lambda t: t.execute(update(tables.emails).values(preview="wrong")))
    request = admin_pb2.ReindexRequest(account_id=ANN)
    answers = [answer async for answer in admin.Reindex(request, CALL)]
    assert (answers[-1].done, answers[-1].total) == (2, 2)
    columns = tables.emails.c
    rows = store.read(lambda c: c.execute(select(columns.preview, columns.indexed)).fetchall())
    assert sorted(rows) == [("How are you?", 1), ("How are you? again", 1)]
    assert len(indexed_emails(store)) == 2


async def test_a_reindex_leaves_what_no_text_can_be_had_of_to_the_indexer(
    admin: AdminService, store: Store
) -> None:
    await take_in(admin, HELLO)
    await store.write(lambda t: index.mark(t, ANN, {1: index.UNREADABLE}))
    request = admin_pb2.ReindexRequest(account_id=ANN)
    assert [answer.done async for answer in admin.Reindex(request, CALL)] == [1]
    states = store.read(lambda c: c.execute(select(tables.emails.c.indexed)).scalars().all())
    assert states == [index.NOT_YET]
    assert indexed_emails(store) == []


async def test_garbage_goes_by_itself(store: Store, tmp_path: Path) -> None:
    readers = Readers(store.engine, 1)
    files = BlobFiles(tmp_path / "blobs")
    files.write(b"r" * 32, b"whose row never came")
    os.utime(files.path(b"r" * 32), (LONG_AGO, LONG_AGO))
    settings = StoreSettings.model_construct(
        expunge_days=14.0, idempotency_hours=24.0, upload_seconds=3600.0, sweep_hours=1e-4
    )
    sweeper = Sweeper(readers, Writers([store.writer]), files, settings)
    sweeping = asyncio.create_task(sweeper.run())
    async with asyncio.timeout(30):
        while files.path(b"r" * 32).exists():  # noqa: ASYNC110 (a file can't be awaited)
            await asyncio.sleep(0.01)
    sweeping.cancel()
    readers.close()


def test_a_removal_that_a_crash_cut_off_is_undone(files: BlobFiles) -> None:
    digest = b"r" * 32
    files.write(digest, b"packed")
    path = files.path(digest)
    os.utime(path, (LONG_AGO, LONG_AGO))
    path.rename(path.with_name(path.name + ".garbage"))
    assert files.read(digest) == b"packed"
    assert list(maintenance.old_files(files, LONG_AGO + 1)) == []
    assert list(maintenance.old_files(files, LONG_AGO + 1)) == [[digest]]
