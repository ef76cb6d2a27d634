"""Guesses are slowed down; people who know their password are not."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from postroom_chassis import logs
from postroom_chassis.errors import Kind

from tests.protocol.auth.house import House, kind_of, opened

ANN = "ann@example.org"
ELSEWHERE = "198.51.100.7"


async def with_people(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_account(ANN, "secret of ann")
    await house.add_account("bob@example.org", "secret of bob")


@pytest.mark.parametrize("name", [ANN, "nobody@example.org"])
async def test_guesses_for_one_account_must_wait_whether_it_exists_or_not(
    sqlite_house: House, name: str
) -> None:
    await with_people(sqlite_house)
    kinds = [
        await kind_of(sqlite_house.login(name, f"guess {number}", address=f"192.0.2.{number}"))
        for number in range(8)
    ]
    # Five are free; the sixth opens a wait.
    assert kinds == [Kind.UNAUTHENTICATED] * 6 + [Kind.RATE_LIMITED] * 2


async def test_many_guesses_at_once_are_as_many_guesses(sqlite_house: House) -> None:
    await with_people(sqlite_house)
    kinds = await asyncio.gather(
        *(
            kind_of(sqlite_house.login(ANN, f"guess {number}", address=f"192.0.2.{number}"))
            for number in range(40)
        )
    )
    assert kinds.count(Kind.UNAUTHENTICATED) == 6
    assert kinds.count(Kind.RATE_LIMITED) == 34


async def test_a_stranger_does_not_lock_the_owner_out(sqlite_house: House) -> None:
    house = sqlite_house
    await with_people(house)
    await house.login(ANN, "secret of ann")
    for number in range(8):
        await kind_of(house.login(ANN, f"guess {number}", address=ELSEWHERE))
    assert await kind_of(house.login(ANN, "secret of ann", address=ELSEWHERE)) is Kind.RATE_LIMITED
    assert (await house.login(ANN, "secret of ann")).address == ANN


async def test_guesses_from_one_address_must_wait_whatever_the_account(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url, throttle_network_failures=3) as house:
        await with_people(house)
        for number in range(4):
            answer = await kind_of(house.login(f"p{number}@example.org", "x", address=ELSEWHERE))
            assert answer is Kind.UNAUTHENTICATED
        from_there = house.login("bob@example.org", "secret of bob", address=ELSEWHERE)
        assert await kind_of(from_there) is Kind.RATE_LIMITED
        assert (await house.login("bob@example.org", "secret of bob")).address == "bob@example.org"


async def test_an_ipv6_network_is_one_address(certificates: Path, sqlite_url: str) -> None:
    async with opened(certificates, sqlite_url, throttle_network_failures=3) as house:
        await with_people(house)
        for number in range(4):
            await kind_of(
                house.login(f"p{number}@example.org", "x", address=f"2001:db8::{number}:1")
            )
        neighbour = house.login(ANN, "secret of ann", address="2001:db8::9999")
        assert await kind_of(neighbour) is Kind.RATE_LIMITED
        stranger = house.login(ANN, "secret of ann", address="2001:db8:0:1::1")
        assert await kind_of(stranger) is None


async def test_networks_of_ours_are_not_counted(certificates: Path, sqlite_url: str) -> None:
    async with opened(
        certificates,
        sqlite_url,
        throttle_network_failures=0,
        throttle_exempt="198.51.100.0/24, 2001:db8::/32",
    ) as house:
        await with_people(house)
        for address in (ELSEWHERE, "2001:db8:1::1"):
            for number in range(3):
                await kind_of(house.login(f"p{number}@example.org", "x", address=address))
            assert await kind_of(house.login(ANN, "secret of ann", address=address)) is None


async def test_more_sign_ins_than_the_queue_holds_are_put_off(
    certificates: Path, sqlite_url: str
) -> None:
    slow = {"argon2_memory_kib": 65536, "argon2_passes": 2}
    async with opened(certificates, sqlite_url, hash_threads=1, hash_queue=2, **slow) as house:
        kinds = await asyncio.gather(
            *(
                kind_of(house.login(f"p{number}@example.org", "x", address=f"192.0.2.{number}"))
                for number in range(12)
            )
        )
        assert set(kinds) == {Kind.UNAUTHENTICATED, Kind.UNAVAILABLE}


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())

    def events(self, *names: str) -> list[dict[str, object]]:
        read = [json.loads(text) for text in self.texts if text.startswith("{")]
        return [event for event in read if event["event"] in names]


@pytest.fixture
def lines() -> Iterator[Lines]:
    logs.configure("auth", "DEBUG", "json")
    root = logging.getLogger()
    kept = Lines()
    root.handlers = [kept]
    yield kept
    root.handlers = []


async def test_each_login_leaves_one_line_that_tells_no_secret(
    lines: Lines, sqlite_house: House
) -> None:
    await with_people(sqlite_house)
    token = (await sqlite_house.login(ANN, "secret of ann")).token
    await kind_of(sqlite_house.login(ANN, "guess of eve", address=ELSEWHERE))
    await kind_of(sqlite_house.exchange("LOGIN", b"bob@example.org"))
    told = [
        {key: value for key, value in event.items() if key not in {"timestamp", "level"}}
        for event in lines.events("login.succeeded", "login.failed")
    ]
    common = {"protocol": "imap", "tls": "TLSv1.3", "service": "auth"}
    assert told == [
        {
            "event": "login.succeeded",
            "account": ANN,
            "client": "192.0.2.1",
            "mechanism": "PLAIN",
            **common,
        },
        {
            "event": "login.failed",
            "reason": "UNAUTHENTICATED",
            "account": ANN,
            "client": ELSEWHERE,
            "mechanism": "PLAIN",
            **common,
        },
        {
            "event": "login.failed",
            "reason": "INVALID",
            "account": "",
            "client": "192.0.2.1",
            "mechanism": "LOGIN",
            **common,
        },
    ]
    everything = "\n".join(lines.texts)
    assert lines.events("account.created")
    for secret in ("secret of", "guess of", token, "argon2id"):
        assert secret not in everything
