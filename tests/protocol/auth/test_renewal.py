"""Tickets are renewed for as long as the account stays as it was."""

from __future__ import annotations

from pathlib import Path

from postroom.auth.v1 import account_pb2
from postroom_chassis.errors import Kind
from postroom_chassis.tickets import (
    Ticket,
    TicketSigner,
    TicketVerifier,
    read_signing_key,
    read_verification_keys,
)

from tests.protocol.auth.house import House, kind_of

ANN = "ann@example.org"


async def with_ann(house: House) -> str:
    await house.add_domain("example.org")
    await house.add_account(ANN, "first")
    return (await house.login(ANN, "first")).token


async def test_a_ticket_is_renewed_with_the_scope_it_had(house: House, certificates: Path) -> None:
    await with_ann(house)
    token = (await house.login(ANN, "first", caller="pop3", protocol="pop3")).token
    renewed = await house.renew(token)
    verifier = TicketVerifier(read_verification_keys([(certificates / "ticket.pub").read_bytes()]))
    assert verifier.verify(renewed.token).scopes == {"maildrop"}
    assert renewed.address == ANN


async def test_a_changed_quota_is_in_the_next_ticket(house: House) -> None:
    token = await with_ann(house)
    await house.accounts.UpdateAccount(
        account_pb2.UpdateAccountRequest(address=ANN, quota_bytes=777)
    )
    assert (await house.renew(token)).quota_bytes == 777


async def test_a_new_password_ends_renewal_and_the_old_password(house: House) -> None:
    token = await with_ann(house)
    await house.accounts.SetPassword(account_pb2.SetPasswordRequest(address=ANN, password="second"))
    assert await kind_of(house.renew(token)) is Kind.UNAUTHENTICATED
    assert await kind_of(house.login(ANN, "first")) is Kind.UNAUTHENTICATED
    fresh = await house.login(ANN, "second")
    assert (await house.renew(fresh.token)).address == ANN


async def test_a_disabled_account_gets_nothing_until_it_is_enabled(house: House) -> None:
    token = await with_ann(house)
    for disabled in (True, False):
        await house.accounts.UpdateAccount(
            account_pb2.UpdateAccountRequest(address=ANN, disabled=disabled)
        )
        if disabled:
            assert await kind_of(house.renew(token)) is Kind.UNAUTHENTICATED
            assert await kind_of(house.login(ANN, "first")) is Kind.UNAUTHENTICATED
    assert (await house.renew(token)).address == ANN
    assert (await house.login(ANN, "first")).address == ANN


async def test_a_deleted_account_is_gone_and_its_successor_is_another(house: House) -> None:
    token = await with_ann(house)
    gone = await house.accounts.DeleteAccount(account_pb2.DeleteAccountRequest(address=ANN))
    assert await kind_of(house.renew(token)) is Kind.UNAUTHENTICATED
    successor = await house.add_account(ANN, "first")
    assert successor.account_id != gone.account_id
    assert await kind_of(house.renew(token)) is Kind.UNAUTHENTICATED


async def test_tickets_of_others_and_old_ones_are_not_renewed(
    sqlite_house: House, certificates: Path
) -> None:
    await with_ann(sqlite_house)
    signer = TicketSigner(read_signing_key((certificates / "ticket.key").read_bytes()))
    old = signer.sign(Ticket(1, ANN, frozenset({"mail"}), 1_000_000, credential=1))
    assert await kind_of(sqlite_house.renew(old)) is Kind.EXPIRED
    for token in ("", "a.b.c", "x" * 100_000):
        assert await kind_of(sqlite_house.renew(token)) is Kind.UNAUTHENTICATED
