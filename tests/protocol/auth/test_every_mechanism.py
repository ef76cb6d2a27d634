"""Locks, accounts that take app passwords alone, and the audit: whatever the mechanism."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from postroom.auth.v1 import account_pb2, authentication_pb2, credential_pb2
from postroom_chassis.errors import Kind

from tests.harness.scram import ScramClient
from tests.protocol.auth import test_secrets
from tests.protocol.auth.house import House, kind_of, opened, refused, until
from tests.protocol.auth.test_audit import audit

ANN = "ann@example.org"
SECRET = "own secret"
SEEN = bytes(range(32))

SignIn = Callable[[House], Awaitable[authentication_pb2.Ticket]]


def by_scram(mechanism: str) -> SignIn:
    end_point = SEEN if mechanism.endswith("-PLUS") else b""

    async def sign_in(house: House) -> authentication_pb2.Ticket:
        return await house.scram(ScramClient(mechanism, ANN, SECRET, SEEN), end_point=end_point)

    return sign_in


async def by_plain(house: House) -> authentication_pb2.Ticket:
    return await house.login(ANN, SECRET)


async def by_login(house: House) -> authentication_pb2.Ticket:
    return (await house.exchange("LOGIN", ANN.encode(), SECRET.encode()))[1]


async def by_certificate(house: House) -> authentication_pb2.Ticket:
    return (await house.exchange("EXTERNAL", initial=b"", certificate_names=[ANN]))[1]


OWN_PASSWORD: dict[str, SignIn] = {
    "PLAIN": by_plain,
    "LOGIN": by_login,
    **{
        mechanism: by_scram(mechanism)
        for mechanism in (
            *("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"),
            *("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"),
        )
    },
}


async def by_cram_md5(house: House) -> authentication_pb2.Ticket:
    _, text = await test_secrets.add(house, "cram-md5")
    return await test_secrets.cram(house, ANN, text)


async def by_apop(house: House) -> authentication_pb2.Ticket:
    _, text = await test_secrets.add(house, "apop")
    return (await test_secrets.sign_in(house, "X-APOP", test_secrets.apop(ANN, text))).ticket


async def by_rpop(house: House) -> authentication_pb2.Ticket:
    _, text = await test_secrets.add(house, "rpop", "192.0.2.0/24")
    return (await test_secrets.sign_in(house, "X-RPOP", f"{ANN}\0{text}".encode())).ticket


OTHERS: dict[str, SignIn] = {
    "EXTERNAL": by_certificate,
    "CRAM-MD5": by_cram_md5,
    "X-APOP": by_apop,
    "X-RPOP": by_rpop,
}
SIGN_INS = OWN_PASSWORD | OTHERS


def offering_all(certificates: Path, url: str) -> AbstractAsyncContextManager[House]:
    return opened(
        certificates,
        url,
        mechanisms=",".join(SIGN_INS),
        directory_seconds=0,
        secrets_keys=test_secrets.KEY,
    )


async def with_ann(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_account(ANN, SECRET)


async def last_entry(house: House, entries: int) -> credential_pb2.AuditEntry:
    """The newest of the audit, once there are so many."""
    return (await until(lambda: audit(house), lambda found: len(found) >= entries))[0]


async def set_app_passwords_only(house: House, only: bool) -> None:
    await house.accounts.UpdateAccount(
        account_pb2.UpdateAccountRequest(address=ANN, app_passwords_only=only)
    )


@pytest.mark.parametrize("mechanism", OWN_PASSWORD)
async def test_the_own_password_opens_nothing_where_app_passwords_alone_do(
    certificates: Path, sqlite_url: str, mechanism: str
) -> None:
    sign_in = OWN_PASSWORD[mechanism]
    async with offering_all(certificates, sqlite_url) as house:
        await with_ann(house)
        assert (await sign_in(house)).address == ANN
        await set_app_passwords_only(house, True)
        error = await refused(sign_in(house))
        assert error.kind is Kind.UNAUTHENTICATED
        assert error.message == "the name or the password is wrong"
        entry = await last_entry(house, 2)
        assert (entry.mechanism, entry.credential) == (mechanism, "password")
        assert (entry.account, entry.why) == (ANN, "app passwords only")
        await set_app_passwords_only(house, False)
        assert (await sign_in(house)).address == ANN


@pytest.mark.parametrize("mechanism", OTHERS)
async def test_who_shows_no_password_needs_no_app_password(
    certificates: Path, sqlite_url: str, mechanism: str
) -> None:
    async with offering_all(certificates, sqlite_url) as house:
        await with_ann(house)
        await set_app_passwords_only(house, True)
        assert (await OTHERS[mechanism](house)).address == ANN


@pytest.mark.parametrize("mechanism", SIGN_INS)
async def test_a_lock_ends_renewal_and_holds_for_everybody(
    certificates: Path, sqlite_url: str, mechanism: str
) -> None:
    sign_in = SIGN_INS[mechanism]
    async with offering_all(certificates, sqlite_url) as house:
        await with_ann(house)
        ticket = await sign_in(house)
        assert (await house.renew(ticket.token)).address == ANN
        await house.accounts.LockAccount(credential_pb2.LockAccountRequest(address=ANN))
        assert await kind_of(house.renew(ticket.token)) is Kind.UNAUTHENTICATED
        assert await kind_of(sign_in(house)) is Kind.UNAUTHENTICATED
        entry = await last_entry(house, 2)
        assert (entry.mechanism, entry.account) == (mechanism, ANN)
        assert (entry.outcome, entry.why) == ("UNAUTHENTICATED", "disabled or locked")
        await house.accounts.UnlockAccount(credential_pb2.UnlockAccountRequest(address=ANN))
        assert (await sign_in(house)).address == ANN


@pytest.mark.parametrize("mechanism", SIGN_INS)
async def test_the_audit_tells_the_mechanism(
    certificates: Path, sqlite_url: str, mechanism: str
) -> None:
    async with offering_all(certificates, sqlite_url) as house:
        await with_ann(house)
        await SIGN_INS[mechanism](house)
        entry = await last_entry(house, 1)
        credential = "password" if mechanism in OWN_PASSWORD else ""
        assert (entry.account, entry.outcome, entry.why) == (ANN, "OK", "")
        assert (entry.mechanism, entry.credential) == (mechanism, credential)


@pytest.mark.parametrize("mechanism", SIGN_INS)
async def test_guesses_at_another_replica_count(
    certificates: Path, sqlite_url: str, mechanism: str
) -> None:
    async with (
        offering_all(certificates, sqlite_url) as one,
        offering_all(certificates, sqlite_url) as other,
    ):
        await with_ann(one)
        kinds = [
            await kind_of(one.login(ANN, f"guess {number}", address=f"192.0.2.{number + 10}"))
            for number in range(7)
        ]
        assert kinds == [Kind.UNAUTHENTICATED] * 6 + [Kind.RATE_LIMITED]
        assert await kind_of(SIGN_INS[mechanism](other)) is Kind.RATE_LIMITED
