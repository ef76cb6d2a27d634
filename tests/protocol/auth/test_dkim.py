"""Keys that mail is signed with: made, turned, given to who signs, sealed anew."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from postroom.auth.v1 import account_pb2, dkim_pb2, dkim_pb2_grpc
from postroom_auth.database import open_engine
from postroom_auth.tables import dkim_keys
from postroom_chassis.errors import Kind

from tests.protocol.auth.house import House, opened, refused

KEY = "a:" + base64.b64encode(b"a" * 32).decode()
NEXT = "b:" + base64.b64encode(b"b" * 32).decode()
ED25519 = "ed25519-sha256"


def with_key(certificates: Path, url: str, keys: str = KEY) -> AbstractAsyncContextManager[House]:
    return opened(certificates, url, secrets_keys=keys)


@pytest.fixture
async def keeping(certificates: Path, database_url: str) -> AsyncIterator[House]:
    """A service that keeps keys, with a domain."""
    async with with_key(certificates, database_url) as house:
        await house.add_domain("example.org")
        yield house


def stub(house: House, caller: str = "admin") -> dkim_pb2_grpc.DkimServiceAsyncStub:
    return house.channel(caller).stub(dkim_pb2_grpc.DkimServiceStub)


async def make(
    house: House,
    domain: str = "example.org",
    *,
    algorithm: str = ED25519,
    selector: str = "",
    bits: int = 0,
) -> dkim_pb2.DkimKey:
    request = dkim_pb2.MakeDkimKeyRequest(
        domain=domain, algorithm=algorithm, selector=selector, bits=bits
    )
    return await stub(house).Make(request)


def which(selector: str, domain: str = "example.org") -> dkim_pb2.DkimKeyRequest:
    return dkim_pb2.DkimKeyRequest(domain=domain, selector=selector)


async def listed(house: House, domain: str = "") -> list[tuple[str, str, str]]:
    """Domain, selector and state of each key."""
    answer = await stub(house).List(dkim_pb2.ListDkimKeysRequest(domain=domain))
    return [
        (key.domain, key.selector, dkim_pb2.DkimKey.State.Name(key.state).removeprefix("STATE_"))
        for key in answer.keys
    ]


async def signing(
    house: House, *domains: str, caller: str = "smtp"
) -> list[list[dkim_pb2.SigningKey]]:
    service = house.channel(caller).stub(dkim_pb2_grpc.SigningServiceStub)
    answer = await service.Keys(dkim_pb2.SigningKeysRequest(domains=domains))
    return [list(one.keys) for one in answer.domains]


async def selectors(house: House, *domains: str) -> list[list[str]]:
    """What each domain's mail is signed with, as `d/s`."""
    found = await signing(house, *domains)
    return [[f"{key.domain}/{key.selector}" for key in keys] for keys in found]


async def test_a_key_signs_once_it_is_activated(keeping: House) -> None:
    made = await make(keeping, "Example.ORG", algorithm="")
    assert (made.domain, made.algorithm) == ("example.org", "rsa-sha256")
    assert re.fullmatch(r"rsa-\d{8}", made.selector)
    assert made.state == dkim_pb2.DkimKey.STATE_NEW
    assert made.created_at > 1_700_000_000
    assert await signing(keeping, "example.org") == [[]]

    active = await stub(keeping).Activate(which(made.selector))
    assert active.state == dkim_pb2.DkimKey.STATE_ACTIVE
    ((key,),) = await signing(keeping, "example.org")
    assert (key.domain, key.selector, key.algorithm) == (
        "example.org",
        made.selector,
        "rsa-sha256",
    )
    private = load_der_private_key(key.private_key, None)
    public = load_der_public_key(base64.b64decode(made.record.removeprefix("v=DKIM1; k=rsa; p=")))
    assert isinstance(private, rsa.RSAPrivateKey)
    assert isinstance(public, rsa.RSAPublicKey)
    assert private.key_size == 2048
    signed = private.sign(b"mail", padding.PKCS1v15(), hashes.SHA256())
    public.verify(signed, b"mail", padding.PKCS1v15(), hashes.SHA256())


async def test_an_ed25519_key_stands_beside_one_of_rsa(keeping: House) -> None:
    one = await make(keeping, algorithm="rsa-sha256", bits=1024)
    two = await make(keeping)
    for key in (one, two):
        await stub(keeping).Activate(which(key.selector))
    assert await selectors(keeping, "example.org") == [
        [f"example.org/{one.selector}", f"example.org/{two.selector}"]
    ]
    ((_, signed),) = await signing(keeping, "example.org")
    private = load_der_private_key(signed.private_key, None)
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    raw = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    assert two.record == f"v=DKIM1; k=ed25519; p={raw}"


async def test_keys_are_turned(keeping: House) -> None:
    for selector in ("one", "two", "three"):
        await make(keeping, selector=selector)
    for selector in ("one", "two", "two"):
        await stub(keeping).Activate(which(selector))
    assert await listed(keeping) == [
        ("example.org", "one", "RETIRED"),
        ("example.org", "two", "ACTIVE"),
        ("example.org", "three", "NEW"),
    ]
    assert await selectors(keeping, "example.org") == [["example.org/two"]]
    # And back, where the new one turns out not to be published.
    back = await stub(keeping).Activate(which("ONE"))
    assert (back.state, back.retired_at) == (dkim_pb2.DkimKey.STATE_ACTIVE, 0)
    assert await selectors(keeping, "example.org") == [["example.org/one"]]


async def test_a_retired_key_can_go(keeping: House) -> None:
    await make(keeping, selector="one")
    await stub(keeping).Activate(which("one"))
    error = await refused(stub(keeping).Remove(which("one")))
    assert error.kind is Kind.CONFLICT
    assert "retire it first" in error.message
    retired = await stub(keeping).Retire(which("one"))
    assert retired.state == dkim_pb2.DkimKey.STATE_RETIRED
    assert (await stub(keeping).Retire(which("one"))).retired_at == retired.retired_at > 0
    assert await signing(keeping, "example.org") == [[]]
    await stub(keeping).Remove(which("one"))
    assert await listed(keeping) == []
    for call in (stub(keeping).Remove, stub(keeping).Activate, stub(keeping).Retire):
        assert (await refused(call(which("one")))).kind is Kind.NOT_FOUND


async def test_mail_is_signed_with_the_keys_of_the_nearest_domain(keeping: House) -> None:
    await keeping.add_domain("deep.sub.example.org")
    await keeping.add_domain("bücher.example")
    for domain in ("example.org", "deep.sub.example.org", "bücher.example"):
        await make(keeping, domain, selector="s")
        await stub(keeping).Activate(which("s", domain))
    await keeping.add_domain("example.net")
    await make(keeping, "example.net", selector="new")
    asked = {
        "example.org": ["example.org/s"],
        "EXAMPLE.org": ["example.org/s"],
        "sub.example.org": ["example.org/s"],
        "deep.sub.example.org": ["deep.sub.example.org/s"],
        "x.deep.sub.example.org": ["deep.sub.example.org/s"],
        "xn--bcher-kva.example": ["xn--bcher-kva.example/s"],
        "bücher.example": ["xn--bcher-kva.example/s"],
        "example.net": [],
        "notexample.org": [],
        "no domain": [],
        "": [],
    }
    assert await selectors(keeping, *asked) == list(asked.values())
    assert (await refused(signing(keeping, *["x.org"] * 1001))).kind is Kind.INVALID
    assert await signing(keeping, *[f"{n}.x.y.z.example.com" for n in range(1000)]) == [[]] * 1000


@pytest.mark.parametrize(
    ("domain", "fields", "wanted"),
    [
        ("example.com", {}, Kind.NOT_FOUND),
        ("no domain", {}, Kind.INVALID),
        ("", {}, Kind.INVALID),
        ("example.org", {"algorithm": "rsa-sha1"}, Kind.INVALID),
        ("example.org", {"algorithm": "rsa-sha256", "bits": 512}, Kind.INVALID),
        ("example.org", {"bits": 2048}, Kind.INVALID),
        ("example.org", {"selector": "a b"}, Kind.INVALID),
        ("example.org", {"selector": "there"}, Kind.ALREADY_EXISTS),
    ],
)
async def test_what_is_no_key_is_not_made(
    keeping: House, domain: str, fields: dict[str, object], wanted: Kind
) -> None:
    await make(keeping, selector="there")
    error = await refused(make(keeping, domain, **fields))  # type: ignore[arg-type]
    assert error.kind is wanted
    assert await listed(keeping) == [("example.org", "there", "NEW")]


async def test_names_are_found_for_all_who_want_one_at_once(keeping: House) -> None:
    made = await asyncio.gather(*(make(keeping) for _ in range(3)))
    names = sorted(key.selector for key in made)
    assert names == [names[0], f"{names[0]}-2", f"{names[0]}-3"]


async def test_one_key_alone_is_active_however_many_are_activated_at_once(keeping: House) -> None:
    for number in range(4):
        await make(keeping, selector=f"s{number}")
    await asyncio.gather(
        *(stub(keeping).Activate(which(f"s{number}")) for number in range(4)),
    )
    ((_,),) = await signing(keeping, "example.org")


async def test_keys_of_a_domain_are_few_and_go_with_it(keeping: House) -> None:
    for number in range(50):
        await make(keeping, selector=f"s{number}")
    assert (await refused(make(keeping, selector="more"))).kind is Kind.LIMIT_EXCEEDED
    await keeping.accounts.DeleteDomain(account_pb2.DeleteDomainRequest(name="example.org"))
    assert await listed(keeping) == []
    assert (await refused(listed(keeping, "example.org"))).kind is Kind.NOT_FOUND


async def test_many_keys_are_listed_in_pages_by_domain_and_age(
    certificates: Path, sqlite_url: str
) -> None:
    async with with_key(certificates, sqlite_url) as house:
        for number in range(24, 0, -1):
            await house.add_domain(f"d{number:02}.example.org")
            for selector in range(50):
                await make(house, f"d{number:02}.example.org", selector=f"s{selector}")
        found: list[str] = []
        token, pages = "", 0
        while token or not pages:
            request = dkim_pb2.ListDkimKeysRequest(page_token=token)
            answer = await stub(house).List(request)
            found += [f"{key.selector}.{key.domain}" for key in answer.keys]
            token, pages = answer.next_page_token, pages + 1
        assert pages == 2
        assert found == [f"s{s}.d{n:02}.example.org" for n in range(1, 25) for s in range(50)]
        for wrong in ("x", "-1 a", "9" * 30, "٣ a"):
            request = dkim_pb2.ListDkimKeysRequest(page_token=wrong)
            assert (await refused(stub(house).List(request))).kind is Kind.INVALID


async def test_who_may_have_which(keeping: House) -> None:
    for caller in ("smtp", "imap", "pop3"):
        request = dkim_pb2.ListDkimKeysRequest()
        assert (await refused(stub(keeping, caller).List(request))).kind is Kind.DENIED
    for caller in ("admin", "imap", "pop3"):
        error = await refused(signing(keeping, "example.org", caller=caller))
        assert error.kind is Kind.DENIED


async def test_without_a_key_to_seal_with_there_are_none(
    certificates: Path, sqlite_url: str
) -> None:
    async with opened(certificates, sqlite_url) as house:
        await house.add_domain("example.org")
        error = await refused(make(house))
        assert error.kind is Kind.UNSUPPORTED
        assert "POSTROOM_AUTH_SECRETS_KEYS" in error.message
        assert await listed(house) == []
        assert await signing(house, "example.org") == [[]]


async def test_the_database_holds_no_key_and_a_row_moved_is_worth_nothing(
    certificates: Path, sqlite_url: str
) -> None:
    async with with_key(certificates, sqlite_url) as house:
        await house.add_domain("example.org")
        await make(house, selector="s")
        await stub(house).Activate(which("s"))
        ((key,),) = await signing(house, "example.org")
        engine = open_engine(sqlite_url, 1)
        with engine.begin() as connection:
            sealed = bytes(connection.scalars(sa.select(dkim_keys.c.sealed)).one())
            assert key.private_key[-32:] not in sealed
            connection.execute(sa.update(dkim_keys).values(selector="moved"))
        engine.dispose()
        error = await refused(signing(house, "example.org"))
        assert error.kind is Kind.UNAVAILABLE
        # Retiring it helps, even so.
        await stub(house).Retire(which("moved"))
        assert await signing(house, "example.org") == [[]]


async def test_a_new_key_follows_the_one_that_seals(certificates: Path, sqlite_url: str) -> None:
    async with with_key(certificates, sqlite_url) as house:
        await house.add_domain("example.org")
        await make(house, selector="s")
        await stub(house).Activate(which("s"))
        first = await signing(house, "example.org")
    for keys in (f"{KEY},{NEXT}", f"{NEXT},{KEY}", NEXT):
        async with with_key(certificates, sqlite_url, keys) as house:
            assert await signing(house, "example.org") == first
    async with with_key(certificates, sqlite_url, KEY) as house:
        assert (await refused(signing(house, "example.org"))).kind is Kind.UNAVAILABLE
