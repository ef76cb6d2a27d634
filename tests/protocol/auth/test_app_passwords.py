"""App passwords: what they open, where, and until when."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from postroom.auth.v1 import account_pb2, credential_pb2
from postroom_chassis.errors import Kind
from prometheus_client import REGISTRY

from tests.protocol.auth.house import House, kind_of, opened, until

ANN = "ann@example.org"


async def with_ann(house: House) -> House:
    await house.add_domain("example.org")
    await house.add_account(ANN, "own secret")
    return house


async def add(house: House, name: str = "phone", **fields: Any) -> str:
    fields = {"protocols": ["imap", "smtp"], **fields}
    request = credential_pb2.CreateAppPasswordRequest(address=ANN, name=name, **fields)
    return (await house.accounts.CreateAppPassword(request)).password


async def listed(house: House) -> list[credential_pb2.AppPassword]:
    request = credential_pb2.ListAppPasswordsRequest(address=ANN)
    return list((await house.accounts.ListAppPasswords(request)).app_passwords)


async def revoke(house: House, name: str = "") -> int:
    request = credential_pb2.RevokeAppPasswordRequest(address=ANN, name=name)
    if not name:
        request.all = True
    return (await house.accounts.RevokeAppPassword(request)).revoked


def computed() -> float:
    return (
        REGISTRY.get_sample_value("postroom_auth_password_checks_total", {"how": "computed"}) or 0.0
    )


async def test_it_opens_what_it_was_made_for_beside_the_own_password(house: House) -> None:
    await with_ann(house)
    phone = await add(house)
    assert (await house.login(ANN, phone)).address == ANN
    assert (await house.login(ANN, "own secret")).address == ANN
    challenges, ticket = await house.exchange("LOGIN", ANN.encode(), phone.encode())
    assert (len(challenges), ticket.address) == (2, ANN)
    smtp = {"protocol": "smtp", "caller": "smtp"}
    assert (await house.login(ANN, phone, **smtp)).address == ANN
    pop3 = {"protocol": "pop3", "caller": "pop3"}
    assert await kind_of(house.login(ANN, phone, **pop3)) is Kind.UNAUTHENTICATED
    assert (await house.login(ANN, "own secret", **pop3)).address == ANN


async def test_grouping_and_case_are_for_readers(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    phone = await add(house)
    for typed in (phone.replace("-", ""), phone.replace("-", " "), phone.upper(), f" {phone} "):
        assert (await house.login(ANN, typed)).address == ANN


async def test_it_is_good_in_its_networks_alone(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    scanner = await add(house, networks=["192.0.2.0/24", "2001:db8::/32"])
    for address in ("192.0.2.77", "::ffff:192.0.2.77", "2001:db8:1::1"):
        assert await kind_of(house.login(ANN, scanner, address=address)) is None
    for address in ("198.51.100.1", "2001:db9::1"):
        answer = await kind_of(house.login(ANN, scanner, address=address))
        assert answer is Kind.UNAUTHENTICATED


async def test_it_ends_at_its_time_and_so_do_its_sessions(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    guest = await add(house, expires_at=int(time.time()) + 2)
    token = (await house.login(ANN, guest)).token
    assert (await house.renew(token)).address == ANN
    await until(lambda: kind_of(house.renew(token)), lambda kind: kind is Kind.UNAUTHENTICATED)
    assert await kind_of(house.login(ANN, guest)) is Kind.UNAUTHENTICATED


async def test_a_revoked_one_opens_nothing_and_its_ticket_dies_with_it(house: House) -> None:
    await with_ann(house)
    phone, tablet = await add(house), await add(house, "tablet")
    tokens = [(await house.login(ANN, one)).token for one in (phone, tablet, "own secret")]
    assert await revoke(house, "phone") == 1
    assert await kind_of(house.renew(tokens[0])) is Kind.UNAUTHENTICATED
    assert await kind_of(house.login(ANN, phone)) is Kind.UNAUTHENTICATED
    for token in tokens[1:]:
        assert (await house.renew(token)).address == ANN
    assert await revoke(house) == 1
    assert await kind_of(house.login(ANN, tablet)) is Kind.UNAUTHENTICATED
    assert await kind_of(house.renew(tokens[1])) is Kind.UNAUTHENTICATED
    assert (await house.login(ANN, "own secret")).address == ANN


async def test_a_renewed_ticket_still_hangs_on_it(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    token = (await house.login(ANN, await add(house))).token
    renewed = await house.renew((await house.renew(token)).token)
    await revoke(house, "phone")
    assert await kind_of(house.renew(renewed.token)) is Kind.UNAUTHENTICATED


async def test_a_new_own_password_leaves_it_alone_and_disabling_does_not(
    sqlite_house: House,
) -> None:
    house = await with_ann(sqlite_house)
    phone = await add(house)
    token = (await house.login(ANN, phone)).token
    await house.accounts.SetPassword(account_pb2.SetPasswordRequest(address=ANN, password="other"))
    assert (await house.renew(token)).address == ANN
    assert (await house.login(ANN, phone)).address == ANN
    await house.accounts.UpdateAccount(account_pb2.UpdateAccountRequest(address=ANN, disabled=True))
    assert await kind_of(house.renew(token)) is Kind.UNAUTHENTICATED
    assert await kind_of(house.login(ANN, phone)) is Kind.UNAUTHENTICATED


async def test_an_account_may_take_app_passwords_alone(house: House) -> None:
    await with_ann(house)
    phone = await add(house)
    assert (await house.login(ANN, "own secret")).address == ANN
    for only in (True, False):
        changed = await house.accounts.UpdateAccount(
            account_pb2.UpdateAccountRequest(address=ANN, app_passwords_only=only)
        )
        assert changed.app_passwords_only is only
        answer = Kind.UNAUTHENTICATED if only else None
        assert await kind_of(house.login(ANN, "own secret")) is answer
        assert (await house.login(ANN, phone)).address == ANN


async def test_sessions_of_the_own_password_end_when_it_opens_nothing_more(house: House) -> None:
    await with_ann(house)
    phone, own = await house.login(ANN, await add(house)), await house.login(ANN, "own secret")
    only = account_pb2.UpdateAccountRequest(address=ANN, app_passwords_only=True)
    await house.accounts.UpdateAccount(only)
    assert await kind_of(house.renew(own.token)) is Kind.UNAUTHENTICATED
    assert (await house.renew(phone.token)).address == ANN
    # Whoever gets in by something else stays in when it is said once more.
    signed_in = await house.exchange("EXTERNAL", initial=b"", certificate_names=[ANN])
    await house.accounts.UpdateAccount(only)
    assert (await house.renew(signed_in[1].token)).address == ANN


async def test_many_of_them_cost_one_hash(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    texts = [await add(house, f"device {number}") for number in range(20)]
    before = computed()
    await house.login(ANN, texts[7])
    assert computed() - before == 1
    await house.login(ANN, texts[7])
    assert computed() - before == 1
    wrong = texts[7][:-1] + ("a" if texts[7][-1] != "a" else "b")
    assert await kind_of(house.login(ANN, wrong)) is Kind.UNAUTHENTICATED
    assert computed() - before == 2


async def test_all_devices_may_come_back_at_one_moment(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    texts = [await add(house, f"device {number}") for number in range(20)]
    tickets = await asyncio.gather(*(house.login(ANN, text) for text in texts))
    assert {ticket.address for ticket in tickets} == {ANN}


async def test_many_sign_ins_at_one_moment_share_one_hash(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    phone = await add(house)
    before = computed()
    tickets = await asyncio.gather(*(house.login(ANN, phone) for _ in range(10)))
    assert [ticket.address for ticket in tickets] == [ANN] * 10
    assert computed() - before == 1


async def test_guesses_of_it_are_counted(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    phone = await add(house)
    kinds = [
        await kind_of(house.login(ANN, phone[:-5] + f"{n}" * 5, address=f"192.0.2.{n}"))
        for n in range(2, 9)
    ]
    assert kinds == [Kind.UNAUTHENTICATED] * 6 + [Kind.RATE_LIMITED]


async def test_another_account_has_nothing_of_it(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    await house.add_account("bob@example.org", "secret of bob")
    phone = await add(house)
    assert await kind_of(house.login("bob@example.org", phone)) is Kind.UNAUTHENTICATED


async def test_lists_tell_all_but_the_secret_and_when_it_was_used(
    certificates: Path, database_url: str
) -> None:
    async with opened(certificates, database_url) as house:
        await with_ann(house)
        await add(house, "tablet", protocols=["pop3"], networks=["192.0.2.0/24"])
        phone = await add(house)
        await house.login(ANN, phone)
    async with opened(certificates, database_url) as house:
        found = await listed(house)
        assert [(one.name, list(one.protocols), list(one.networks)) for one in found] == [
            ("phone", ["imap", "smtp"], []),
            ("tablet", ["pop3"], ["192.0.2.0/24"]),
        ]
        assert abs(found[0].used_at - time.time()) < 60
        assert found[1].used_at == 0
        assert phone not in str(found)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"protocols": []}, Kind.INVALID),
        ({"protocols": ["gopher"]}, Kind.INVALID),
        ({"networks": ["192.0.2.1/24"]}, Kind.INVALID),
        ({"networks": ["example.org"]}, Kind.INVALID),
        ({"networks": [f"192.0.2.{n}" for n in range(33)]}, Kind.INVALID),
        ({"expires_at": 1}, Kind.INVALID),
        ({"expires_at": -1}, Kind.INVALID),
        ({"name": ""}, Kind.INVALID),
        ({"name": "new\nline"}, Kind.INVALID),
        ({"name": "phone"}, Kind.ALREADY_EXISTS),
    ],
)
async def test_what_can_not_be_is_refused(
    sqlite_house: House, fields: dict[str, Any], kind: Kind
) -> None:
    house = await with_ann(sqlite_house)
    await add(house)
    assert await kind_of(add(house, **{"name": "other", **fields})) is kind
    assert len(await listed(house)) == 1


async def test_an_account_has_a_hundred_at_most(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    await asyncio.gather(*(add(house, f"device {number}") for number in range(100)))
    assert await kind_of(add(house)) is Kind.CONFLICT


async def test_its_hash_is_made_anew_when_parameters_rise(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url) as house:
        await with_ann(house)
        phone = await add(house)
    async with opened(certificates, sqlite_url, argon2_passes=2) as house:
        for text in (phone, "own secret"):
            assert (await house.login(ANN, text)).address == ANN
    # Whoever closed the service has waited for the new hashes.
    async with opened(certificates, sqlite_url, argon2_passes=2) as house:
        for text in (phone, "own secret"):
            assert (await house.login(ANN, text)).address == ANN
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        hashes = [
            *database.execute("SELECT secret_hash FROM app_passwords"),
            *database.execute("SELECT password_hash FROM credentials"),
        ]
    assert [",t=2," in text for (text,) in hashes] == [True, True]
