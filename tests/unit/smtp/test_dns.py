"""What DNS says, by a server of the test's own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from postroom_smtp.dns import Association, DnsFailure, Exchanger, Resolver

from tests.harness.dns import DnsServer, dns_server


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with dns_server() as running:
        yield running


def resolver(server: DnsServer, *, trusted: bool = True, seconds: float = 5) -> Resolver:
    return Resolver([("127.0.0.1", server.port)], seconds=seconds, trusted=trusted)


async def test_exchangers_in_order(server: DnsServer) -> None:
    server.add("example.org", "MX", "20 B.example.net.", "10 a.example.net.")
    found = await resolver(server).exchangers("Example.ORG")
    assert found.records == (Exchanger(10, "a.example.net"), Exchanger(20, "b.example.net"))
    assert not found.secure


async def test_who_is_apart_keeps_nobody_waiting(server: DnsServer) -> None:
    server.text("example.org", "x")
    server.silence("slow.example")
    ours = resolver(server)
    others = ours.apart()
    narrow = others.narrowed(2)

    async def answers(of: Resolver) -> bool:
        try:
            async with asyncio.timeout(0.5):
                return bool((await of.texts("example.org")).records)
        except TimeoutError:
            return False

    for busy, count, answered in (
        (narrow, 2, [True, True, False]),
        (others, 200, [True, False, False]),
    ):
        waiting = [asyncio.create_task(busy.texts("slow.example")) for _ in range(count)]
        async with asyncio.timeout(10):
            while server.asked["slow.example", "TXT"] < count:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
        assert [await answers(each) for each in (ours, others, narrow)] == answered
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        server.asked.clear()


async def test_a_domain_that_takes_no_mail(server: DnsServer) -> None:
    server.add("example.org", "MX", "0 .")
    assert (await resolver(server).exchangers("example.org")).records == (Exchanger(0, "."),)


async def test_nothing_there(server: DnsServer) -> None:
    server.add("example.org", "A", "192.0.2.1")
    found = await resolver(server).exchangers("example.org")
    assert (found.records, found.exists) == ((), True)
    nowhere = await resolver(server).exchangers("www.example.org")
    assert (nowhere.records, nowhere.exists) == ((), False)


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a." * 200 + "example", "a..example"])
async def test_a_name_that_can_not_be(server: DnsServer, name: str) -> None:
    found = await resolver(server).exchangers(name)
    assert (found.records, found.exists) == ((), False)
    assert not server.asked


async def test_addresses_through_an_alias(server: DnsServer) -> None:
    server.add("mx.example.org", "CNAME", "host.example.net.", secure=True)
    server.add("host.example.net", "A", "192.0.2.1", secure=True)
    server.add("host.example.net", "AAAA", "2001:db8::1", secure=True)
    found = await resolver(server).addresses("mx.example.org", socket.AF_INET)
    assert (found.records, found.name) == ((ip_address("192.0.2.1"),), "host.example.net")
    assert found.secure
    found = await resolver(server).addresses("mx.example.org", socket.AF_INET6)
    assert found.records == (ip_address("2001:db8::1"),)


async def test_texts_of_any_length(server: DnsServer) -> None:
    server.text("example.org", "v=spf1 " + "x" * 4000)
    found = await resolver(server).texts("example.org")
    assert found.records == (b"v=spf1 " + b"x" * 4000,)


async def test_associations(server: DnsServer) -> None:
    server.add("_25._tcp.mx.example.org", "TLSA", "3 1 1 " + "ab" * 32, secure=True)
    found = await resolver(server).associations("mx.example.org", 25)
    assert found.records == (Association(3, 1, 1, b"\xab" * 32),)
    assert found.secure
    # Where the resolver isn't trusted, what it says of validation is nothing.
    found = await resolver(server, trusted=False).associations("mx.example.org", 25)
    assert not found.secure


async def test_names_of_addresses(server: DnsServer) -> None:
    server.add("1.2.0.192.in-addr.arpa", "PTR", "MX.example.org.")
    found = await resolver(server).names_of(ip_address("192.0.2.1"))
    assert found.records == ("mx.example.org",)


async def test_failures_are_no_answers(server: DnsServer) -> None:
    server.fail("broken.example")
    with pytest.raises(DnsFailure, match=r"MX of broken\.example"):
        await resolver(server).exchangers("broken.example")
    server.silence("silent.example")
    with pytest.raises(DnsFailure):
        await resolver(server, seconds=0.3).texts("silent.example")
    server.recover()
    assert not (await resolver(server).texts("silent.example")).exists


async def test_answers_are_kept_for_their_time(server: DnsServer) -> None:
    server.add("example.org", "MX", "10 mx.example.org.")
    server.add("now.example", "MX", "10 mx.example.org.", ttl=0)
    asking = resolver(server)
    for _ in range(3):
        await asking.exchangers("example.org")
        await asking.exchangers("now.example")
    assert server.asked["example.org", "MX"] == 1
    assert server.asked["now.example", "MX"] == 3


async def test_large_answers_are_not_kept(server: DnsServer) -> None:
    asking = resolver(server)
    server.text("small.example.org", "x" * 3_000)
    server.text("large.example.org", "x" * 30_000)
    for _ in range(2):
        assert len((await asking.texts("small.example.org")).records[0]) == 3_000
        assert len((await asking.texts("large.example.org")).records[0]) == 30_000
    assert server.asked["small.example.org", "TXT"] < server.asked["large.example.org", "TXT"]
