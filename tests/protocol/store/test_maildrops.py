"""Each mailbox as a maildrop: its own lease, its own UIDs, and what a session leaves behind."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from postroom.store.v1 import mailbox_pb2, maildrop_pb2, message_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import Metadata, ticketed
from postroom_store import maildrop, tables
from postroom_store.database import open_engine

from .conftest import ANN, Callers


def ticket(store: Callers) -> Metadata:
    return ticketed(store.certificates.ticket(ANN, scope="maildrop"))


async def lock(store: Callers, key: bytes, mailbox: str = "") -> maildrop_pb2.LockResponse:
    request = maildrop_pb2.LockRequest(idempotency_key=key, mailbox=mailbox)
    return await anext(aiter(store.maildrop.Lock(request, metadata=ticket(store))))


async def commit(store: Callers, lease_id: bytes, **left: object) -> int:
    request = maildrop_pb2.CommitRequest(lease_id=lease_id, **left)  # type: ignore[arg-type]
    return (await store.maildrop.Commit(request, metadata=ticket(store))).removed


async def refused(attempt: object) -> Kind:
    with pytest.raises(PostroomError) as error:
        await attempt  # type: ignore[misc]
    return error.value.kind


async def fill(store: Callers, name: str, *contents: bytes) -> None:
    request = message_pb2.AppendRequest(
        idempotency_key=b"f" + name.encode(),
        name=name,
        messages=[message_pb2.NewMessage(content=content) for content in contents],
    )
    await store.messages.Append(request, metadata=store.ticket())


async def make(store: Callers, name: str) -> None:
    request = mailbox_pb2.CreateRequest(idempotency_key=name.encode(), name=name)
    await store.mailboxes.Create(request, metadata=store.ticket())


async def remove(store: Callers, name: str) -> None:
    request = mailbox_pb2.DeleteRequest(idempotency_key=b"x" + name.encode(), name=name)
    await store.mailboxes.Delete(request, metadata=store.ticket())


async def flags(store: Callers) -> dict[int, int]:
    opened = await store.open()
    return dict(zip(opened.messages.uids, opened.messages.flags, strict=True))


async def test_each_mailbox_has_a_lease_of_its_own(store: Callers) -> None:
    await make(store, "Lists/Postroom")
    await fill(store, "INBOX", b"1\r\n", b"2\r\n")
    await fill(store, "Lists/Postroom", b"three\r\n")
    inbox = await lock(store, b"a")
    other = await lock(store, b"b", "Lists/Postroom")
    assert (list(inbox.sizes), list(other.sizes)) == ([3, 3], [7])
    assert inbox.mailbox_id != other.mailbox_id
    assert inbox.uid_validity != other.uid_validity
    assert await refused(lock(store, b"c", "Lists/Postroom")) is Kind.IN_USE
    assert await refused(lock(store, b"d", "inbox")) is Kind.IN_USE
    request = maildrop_pb2.RetrieveRequest(lease_id=other.lease_id, uids=[1])
    pieces = [one async for one in store.maildrop.Retrieve(request, metadata=ticket(store))]
    assert pieces[0].contents == [b"three\r\n"]
    assert await commit(store, other.lease_id, deleted_uids=[1]) == 1
    assert await commit(store, inbox.lease_id, deleted_uids=[2]) == 1
    assert list((await lock(store, b"e")).uids) == [1]
    assert list((await lock(store, b"f", "Lists/Postroom")).uids) == []


async def test_what_is_no_mailbox_is_not_locked(store: Callers) -> None:
    await make(store, "a/b")
    await remove(store, "a")  # a name with inferiors stays, and holds nothing
    assert await refused(lock(store, b"1", "nothing")) is Kind.NOT_FOUND
    assert await refused(lock(store, b"2", "a")) is Kind.NOT_FOUND
    for name in ("a//b", "/a", "a\x00", "x" * 5000):
        assert await refused(lock(store, b"3", name)) in (Kind.INVALID, Kind.NOT_FOUND)


async def test_a_mailbox_that_is_removed_ends_as_it_can(store: Callers) -> None:
    await make(store, "Gone")
    await fill(store, "Gone", b"1\r\n")
    locked = await lock(store, b"a", "Gone")
    await remove(store, "Gone")
    assert await commit(store, locked.lease_id, deleted_uids=[1]) == 0


async def test_what_was_retrieved_is_seen_and_what_is_seen_expires(store: Callers) -> None:
    await fill(store, "INBOX", b"1\r\n", b"2\r\n", b"3\r\n")
    locked = await lock(store, b"a")
    assert await commit(store, locked.lease_id, retrieved_uids=[1, 3]) == 0
    assert await flags(store) == {1: 1, 2: 0, 3: 1}
    # Nothing is old enough.
    locked = await lock(store, b"b")
    before = int(time.time()) - 86_400
    assert await commit(store, locked.lease_id, expire_before=before) == 0
    # All is; what nobody has read stays.
    locked = await lock(store, b"c")
    before = int(time.time()) + 60
    assert await commit(store, locked.lease_id, deleted_uids=[3], expire_before=before) == 2
    assert await flags(store) == {2: 0}
    # What is read and old in one session goes at its end.
    locked = await lock(store, b"d")
    assert await commit(store, locked.lease_id, retrieved_uids=[2], expire_before=before) == 1
    assert await flags(store) == {}


def test_open_sessions_keep_their_leases_when_the_tables_change(database_url: str) -> None:
    engine = open_engine(database_url, 1)
    config = Config()
    config.set_main_option("script_location", "postroom_store:migrations")
    mailbox: dict[str, object] = dict.fromkeys(tables.mailboxes.c.keys(), 0)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0012-1")
        mailbox |= {"account_id": ANN, "mailbox_id": 5, "name": "INBOX", "selectable": True}
        mailbox |= {"keywords": ""}
        connection.execute(sa.insert(tables.mailboxes).values(mailbox))
        old = sa.table("leases", *map(sa.column, ("account_id", "lease_id", "expires_at")))
        connection.execute(sa.insert(old).values(account_id=ANN, lease_id=b"lease", expires_at=9))
        command.upgrade(config, "head")
        assert maildrop.find(connection, ANN, b"lease") == 5
    engine.dispose()
