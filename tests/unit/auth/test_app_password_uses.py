"""When an app password was used last: written once a minute, and not lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from postroom_auth.database import Database, open_engine
from postroom_auth.domain.address import Address, DomainName
from postroom_auth.domain.app_password import Scope, StoredSecret
from postroom_auth.domain.people import DEFAULT_TENANT, NewAccount
from postroom_auth.migrating import migrate
from postroom_auth.sql_app_passwords import SqlAppPasswords
from postroom_auth.sql_registry import SqlRegistry
from postroom_chassis.errors import Kind, PostroomError

ANN = Address.parse("ann@example.org")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counting(Database):
    """A database that counts what is written, and is away for a while."""

    writes = 0
    away = False

    async def write(self, work: Callable[..., Any], *arguments: Any) -> Any:
        if self.away:
            raise PostroomError(Kind.UNAVAILABLE, "away")
        self.writes += 1
        return await super().write(work, *arguments)


@pytest.fixture
async def database(sqlite_url: str) -> AsyncIterator[Counting]:
    opened = Counting(open_engine(sqlite_url, 2), 2)
    try:
        await opened.write(migrate)
        yield opened
    finally:
        opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def kept(database: Counting, clock: Clock) -> SqlAppPasswords:
    """Ann has one."""
    registry = SqlRegistry(database, clock)
    await registry.create_domain(DomainName.parse("example.org"), DEFAULT_TENANT)
    await registry.create_account(NewAccount(ANN, "", 0), "")
    passwords = SqlAppPasswords(database, 5.0, 100, clock, clock)
    await passwords.add(ANN, Scope("phone", ("imap",)), "abcde", "hash")
    database.writes = 0
    return passwords


async def phone(kept: SqlAppPasswords) -> StoredSecret:
    found = await kept.find(1, "abcde")
    assert found is not None
    return found


async def used_at(kept: SqlAppPasswords) -> int:
    return (await kept.list_of(ANN))[0].used_at


async def test_many_sign_ins_within_a_minute_write_once(
    kept: SqlAppPasswords, database: Counting, clock: Clock
) -> None:
    remembered = await phone(kept)
    for secret in (remembered, await phone(kept), remembered):
        for _ in range(5):
            kept.used(secret)
        await kept.write_uses()
        clock.now += 10
    assert (database.writes, await used_at(kept)) == (1, 1000)
    clock.now = 1061
    kept.used(await phone(kept))
    await kept.write_uses()
    assert (database.writes, await used_at(kept)) == (2, 1061)


async def test_what_could_not_be_written_is_written_later(
    kept: SqlAppPasswords, database: Counting, clock: Clock
) -> None:
    kept.used(await phone(kept))
    database.away = True
    with pytest.raises(PostroomError):
        await kept.write_uses()
    database.away = False
    clock.now += 10
    await kept.write_uses()
    assert (database.writes, await used_at(kept)) == (1, 1000)
