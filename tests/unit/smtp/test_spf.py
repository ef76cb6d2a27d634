"""SPF, by the RFC 7208 vectors that pyspf comes with, and against what the hostile publish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
import yaml
from postroom_smtp.checks.clients import read_address
from postroom_smtp.checks.spf import check_host
from postroom_smtp.dns import Address, Resolver
from postroom_smtp.protocol.authentication import Result
from postroom_smtp.protocol.spf import (
    BadRecord,
    Subject,
    expand_domain,
    parse_macros,
    parse_record,
)

from tests.harness.dns import DnsServer, dns_server

VECTORS = Path(__file__).parent / "vectors" / "rfc7208.yml"
Zone = dict[str, list[Any]]


class ZoneServer(DnsServer):
    """Answers from the zone of a scenario; a name that times out there fails here."""

    zone: Zone

    def answer(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        found = self._records_of(question.name, kind)
        if found is None:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif found:
            response.answer.extend(found)
        elif _text(question.name) not in self.zone:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    def _records_of(self, name: dns.name.Name, kind: str) -> list[dns.rrset.RRset] | None:
        entries = self.zone.get(_text(name), [])
        records: list[str] = []
        for entry in entries:
            if entry == "TIMEOUT":
                return None if not records else [_rrset(name, kind, records)]
            ((found, value),) = entry.items()
            if found == "CNAME" and kind != "CNAME":
                target = dns.name.from_text(value)
                behind = self._records_of(target, kind)
                alias = _rrset(name, "CNAME", [target.to_text()])
                return None if behind is None else [alias, *behind]
            if found == kind and value == "TIMEOUT":
                return None
            if found == kind and value != "NONE":
                records.append(_rdata(kind, value))
        if kind == "TXT" and not any(isinstance(one, dict) and "TXT" in one for one in entries):
            # What a scenario says of type SPF alone holds for TXT (the head of the file says so).
            records = [_rdata("TXT", one["SPF"]) for one in entries if "SPF" in one]
        return [_rrset(name, kind, records)] if records else []


def _text(name: dns.name.Name) -> str:
    return b".".join(name.labels).decode("latin-1").removesuffix(".").lower()


def _rrset(name: dns.name.Name, kind: str, records: list[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name, 300, "IN", kind, records)


def _rdata(kind: str, value: Any) -> str:
    match kind:
        case "MX":
            return f"{value[0]} {value[1]}." if value[1] else f"{value[0]} ."
        case "PTR":
            return f"{value}."
        case "TXT":
            texts = [value] if isinstance(value, str) else value
            # A record without a text can't be: the nearest is an empty one.
            return " ".join(
                '"' + "".join(f"\\{octet:03d}" for octet in text.encode()) + '"'
                for text in texts or [""]
            )
        case _:
            return str(value)


def scenarios() -> Iterator[Any]:
    for scenario in yaml.safe_load_all(VECTORS.read_text()):
        zone = {name.lower(): records for name, records in scenario["zonedata"].items()}
        for name, test in scenario["tests"].items():
            yield pytest.param(zone, test, id=name)


@pytest.fixture(scope="module")
def zone_server() -> Iterator[ZoneServer]:
    with ZoneServer().running() as server:
        assert isinstance(server, ZoneServer)
        yield server


def read(text: str) -> Address:
    address = read_address(text)
    assert address is not None
    return address


@pytest.mark.parametrize(("zone", "vector"), list(scenarios()))
async def test_vector(zone_server: ZoneServer, zone: Zone, vector: dict[str, Any]) -> None:
    zone_server.zone = zone
    sender = vector["mailfrom"] or f"postmaster@{vector['helo']}"
    found = await check_host(
        Resolver([("127.0.0.1", zone_server.port)], seconds=5, trusted=False),
        read(vector["host"]),
        sender.rpartition("@")[2],
        sender,
        vector["helo"],
        receiver="receiver.example",
    )
    expected = vector["result"]
    assert str(found.result) in ([expected] if isinstance(expected, str) else expected)
    if "explanation" in vector:
        said = found.explanation or "DEFAULT"
        assert said == vector["explanation"]


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with dns_server() as running:
        yield running


async def result(
    server: DnsServer, *, address: str = "192.0.2.1", domain: str = "example.org"
) -> tuple[Result, str]:
    found = await check_host(
        Resolver([("127.0.0.1", server.port)], seconds=2, trusted=False),
        read(address),
        domain,
        f"ann@{domain}",
        "mail.example.org",
        receiver="mx.example.net",
    )
    return found.result, found.explanation or found.why


async def test_a_mapped_address_is_one_of_ipv4(server: DnsServer) -> None:
    server.text("example.org", "v=spf1 ip4:192.0.2.1 -all")
    assert await result(server, address="::ffff:192.0.2.1") == (Result.PASS, "")


async def test_a_domain_in_its_own_script(server: DnsServer) -> None:
    server.text("xn--bcher-kva.example", "v=spf1 ip4:192.0.2.1 -all")
    assert await result(server, domain="bücher.example") == (Result.PASS, "")
    server.text("xn--strae-oqa.example", "v=spf1 ip4:192.0.2.1 -all")
    assert await result(server, domain="stra\u00dfe.example") == (Result.PASS, "")


@pytest.mark.parametrize("domain", ["", "example", "a..example", "a" * 64 + ".org", "é" * 200])
async def test_no_domain(server: DnsServer, domain: str) -> None:
    assert await result(server, domain=domain) == (Result.NONE, "")
    assert not server.asked


async def test_records_that_go_round_in_circles(server: DnsServer) -> None:
    server.text("example.org", "v=spf1 include:example.org -all")
    assert (await result(server))[0] is Result.PERMERROR
    server.text("example.org", "v=spf1 redirect=example.org")
    assert (await result(server))[0] is Result.PERMERROR
    assert server.asked["example.org", "TXT"] <= 2


async def test_dns_that_is_silent(server: DnsServer) -> None:
    server.silence("example.org")
    assert (await result(server))[0] is Result.TEMPERROR


async def test_an_evaluation_ends_in_time(
    server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.silence("example.org")
    monkeypatch.setattr("postroom_smtp.checks.spf.SECONDS", 0.05)
    assert await result(server) == (Result.TEMPERROR, "it took too long")


async def test_lookups_are_bounded(server: DnsServer) -> None:
    exchangers = [f"{each} {each}.mx.example.org." for each in range(10)]
    for number in range(20):
        server.add(f"{number}.example.org", "MX", *exchangers)
    for number in range(10):
        server.add(f"{number}.mx.example.org", "A", "192.0.2.77")
    terms = " ".join(f"mx:{number}.example.org" for number in range(20))
    server.text("example.org", f"v=spf1 {terms} -all")
    assert (await result(server))[0] is Result.PERMERROR
    assert sum(count for (_, kind), count in server.asked.items() if kind == "MX") == 10


async def test_lookups_that_find_nothing_are_counted_once_a_term(server: DnsServer) -> None:
    """RFC 7208 section 4.6.4: hosts without IPv6 are none of many faults."""
    for name in ("one", "two", "three"):
        server.add(f"{name}.org", "MX", *(f"10 {each}.{name}.org." for each in "abcd"))
        for each in "abcd":
            server.add(f"{each}.{name}.org", "A", "192.0.2.77")
    server.text("example.org", "v=spf1 mx:one.org mx:two.org ip6:2001:db8::1 -all")
    assert await result(server, address="2001:db8::1") == (Result.PASS, "")
    server.text("example.org", "v=spf1 mx:one.org mx:two.org mx:three.org ip6:2001:db8::1 -all")
    assert (await result(server, address="2001:db8::1"))[0] is Result.PERMERROR


async def test_a_backslash_in_a_local_part_is_one_octet(server: DnsServer) -> None:
    server.text("example.org", "v=spf1 exists:%{l}.list.example.org -all")
    found = await check_host(
        Resolver([("127.0.0.1", server.port)], seconds=2, trusted=False),
        read("192.0.2.1"),
        "example.org",
        '"a\\046b"@example.org',
        "mail.example.org",
        receiver="mx.example.net",
    )
    assert found.result is Result.FAIL


async def test_words_that_are_no_reply(server: DnsServer) -> None:
    server.text("example.org", "v=spf1 exp=why.example.org -all")
    server.text("why.example.org", "no%{c}")
    assert await result(server) == (Result.FAIL, "no192.0.2.1")
    server.add("why.example.org", "TXT", '"250\\013\\010550"')
    assert await result(server) == (Result.FAIL, "")
    server.text("why.example.org", "x" * 5_000)
    assert await result(server) == (Result.FAIL, "x" * 400)
    server.text("why.example.org", "%{h}" * 5_000)
    assert await result(server) == (Result.FAIL, "")


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 " + "ip4:192.0.2.2 " * 4_000 + "-all",
        "v=spf1 exists:" + "%{d}" * 4_000 + ".org -all",
        "v=spf1 " + "x=" + "%{d0}" * 4_000,
    ],
)
async def test_records_of_any_size(server: DnsServer, record: str) -> None:
    server.text("example.org", record)
    async with asyncio.timeout(5):
        assert (await result(server))[0] in (Result.FAIL, Result.PERMERROR)


def test_a_giant_name_loses_its_labels_in_no_time() -> None:
    subject = Subject(IPv4Address("192.0.2.1"), "example.org", "a@example.org", "a." * 2_000 + "b")
    began = time.process_time()
    for _ in range(5):
        name = expand_domain(parse_macros("%{h}." * 80 + "example.org"), subject)
    assert time.process_time() - began < 0.5
    assert name.endswith(".a.a.b.example.org")
    assert len(name) == 253
    assert expand_domain(parse_macros("a." + "b" * 300), subject) == "b" * 300
    assert expand_domain(parse_macros("a." + "b" * 253), subject) == "b" * 253


@pytest.mark.parametrize("term", ["a/33", "a//129", "ip4:1.2.3", "ip6:::1/129", "all:x", "include"])
def test_no_term(term: str) -> None:
    with pytest.raises(BadRecord):
        parse_record(f"v=spf1 {term}".encode())
