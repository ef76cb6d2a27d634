"""What administrators do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from postroom.auth.v1 import account_pb2, account_pb2_grpc
from postroom_chassis.errors import Kind, PostroomError

from tests.protocol.auth.house import House, refused


async def test_tenants_own_domains(house: House) -> None:
    tenant = await house.accounts.CreateTenant(account_pb2.CreateTenantRequest(name="Acme"))
    await house.add_domain("acme.example", tenant="Acme")
    await house.add_domain("example.org")
    await house.add_account("ann@acme.example")
    listed = await house.accounts.ListTenants(account_pb2.ListTenantsRequest())
    assert [entry.name for entry in listed.tenants] == ["Acme", "default"]
    assert listed.tenants[0].tenant_id == tenant.tenant_id
    domains = await house.accounts.ListDomains(account_pb2.ListDomainsRequest())
    assert [(d.name, d.tenant, d.accounts) for d in domains.domains] == [
        ("acme.example", "Acme", 1),
        ("example.org", "default", 0),
    ]
    domains = await house.accounts.ListDomains(account_pb2.ListDomainsRequest(tenant="Acme"))
    assert [domain.name for domain in domains.domains] == ["acme.example"]


async def test_what_others_depend_on_stays(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_account("ann@example.org")
    await house.add_alias("all@example.org", "x@elsewhere.example")
    domain = account_pb2.DeleteDomainRequest(name="example.org")
    tenant = account_pb2.DeleteTenantRequest(name="default")
    assert (await refused(house.accounts.DeleteTenant(tenant))).kind is Kind.CONFLICT
    assert (await refused(house.accounts.DeleteDomain(domain))).kind is Kind.CONFLICT
    await house.accounts.DeleteAccount(account_pb2.DeleteAccountRequest(address="ann@example.org"))
    assert (await refused(house.accounts.DeleteDomain(domain))).kind is Kind.CONFLICT
    await house.accounts.DeleteAlias(account_pb2.DeleteAliasRequest(address="all@example.org"))
    await house.accounts.DeleteDomain(domain)
    await house.accounts.DeleteTenant(tenant)
    assert (await refused(house.accounts.DeleteDomain(domain))).kind is Kind.NOT_FOUND
    assert (await refused(house.accounts.DeleteTenant(tenant))).kind is Kind.NOT_FOUND


async def test_an_account_is_made_read_changed_and_deleted(house: House) -> None:
    await house.add_domain("example.org")
    made = await house.add_account(
        "Ann@EXAMPLE.org", "secret", display_name=" Ann A. ", quota_bytes=100
    )
    assert (made.address, made.display_name) == ("ann@example.org", "Ann A.")
    assert (made.quota_bytes, made.disabled, made.tenant) == (100, False, "default")
    assert made.created_at > 1_700_000_000
    by_id = account_pb2.GetAccountRequest(account_id=made.account_id)
    by_address = account_pb2.GetAccountRequest(address="ANN@example.org")
    assert await house.accounts.GetAccount(by_id) == made
    assert await house.accounts.GetAccount(by_address) == made
    change = account_pb2.UpdateAccountRequest(address="ann@example.org", quota_bytes=0)
    changed = await house.accounts.UpdateAccount(change)
    assert (changed.quota_bytes, changed.display_name) == (0, "Ann A.")
    change = account_pb2.UpdateAccountRequest(address="ann@example.org", display_name="")
    changed = await house.accounts.UpdateAccount(change)
    assert (changed.quota_bytes, changed.display_name) == (0, "")
    delete = account_pb2.DeleteAccountRequest(address="ann@example.org")
    assert (await house.accounts.DeleteAccount(delete)).account_id == made.account_id
    assert (await refused(house.accounts.DeleteAccount(delete))).kind is Kind.NOT_FOUND
    assert (await refused(house.accounts.GetAccount(by_id))).kind is Kind.NOT_FOUND


async def test_pages_come_in_order_of_address(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_domain("other.example")
    # Orders that a database's locale would change: case, punctuation, beyond ASCII.
    wanted = sorted(["b-c", "b", "bc", "b.c", "\u00fc", "a_b", "ab"])
    for name in reversed(wanted):
        await house.add_account(f"{name}@example.org")
        await house.add_account(f"{name}@other.example")
    names: list[str] = []
    token = ""
    pages = 0
    while True:
        request = account_pb2.ListAccountsRequest(
            domain="example.org", page_token=token, page_size=3
        )
        page = await house.accounts.ListAccounts(request)
        names += [account.address for account in page.accounts]
        pages += 1
        token = page.next_page_token
        if not token:
            break
    assert names == sorted(f"{name}@example.org" for name in wanted)
    assert pages == 3
    everybody = await house.accounts.ListAccounts(account_pb2.ListAccountsRequest())
    assert len(everybody.accounts) == 14
    assert everybody.next_page_token == ""


async def test_pages_that_can_not_be_are_refused(house: House) -> None:
    for request, kind in (
        (account_pb2.ListAccountsRequest(page_size=1001), Kind.INVALID),
        (account_pb2.ListAccountsRequest(page_size=-1), Kind.INVALID),
        (account_pb2.ListAccountsRequest(page_token="%%%"), Kind.INVALID),
        (account_pb2.ListAccountsRequest(page_token="/w=="), Kind.INVALID),
        (account_pb2.ListAccountsRequest(domain="no domain"), Kind.INVALID),
        (account_pb2.ListAccountsRequest(domain="elsewhere.example"), Kind.NOT_FOUND),
    ):
        assert (await refused(house.accounts.ListAccounts(request))).kind is kind


@pytest.mark.parametrize(
    "request_",
    [
        account_pb2.CreateAccountRequest(address="rubbish"),
        account_pb2.CreateAccountRequest(address="@example.org"),
        account_pb2.CreateAccountRequest(address="a" * 65 + "@example.org"),
        account_pb2.CreateAccountRequest(address="a@example.org", quota_bytes=-1),
        account_pb2.CreateAccountRequest(address="a@example.org", quota_bytes=2**63 - 1),
        account_pb2.CreateAccountRequest(address="a@example.org", display_name="x" * 201),
        account_pb2.CreateAccountRequest(address="a@example.org", display_name="a\nb"),
        account_pb2.CreateAccountRequest(address="a@example.org", password="tab\there"),
        account_pb2.CreateAccountRequest(address="a@example.org", password="x" * 1025),
        account_pb2.CreateAccountRequest(address="a\0b@example.org"),
    ],
)
async def test_accounts_that_can_not_be_are_refused(
    house: House, request_: account_pb2.CreateAccountRequest
) -> None:
    await house.add_domain("example.org")
    assert (await refused(house.accounts.CreateAccount(request_))).kind is Kind.INVALID


async def test_what_is_not_there_is_not_found(house: House) -> None:
    await house.add_domain("example.org")
    nobody = "nobody@example.org"
    accounts = house.accounts
    for attempt in (
        house.add_account("ann@elsewhere.example"),
        house.add_alias("ann@elsewhere.example", "x@y.example"),
        house.add_domain("acme.example", tenant="Acme"),
        accounts.GetAccount(account_pb2.GetAccountRequest(address=nobody)),
        accounts.UpdateAccount(account_pb2.UpdateAccountRequest(address=nobody, disabled=True)),
        accounts.SetPassword(account_pb2.SetPasswordRequest(address=nobody, password="x")),
        accounts.DeleteAlias(account_pb2.DeleteAliasRequest(address=nobody)),
        accounts.SetCatchAll(account_pb2.SetCatchAllRequest(name="example.org", address=nobody)),
        accounts.SetCatchAll(account_pb2.SetCatchAllRequest(name="elsewhere.example")),
    ):
        assert (await refused(attempt)).kind is Kind.NOT_FOUND
    nobody = account_pb2.GetAccountRequest()
    assert (await refused(accounts.GetAccount(nobody))).kind is Kind.INVALID


async def test_a_catch_all_is_an_account_of_the_same_tenant(house: House) -> None:
    await house.accounts.CreateTenant(account_pb2.CreateTenantRequest(name="Acme"))
    await house.add_domain("acme.example", tenant="Acme")
    await house.add_domain("example.org")
    await house.add_account("ann@example.org")
    stranger = account_pb2.SetCatchAllRequest(name="acme.example", address="ann@example.org")
    assert (await refused(house.accounts.SetCatchAll(stranger))).kind is Kind.NOT_FOUND


async def test_an_empty_password_is_none(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_account("ann@example.org", "secret")
    empty = account_pb2.SetPasswordRequest(address="ann@example.org")
    assert (await refused(house.accounts.SetPassword(empty))).kind is Kind.INVALID


async def test_an_address_means_one_thing(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_account("ann@example.org")
    await house.add_alias("all@example.org", "ann@example.org")
    for attempt in (
        house.add_account("ANN@example.org"),
        house.add_account("all@example.org"),
        house.add_alias("ann@example.org", "x@y.example"),
        house.add_alias('"all"@example.org', "x@y.example"),
        house.add_domain("EXAMPLE.ORG"),
        house.accounts.CreateTenant(account_pb2.CreateTenantRequest(name="default")),
    ):
        assert (await refused(attempt)).kind is Kind.ALREADY_EXISTS


async def outcome(attempt: object) -> Kind | None:
    try:
        await attempt  # type: ignore[misc]
    except PostroomError as error:
        return error.kind
    return None


async def test_of_many_who_make_the_same_at_once_one_succeeds(house: House) -> None:
    for make in (
        lambda: house.add_domain("example.org"),
        lambda: house.add_account("ann@example.org"),
        lambda: house.add_alias("all@example.org", "ann@example.org"),
    ):
        outcomes = await asyncio.gather(*(outcome(make()) for _ in range(12)))
        assert outcomes.count(None) == 1
        assert outcomes.count(Kind.ALREADY_EXISTS) == 11


async def test_an_alias_and_an_account_at_once_are_one_of_them(house: House) -> None:
    await house.add_domain("example.org")
    for number in range(5):
        address = f"a{number}@example.org"
        outcomes = await asyncio.gather(
            outcome(house.add_account(address)), outcome(house.add_alias(address, "x@y.example"))
        )
        assert sorted(map(str, outcomes)) == ["ALREADY_EXISTS", "None"]


async def test_an_alias_keeps_its_targets_as_written_and_in_order(house: House) -> None:
    await house.add_domain("example.org")
    targets = ["Zoe@Elsewhere.EXAMPLE", "ann+News@example.org", "bob@example.org"]
    made = await house.add_alias("All@example.org", *targets)
    assert made.address == "all@example.org"
    assert made.targets == ["Zoe@elsewhere.example", "ann+News@example.org", "bob@example.org"]
    listed = await house.accounts.ListAliases(account_pb2.ListAliasesRequest(domain="example.org"))
    assert list(listed.aliases) == [made]


async def test_aliases_come_in_pages(house: House) -> None:
    await house.add_domain("example.org")
    for number in range(5):
        await house.add_alias(f"a{number}@example.org", "x@y.example")
    found: list[str] = []
    token = ""
    while True:
        request = account_pb2.ListAliasesRequest(page_token=token, page_size=2)
        page = await house.accounts.ListAliases(request)
        found += [alias.address for alias in page.aliases]
        token = page.next_page_token
        if not token:
            break
    assert found == [f"a{number}@example.org" for number in range(5)]


async def test_pages_of_large_aliases_are_cut(sqlite_house: House) -> None:
    house = sqlite_house
    await house.add_domain("example.org")
    domain = ".".join(["d" * 60] * 3)
    targets = [f"{'t' * 50}{number}@{domain}" for number in range(1000)]
    for number in range(6):
        await house.add_alias(f"a{number}@example.org", *targets)
    first = await house.accounts.ListAliases(account_pb2.ListAliasesRequest())
    assert 1 <= len(first.aliases) < 6
    rest = await house.accounts.ListAliases(
        account_pb2.ListAliasesRequest(page_token=first.next_page_token)
    )
    found = [alias.address for alias in (*first.aliases, *rest.aliases)]
    assert found == [f"a{number}@example.org" for number in range(len(found))]


async def test_aliases_that_lead_back_to_themselves_are_refused(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_alias("a@example.org", "b@example.org")
    await house.add_alias("b@example.org", "c+x@example.org")
    for address, target in (
        ("self@example.org", "SELF@example.org"),
        ("self@example.org", "self+x@example.org"),
        ("c@example.org", "a@example.org"),
        ("c+x@example.org", "b@example.org"),
    ):
        assert (await refused(house.add_alias(address, target))).kind is Kind.INVALID
    (answer,) = await house.resolve("a@example.org")
    assert not answer.recipients


async def change_alias(
    house: House, address: str, added: Sequence[str] = (), removed: Sequence[str] = ()
) -> account_pb2.Alias:
    request = account_pb2.UpdateAliasRequest(address=address, added=added, removed=removed)
    return await house.accounts.UpdateAlias(request)


async def test_members_of_a_group_come_and_go(house: House) -> None:
    await house.add_domain("example.org")
    people = [(await house.add_account(f"{name}@example.org")).address for name in ("ann", "ben")]
    await house.add_alias("team@example.org", people[0])
    changed = await change_alias(house, "team@example.org", [people[1], "Eve@example.net"])
    assert list(changed.targets) == [*people, "Eve@example.net"]
    (found,) = await house.resolve("team@example.org")
    assert [one.address for one in found.recipients] == people
    assert list(found.forwards) == ["Eve@example.net"]
    # What is so already stays so, and may be asked for again.
    for _ in range(2):
        changed = await change_alias(house, "team@example.org", people, ["eve@EXAMPLE.net"])
        assert list(changed.targets) == people
    (found,) = await house.resolve("team@example.org")
    assert not found.forwards


async def test_a_change_that_can_not_be_is_refused(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_alias("a@example.org", "b@example.org", "x@example.net")
    await house.add_alias("b@example.org", "y@example.net")
    for changes, kind in (
        (("b@example.org", ["a@example.org"]), Kind.INVALID),
        (("b@example.org", ["a+detail@example.org"]), Kind.INVALID),
        (("b@example.org", ["b@example.org"]), Kind.INVALID),
        (("b@example.org", [], ["y@example.net"]), Kind.INVALID),
        (("b@example.org", ["no address"]), Kind.INVALID),
        (("b@example.org", [f"p{n}@example.net" for n in range(1000)]), Kind.INVALID),
        (("nobody@example.org", ["y@example.net"]), Kind.NOT_FOUND),
    ):
        assert (await refused(change_alias(house, *changes))).kind is kind
    (found,) = await house.resolve("a@example.org")
    assert list(found.forwards) == ["y@example.net", "x@example.net"]


async def test_two_halves_of_a_loop_by_changes_at_once_do_not_close_it(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_alias("a@example.org", "x@example.net")
    await house.add_alias("b@example.org", "x@example.net")
    done = await asyncio.gather(
        change_alias(house, "a@example.org", ["b@example.org"]),
        change_alias(house, "b@example.org", ["a@example.org"]),
        return_exceptions=True,
    )
    (error,) = (one for one in done if isinstance(one, PostroomError))
    assert error.kind is Kind.INVALID


async def test_an_alias_that_would_lead_to_too_many_is_refused(sqlite_house: House) -> None:
    house = sqlite_house
    await house.add_domain("example.org")
    for group in range(11):
        members = [f"p{group}.{number}@example.net" for number in range(1000)]
        await house.add_alias(f"group{group}@example.org", *members)
    groups = [f"group{number}@example.org" for number in range(11)]
    assert (await refused(house.add_alias("all@example.org", *groups))).kind is Kind.INVALID
    await house.add_alias("most@example.org", *groups[:9])
    assert (await refused(change_alias(house, "most@example.org", groups[9:]))).kind is Kind.INVALID


async def test_two_halves_of_a_loop_at_once_do_not_close_it(house: House) -> None:
    await house.add_domain("example.org")
    for number in range(5):
        one, other = f"one{number}@example.org", f"other{number}@example.org"
        outcomes = await asyncio.gather(
            outcome(house.add_alias(one, other)), outcome(house.add_alias(other, one))
        )
        assert sorted(map(str, outcomes)) == ["INVALID", "None"]


async def test_aliases_that_can_not_be_are_refused(house: House) -> None:
    await house.add_domain("example.org")
    many = [f"t{number}@y.example" for number in range(1001)]
    for targets in ([], many, ["rubbish"], ["x@y.example", "X@Y.example"]):
        assert (await refused(house.add_alias("a@example.org", *targets))).kind is Kind.INVALID
    assert (await house.add_alias("a@example.org", *many[:1000])).targets == many[:1000]


@pytest.mark.parametrize("numbers", [range(40), range(40, 0, -1)], ids=["up", "down"])
async def test_a_chain_that_is_too_long_is_refused(house: House, numbers: range) -> None:
    await house.add_domain("example.org")
    kinds = []
    for number in numbers:
        made = house.add_alias(f"a{number}@example.org", f"a{number - 1}@example.org")
        kinds.append(await outcome(made))
        if kinds[-1] is not None:
            break
    assert kinds[-1] is Kind.INVALID
    assert len(kinds) > 10
    (answer,) = await house.resolve("a10@example.org")
    assert not answer.recipients


async def test_aliases_go_with_the_account_that_they_lead_to(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_account("ann@example.org")
    await house.add_alias("a@example.org", "Ann+news@example.org")
    await house.add_alias("all@example.org", "ANN@example.org", "x@y.example")
    await house.accounts.DeleteAccount(account_pb2.DeleteAccountRequest(address="ann@example.org"))
    listed = await house.accounts.ListAliases(account_pb2.ListAliasesRequest())
    assert [(alias.address, list(alias.targets)) for alias in listed.aliases] == [
        ("all@example.org", ["x@y.example"])
    ]


async def test_only_admin_reaches_accounts(sqlite_house: House) -> None:
    for caller in ("imap", "pop3", "smtp"):
        stub = sqlite_house.channel(caller).stub(account_pb2_grpc.AccountServiceStub)
        listing = stub.ListTenants(account_pb2.ListTenantsRequest())
        assert (await refused(listing)).kind is Kind.DENIED
