"""Looking at the DNS, a real server of the test's own, and turning keys by what is seen there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from postroom_admin.model import KeyState
from postroom_admin.publishing.checking import check_domain
from postroom_admin.publishing.dns_servers import DnsServers, read_server
from postroom_admin.publishing.judging import Finding, Verdict
from postroom_admin.publishing.records import Purpose, Setup, key_record, records
from postroom_admin.publishing.rotating import Done, rotate
from postroom_chassis.errors import Kind, PostroomError

from tests.harness.dns import DnsServer, dns_server
from tests.unit.admin.fakes import MADE, FakeServices

RSA, ED25519 = "rsa-sha256", "ed25519-sha256"
SETUP = Setup.of("example.org")
DAY = timedelta(days=1)


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with dns_server() as server:
        yield server


@pytest.fixture
def services(dns: DnsServer) -> FakeServices:
    made = FakeServices()
    made.dns = DnsServers(dns.address)
    return made


async def publish(dns: DnsServer, services: FakeServices) -> None:
    """All that the domain is to publish, and a host with a name both ways."""
    for record in records(SETUP, services.dkim.keys):
        if record.kind == "TXT":
            dns.text(record.name, record.value)
        else:
            dns.add(record.name, record.kind, f"{record.value}.")
    dns.add("mail.example.org", "A", "192.0.2.1")
    dns.add("1.2.0.192.in-addr.arpa", "PTR", "Mail.Example.org.")


async def check(services: FakeServices, setup: Setup = SETUP) -> dict[str, Finding]:
    """What isn't as it should be, by name."""
    found = await check_domain(services.ports, setup, MADE)
    return {one.name: one for one in found if one.verdict is not Verdict.OK}


async def with_key(services: FakeServices, algorithm: str = RSA) -> None:
    made = await services.dkim.make("example.org", algorithm)
    await services.dkim.activate("example.org", made.selector)


async def test_all_that_is_to_be_published_is(dns: DnsServer, services: FakeServices) -> None:
    await with_key(services)
    await publish(dns, services)
    left = await check(services)
    assert [*left] == ["_dmarc.example.org"]  # p=none
    assert all(one.good for one in left.values())


async def test_nothing_is_published(services: FakeServices) -> None:
    left = await check(services)
    assert {one.verdict for one in left.values()} == {Verdict.MISSING}
    needed = [name for name, one in left.items() if not one.good]
    assert needed == [
        *("example.org", "mail.example.org", "*._domainkey.example.org"),
        "_dmarc.example.org",
    ]
    assert left["*._domainkey.example.org"].next.startswith("`postroom dkim make example.org`")


async def test_a_key_that_does_not_sign_yet_is_not_enough(
    dns: DnsServer, services: FakeServices
) -> None:
    await services.dkim.make("example.org", RSA)
    await publish(dns, services)
    left = await check(services)
    assert "dkim activate example.org s1" in left["s1._domainkey.example.org"].next
    assert not left["*._domainkey.example.org"].good


async def test_keys_of_a_domain_above_sign_for_it(dns: DnsServer, services: FakeServices) -> None:
    await with_key(services)
    services.dkim.domains.add("deep.sub.example.org")
    await publish(dns, services)
    left = await check(services, Setup.of("deep.sub.example.org"))
    assert not any(one.purpose is Purpose.DKIM for one in left.values())
    # And the policy of the organisation holds below it.
    assert left["_dmarc.deep.sub.example.org"].verdict is Verdict.ADVICE
    assert left["_dmarc.deep.sub.example.org"].published


async def test_a_host_without_a_way_back(dns: DnsServer, services: FakeServices) -> None:
    await with_key(services)
    await publish(dns, services)
    dns.add("mail.example.org", "AAAA", "2001:db8::1")
    finding = (await check(services))["mail.example.org"]
    assert (finding.verdict, finding.published) == (Verdict.ADVICE, ("2001:db8::1",))
    assert "reverse DNS" in finding.next


async def test_what_the_dns_can_not_say_is_unknown_and_no_more(
    dns: DnsServer, services: FakeServices
) -> None:
    await with_key(services)
    await publish(dns, services)
    for name in ("_dmarc.example.org", "mail.example.org", "_imaps._tcp.example.org"):
        dns.fail(name)
    left = await check(services)
    assert {one.verdict for one in left.values()} == {Verdict.UNKNOWN}
    assert [name for name, one in left.items() if not one.good] == [
        "mail.example.org",
        "_dmarc.example.org",
    ]
    assert "look again later" in left["_dmarc.example.org"].next


async def test_a_domain_of_others_has_nothing_to_check(services: FakeServices) -> None:
    with pytest.raises(PostroomError) as missing:
        await check(services, Setup.of("example.com"))
    assert missing.value.kind is Kind.NOT_FOUND


async def test_lookups(dns: DnsServer) -> None:
    servers = DnsServers(dns.address)
    dns.add("example.org", "MX", "10 MX.Example.org.", "0 .")
    dns.text("example.org", "x" * 2000)  # by TCP
    dns.add("alias.example.org", "CNAME", "example.org.")
    assert sorted(await servers.look_up("Example.org", "MX")) == ["0 .", "10 mx.example.org"]
    assert await servers.look_up("example.org.", "TXT") == ["x" * 2000]
    assert await servers.look_up("alias.example.org", "TXT") == ["x" * 2000]
    assert await servers.look_up("example.org", "AAAA") == []
    assert await servers.look_up("nowhere.example.org", "A") == []
    assert await servers.names_of("2001:db8::1") == []
    dns.fail("example.net")
    for name in ("example.net", "a..b", "x" * 64):
        with pytest.raises(PostroomError) as failed:
            await servers.look_up(name, "A")
        assert failed.value.kind is Kind.UNAVAILABLE


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
    ],
)
def test_servers_are_read(text: str, read: tuple[str, int]) -> None:
    assert read_server(text) == read


@pytest.mark.parametrize(
    "text", ["", "ns.example.org", "192.0.2.1:", "192.0.2.1:0", "1:2:x", ":53"]
)
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_server(text)


async def turned(
    services: FakeServices, older_than: timedelta = timedelta()
) -> list[tuple[str, str, str]]:
    steps = await rotate(services.ports, "example.org", older_than, 0, services.dkim.now)
    return [(step.done, step.key.selector, step.replaced) for step in steps]


async def test_keys_are_turned_step_by_step(dns: DnsServer, services: FakeServices) -> None:
    await with_key(services)
    services.dkim.now += 200 * DAY
    assert await turned(services, 180 * DAY) == [(Done.MADE, "s2", "")]
    assert await turned(services, 180 * DAY) == [(Done.WAITING, "s2", "")]
    record = key_record(services.dkim.keys[1])
    dns.text(record.name, "v=DKIM1; k=rsa; p=typo")
    assert await turned(services, 180 * DAY) == [(Done.WAITING, "s2", "")]
    dns.text(record.name, record.value)
    assert await turned(services, 180 * DAY) == [(Done.ACTIVATED, "s2", "s1")]
    assert await turned(services, 180 * DAY) == [(Done.KEPT, "s2", "")]
    states = [key.state for key in services.dkim.keys]
    assert states == [KeyState.RETIRED, KeyState.ACTIVE]


async def test_the_first_key_is_turned_in_too(dns: DnsServer, services: FakeServices) -> None:
    assert await turned(services) == [(Done.MADE, "s1", "")]
    record = key_record(services.dkim.keys[0])
    dns.text(record.name, record.value)
    assert await turned(services) == [(Done.ACTIVATED, "s1", "")]


async def test_each_algorithm_is_turned_by_itself(dns: DnsServer, services: FakeServices) -> None:
    await with_key(services, RSA)
    services.dkim.now += 10 * DAY
    await with_key(services, ED25519)
    services.dkim.now += 5 * DAY
    assert await turned(services, 10 * DAY) == [(Done.MADE, "s3", ""), (Done.KEPT, "s2", "")]
    assert services.dkim.keys[2].algorithm == RSA


async def test_nothing_is_turned_blindly(dns: DnsServer, services: FakeServices) -> None:
    await services.dkim.make("example.org", RSA)
    dns.fail("s1._domainkey.example.org")
    with pytest.raises(PostroomError) as failed:
        await turned(services)
    assert failed.value.kind is Kind.UNAVAILABLE
    assert services.dkim.keys[0].state is KeyState.NEW
