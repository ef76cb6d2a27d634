"""Every success and failure is kept, with no secret in it, and holds nobody up."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from postroom.auth.v1 import account_pb2, credential_pb2
from postroom_auth.auditing import QUEUE, AuditTrail, folded
from postroom_auth.database import Database, open_engine
from postroom_auth.domain.auditing import SUCCEEDED, AuditEntry, Wanted
from postroom_auth.domain.throttle import Pace
from postroom_auth.housekeeping import Housekeeping
from postroom_auth.migrating import migrate
from postroom_auth.sql_audit import SqlAudit
from postroom_auth.sql_failures import SqlFailures
from postroom_chassis.errors import Kind, PostroomError

from tests.protocol.auth.house import House, opened, until

ANN = "ann@example.org"
ELSEWHERE = "198.51.100.7"
PACE = Pace(free=1, first=1.0, most=1.0, memory=1.0, subjects=10)
FAILED = credential_pb2.ListAuditRequest.OUTCOME_FAILED
SUCCESSES = credential_pb2.ListAuditRequest.OUTCOME_SUCCEEDED


async def failing(attempt: object) -> None:
    with pytest.raises(PostroomError):
        await attempt  # type: ignore[misc]


async def audit(house: House, **fields: Any) -> list[credential_pb2.AuditEntry]:
    request = credential_pb2.ListAuditRequest(**fields)
    return list((await house.accounts.ListAudit(request)).entries)


async def with_history(house: House) -> str:
    """Ann signs in, with her password and with an app password, and others fail."""
    await house.add_domain("example.org")
    await house.add_account(ANN, "secret of ann")
    request = credential_pb2.CreateAppPasswordRequest(address=ANN, name="phone", protocols=["imap"])
    phone = (await house.accounts.CreateAppPassword(request)).password
    await house.login(ANN, "secret of ann")
    await failing(house.login(ANN, "guess of eve", address=ELSEWHERE))
    await house.login(ANN, phone, address="2001:db8::1")
    await failing(house.login(ANN, phone, protocol="pop3", caller="pop3"))
    await failing(house.login("not an address", "secret of ann", address=ELSEWHERE))
    return phone


async def test_it_tells_who_how_from_where_and_through_which_front(house: House) -> None:
    phone = await with_history(house)
    entries = await until(lambda: audit(house), lambda found: len(found) == 5)
    assert [
        (one.account, one.outcome, one.why, one.front, one.credential, one.client)
        for one in reversed(entries)
    ] == [
        (ANN, "OK", "", "imap", "password", "192.0.2.1"),
        (ANN, "UNAUTHENTICATED", "", "imap", "password", ELSEWHERE),
        (ANN, "OK", "", "imap", "app:phone", "2001:db8::1"),
        (ANN, "UNAUTHENTICATED", "protocol", "pop3", "app:phone", "192.0.2.1"),
        ("", "UNAUTHENTICATED", "", "imap", "password", ELSEWHERE),
    ]
    assert {(one.mechanism, one.tls_version, one.times) for one in entries} == {
        ("PLAIN", "TLSv1.3", 1)
    }
    assert all(abs(one.at_ms / 1000 - time.time()) < 60 for one in entries)
    told = str(entries)
    for secret in ("secret of", "guess of", phone, "argon2"):
        assert secret not in told


async def test_it_tells_why_where_the_client_is_not_told(sqlite_house: House) -> None:
    house = sqlite_house
    phone = await with_history(house)
    request = credential_pb2.CreateAppPasswordRequest(
        address=ANN, name="scanner", protocols=["imap"], networks=["203.0.113.0/24"]
    )
    scanner = (await house.accounts.CreateAppPassword(request)).password
    await failing(house.login(ANN, scanner))
    await house.accounts.UpdateAccount(
        account_pb2.UpdateAccountRequest(address=ANN, app_passwords_only=True)
    )
    await failing(house.login(ANN, "secret of ann"))
    await house.accounts.LockAccount(credential_pb2.LockAccountRequest(address=ANN))
    await failing(house.login(ANN, phone))
    entries = await until(lambda: audit(house), lambda found: len(found) == 8)
    assert [(one.credential, one.why) for one in entries[:3]] == [
        ("app:phone", "disabled or locked"),
        ("password", "app passwords only"),
        ("app:scanner", "network"),
    ]


async def test_it_is_filtered_and_comes_in_pages(house: House) -> None:
    await with_history(house)
    await until(lambda: audit(house), lambda found: len(found) == 5)
    assert len(await audit(house, account=ANN)) == 4
    assert len(await audit(house, account="ANN@example.ORG", outcome=FAILED)) == 2
    assert len(await audit(house, outcome=SUCCESSES)) == 2
    assert len(await audit(house, network=ELSEWHERE)) == 2
    assert len(await audit(house, network="192.0.2.0/24")) == 2
    assert len(await audit(house, network="2001:db8::/32")) == 1
    assert len(await audit(house, network="0.0.0.0/0")) == 4
    assert len(await audit(house, since=int(time.time()) + 100)) == 0
    token, seen = "", []
    while True:
        request = credential_pb2.ListAuditRequest(page_size=2, page_token=token)
        page = await house.accounts.ListAudit(request)
        seen += [one.entry_id for one in page.entries]
        if not (token := page.next_page_token):
            break
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"network": "example.org"},
        {"account": "ann"},
        {"page_token": "x"},
        {"page_token": "9" * 30},
        {"page_size": 1001},
    ],
)
async def test_what_can_not_be_asked_is_told(sqlite_house: House, fields: dict[str, Any]) -> None:
    with pytest.raises(PostroomError) as error:
        await audit(sqlite_house, **fields)
    assert error.value.kind is Kind.INVALID


def entry(number: int = 0, at: int = 1) -> AuditEntry:
    return AuditEntry(
        *(at, f"p{number}@example.org", SUCCEEDED, "", "imap", "imap", "PLAIN", "password"),
        *("192.0.2.1", "192.0.2.1", "TLSv1.3"),
    )


def test_a_flood_of_alike_entries_is_one() -> None:
    entries = [entry(1, at) for at in range(5)] + [entry(2)]
    assert [(one.account, one.at, one.times) for one in folded(entries)] == [
        ("p1@example.org", 0, 5),
        ("p2@example.org", 1, 1),
    ]


class Away:
    """An audit whose database is away for a while."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.asked = asyncio.Event()
        self.written: list[AuditEntry] = []

    async def write(self, entries: list[AuditEntry]) -> None:
        self.asked.set()
        if not self.there.is_set():
            raise PostroomError(Kind.UNAVAILABLE, "away")
        self.written += entries

    async def nothing(self) -> None:
        """Nothing is written lazily with it."""


async def test_a_database_that_is_away_holds_nobody_up_and_gets_it_later() -> None:
    away = Away()
    trail = AuditTrail(away, away.nothing)
    trail.record(entry(1))
    await asyncio.wait_for(away.asked.wait(), 10)
    for number in range(2, QUEUE + 100):
        trail.record(entry(number))
    away.there.set()
    await trail.close()
    assert len(away.written) == QUEUE
    assert away.written[0] == entry(1)


class Slow(Away):
    """An audit that has an entry before it says so, as a database has."""

    async def write(self, entries: list[AuditEntry]) -> None:
        self.written += entries
        self.asked.set()
        await self.there.wait()


async def test_who_closes_it_while_it_is_written_gets_nothing_twice() -> None:
    slow = Slow()
    trail = AuditTrail(slow, slow.nothing)
    trail.record(entry(1))
    await asyncio.wait_for(slow.asked.wait(), 10)
    trail.record(entry(2))
    closing = asyncio.create_task(trail.close())
    await asyncio.sleep(0)
    slow.there.set()
    await closing
    assert slow.written == [entry(1), entry(2)]


async def test_sign_ins_succeed_while_the_audit_can_not_be_written(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url) as house:
        await house.add_domain("example.org")
        await house.add_account(ANN, "secret of ann")
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
            database.execute("ALTER TABLE audit RENAME TO elsewhere")
        for _ in range(3):
            assert (await house.login(ANN, "secret of ann")).address == ANN
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
            database.execute("ALTER TABLE elsewhere RENAME TO audit")
        await until(lambda: audit(house), lambda found: sum(one.times for one in found) == 3)


async def test_old_entries_go_and_so_do_the_oldest_of_too_many(database_url: str) -> None:
    database = Database(open_engine(database_url, 2), 2)
    await database.write(migrate)
    kept = SqlAudit(database)
    await kept.write([entry(number, at=number * 1000) for number in range(10)])
    keeping = Housekeeping(kept, SqlFailures(database), 7.0, 1_000, PACE, lambda: 10.0)
    await keeping.clean()
    assert [one.at for one in await kept.read(Wanted(), 100)] == [*range(9000, 2000, -1000)]
    await keeping.close()
    fewer = Housekeeping(kept, SqlFailures(database), 7.0, 3, PACE, lambda: 10.0)
    await fewer.clean()
    assert [one.at for one in await kept.read(Wanted(), 100)] == [9000, 8000, 7000]
    await fewer.close()
    database.close()
