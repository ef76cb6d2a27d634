"""QuotaService: people see their own quota; administrators set those of their tenant."""

from __future__ import annotations

from typing import Any

import pytest
from postroom.auth.v1 import account_pb2, quota_pb2, quota_pb2_grpc
from postroom_chassis.errors import Kind
from postroom_chassis.rpc.client import ticketed

from tests.protocol.auth.house import House, kind_of

ANN, BEN, EVE = "ann@example.org", "ben@example.org", "eve@example.net"
SECRET = "two words"


async def sign_in(house: House, address: str) -> str:
    return (await house.login(address, SECRET)).token


class Quotas:
    """The service as one person has it."""

    def __init__(self, house: House, token: str) -> None:
        self._stub: Any = house.channel("imap").stub(quota_pb2_grpc.QuotaServiceStub)
        self._metadata = ticketed(token)

    def open(self, address: str) -> Any:
        request = quota_pb2.OpenQuotaRequest(address=address)
        return self._stub.OpenQuota(request, metadata=self._metadata)

    def set(self, address: str, **limits: int) -> Any:
        request = quota_pb2.SetQuotaRequest(address=address, **limits)  # type: ignore[arg-type]
        return self._stub.SetQuota(request, metadata=self._metadata)


async def appoint(house: House, address: str, administrator: bool = True) -> None:
    change = account_pb2.UpdateAccountRequest(address=address, administrator=administrator)
    assert (await house.accounts.UpdateAccount(change)).administrator is administrator


@pytest.fixture
async def people(house: House) -> House:
    await house.add_domain("example.org")
    await house.accounts.CreateTenant(account_pb2.CreateTenantRequest(name="another"))
    await house.add_domain("example.net", "another")
    for address in (ANN, BEN, EVE):
        await house.add_account(address, SECRET, quota_bytes=1000)
    return house


async def test_everybody_sees_their_own(people: House) -> None:
    ann = Quotas(people, await sign_in(people, ANN))
    ticket = await ann.open(ANN)
    assert (ticket.address, ticket.quota_bytes) == (ANN, 1000)
    for address in (BEN, EVE, "nobody@example.org", "no address"):
        assert await kind_of(ann.open(address)) is Kind.DENIED
    assert await kind_of(ann.set(ANN, bytes=5)) is Kind.DENIED


async def test_an_administrator_sets_those_of_the_tenant(people: House) -> None:
    await appoint(people, ANN)
    ann = Quotas(people, await sign_in(people, ANN))
    assert (await ann.open(BEN)).quota_bytes == 1000
    set_ = await ann.set(BEN, bytes=5, messages=6, mailboxes=7)
    assert set_.quota_bytes == 5
    request = account_pb2.GetAccountRequest(address=BEN)
    kept = await people.accounts.GetAccount(request)
    assert (kept.quota_bytes, kept.quota_messages, kept.quota_mailboxes) == (5, 6, 7)
    assert await kind_of(ann.set(EVE, bytes=5)) is Kind.DENIED
    assert await kind_of(ann.open(EVE)) is Kind.DENIED
    assert await kind_of(ann.open("nobody@example.org")) is Kind.NOT_FOUND
    assert await kind_of(ann.set(BEN, bytes=-1)) is Kind.INVALID
    await appoint(people, ANN, administrator=False)
    assert await kind_of(ann.set(BEN, bytes=9)) is Kind.DENIED


async def test_such_a_ticket_opens_nothing_else(people: House) -> None:
    """It would let its bearer set quotas, or read mail, in somebody else's name."""
    await appoint(people, ANN)
    await appoint(people, BEN)
    ann = Quotas(people, await sign_in(people, ANN))
    opened = Quotas(people, (await ann.open(BEN)).token)
    assert await kind_of(opened.set(ANN, bytes=5)) is Kind.DENIED
    assert await kind_of(opened.open(BEN)) is Kind.DENIED
