"""Locks, failures that several replicas count together, and what a stranger can learn: nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from postroom.auth.v1 import account_pb2, credential_pb2
from postroom_auth.domain.app_password import compact, generate
from postroom_auth.domain.password import Password
from postroom_chassis.errors import Kind, PostroomError
from prometheus_client import REGISTRY

from tests.protocol.auth.house import House, kind_of, opened, until

ANN = "ann@example.org"
ELSEWHERE = "198.51.100.7"


async def with_ann(house: House) -> House:
    await house.add_domain("example.org")
    await house.add_account(ANN, "secret of ann")
    return house


async def guess(house: House, number: int, address: str = "") -> Kind | None:
    return await kind_of(
        house.login(ANN, f"guess {number}", address=address or f"192.0.2.{number}")
    )


async def lock(house: House, until: int = 0) -> credential_pb2.AccountStanding:
    request = credential_pb2.LockAccountRequest(address=ANN, until=until)
    return await house.accounts.LockAccount(request)


async def unlock(house: House) -> credential_pb2.AccountStanding:
    return await house.accounts.UnlockAccount(credential_pb2.UnlockAccountRequest(address=ANN))


async def standing(house: House) -> credential_pb2.AccountStanding:
    request = credential_pb2.GetAccountStandingRequest(address=ANN)
    return await house.accounts.GetAccountStanding(request)


async def test_an_administrator_locks_and_unlocks(house: House) -> None:
    await with_ann(house)
    token = (await house.login(ANN, "secret of ann")).token
    locked = await lock(house)
    assert (locked.locked, locked.locked_until, locked.disabled) == (True, 0, False)
    assert await kind_of(house.login(ANN, "secret of ann")) is Kind.UNAUTHENTICATED
    assert await kind_of(house.renew(token)) is Kind.UNAUTHENTICATED
    assert not (await unlock(house)).locked
    assert (await house.login(ANN, "secret of ann")).address == ANN
    assert (await house.renew(token)).address == ANN


async def test_a_lock_is_lifted_by_time(certificates: Path, sqlite_url: str) -> None:
    async with opened(certificates, sqlite_url, directory_seconds=0) as house:
        await with_ann(house)
        end = int(time.time()) + 2
        assert (await lock(house, end)).locked_until == end
        assert (await standing(house)).locked
        await until(lambda: standing(house), lambda found: not found.locked)
        assert (await house.login(ANN, "secret of ann")).address == ANN


async def test_what_can_not_be_locked(sqlite_house: House) -> None:
    assert await kind_of(lock(sqlite_house)) is Kind.NOT_FOUND
    await with_ann(sqlite_house)
    assert await kind_of(lock(sqlite_house, 1)) is Kind.INVALID


@asynccontextmanager
async def replicas(
    certificates: Path, database_url: str, **changes: Any
) -> AsyncIterator[tuple[House, House]]:
    async with (
        opened(certificates, database_url, **changes) as one,
        opened(certificates, database_url, **changes) as other,
    ):
        yield await with_ann(one), other


async def test_guesses_spread_over_replicas_are_as_many(
    certificates: Path, database_url: str
) -> None:
    async with replicas(certificates, database_url) as (one, other):
        kinds = [await guess(house, n) for n, house in enumerate([one, other] * 4, 1)]
        # Five are free; the sixth opens a wait that the test is far too fast to outlast.
        assert kinds == [Kind.UNAUTHENTICATED] * 6 + [Kind.RATE_LIMITED] * 2


async def test_a_storm_of_guesses_at_both_replicas_is_few_guesses(
    certificates: Path, database_url: str
) -> None:
    async with replicas(certificates, database_url) as (one, other):
        kinds = await asyncio.gather(
            *(guess(house, number) for number in range(1, 100) for house in (one, other))
        )
        assert set(kinds) == {Kind.UNAUTHENTICATED, Kind.RATE_LIMITED}
        # What is under way is counted by each replica: five are free, and one opens a wait.
        assert kinds.count(Kind.UNAUTHENTICATED) <= 12
        for house in (one, other):
            assert await guess(house, 200) is Kind.RATE_LIMITED


async def test_storms_on_many_accounts_from_few_networks_wait_for_each_other_in_one_order(
    certificates: Path, database_url: str
) -> None:
    async with replicas(certificates, database_url, throttle_network_failures=1000) as (one, other):
        kinds = await asyncio.gather(
            *(
                kind_of(house.login(f"p{number % 7}@example.org", "x", address=f"192.0.2.{n}"))
                for number in range(30)
                for n in (1, 2)
                for house in (one, other)
            )
        )
        assert set(kinds) <= {Kind.UNAUTHENTICATED, Kind.RATE_LIMITED}


async def test_a_network_is_counted_by_all_replicas(certificates: Path, database_url: str) -> None:
    async with replicas(certificates, database_url, throttle_network_failures=3) as (one, other):
        for number, house in enumerate((one, other, one, other)):
            attempt = house.login(f"p{number}@example.org", "x", address=ELSEWHERE)
            assert await kind_of(attempt) is Kind.UNAUTHENTICATED
        for house in (one, other):
            attempt = house.login(ANN, "secret of ann", address=ELSEWHERE)
            assert await kind_of(attempt) is Kind.RATE_LIMITED
            assert (await house.login(ANN, "secret of ann")).address == ANN


async def test_very_many_failures_lock_until_an_administrator_lifts_it(
    certificates: Path, database_url: str
) -> None:
    changes = {"throttle_account_failures": 100, "lock_failures": 4}
    async with replicas(certificates, database_url, **changes) as (one, other):
        for number, house in enumerate((one, other, one, other), 1):
            assert await guess(house, number) is Kind.UNAUTHENTICATED
        for house in (one, other):
            with pytest.raises(PostroomError) as refused:
                await house.login(ANN, "secret of ann", address=ELSEWHERE)
            assert refused.value.kind is Kind.RATE_LIMITED
        found = await standing(other)
        assert (found.failures, found.locked_by_failures, found.locked) == (4, True, False)
        assert found.waits_until > time.time() + 80_000
        unlocked = await unlock(one)
        assert (unlocked.failures, unlocked.locked_by_failures, unlocked.waits_until) == (
            0,
            False,
            0,
        )
        for house in (one, other):
            await until(
                lambda house=house: kind_of(house.login(ANN, "secret of ann", address=ELSEWHERE)),
                lambda kind: kind is None,
            )


async def test_an_owner_known_to_one_replica_is_known_to_the_others(
    certificates: Path, database_url: str
) -> None:
    async with replicas(certificates, database_url) as (one, other):
        await one.login(ANN, "secret of ann", address=ELSEWHERE)
        await until(lambda: standing(one), lambda found: found.HasField("last_success"))
        for number in range(1, 8):
            await guess(other, number)
        assert await guess(other, 9) is Kind.RATE_LIMITED
        assert (await other.login(ANN, "secret of ann", address=ELSEWHERE)).address == ANN


async def test_a_change_by_one_replica_ends_renewal_by_another(
    certificates: Path, database_url: str
) -> None:
    async with replicas(certificates, database_url, directory_seconds=0.2) as (one, other):
        token = (await other.login(ANN, "secret of ann")).token
        assert (await other.renew(token)).renew_seconds == 50
        await one.accounts.SetPassword(
            account_pb2.SetPasswordRequest(address=ANN, password="another")
        )
        await until(lambda: kind_of(other.renew(token)), lambda kind: kind is Kind.UNAUTHENTICATED)


class Flow:
    """What a check asks the database and computes."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.hashes = 0.0

    @asynccontextmanager
    async def recorded(self) -> AsyncIterator[None]:
        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            # The audit is written by a task of its own: whose batch an entry is in says nothing.
            if "INTO audit" not in statement and not statement.startswith(("BEGIN", "PRAGMA")):
                self.statements.append(statement)

        before = hashes()
        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            yield
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", note)
            self.hashes = hashes() - before


def hashes() -> float:
    return REGISTRY.get_sample_value("postroom_auth_hash_seconds_count") or 0.0


@pytest.mark.parametrize("shape", ["own password", "app password"])
async def test_an_unknown_name_and_a_wrong_password_are_one_flow(
    certificates: Path, database_url: str, shape: str
) -> None:
    """Not by the clock: the same statements, the same number of hashes, the same answer."""
    async with opened(certificates, database_url, directory_seconds=0) as house:
        await with_ann(house)
        for name in ("bob", "eve", "zoe", "kim"):
            await house.add_account(f"{name}@example.org", "" if name == "eve" else "secret")
        change = account_pb2.UpdateAccountRequest
        await house.accounts.UpdateAccount(change(address="bob@example.org", disabled=True))
        await house.accounts.UpdateAccount(
            change(address="kim@example.org", app_passwords_only=True)
        )
        await house.accounts.LockAccount(
            credential_pb2.LockAccountRequest(address="zoe@example.org")
        )
        request = credential_pb2.CreateAppPasswordRequest(
            address=ANN, name="phone", protocols=["pop3"]
        )
        phone = (await house.accounts.CreateAppPassword(request)).password
        if shape == "own password":
            tries = [
                (ANN, "wrong"),
                ("nobody@example.org", "wrong"),
                ("nobody@elsewhere.example", "wrong"),
                ("bob@example.org", "secret"),
                ("eve@example.org", "wrong"),
                ("zoe@example.org", "secret"),
                ("kim@example.org", "secret"),
            ]
        else:
            tries = [
                (ANN, generate()),
                ("nobody@example.org", generate()),
                (ANN, phone[:-5] + "aaaaa"),
                (ANN, phone),  # it is not for IMAP
                ("bob@example.org", generate()),
                ("kim@example.org", generate()),
            ]
        flows = []
        for number, (name, password) in enumerate(tries, 1):
            flow = Flow()
            async with flow.recorded():
                with pytest.raises(PostroomError) as refused:
                    await house.login(name, password, address=f"192.0.2.{number}")
            error = refused.value
            flows.append((sorted(flow.statements), flow.hashes, error.kind, error.message))
        for tried, flow in zip(tries, flows, strict=True):
            assert flow == flows[0], tried
        statements, computed, kind, message = flows[0]
        assert (computed, kind) == (1.0, Kind.UNAUTHENTICATED)
        assert message == "the name or the password is wrong"
        assert len(statements) == (4 if shape == "own password" else 5)


async def test_refusals_for_too_many_failures_are_one_for_everybody(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url) as house:
        await with_ann(house)
        told = []
        for start, name in enumerate((ANN, "nobody@example.org")):
            texts = set()
            for number in range(8):
                with pytest.raises(PostroomError) as refused:
                    await house.login(name, "x", address=f"192.0.2.{start * 100 + number}")
                texts.add((refused.value.kind, refused.value.message))
            told.append(texts)
        assert told[0] == told[1]


def test_a_generated_password_has_the_form_by_which_it_is_known() -> None:
    for _ in range(100):
        assert compact(Password.prepare(generate())) is not None
    for other in ("correct horse", "abcde-" * 5, "abcde-" * 7, "lllll-" * 6):
        assert compact(Password.prepare(other)) is None
