"""People whom an LDAP server knows: a real slapd."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from postroom.auth.v1 import account_pb2, directory_pb2
from postroom_chassis.errors import Kind, PostroomError

from tests.harness.clients import require
from tests.harness.scram import ScramClient
from tests.harness.slapd import (
    GROUPS,
    PEOPLE,
    SERVICE_DN,
    SERVICE_PASSWORD,
    Slapd,
    group,
    missing,
    person,
    running_slapd,
)
from tests.protocol.auth.house import House, opened, refused

LOCAL = directory_pb2.Resolution.KIND_LOCAL
UNKNOWN = directory_pb2.Resolution.KIND_UNKNOWN
UNAVAILABLE = directory_pb2.Resolution.KIND_UNAVAILABLE

ANN = "ann@example.org"
SECRET = "Annas Geheimnis"
# How long a server that says nothing may keep anybody waiting, and what comes on top of it here.
SECONDS = 1.0
MARGIN = 2.0

ENTRIES = (
    person("ann", SECRET, cn="Ann Ärmel"),
    person("bob", "bobs secret", "bob@example.org"),
    person("carol", "carols secret", employeeType="former"),
    person("nopassword"),
    person("dup1", "same secret", "dup@example.org"),
    person("dup2", "same secret", "dup@example.org"),
    person("mallory", "her secret", "mallory@elsewhere.example"),
    person("star", "stars secret", "*@example.org"),
    group("mail", "ann", "carol", "nopassword"),
    group(
        "team", "ann", "bob", f"cn=friends,{GROUPS}", f"uid=gone,{PEOPLE}", mail="team@example.org"
    ),
    group("friends", "mallory", f"cn=team,{GROUPS}", mail="friends@example.org"),
    group("large", *(f"nobody{number}" for number in range(20)), mail="large@example.org"),
)


@pytest.fixture(scope="module")
def shared_slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    require(missing())
    with running_slapd(tmp_path_factory.mktemp("slapd"), *ENTRIES) as slapd:
        yield slapd


@pytest.fixture
def own_slapd(tmp_path: Path) -> Iterator[Slapd]:
    """For those who kill it."""
    require(missing())
    folder = tmp_path / "slapd"
    folder.mkdir()
    with running_slapd(folder, *ENTRIES) as slapd:
        yield slapd


def ldap(slapd: Slapd, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "ldap",
        "domains": ["example.org"],
        "url": slapd.url,
        "bind_dn": SERVICE_DN,
        "bind_password": SERVICE_PASSWORD,
        "people_base": PEOPLE,
        "groups_base": GROUPS,
        "most_members": 10,
        "seconds": SECONDS,
        **changes,
    }


@asynccontextmanager
async def a_house(
    certificates: Path, url: str, directory: dict[str, Any], **settings: Any
) -> AsyncIterator[House]:
    """A service with an LDAP server for example.org, and its own people at example.com."""
    settings = {"directory_seconds": 0, "remembered_passwords": 0, **settings}
    async with opened(certificates, url, directories={"office": directory}, **settings) as house:
        await house.add_domain("example.org")
        await house.add_domain("example.com")
        await house.add_account("eve@example.com", "eves secret")
        yield house


@pytest.fixture
async def ldap_house(
    certificates: Path, database_url: str, shared_slapd: Slapd
) -> AsyncIterator[House]:
    async with a_house(certificates, database_url, ldap(shared_slapd)) as house:
        yield house


@pytest.fixture
async def small_house(
    certificates: Path, sqlite_url: str, shared_slapd: Slapd
) -> AsyncIterator[House]:
    async with a_house(certificates, sqlite_url, ldap(shared_slapd)) as house:
        yield house


async def account(house: House, address: str) -> account_pb2.Account:
    return await house.accounts.GetAccount(account_pb2.GetAccountRequest(address=address))


async def test_who_signs_in_for_the_first_time_gets_an_account(ldap_house: House) -> None:
    assert (await refused(account(ldap_house, ANN))).kind is Kind.NOT_FOUND
    ticket = await ldap_house.login("Ann@Example.ORG", SECRET)
    assert ticket.address == ANN
    made = await account(ldap_house, ANN)
    assert (made.account_id, made.display_name) == (ticket.account_id, "Ann Ärmel")
    assert (await ldap_house.login(ANN, SECRET)).account_id == ticket.account_id


async def test_ten_first_sign_ins_at_once_make_one_account(ldap_house: House) -> None:
    tickets = await asyncio.gather(*(ldap_house.login(ANN, SECRET) for _ in range(10)))
    assert len({ticket.account_id for ticket in tickets}) == 1


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (ANN, "wrong"),
        ("nobody@example.org", SECRET),
        ("nopassword@example.org", SECRET),
        ("dup@example.org", "same secret"),
        ("team@example.org", SECRET),
        ("mallory@elsewhere.example", "her secret"),
        # RFC 4515 section 3: each of these would widen a filter that is put together carelessly.
        ("*@example.org", SECRET),
        ("a*@example.org", SECRET),
        ('"ann@example.org)(mail=*"@example.org', SECRET),
        ('"*)(uid=ann"@example.org', SECRET),
        ("ann\\2a@example.org", SECRET),
    ],
)
async def test_whatever_is_wrong_the_answer_is_the_same(
    small_house: House, name: str, password: str
) -> None:
    error = await refused(small_house.login(name, password))
    assert (error.kind, error.message) == (
        Kind.UNAUTHENTICATED,
        "the name or the password is wrong",
    )


async def test_a_star_is_a_name_like_others(small_house: House) -> None:
    assert (await small_house.login("*@example.org", "stars secret")).address == "*@example.org"
    assert [one.kind for one in await small_house.resolve("a*@example.org")] == [UNKNOWN]


async def test_an_empty_password_is_no_password(small_house: House) -> None:
    # RFC 4513 section 5.1.2: a server takes a name with an empty password for nobody, and agrees.
    assert (await refused(small_house.login(ANN, ""))).kind is Kind.INVALID


async def test_mail_finds_people_and_makes_their_accounts(ldap_house: House) -> None:
    known, detailed, unknown, double, ours = await ldap_house.resolve(
        ANN, "ANN+news@example.org", "nobody@example.org", "dup@example.org", "eve@example.com"
    )
    assert (known.kind, known.recipients[0].address) == (LOCAL, ANN)
    assert known.recipients[0].account_id == (await account(ldap_house, ANN)).account_id
    assert (detailed.kind, detailed.recipients[0].detail) == (LOCAL, "news")
    assert unknown.kind == UNKNOWN
    assert double.kind == UNAVAILABLE  # two entries claim it: for an operator to mend
    assert ours.kind == LOCAL


async def test_a_group_delivers_to_its_members_once_each(ldap_house: House) -> None:
    team, friends, large = await ldap_house.resolve(
        "team@example.org", "friends@example.org", "large@example.org"
    )
    for resolution in (team, friends):  # each is a member of the other
        assert resolution.kind == LOCAL
        assert {one.address for one in resolution.recipients} == {ANN, "bob@example.org"}
        assert resolution.forwards == ["mallory@elsewhere.example"]
    assert large.kind == UNAVAILABLE  # more members than the operator wants


async def test_an_alias_of_ours_leads_to_people_of_theirs(ldap_house: House) -> None:
    await ldap_house.add_alias("sales@example.com", ANN, "team@example.org")
    (sales,) = await ldap_house.resolve("sales@example.com")
    assert {one.address for one in sales.recipients} == {ANN, "bob@example.org"}
    ann = (await account(ldap_house, ANN)).account_id
    assert await ldap_house.may_send_as(ann, ANN, "team@example.org", "carol@example.org") == [
        True,
        True,
        False,
    ]


async def test_other_addresses_of_a_person_lead_to_the_first(
    certificates: Path, sqlite_url: str, tmp_path: Path
) -> None:
    require(missing())
    entries = person("ann", SECRET, description="ann.aermel@example.org")
    with running_slapd(tmp_path, entries) as slapd:
        directory = ldap(slapd, addresses=["mail", "description"])
        async with a_house(certificates, sqlite_url, directory) as house:
            (other,) = await house.resolve("Ann.Aermel@example.org")
            assert [one.address for one in other.recipients] == [ANN]
            await refused(house.login("ann.aermel@example.org", SECRET))


@pytest.mark.parametrize(
    "permitted",
    [
        {"sign_in_groups": [f"cn=none,{GROUPS}", f"cn=mail,{GROUPS}"]},
        {"sign_in_filter": "(!(uid=bob))"},
    ],
)
async def test_an_operator_says_who_may_sign_in(
    certificates: Path, sqlite_url: str, shared_slapd: Slapd, permitted: dict[str, Any]
) -> None:
    async with a_house(certificates, sqlite_url, ldap(shared_slapd, **permitted)) as house:
        assert (await house.login(ANN, SECRET)).address == ANN
        error = await refused(house.login("bob@example.org", "bobs secret"))
        assert error.kind is Kind.UNAUTHENTICATED
        assert [one.kind for one in await house.resolve("bob@example.org")] == [LOCAL]


async def test_who_leaves_can_neither_sign_in_nor_go_on_nor_get_mail(
    certificates: Path, database_url: str, own_slapd: Slapd
) -> None:
    directory = ldap(own_slapd, sign_in_filter="(!(employeeType=former))")
    async with a_house(certificates, database_url, directory) as house:
        ann, bob = (
            await house.login(ANN, SECRET),
            await house.login("bob@example.org", "bobs secret"),
        )
        own_slapd.modify(f"dn: uid=ann,{PEOPLE}\nchangetype: delete\n")
        own_slapd.modify(
            f"dn: uid=bob,{PEOPLE}\nchangetype: modify\nadd: employeeType\nemployeeType: former\n"
        )
        for ticket, name, password in ((ann, ANN, SECRET), (bob, bob.address, "bobs secret")):
            assert (await refused(house.login(name, password))).kind is Kind.UNAUTHENTICATED
            assert (await refused(house.renew(ticket.token))).kind is Kind.UNAUTHENTICATED
        assert [one.kind for one in await house.resolve(ANN, bob.address)] == [UNKNOWN, LOCAL]


async def test_an_administrator_disables_somebody_of_theirs(small_house: House) -> None:
    await small_house.login(ANN, SECRET)
    await small_house.accounts.UpdateAccount(
        account_pb2.UpdateAccountRequest(address=ANN, disabled=True)
    )
    assert (await refused(small_house.login(ANN, SECRET))).kind is Kind.UNAUTHENTICATED


async def test_an_account_with_a_password_of_ours_is_ours(small_house: House) -> None:
    await small_house.add_account("scanner@example.org", "made by an administrator")
    ticket = await small_house.login("scanner@example.org", "made by an administrator")
    assert ticket.address == "scanner@example.org"
    assert [one.kind for one in await small_house.resolve(ticket.address)] == [LOCAL]


async def test_the_password_of_somebody_of_theirs_is_changed_there(small_house: House) -> None:
    await small_house.login(ANN, SECRET)
    request = account_pb2.SetPasswordRequest(address=ANN, password="a new secret")
    assert (await refused(small_house.accounts.SetPassword(request))).kind is Kind.CONFLICT


async def test_pages_smaller_than_what_is_found(
    certificates: Path, sqlite_url: str, tmp_path: Path
) -> None:
    require(missing())
    names = [f"person{number}" for number in range(30)]
    with running_slapd(tmp_path, *map(person, names), size_limit=500) as slapd:
        async with a_house(certificates, sqlite_url, ldap(slapd, page=7)) as house:
            found = await house.resolve(*(f"{name}@example.org" for name in names))
            assert {one.kind for one in found} == {LOCAL}


@pytest.mark.parametrize("how", [{"start_tls": True}, {"url": "ldaps"}])
@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_with_the_right_authority_alone(
    certificates: Path, sqlite_url: str, shared_slapd: Slapd, how: dict[str, Any], trusted: bool
) -> None:
    authority = shared_slapd.authority if trusted else shared_slapd.foreign_authority
    how = {**how, "url": shared_slapd.tls_url if how.get("url") else shared_slapd.url}
    directory = ldap(shared_slapd, authority=authority, **how)
    async with a_house(certificates, sqlite_url, directory) as house:
        if trusted:
            assert (await house.login(ANN, SECRET)).address == ANN
        else:
            assert (await refused(house.login(ANN, SECRET))).kind is Kind.UNAVAILABLE


async def test_a_certificate_for_another_host_is_refused(
    certificates: Path, sqlite_url: str, shared_slapd: Slapd
) -> None:
    url = shared_slapd.tls_url.replace("127.0.0.1", "localhost")
    directory = ldap(shared_slapd, authority=shared_slapd.authority, url=url)
    async with a_house(certificates, sqlite_url, directory) as house:
        assert (await refused(house.login(ANN, SECRET))).kind is Kind.UNAVAILABLE


async def test_a_searcher_with_a_wrong_password_is_a_fault_for_a_while(
    certificates: Path, sqlite_url: str, shared_slapd: Slapd
) -> None:
    directory = ldap(shared_slapd, bind_password="wrong")
    async with a_house(certificates, sqlite_url, directory) as house:
        assert (await refused(house.login(ANN, SECRET))).kind is Kind.UNAVAILABLE


async def away(house: House, own_ticket: str) -> None:
    """The directory is away: its own domain waits, for a while; the others don't notice."""
    begun = time.monotonic()
    with pytest.raises(PostroomError) as error:
        await house.login("bob@example.org", "bobs secret")
    assert error.value.kind is Kind.UNAVAILABLE
    unseen, seen, others = await house.resolve("bob@example.org", ANN, "eve@example.com")
    assert (unseen.kind, seen.kind, others.kind) == (UNAVAILABLE, LOCAL, LOCAL)
    assert time.monotonic() - begun < SECONDS + MARGIN
    begun = time.monotonic()
    for _ in range(20):
        assert (await refused(house.login(ANN, SECRET))).kind is Kind.UNAVAILABLE
    assert (await house.login("eve@example.com", "eves secret")).address == "eve@example.com"
    assert (await house.renew(own_ticket)).address == ANN
    assert time.monotonic() - begun < MARGIN


async def test_a_server_that_is_down_and_back(
    certificates: Path, database_url: str, own_slapd: Slapd
) -> None:
    async with a_house(certificates, database_url, ldap(own_slapd)) as house:
        ticket = await house.login(ANN, SECRET)
        own_slapd.kill()
        await away(house, ticket.token)
        own_slapd.start()
        assert (await house.login(ANN, SECRET)).account_id == ticket.account_id


async def test_a_server_that_says_nothing_and_then_goes_on(
    certificates: Path, sqlite_url: str, own_slapd: Slapd
) -> None:
    async with a_house(certificates, sqlite_url, ldap(own_slapd)) as house:
        ticket = await house.login(ANN, SECRET)
        own_slapd.stop()
        await away(house, ticket.token)
        own_slapd.go_on()
        async with asyncio.timeout(MARGIN):
            while not await signs_in(house):
                pass
        assert (await house.login(ANN, SECRET)).account_id == ticket.account_id


async def signs_in(house: House) -> bool:
    try:
        await house.login(ANN, SECRET)
    except PostroomError as error:
        if error.kind is not Kind.UNAVAILABLE:
            raise
        return False
    return True


async def test_connections_that_the_server_has_closed_are_made_anew(
    certificates: Path, sqlite_url: str, own_slapd: Slapd
) -> None:
    async with a_house(certificates, sqlite_url, ldap(own_slapd)) as house:
        await asyncio.gather(*(house.login(ANN, SECRET) for _ in range(8)))
        own_slapd.kill()
        own_slapd.start()
        tickets = await asyncio.gather(*(house.login(ANN, SECRET) for _ in range(8)))
        assert {ticket.address for ticket in tickets} == {ANN}


async def test_failures_are_throttled_as_anybodys(
    certificates: Path, sqlite_url: str, shared_slapd: Slapd
) -> None:
    async with a_house(certificates, sqlite_url, ldap(shared_slapd)) as house:
        for _ in range(6):
            await refused(house.login(ANN, "wrong"))
        assert (await refused(house.login(ANN, SECRET))).kind is Kind.RATE_LIMITED


async def test_scram_is_not_for_people_whose_password_is_elsewhere(small_house: House) -> None:
    # The same salt and the same refusal before and after a sign-in by PLAIN, which brings the
    # password: no verifier is made of it.
    salts = []
    for _ in range(2):
        salts.append(await small_house.salt("SCRAM-SHA-256", ANN))
        error = await refused(small_house.scram(ScramClient("SCRAM-SHA-256", ANN, SECRET)))
        assert (error.kind, error.message) == (
            Kind.UNAUTHENTICATED,
            "the name or the password is wrong",
        )
        await small_house.login(ANN, SECRET)
    assert salts[0] == salts[1]
    eve = ScramClient("SCRAM-SHA-256", "eve@example.com", "eves secret")
    assert (await small_house.scram(eve)).address == "eve@example.com"


async def test_a_certificate_names_somebody_of_theirs(
    certificates: Path, sqlite_url: str, shared_slapd: Slapd
) -> None:
    permitted = ldap(shared_slapd, sign_in_filter="(!(employeeType=former))")
    async with a_house(certificates, sqlite_url, permitted) as house:
        _, ticket = await house.exchange("EXTERNAL", initial=b"", certificate_names=[ANN])
        assert ticket.address == ANN
        for name in ("carol@example.org", "nobody@example.org"):
            attempt = house.exchange("EXTERNAL", initial=b"", certificate_names=[name])
            assert (await refused(attempt)).kind is Kind.UNAUTHENTICATED
