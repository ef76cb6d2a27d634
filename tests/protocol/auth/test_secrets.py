"""Secrets that are shared: made, used, bound to networks, revoked, sealed anew."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import sqlalchemy as sa
from postroom.auth.v1 import account_pb2, authentication_pb2, secret_pb2, secret_pb2_grpc
from postroom_auth.database import open_engine
from postroom_auth.tables import secrets
from postroom_chassis.errors import Kind

from tests.protocol.auth.house import ADDRESS, House, opened, refused

ANN = "ann@example.org"
KEY = "a:" + base64.b64encode(b"a" * 32).decode()
NEXT = "b:" + base64.b64encode(b"b" * 32).decode()
OFFERED = {"mechanisms": "PLAIN,CRAM-MD5,X-APOP,X-RPOP"}
TIMESTAMP = b"<8f2a.1893553445@postroom>"


def with_key(
    certificates: Path, url: str, keys: str = KEY, **changes: object
) -> AbstractAsyncContextManager[House]:
    return opened(certificates, url, **{"secrets_keys": keys, **OFFERED, **changes})


@pytest.fixture
async def keeping(certificates: Path, database_url: str) -> AsyncIterator[House]:
    """A service that keeps secrets, with Ann."""
    async with with_key(certificates, database_url) as house:
        await house.add_domain("example.org")
        await house.add_account(ANN, "correct horse")
        yield house


def stub(house: House) -> secret_pb2_grpc.SecretServiceAsyncStub:
    return house.channel("admin").stub(secret_pb2_grpc.SecretServiceStub)


async def add(house: House, kind: str, *networks: str, address: str = ANN) -> tuple[int, str]:
    request = secret_pb2.AddSecretRequest(address=address, kind=kind, networks=networks)
    answer = await stub(house).AddSecret(request)
    return answer.secret.secret_id, answer.text


async def listed(house: House) -> list[secret_pb2.Secret]:
    answer = await stub(house).ListSecrets(secret_pb2.ListSecretsRequest(address=ANN))
    return list(answer.secrets)


async def revoke(house: House, secret_id: int) -> None:
    request = secret_pb2.RevokeSecretRequest(address=ANN, secret_id=secret_id)
    await stub(house).RevokeSecret(request)


async def cram(
    house: House, name: str, secret: str, protocol: str = "imap"
) -> authentication_pb2.Ticket:
    """CRAM-MD5 as a client does it, to its end."""
    client = authentication_pb2.Client(protocol=protocol, address=ADDRESS)
    start = authentication_pb2.AuthenticateRequest.Start(mechanism="CRAM-MD5", client=client)
    asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def steps() -> AsyncIterator[authentication_pb2.AuthenticateRequest]:
        yield authentication_pb2.AuthenticateRequest(start=start)
        digest = hmac.digest(secret.encode(), await asked, "md5").hex()
        yield authentication_pb2.AuthenticateRequest(response=f"{name} {digest}".encode())

    call = house.authentication(protocol).Authenticate
    requests = steps()
    ticket = None
    async for answer in call(requests):
        if answer.WhichOneof("step") == "challenge":
            asked.set_result(answer.challenge)
        else:
            ticket = answer.success.ticket
    assert ticket is not None
    return ticket


def apop(name: str, secret: str) -> bytes:
    digest = hashlib.md5(TIMESTAMP + secret.encode(), usedforsecurity=False).hexdigest()
    return TIMESTAMP + f"\0{name}\0{digest}".encode()


async def sign_in(
    house: House, mechanism: str, initial: bytes, **client: object
) -> authentication_pb2.SignInResponse:
    about = {"protocol": "pop3", "address": ADDRESS, "secure": True, **client}
    request = authentication_pb2.SignInRequest(
        mechanism=mechanism,
        initial_response=initial,
        client=authentication_pb2.Client(**about),
    )
    answer: authentication_pb2.SignInResponse = await house.authentication("pop3").SignIn(request)
    return answer


@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
async def test_cram_md5_is_for_every_protocol(keeping: House, protocol: str) -> None:
    _, secret = await add(keeping, "cram-md5")
    ticket = await cram(keeping, ANN, secret, protocol)
    assert ticket.address == ANN
    for name, said in ((ANN, "correct horse"), ("nobody@example.org", secret)):
        error = await refused(cram(keeping, name, said, protocol))
        assert (error.kind, error.message) == (
            Kind.UNAUTHENTICATED,
            "the name or the password is wrong",
        )


async def test_apop_is_for_pop3(keeping: House) -> None:
    _, secret = await add(keeping, "apop")
    answer = await sign_in(keeping, "X-APOP", apop(ANN, secret), secure=False)
    assert answer.ticket.address == ANN
    wrong = await refused(sign_in(keeping, "X-APOP", apop(ANN, "wrong")))
    nobody = await refused(sign_in(keeping, "X-APOP", apop("nobody@example.org", secret)))
    assert (wrong.kind, wrong.message) == (nobody.kind, nobody.message)
    assert wrong.kind is Kind.UNAUTHENTICATED


async def test_rpop_is_bound_to_networks_and_refused_in_clear_text(keeping: House) -> None:
    _, text = await add(keeping, "rpop", "192.0.2.0/28", "2001:db8::/32")
    said = f"{ANN}\0{text}".encode()
    for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::7"):
        answer = await sign_in(keeping, "X-RPOP", said, address=address)
        assert answer.ticket.address == ANN
    for address in ("192.0.2.16", "2001:db9::7"):
        error = await refused(sign_in(keeping, "X-RPOP", said, address=address))
        assert error.kind is Kind.UNAUTHENTICATED
    error = await refused(sign_in(keeping, "X-RPOP", said, secure=False))
    assert error.kind is Kind.UNSUPPORTED


async def test_a_secret_is_for_its_mechanism_alone(keeping: House) -> None:
    _, secret = await add(keeping, "cram-md5")
    assert (await refused(sign_in(keeping, "X-APOP", apop(ANN, secret)))).kind is (
        Kind.UNAUTHENTICATED
    )
    error = await refused(keeping.login(ANN, secret))
    assert error.kind is Kind.UNAUTHENTICATED


async def test_several_clients_have_a_secret_each(keeping: House) -> None:
    first, one = await add(keeping, "apop")
    _, two = await add(keeping, "apop")
    assert one != two
    await revoke(keeping, first)
    await sign_in(keeping, "X-APOP", apop(ANN, two))
    error = await refused(sign_in(keeping, "X-APOP", apop(ANN, one)))
    assert error.kind is Kind.UNAUTHENTICATED
    assert [secret.kind for secret in await listed(keeping)] == ["apop"]


async def test_revoking_ends_what_the_secret_has_opened(keeping: House) -> None:
    secret_id, secret = await add(keeping, "apop")
    ticket = (await sign_in(keeping, "X-APOP", apop(ANN, secret))).ticket
    await keeping.renew(ticket.token)
    await revoke(keeping, secret_id)
    assert (await refused(keeping.renew(ticket.token))).kind is Kind.UNAUTHENTICATED
    assert (await refused(revoke(keeping, secret_id))).kind is Kind.NOT_FOUND


async def test_who_is_disabled_has_no_use_of_a_secret(keeping: House) -> None:
    _, secret = await add(keeping, "apop")
    request = account_pb2.UpdateAccountRequest(address=ANN, disabled=True)
    await keeping.accounts.UpdateAccount(request)
    error = await refused(sign_in(keeping, "X-APOP", apop(ANN, secret)))
    assert error.kind is Kind.UNAUTHENTICATED


async def test_guesses_are_slowed_down_as_those_of_passwords_are(keeping: House) -> None:
    _, secret = await add(keeping, "apop")
    kinds = [
        (await refused(sign_in(keeping, "X-APOP", apop(ANN, f"guess {number}")))).kind
        for number in range(8)
    ]
    assert kinds[0] is Kind.UNAUTHENTICATED
    assert kinds[-1] is Kind.RATE_LIMITED
    error = await refused(sign_in(keeping, "X-APOP", apop(ANN, secret)))
    assert error.kind is Kind.RATE_LIMITED
    # And the account's password has to wait with them.
    assert (await refused(keeping.login(ANN, "correct horse"))).kind is Kind.RATE_LIMITED


@pytest.mark.parametrize(
    ("address", "kind", "networks", "wanted"),
    [
        ("nobody@example.org", "apop", [], Kind.NOT_FOUND),
        ("no address", "apop", [], Kind.INVALID),
        (ANN, "scram", [], Kind.INVALID),
        (ANN, "rpop", [], Kind.INVALID),
        (ANN, "apop", ["everywhere"], Kind.INVALID),
        (ANN, "apop", ["192.0.2.1/24"], Kind.INVALID),
        (ANN, "apop", ["192.0.2.1"] * 21, Kind.INVALID),
    ],
)
async def test_what_is_no_secret_is_not_made(
    keeping: House, address: str, kind: str, networks: list[str], wanted: Kind
) -> None:
    error = await refused(add(keeping, kind, *networks, address=address))
    assert error.kind is wanted
    assert await listed(keeping) == []


async def test_secrets_are_few(keeping: House) -> None:
    for _ in range(10):
        await add(keeping, "apop")
    assert (await refused(add(keeping, "apop"))).kind is Kind.LIMIT_EXCEEDED
    await add(keeping, "cram-md5")


async def test_without_a_key_there_are_none(certificates: Path, sqlite_url: str) -> None:
    async with opened(certificates, sqlite_url, **OFFERED) as house:
        await house.add_domain("example.org")
        await house.add_account(ANN, "correct horse")
        assert await house.mechanisms() == ["PLAIN"]
        assert (await refused(add(house, "apop"))).kind is Kind.UNSUPPORTED
        error = await refused(sign_in(house, "X-APOP", apop(ANN, "x")))
        assert error.kind is Kind.UNSUPPORTED


async def test_the_database_holds_no_secret_and_a_row_moved_is_worth_nothing(
    certificates: Path, sqlite_url: str
) -> None:
    async with with_key(certificates, sqlite_url) as house:
        await house.add_domain("example.org")
        await house.add_account(ANN)
        ben = await house.add_account("ben@example.org")
        _, secret = await add(house, "apop")
        engine = open_engine(sqlite_url, 1)
        with engine.begin() as connection:
            sealed = connection.scalars(sa.select(secrets.c.sealed)).one()
            assert secret.encode() not in bytes(sealed)
            connection.execute(sa.update(secrets).values(account_id=ben.account_id))
        engine.dispose()
        error = await refused(sign_in(house, "X-APOP", apop("ben@example.org", secret)))
        assert error.kind is Kind.UNAUTHENTICATED


async def test_a_new_key_follows_an_old_one(certificates: Path, sqlite_url: str) -> None:
    async with with_key(certificates, sqlite_url) as house:
        await house.add_domain("example.org")
        await house.add_account(ANN)
        _, secret = await add(house, "apop")
    # Known to all before it is first; then it seals what the old one did, and that can go.
    for keys in (f"{KEY},{NEXT}", f"{NEXT},{KEY}", NEXT):
        async with with_key(certificates, sqlite_url, keys) as house:
            assert (await sign_in(house, "X-APOP", apop(ANN, secret))).ticket.address == ANN
    async with with_key(certificates, sqlite_url, KEY) as house:
        error = await refused(sign_in(house, "X-APOP", apop(ANN, secret)))
        assert error.kind is Kind.UNAUTHENTICATED
