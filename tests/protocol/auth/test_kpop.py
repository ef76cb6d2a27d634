"""X-KPOP: an AP-REQ, its answer, and the name that USER gives; a real KDC, libkrb5 as client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from postroom.auth.v1 import authentication_pb2, credential_pb2
from postroom_chassis.errors import Kind

from tests.harness.ap_exchange import AP_REP, KRB_ERROR, ApClient
from tests.harness.kdc import Kdc
from tests.protocol.auth.house import House, refused
from tests.protocol.auth.test_every_mechanism import last_entry
from tests.protocol.auth.test_kerberos import (
    ANN,
    SECRET,
    a_house,
    answers,
    kdc,
    keytab,
)

__all__ = ["kdc", "keytab"]

# RFC 4120 section 7.5.9.
REPEAT, NOT_US, SKEW, GENERIC = 34, 35, 37, 60


@pytest.fixture
async def kpop_house(
    certificates: Path, sqlite_url: str, kdc: Kdc, keytab: Path
) -> AsyncIterator[House]:
    offer = {"mechanisms_pop3": "PLAIN,X-KPOP"}
    async with a_house(certificates, sqlite_url, kdc, keytab, **offer) as house:
        yield house


async def sign_in(
    house: House, request: bytes, name: str = ANN, protocol: str = "pop3"
) -> tuple[bytes, authentication_pb2.Ticket | None]:
    """A whole exchange: the answer to the AP-REQ, and the ticket, if it is told in between that
    there will be one."""
    call = house.authentication(protocol).Authenticate()
    start = authentication_pb2.AuthenticateRequest.Start(
        mechanism="X-KPOP",
        initial_response=request,
        client=authentication_pb2.Client(protocol=protocol, address="192.0.2.1", secure=False),
    )
    await call.write(authentication_pb2.AuthenticateRequest(start=start))
    reply = b""
    async for answer in answers(call):
        if answer.WhichOneof("step") == "success":
            return reply, answer.success.ticket
        reply = answer.challenge
        if reply[:1] == KRB_ERROR:
            call.cancel()
            return reply, None
        await call.write(authentication_pb2.AuthenticateRequest(response=name.encode()))
    raise AssertionError("no outcome")


@pytest.mark.parametrize("name", [ANN, "Ann@Example.ORG", "ann", "ann@EXAMPLE.TEST"])
async def test_who_has_a_ticket_signs_in_under_the_own_name(
    kpop_house: House, kdc: Kdc, name: str
) -> None:
    client = ApClient(kdc.sign_in("ann", SECRET))
    reply, ticket = await sign_in(kpop_house, client.request(), name)
    assert ticket is not None
    assert ticket.address == ANN
    assert reply[:1] == AP_REP
    assert client.believes(reply)
    assert not client.believes(reply[:-1] + b"\0")


async def test_a_lock_holds_and_the_audit_tells(kpop_house: House, kdc: Kdc) -> None:
    client = ApClient(kdc.sign_in("ann", SECRET))
    assert (await sign_in(kpop_house, client.request()))[1] is not None
    lock = credential_pb2.LockAccountRequest(address=ANN)
    await kpop_house.accounts.LockAccount(lock)
    attempt = sign_in(kpop_house, ApClient(kdc.sign_in("ann", SECRET)).request())
    assert (await refused(attempt)).kind is Kind.UNAUTHENTICATED
    entry = await last_entry(kpop_house, 2)
    assert (entry.mechanism, entry.account, entry.why) == ("X-KPOP", ANN, "disabled or locked")


async def test_who_doesnt_ask_for_an_answer_gets_none(kpop_house: House, kdc: Kdc) -> None:
    request = ApClient(kdc.sign_in("ann", SECRET)).request(mutual=False)
    reply, ticket = await sign_in(kpop_house, request)
    assert reply == b""
    assert ticket is not None


@pytest.mark.parametrize("name", ["bob@example.org", "bob", "", "ann@example.com"])
async def test_other_names_are_refused(kpop_house: House, kdc: Kdc, name: str) -> None:
    request = ApClient(kdc.sign_in("ann", SECRET)).request()
    error = await refused(sign_in(kpop_house, request, name))
    assert error.kind is (Kind.UNAUTHENTICATED if name else Kind.INVALID)


async def test_a_request_that_is_said_again_is_refused(kpop_house: House, kdc: Kdc) -> None:
    client = ApClient(kdc.sign_in("ann", SECRET))
    request = client.request()
    assert (await sign_in(kpop_house, request))[1] is not None
    reply, ticket = await sign_in(kpop_house, request)
    assert ticket is None
    assert client.number(reply) == REPEAT


@pytest.mark.parametrize(
    ("whom", "ahead", "number"),
    [
        (("imap", "localhost"), 0, GENERIC),
        (("imap", "elsewhere"), 0, NOT_US),
        (("pop", "localhost"), 600, SKEW),
    ],
)
async def test_other_tickets_and_wrong_clocks_are_refused(
    kpop_house: House, kdc: Kdc, whom: tuple[str, str], ahead: int, number: int
) -> None:
    client = ApClient(kdc.sign_in("ann", SECRET), *whom, ahead=ahead)
    reply, ticket = await sign_in(kpop_house, client.request())
    assert ticket is None
    assert client.number(reply) == number


@pytest.mark.parametrize("request_", [b"", b"garbage", b"\x6e\x82\xff\xff", b"\x6e" * 60_000])
async def test_garbage_is_refused(kpop_house: House, kdc: Kdc, request_: bytes) -> None:
    client = ApClient(kdc.sign_in("ann", SECRET))
    reply, ticket = await sign_in(kpop_house, request_)
    assert ticket is None
    assert client.number(reply)


@pytest.mark.parametrize("name", ["nobody", "ann/admin"])
async def test_principals_without_an_account_are_refused(
    kpop_house: House, kdc: Kdc, name: str
) -> None:
    request = ApClient(kdc.sign_in(name, SECRET)).request()
    assert (await refused(sign_in(kpop_house, request))).kind is Kind.UNAUTHENTICATED


async def test_pop3_alone_has_it_where_it_is_listed(
    kpop_house: House, certificates: Path, sqlite_url: str, kdc: Kdc, keytab: Path
) -> None:
    async def private(house: House, **about: Any) -> list[str]:
        client = authentication_pb2.Client(address="192.0.2.1", **about)
        request = authentication_pb2.ListMechanismsRequest(client=client)
        answer = await house.authentication(about["protocol"]).ListMechanisms(request)
        assert "X-KPOP" not in answer.mechanisms
        return list(answer.private_mechanisms)

    assert await private(kpop_house, protocol="pop3") == ["X-KPOP"]
    assert await private(kpop_house, protocol="imap") == []
    request = ApClient(kdc.sign_in("ann", SECRET)).request()
    assert (await refused(sign_in(kpop_house, request, protocol="imap"))).kind is Kind.UNSUPPORTED
