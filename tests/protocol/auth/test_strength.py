"""Passwords that are easy to guess are not taken, unless somebody says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from postroom.auth.v1 import account_pb2
from postroom_auth.settings import AuthSettings
from postroom_chassis.errors import Kind, PostroomError

from tests.protocol.auth.house import House, opened

ANN = "ann.example@example.org"
STRONG = "tidal-brisk-mango-velvet"
LEAST: int = AuthSettings.model_fields["password_score"].default


async def refused(attempt: object) -> str:
    with pytest.raises(PostroomError) as error:
        await attempt  # type: ignore[misc]
    assert error.value.kind is Kind.INVALID
    return error.value.message


async def set_password(house: House, password: str, *, accept_weak: bool = False) -> None:
    await house.accounts.SetPassword(
        account_pb2.SetPasswordRequest(address=ANN, password=password, accept_weak=accept_weak)
    )


@pytest.mark.parametrize(
    ("password", "advice"),
    [
        ("password1", "common password"),
        ("qwertyuiop", "common password"),
        ("xyqxyqxyq", "Repeats"),
        ("ann.example1", "Add another word"),
        ("x", "Add another word"),
    ],
)
async def test_a_weak_password_is_refused_and_told_what_to_do(
    certificates: Path, sqlite_url: str, password: str, advice: str
) -> None:
    async with opened(certificates, sqlite_url, password_score=LEAST) as house:
        await house.add_domain("example.org")
        told = await refused(house.add_account(ANN, password))
        assert "too easy to guess" in told
        assert f"{LEAST} is needed" in told
        assert advice in told
        assert "Four words at random" in told
        assert password not in told
        await house.add_account(ANN, STRONG)
        assert "too easy to guess" in await refused(set_password(house, password))
        assert (await house.login(ANN, STRONG)).address == ANN


async def test_an_administrator_may_take_it_all_the_same(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url, password_score=LEAST) as house:
        await house.add_domain("example.org")
        await house.add_account(ANN, "hunter2", accept_weak=True)
        assert (await house.login(ANN, "hunter2")).address == ANN
        await set_password(house, "hunter3", accept_weak=True)
        assert (await house.login(ANN, "hunter3")).address == ANN


async def test_a_long_password_costs_no_more_than_its_beginning(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url, password_score=LEAST) as house:
        await house.add_domain("example.org")
        await house.add_account(ANN, STRONG)
        await set_password(house, STRONG * 42)
        assert (await house.login(ANN, STRONG * 42)).address == ANN
