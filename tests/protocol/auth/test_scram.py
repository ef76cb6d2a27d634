"""People sign in by SCRAM, with verifiers that are made when a password is set or shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from postroom.auth.v1 import account_pb2, authentication_pb2
from postroom_auth.database import open_engine
from postroom_auth.tables import credentials
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.errors import Kind

from tests.harness.scram import ScramClient
from tests.protocol.auth.house import House, opened, refused, until

ANN = "ann@example.org"
SECRET = "correct horse"
ELSEWHERE = "198.51.100.7"
FAMILIES = ("SCRAM-SHA-256", "SCRAM-SHA-1")
BOUND = tuple(f"{family}-PLUS" for family in FAMILIES)


@pytest.fixture
async def binding_house(certificates: Path, tmp_path: Path) -> AsyncIterator[House]:
    """A house that offers channel binding."""
    offered = ",".join((*BOUND, *FAMILIES, "PLAIN", "LOGIN"))
    url = f"sqlite:///{tmp_path}/binding.sqlite3"
    async with opened(certificates, url, mechanisms=offered) as house:
        yield house


async def with_ann(house: House) -> House:
    await house.add_domain("example.org")
    await house.add_account(ANN, SECRET)
    return house


def stored(database_url: str) -> list[str]:
    """The verifiers of every account."""
    engine = open_engine(database_url, 1)
    with engine.connect() as connection:
        found = list(connection.scalars(sa.select(credentials.c.scram)))
    engine.dispose()
    return found


def forget_verifiers(database_url: str) -> None:
    """As if the passwords had been set before there was SCRAM."""
    engine = open_engine(database_url, 1)
    with engine.begin() as connection:
        connection.execute(sa.update(credentials).values(scram=""))
    engine.dispose()


@pytest.mark.parametrize("family", FAMILIES)
async def test_sign_in(house: House, family: str) -> None:
    await with_ann(house)
    ticket = await house.scram(ScramClient(family, "Ann@EXAMPLE.org", SECRET))
    assert ticket.address == ANN


@pytest.mark.parametrize("family", FAMILIES)
async def test_bound_to_the_certificate_that_the_client_saw(
    binding_house: House, family: str
) -> None:
    house = await with_ann(binding_house)
    seen = bytes(range(32))
    client = ScramClient(f"{family}-PLUS", ANN, SECRET, seen)
    assert (await house.scram(client, end_point=seen)).address == ANN
    error = await refused(house.scram(client, end_point=bytes(32)))
    assert error.kind is Kind.UNAUTHENTICATED
    assert (await refused(house.scram(client))).kind is Kind.UNSUPPORTED


async def test_somebody_took_channel_binding_out_of_the_list(binding_house: House) -> None:
    house = await with_ann(binding_house)
    client = ScramClient("SCRAM-SHA-256", ANN, SECRET, flag="y")
    error = await refused(house.scram(client, end_point=bytes(32)))
    assert error.kind is Kind.UNAUTHENTICATED
    assert (await house.scram(client)).address == ANN


async def test_what_is_offered_where(sqlite_house: House, binding_house: House) -> None:
    for house in (sqlite_house, binding_house):
        assert await house.mechanisms(secure=False) == list(FAMILIES)
        assert await house.mechanisms() == [*FAMILIES, "PLAIN", "LOGIN"]
    seen = {"tls_server_end_point": bytes(32)}
    assert await sqlite_house.mechanisms(**seen) == [*FAMILIES, "PLAIN", "LOGIN"]
    assert await binding_house.mechanisms(**seen) == [*BOUND, *FAMILIES, "PLAIN", "LOGIN"]


@pytest.mark.parametrize("family", FAMILIES)
async def test_whatever_is_wrong_the_answer_is_the_same(house: House, family: str) -> None:
    await with_ann(house)
    await house.add_account("bob@example.org", "bobs secret")
    await house.add_account("nopassword@example.org")
    await house.accounts.UpdateAccount(
        account_pb2.UpdateAccountRequest(address="bob@example.org", disabled=True)
    )
    answers = [
        await refused(house.scram(ScramClient(family, name, password)))
        for name, password in (
            (ANN, "wrong"),
            ("nobody@example.org", SECRET),
            ("nobody@elsewhere.example", SECRET),
            ("not an address", SECRET),
            ("bob@example.org", "bobs secret"),
            ("nopassword@example.org", "x"),
        )
    ]
    assert {(answer.kind, answer.message) for answer in answers} == {
        (Kind.UNAUTHENTICATED, "the name or the password is wrong")
    }


async def test_nobody_has_the_same_salt_for_ever_and_everywhere(
    certificates: Path, sqlite_url: str, tmp_path: Path
) -> None:
    names = [ANN, "nopassword@example.org", "nobody@example.org", "nobody2@example.org", "?"]

    async def salts(house: House) -> list[bytes]:
        return [await house.salt(family, name) for name in names for family in FAMILIES]

    async with opened(certificates, sqlite_url) as house:
        await with_ann(house)
        await house.add_account("nopassword@example.org")
        told = await salts(house)
        assert len(set(told)) == len(told)
        assert len({len(one) for one in told}) == 1
        assert await salts(house) == told
        assert await house.salt("SCRAM-SHA-1", "NOBODY@example.org") == told[5]
    async with opened(certificates, sqlite_url) as restarted:
        assert await salts(restarted) == told
    # The key is of this house alone.
    make_development_certificates(tmp_path)
    async with opened(tmp_path, f"sqlite:///{tmp_path}/auth.sqlite3") as other:
        assert set(await salts(other)).isdisjoint(told)


async def test_verifiers_are_replaced_with_the_password(house: House) -> None:
    await with_ann(house)
    before = await house.salt("SCRAM-SHA-256", ANN)
    await house.accounts.SetPassword(
        account_pb2.SetPasswordRequest(address=ANN, password="battery staple")
    )
    assert await house.salt("SCRAM-SHA-256", ANN) != before
    assert (await house.scram(ScramClient("SCRAM-SHA-256", ANN, "battery staple"))).address == ANN
    error = await refused(house.scram(ScramClient("SCRAM-SHA-256", ANN, SECRET)))
    assert error.kind is Kind.UNAUTHENTICATED


async def test_a_password_that_changes_half_way_proves_nothing(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)

    async def change() -> None:
        await house.accounts.SetPassword(
            account_pb2.SetPasswordRequest(address=ANN, password="battery staple")
        )

    attempt = house.scram(ScramClient("SCRAM-SHA-256", ANN, SECRET), half_way=change)
    assert (await refused(attempt)).kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_verifiers_are_made_when_a_password_is_shown(
    certificates: Path, database_url: str, mechanism: str
) -> None:
    async with opened(certificates, database_url, directory_seconds=0) as house:
        await with_ann(house)
        forget_verifiers(database_url)
        client = ScramClient("SCRAM-SHA-256", ANN, SECRET)
        assert (await refused(house.scram(client))).kind is Kind.UNAUTHENTICATED
        made_up = await house.salt("SCRAM-SHA-256", ANN)
        if mechanism == "PLAIN":
            await house.login(ANN, SECRET)
        else:
            await house.exchange("LOGIN", ANN.encode(), SECRET.encode())
        # They are made in the background.
        await until(lambda: house.salt("SCRAM-SHA-256", ANN), lambda salt: salt != made_up)
        assert (await house.scram(client)).address == ANN


async def test_more_iterations_are_made_at_the_next_sign_in(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url) as house:
        await with_ann(house)
        assert (await house.salt("SCRAM-SHA-256", ANN)).endswith(b",i=4096")
    more = {"scram_iterations": 5000, "directory_seconds": 0}
    async with opened(certificates, sqlite_url, **more) as house:
        await house.scram(ScramClient("SCRAM-SHA-256", ANN, SECRET))
        await house.login(ANN, SECRET)
        await until(
            lambda: house.salt("SCRAM-SHA-256", ANN), lambda salt: salt.endswith(b",i=5000")
        )
        await house.scram(ScramClient("SCRAM-SHA-256", ANN, SECRET))
    # Fewer are no reason to make them anew.
    async with opened(certificates, sqlite_url, directory_seconds=0) as house:
        await house.login(ANN, SECRET)
    assert ["$5000:" in verifiers for verifiers in stored(sqlite_url)] == [True]


async def test_verifiers_are_made_for_what_is_on_offer(certificates: Path, sqlite_url: str) -> None:
    async with opened(certificates, sqlite_url, mechanisms="PLAIN") as house:
        await with_ann(house)
        await house.login(ANN, SECRET)
    assert stored(sqlite_url) == [""]
    lists = {"mechanisms": "PLAIN", "mechanisms_pop3": "SCRAM-SHA-1-PLUS"}
    async with opened(certificates, sqlite_url, **lists) as house:
        await house.login(ANN, SECRET)
    (verifiers,) = stored(sqlite_url)
    assert [one.partition("$")[0] for one in verifiers.split()] == ["SCRAM-SHA-1"]


async def test_a_password_that_was_typed_otherwise(sqlite_house: House) -> None:
    await sqlite_house.add_domain("example.org")
    # RFC 4013: a client prepares what is typed; here a ligature and a space that doesn't break.
    await sqlite_house.add_account(ANN, "\ufb01ne\u00a0day")
    ticket = await sqlite_house.scram(ScramClient("SCRAM-SHA-256", ANN, "fine day"))
    assert ticket.address == ANN


@pytest.mark.parametrize("name", [ANN, "nobody@example.org"])
async def test_guesses_must_wait_whether_the_account_exists_or_not(
    sqlite_house: House, name: str
) -> None:
    house = await with_ann(sqlite_house)

    async def guess(number: int) -> Kind:
        client = ScramClient("SCRAM-SHA-256", name, f"guess {number}")
        return (await refused(house.scram(client, address=f"192.0.2.{number}"))).kind

    kinds = [await guess(number) for number in range(8)]
    assert kinds == [Kind.UNAUTHENTICATED] * 6 + [Kind.RATE_LIMITED] * 2
    # The same count holds for passwords.
    login = house.login(name, SECRET, address="192.0.2.100")
    assert (await refused(login)).kind is Kind.RATE_LIMITED


async def test_an_address_that_guesses_must_wait(certificates: Path, sqlite_url: str) -> None:
    async with opened(certificates, sqlite_url, throttle_network_failures=3) as house:
        await with_ann(house)
        for number in range(4):
            client = ScramClient("SCRAM-SHA-256", f"p{number}@example.org", "x")
            error = await refused(house.scram(client, address=ELSEWHERE))
            assert error.kind is Kind.UNAUTHENTICATED
        client = ScramClient("SCRAM-SHA-256", ANN, SECRET)
        error = await refused(house.scram(client, address=ELSEWHERE))
        assert error.kind is Kind.RATE_LIMITED
        assert (await house.scram(client)).address == ANN


async def test_who_stops_half_way_has_guessed_nothing(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    for _ in range(20):
        await house.salt("SCRAM-SHA-256", ANN)
    assert (await house.scram(ScramClient("SCRAM-SHA-256", ANN, SECRET))).address == ANN


async def test_one_small_call_is_not_enough(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    request = authentication_pb2.SignInRequest(
        mechanism="SCRAM-SHA-256",
        initial_response=ScramClient("SCRAM-SHA-256", ANN, SECRET).first,
        client=authentication_pb2.Client(protocol="imap", address=ELSEWHERE, secure=True),
    )
    error = await refused(house.authentication().SignIn(request))
    assert error.kind is Kind.UNSUPPORTED


# EXTERNAL.


@pytest.mark.parametrize("names", [[ANN], ["Ann@EXAMPLE.org"], ["ann smith", "x@y.example", ANN]])
async def test_a_certificate_names_the_account(sqlite_house: House, names: list[str]) -> None:
    house = await with_ann(sqlite_house)
    for initial in (b"", ANN.encode()):
        _, ticket = await house.exchange("EXTERNAL", initial=initial, certificate_names=names)
        assert ticket.address == ANN
    challenges, ticket = await house.exchange("EXTERNAL", b"", certificate_names=names)
    assert (challenges, ticket.address) == ([b""], ANN)


async def test_a_certificate_of_several_people_serves_each(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    bob = "bob@example.org"
    await house.add_account(bob)
    for wanted in (ANN, bob):
        _, ticket = await house.exchange(
            "EXTERNAL", initial=wanted.encode(), certificate_names=[ANN, bob]
        )
        assert ticket.address == wanted
    # Who asks for nobody is the first.
    _, ticket = await house.exchange("EXTERNAL", initial=b"", certificate_names=[bob, ANN])
    assert ticket.address == bob


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([ANN], b"bob@example.org"),
        ([ANN], b"nobody@example.org"),
        ([ANN], b"not an address"),
        (["nobody@example.org"], b""),
        (["nobody@example.org"], ANN.encode()),
        (["ann"], b""),
        (["off@example.org"], b""),
    ],
)
async def test_a_certificate_that_does_not_name_it(
    sqlite_house: House, names: list[str], wanted: bytes
) -> None:
    house = await with_ann(sqlite_house)
    await house.add_account("bob@example.org")
    await house.add_account("off@example.org")
    await house.accounts.UpdateAccount(
        account_pb2.UpdateAccountRequest(address="off@example.org", disabled=True)
    )
    error = await refused(house.exchange("EXTERNAL", initial=wanted, certificate_names=names))
    assert error.kind is Kind.UNAUTHENTICATED


async def test_without_a_certificate_there_is_no_external(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    error = await refused(house.exchange("EXTERNAL", initial=ANN.encode()))
    assert error.kind is Kind.UNSUPPORTED
    assert "EXTERNAL" not in await house.mechanisms()
    assert (await house.mechanisms(certificate_names=["x"]))[0] == "EXTERNAL"


async def test_the_name_of_a_certificate_may_lack_the_domain(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url, default_domain="example.org") as house:
        await with_ann(house)
        _, ticket = await house.exchange("EXTERNAL", initial=b"ann", certificate_names=["ann"])
        assert ticket.address == ANN


@pytest.mark.parametrize("wanted", [b"a\0b", b"\xff", b"x" * 321, b"x" * 5000])
async def test_external_that_can_not_be_read(sqlite_house: House, wanted: bytes) -> None:
    attempt = sqlite_house.exchange("EXTERNAL", initial=wanted, certificate_names=[ANN])
    assert (await refused(attempt)).kind is Kind.INVALID


async def test_certificates_that_name_nobody_must_wait(sqlite_house: House) -> None:
    kinds = [
        (
            await refused(
                sqlite_house.exchange("EXTERNAL", initial=b"", certificate_names=["x@example.org"])
            )
        ).kind
        for _ in range(8)
    ]
    assert kinds == [Kind.UNAUTHENTICATED] * 6 + [Kind.RATE_LIMITED] * 2


async def test_guesses_at_another_replica_count_once_a_proof_is_shown(
    certificates: Path, database_url: str
) -> None:
    few = {"throttle_account_failures": 3, "throttle_first_seconds": 100}
    async with (
        opened(certificates, database_url, **few) as one,
        opened(certificates, database_url, **few) as other,
    ):
        await with_ann(one)
        for number in range(4):
            guess = one.scram(
                ScramClient("SCRAM-SHA-256", ANN, f"guess {number}"), address=f"192.0.2.{number}"
            )
            assert (await refused(guess)).kind is Kind.UNAUTHENTICATED
        salted = asyncio.Event()

        async def note() -> None:
            salted.set()

        right = other.scram(
            ScramClient("SCRAM-SHA-256", ANN, SECRET), address=ELSEWHERE, half_way=note
        )
        assert (await refused(right)).kind is Kind.RATE_LIMITED
        # Whoever asks for the salt has guessed nothing yet, and makes nobody ask the database.
        assert salted.is_set()
