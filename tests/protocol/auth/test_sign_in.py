"""People sign in over the SASL stream."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from postroom.auth.v1 import account_pb2, authentication_pb2
from postroom_chassis.errors import Kind
from postroom_chassis.tickets import TicketVerifier, read_verification_keys
from prometheus_client import REGISTRY

from tests.protocol.auth.house import House, opened, refused

ANN = "ann@example.org"
SECRET = "correct horse"


async def with_ann(house: House) -> House:
    await house.add_domain("example.org")
    await house.add_account(ANN, SECRET, quota_bytes=5000)
    return house


async def test_plain_with_an_initial_response_gives_a_ticket(
    house: House, certificates: Path
) -> None:
    await with_ann(house)
    challenges, ticket = await house.exchange("PLAIN", initial=b"\0ann@example.org\0correct horse")
    assert challenges == []
    verifier = TicketVerifier(read_verification_keys([(certificates / "ticket.pub").read_bytes()]))
    verified = verifier.verify(ticket.token)
    assert verified.account_id == ticket.account_id
    assert (verified.address, verified.quota_bytes) == (ANN, 5000)
    assert verified.scopes == {"mail"}
    assert verified.expires_at == ticket.expires_at


async def test_plain_without_an_initial_response_is_asked_for_it(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    challenges, ticket = await house.exchange("PLAIN", b"\0ann@example.org\0correct horse")
    assert challenges == [b""]
    assert ticket.address == ANN


async def test_login_asks_for_name_and_password(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    challenges, ticket = await house.exchange("LOGIN", b"ann@example.org", b"correct horse")
    assert challenges == [b"Username:", b"Password:"]
    assert ticket.address == ANN


async def test_login_takes_the_name_as_initial_response(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    challenges, ticket = await house.exchange("LOGIN", b"correct horse", initial=b"Ann@EXAMPLE.org")
    assert challenges == [b"Password:"]
    assert ticket.address == ANN


async def sign_in(
    house: House, mechanism: str, initial: bytes, *, secure: bool = True
) -> authentication_pb2.SignInResponse:
    request = authentication_pb2.SignInRequest(
        mechanism=mechanism,
        initial_response=initial,
        client=authentication_pb2.Client(protocol="imap", address="192.0.2.1", secure=secure),
    )
    answer: authentication_pb2.SignInResponse = await house.authentication().SignIn(request)
    return answer


async def test_an_exchange_of_one_step_needs_no_stream(house: House) -> None:
    await with_ann(house)
    answer = await sign_in(house, "PLAIN", b"\0ann@example.org\0correct horse")
    assert (answer.ticket.address, answer.ticket.quota_bytes) == (ANN, 5000)


@pytest.mark.parametrize(
    ("mechanism", "initial", "secure", "kind"),
    [
        ("PLAIN", b"\0ann@example.org\0wrong", True, Kind.UNAUTHENTICATED),
        ("PLAIN", b"\0ann@example.org\0correct horse", False, Kind.UNSUPPORTED),
        ("PLAIN", b"", True, Kind.INVALID),
        ("LOGIN", b"ann@example.org", True, Kind.UNSUPPORTED),
        ("MAGIC", b"", True, Kind.UNSUPPORTED),
    ],
)
async def test_a_call_of_one_step_fails_like_an_exchange(
    sqlite_house: House, mechanism: str, initial: bytes, secure: bool, kind: Kind
) -> None:
    house = await with_ann(sqlite_house)
    error = await refused(sign_in(house, mechanism, initial, secure=secure))
    assert error.kind is kind


@pytest.mark.parametrize(
    ("caller", "protocol", "scope"),
    [
        ("imap", "imap", "mail"),
        ("pop3", "pop3", "maildrop"),
        ("smtp", "smtp", "submit"),
        ("admin", "api", "mail"),
    ],
)
async def test_the_protocol_says_what_a_ticket_is_for(
    sqlite_house: House, certificates: Path, caller: str, protocol: str, scope: str
) -> None:
    house = await with_ann(sqlite_house)
    ticket = await house.login(ANN, SECRET, caller=caller, protocol=protocol)
    verifier = TicketVerifier(read_verification_keys([(certificates / "ticket.pub").read_bytes()]))
    assert verifier.verify(ticket.token).scopes == {scope}


async def test_a_front_gets_tickets_for_its_own_protocol_alone(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    error = await refused(house.login(ANN, SECRET, caller="pop3", protocol="imap"))
    assert error.kind is Kind.DENIED


async def test_whatever_is_wrong_the_answer_is_the_same(house: House) -> None:
    await with_ann(house)
    await house.add_account("bob@example.org", "bobs secret")
    await house.add_account("nopassword@example.org")
    await house.accounts.UpdateAccount(
        account_pb2.UpdateAccountRequest(address="bob@example.org", disabled=True)
    )
    answers = [
        await refused(house.login(name, password))
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


async def test_acting_for_oneself_is_permitted_and_for_another_is_not(
    sqlite_house: House,
) -> None:
    house = await with_ann(sqlite_house)
    await house.add_account("bob@example.org", "bobs secret")
    _, ticket = await house.exchange("PLAIN", initial=f"ANN@example.org\0{ANN}\0{SECRET}".encode())
    assert ticket.address == ANN
    error = await refused(
        house.exchange("PLAIN", initial=f"bob@example.org\0{ANN}\0{SECRET}".encode())
    )
    assert error.kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"ann",
        b"\0ann@example.org",
        b"\0\0secret",
        b"\0ann@example.org\0",
        b"\0ann@example.org\0secret\0more",
        b"\0ann@example.org\0\xff\xfe",
        b"\0ann@example.org\0new\nline",
        b"\0" + b"a" * 5000 + b"\0secret",
        b"\0ann@example.org\0" + b"s" * 1025,
        b"x" * 1_000_000,
    ],
)
async def test_malformed_plain_is_invalid(sqlite_house: House, message: bytes) -> None:
    error = await refused(sqlite_house.exchange("PLAIN", initial=message))
    assert error.kind is Kind.INVALID
    assert "secret" not in error.message


async def test_huge_responses_are_invalid_and_the_next_client_is_served(
    sqlite_house: House,
) -> None:
    house = await with_ann(sqlite_house)
    for size in (5000, 4_000_000):
        error = await refused(house.exchange("LOGIN", b"n" * size, b"p"))
        assert error.kind is Kind.INVALID
    assert (await refused(house.exchange("LOGIN", b"n" * 5_000_000))).kind is Kind.LIMIT_EXCEEDED
    assert (await house.login(ANN, SECRET)).address == ANN


async def test_an_unknown_mechanism_is_unsupported(sqlite_house: House) -> None:
    for mechanism in ("", "plain", "CRAM-MD5", "X" * 100_000):
        error = await refused(sqlite_house.exchange(mechanism, initial=b"\0a\0b"))
        assert error.kind is Kind.UNSUPPORTED


async def test_passwords_are_not_taken_in_clear_text(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    for mechanism in ("PLAIN", "LOGIN"):
        error = await refused(house.exchange(mechanism, secure=False))
        assert error.kind is Kind.UNSUPPORTED
    assert {"PLAIN", "LOGIN"}.isdisjoint(await house.mechanisms(secure=False))
    assert (await house.mechanisms(secure=True))[-2:] == ["PLAIN", "LOGIN"]


async def test_each_protocol_may_have_its_own_mechanisms(
    certificates: Path, sqlite_url: str
) -> None:
    lists = {"mechanisms": "PLAIN", "mechanisms_pop3": "LOGIN:clear"}
    async with opened(certificates, sqlite_url, **lists) as house:
        await with_ann(house)
        assert await house.mechanisms(protocol="imap") == ["PLAIN"]
        assert await house.mechanisms(protocol="pop3", secure=False) == ["LOGIN"]
        error = await refused(house.login(ANN, SECRET, protocol="pop3", caller="pop3"))
        assert error.kind is Kind.UNSUPPORTED


async def test_passwords_are_taken_in_clear_text_where_an_operator_asks_for_it(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url, allow_cleartext=True, mechanisms="PLAIN") as house:
        await with_ann(house)
        assert (await house.login(ANN, SECRET, secure=False)).address == ANN
        error = await refused(house.exchange("LOGIN"))
        assert error.kind is Kind.UNSUPPORTED


def client() -> authentication_pb2.Client:
    return authentication_pb2.Client(protocol="imap", address="192.0.2.1", secure=True)


def begin(mechanism: str = "LOGIN") -> authentication_pb2.AuthenticateRequest:
    return authentication_pb2.AuthenticateRequest(
        start=authentication_pb2.AuthenticateRequest.Start(mechanism=mechanism, client=client())
    )


CANCEL = authentication_pb2.AuthenticateRequest(cancel=True)
ANSWER = authentication_pb2.AuthenticateRequest(response=b"ann@example.org")


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [ANSWER],
        [CANCEL],
        [authentication_pb2.AuthenticateRequest()],
        [begin()],
        [begin(), ANSWER],
        [begin(), CANCEL],
        [begin(), ANSWER, CANCEL],
        [begin(), begin()],
        [begin(), authentication_pb2.AuthenticateRequest()],
    ],
    ids=[
        "nothing",
        "response first",
        "cancel first",
        "empty step",
        "ends after start",
        "ends half-way",
        "cancelled",
        "cancelled half-way",
        "start twice",
        "empty answer",
    ],
)
async def test_steps_in_a_wrong_order_are_invalid(
    sqlite_house: House, steps: list[authentication_pb2.AuthenticateRequest]
) -> None:
    assert (await refused(sqlite_house.play(steps))).kind is Kind.INVALID


@pytest.mark.parametrize(
    ("protocol", "address"), [("gopher", "192.0.2.1"), ("imap", ""), ("imap", "mail.example")]
)
async def test_a_client_is_a_protocol_and_an_ip_address(
    sqlite_house: House, protocol: str, address: str
) -> None:
    error = await refused(sqlite_house.login(ANN, SECRET, protocol=protocol, address=address))
    assert error.kind is Kind.INVALID


async def test_a_client_that_says_nothing_is_let_go(certificates: Path, sqlite_url: str) -> None:
    async with opened(certificates, sqlite_url, exchange_seconds=0.05) as house:
        call = house.authentication().Authenticate()
        await call.write(begin())
        assert (await call.read()).challenge == b"Username:"
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_front_that_vanishes_in_the_middle_leaves_nothing_behind(
    sqlite_house: House,
) -> None:
    house = await with_ann(sqlite_house)
    for _ in range(20):
        call = house.authentication().Authenticate()
        await call.write(begin())
        assert (await call.read()).challenge == b"Username:"
        call.cancel()
    assert (await house.login(ANN, SECRET)).address == ANN


async def test_local_parts_alone_sign_in_to_the_default_domain(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url, default_domain="EXAMPLE.org") as house:
        await with_ann(house)
        assert (await house.login("ann", SECRET)).address == ANN
        assert (await refused(house.login("bob", SECRET))).kind is Kind.UNAUTHENTICATED


async def test_passwords_match_however_they_were_typed(house: House) -> None:
    await house.add_domain("example.org")
    # RFC 8265 section 4.2: composed and decomposed, other spaces.
    await house.add_account(ANN, "gru\u0308n\u00a0ist es")
    assert (await house.login(ANN, "gr\u00fcn ist es")).address == ANN


async def test_ten_connections_at_once_cost_one_hash(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    before = computed()
    tickets = await asyncio.gather(*(house.login(ANN, SECRET) for _ in range(10)))
    assert {ticket.address for ticket in tickets} == {ANN}
    assert computed() - before == 1
    await house.login(ANN, SECRET)
    assert computed() - before == 1


def computed() -> float:
    return (
        REGISTRY.get_sample_value("postroom_auth_password_checks_total", {"how": "computed"}) or 0.0
    )


async def test_others_are_served_while_a_hash_is_computed(
    certificates: Path, sqlite_url: str
) -> None:
    slow = {"argon2_memory_kib": 65_536, "argon2_passes": 8, "hash_threads": 1}
    async with opened(certificates, sqlite_url, **slow) as house:
        await house.add_domain("example.org")
        hashing = asyncio.create_task(refused(house.login(ANN, SECRET)))
        order = []
        hashing.add_done_callback(lambda _done: order.append("hashed"))
        for _ in range(5):
            await house.resolve(ANN)
        order.append("resolved")
        assert (await hashing).kind is Kind.UNAUTHENTICATED
        assert order == ["resolved", "hashed"]


async def test_who_gives_up_leaves_the_queue(certificates: Path, sqlite_url: str) -> None:
    slow = {"argon2_memory_kib": 65_536, "argon2_passes": 3, "hash_threads": 1}
    async with opened(certificates, sqlite_url, **slow) as house:
        await house.add_domain("example.org")
        before = computed()
        waiting = [
            asyncio.create_task(house.login(f"p{number}@example.org", "x")) for number in range(10)
        ]
        async with asyncio.timeout(30):
            while waited() < 5:
                await house.resolve(ANN)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert (await refused(house.login(ANN, SECRET))).kind is Kind.UNAUTHENTICATED
        assert computed() - before < 10


def waited() -> float:
    return REGISTRY.get_sample_value("postroom_auth_hashes_waiting") or 0.0
