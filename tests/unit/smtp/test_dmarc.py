"""DMARC: discovery, alignment, what comes of a failure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from postroom_smtp.checks.dkim import Chain, Verified
from postroom_smtp.checks.dmarc import Dmarc, Evidence, Verdict, organizational, strictest
from postroom_smtp.protocol.arc import Seal, Set
from postroom_smtp.protocol.authentication import Result
from postroom_smtp.protocol.authors import TooManyAuthors, author_domains
from postroom_smtp.protocol.dkim import parse_signature
from postroom_smtp.protocol.dmarc import Policy, Wish, is_record, parse_policy
from postroom_smtp.protocol.fields import split_fields

from tests.harness.dns import DnsServer, dns_server
from tests.unit.smtp.checking import resolver_of

NOTHING = Evidence(Result.NONE, "")


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with dns_server() as running:
        yield running


async def judged(
    server: DnsServer, domain: str, evidence: Evidence = NOTHING, *, chance: float = 0.0
) -> Verdict:
    trusted = ["lists.example"]
    dmarc = Dmarc(resolver_of(server, seconds=1), trusted, chance=lambda: chance)
    return await dmarc.judge(domain, evidence)


def test_under_which_names_domains_are_registered() -> None:
    assert organizational("mail.example.co.uk") == "example.co.uk"
    assert organizational("example.co.uk") == "example.co.uk"
    assert organizational("co.uk") == "co.uk"
    assert organizational("ann.github.io") == "ann.github.io"
    assert organizational("a.b.example") == "b.example"


async def test_no_record(server: DnsServer) -> None:
    found = await judged(server, "example.org")
    assert str(found.finding) == "dmarc=none header.from=example.org"


async def test_a_failure(server: DnsServer) -> None:
    server.text("_dmarc.example.org", "v=DMARC1; p=reject; rua=mailto:a@example.org")
    found = await judged(server, "example.org")
    assert found.wish is Wish.REJECT
    assert str(found.finding) == "dmarc=fail (p=reject dis=reject) header.from=example.org"


@pytest.mark.parametrize(
    ("evidence", "result"),
    [
        (Evidence(Result.PASS, "example.org"), Result.PASS),
        (Evidence(Result.PASS, "Bounce.Example.org."), Result.PASS),
        (Evidence(Result.SOFTFAIL, "example.org"), Result.FAIL),
        (Evidence(Result.PASS, "example.com"), Result.FAIL),
        (Evidence(Result.PASS, "badexample.org"), Result.FAIL),
        (Evidence(Result.NONE, "", (Verified(Result.PASS, "mail.example.org"),)), Result.PASS),
        (Evidence(Result.NONE, "", (Verified(Result.PASS, "org"),)), Result.FAIL),
        (Evidence(Result.NONE, "", (Verified(Result.POLICY, "example.org"),)), Result.FAIL),
        (Evidence(Result.TEMPERROR, "example.org"), Result.TEMPERROR),
        (Evidence(Result.TEMPERROR, "example.com"), Result.FAIL),
        (Evidence(Result.FAIL, "", (Verified(Result.TEMPERROR, "example.org"),)), Result.TEMPERROR),
        (Evidence(Result.FAIL, "", (Verified(Result.TEMPERROR, "example.com"),)), Result.FAIL),
        # Nobody had the time to say whose they are.
        (Evidence(Result.FAIL, "", (Verified(Result.TEMPERROR),)), Result.TEMPERROR),
        (Evidence(Result.FAIL, "", (), Chain(Result.TEMPERROR)), Result.TEMPERROR),
    ],
)
async def test_alignment(server: DnsServer, evidence: Evidence, result: Result) -> None:
    server.text("_dmarc.example.org", "v=DMARC1; p=reject")
    assert (await judged(server, "example.org", evidence)).result is result


async def test_alignment_beyond_ascii(server: DnsServer) -> None:
    """By A-labels; and never by what only some make of a name."""
    server.text("_dmarc.xn--bcher-kva.example", "v=DMARC1; p=reject; aspf=s")
    server.text("_dmarc.xn--strae-oqa.example", "v=DMARC1; p=reject")
    for domain, other, result in (
        ("xn--bcher-kva.example", "Bücher.example.", Result.PASS),
        ("xn--bcher-kva.example", "bucher.example", Result.FAIL),
        ("xn--strae-oqa.example", "a.stra\u00dfe.example", Result.PASS),
        ("xn--strae-oqa.example", "strasse.example", Result.FAIL),
        ("xn--strae-oqa.example", "bü..example", Result.FAIL),
    ):
        assert (await judged(server, domain, Evidence(Result.PASS, other))).result is result


async def test_strict_alignment(server: DnsServer) -> None:
    server.text("_dmarc.example.org", "v=DMARC1; p=reject; aspf=s; adkim=s")
    below = "mail.example.org"
    both = Evidence(Result.PASS, below, (Verified(Result.PASS, below),))
    assert (await judged(server, "example.org", both)).result is Result.FAIL
    same = replace(both, spf_domain="example.org")
    assert (await judged(server, "example.org", same)).result is Result.PASS


async def test_subdomains(server: DnsServer) -> None:
    server.text("_dmarc.example.org", "v=DMARC1; p=reject; sp=quarantine")
    assert (await judged(server, "example.org")).wish is Wish.REJECT
    assert (await judged(server, "a.b.example.org")).wish is Wish.QUARANTINE
    server.text("_dmarc.own.example.org", "v=DMARC1; p=none; sp=reject")
    assert (await judged(server, "own.example.org")).wish is Wish.NONE
    server.text("_dmarc.example.net", "v=DMARC1; p=reject")
    assert (await judged(server, "a.example.net")).wish is Wish.REJECT


async def test_percentages(server: DnsServer) -> None:
    server.text("_dmarc.example.org", "v=DMARC1; p=reject; pct=25")
    assert (await judged(server, "example.org", chance=0.24)).wish is Wish.REJECT
    assert (await judged(server, "example.org", chance=0.25)).wish is Wish.QUARANTINE
    server.text("_dmarc.example.net", "v=DMARC1; p=quarantine; pct=0")
    assert (await judged(server, "example.net", chance=0.0)).wish is Wish.NONE


async def test_several_records_are_none(server: DnsServer) -> None:
    server.add("_dmarc.example.org", "TXT", '"v=DMARC1; p=reject"', '"v=DMARC1; p=none"')
    assert (await judged(server, "example.org")).result is Result.NONE
    server.add("_dmarc.example.net", "TXT", '"v=DMARC1; p=reject"', '"something else"')
    assert (await judged(server, "example.net")).result is Result.FAIL


async def test_a_failure_of_dns_is_temporary(server: DnsServer) -> None:
    server.fail("_dmarc.example.org")
    assert (await judged(server, "example.org")).result is Result.TEMPERROR
    server.silence("_dmarc.example.net")
    assert (await judged(server, "example.net")).result is Result.TEMPERROR


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        (b"v=DMARC1;p=reject", Policy(Wish.REJECT, Wish.REJECT)),
        (b" v = DMARC1 ; P = Reject ; sp=none;", Policy(Wish.REJECT, Wish.NONE)),
        (b"v=DMARC1; p=quarantine; pct=x", Policy(Wish.QUARANTINE, Wish.QUARANTINE)),
        (b"v=DMARC1; p=none; pct=500", Policy(Wish.NONE, Wish.NONE)),
        (b"v=DMARC1; p=rejekt", None),
        (b"v=DMARC1", None),
        (b"v=DMARC1; p=rejekt; rua=mailto:a@b.c", Policy(Wish.NONE, Wish.NONE)),
        (b"v=DMARC1; p=reject; sp=x", None),
        (b"v=DMARC1;" + b";" * 6_000 + b"p=none", Policy(Wish.NONE, Wish.NONE)),
        (b"v=DMARC1; p=none;" + b" " * 9_000, None),
        (b"v=DMARC1; p\t=\treject \t; =x; sp", Policy(Wish.REJECT, Wish.REJECT)),
        (b"v=DMARC1; p=reject; \xff\x00=1", Policy(Wish.REJECT, Wish.REJECT)),
    ],
)
def test_records(text: bytes, policy: Policy | None) -> None:
    assert is_record(text)
    assert parse_policy(text) == policy


def test_giant_records_are_read_in_no_time() -> None:
    began = time.process_time()
    for size in (8_000, 60_000):
        parse_policy(b"v=DMARC1; p=none; x=a" + b"\t" * size + b"b")
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize("text", [b"", b"v=DMARC2; p=none", b"p=none; v=DMARC1", b"v=DMARC10"])
def test_texts_that_are_no_records(text: bytes) -> None:
    assert not is_record(text)


def chain(*said: tuple[str, bytes]) -> Chain:
    sets = []
    for number, (domain, results) in enumerate(said, 1):
        value = b"ARC-Authentication-Results: i=%d; %s; %s\r\n" % (
            number,
            domain.encode(),
            results,
        )
        (found,) = split_fields(value)
        tags = b"i=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=AAAA; b=AAAA"
        (message,) = split_fields(b"ARC-Message-Signature: " + tags + b"\r\n")
        seal = Seal(found, number, "rsa-sha256", domain, "s", b"", Result.PASS)
        sets.append(Set(found, parse_signature(message, arc=True), seal))
    return Chain(Result.PASS, tuple(sets), length=len(sets))


@pytest.mark.parametrize(
    ("found", "overruled"),
    [
        (chain(("lists.example", b"dmarc=pass header.from=example.org")), True),
        (chain(("lists.example", b"dmarc=fail header.from=example.org")), False),
        (chain(("lists.example", b"spf=pass (dmarc=pass)")), False),
        (chain(("other.example", b"dmarc=pass")), False),
        (chain(("lists.example", b"dmarc=pass"), ("other.example", b"arc=pass")), False),
        (chain(("other.example", b"dmarc=pass"), ("lists.example", b"arc=pass")), False),
        (chain(("lists.example", b"dmarc=pass"), ("lists.example", b"arc=pass")), True),
        (replace(chain(("lists.example", b"dmarc=pass")), result=Result.FAIL), False),
    ],
)
async def test_who_handed_it_on_is_trusted(
    server: DnsServer, found: Chain, overruled: bool
) -> None:
    server.text("_dmarc.example.org", "v=DMARC1; p=reject")
    verdict = await judged(server, "example.org", Evidence(Result.FAIL, "x.example", (), found))
    assert verdict.overruled is overruled
    assert verdict.wish is (Wish.NONE if overruled else Wish.REJECT)


def test_the_strictest_decides() -> None:
    verdicts = [
        Verdict(Result.PASS, "a.example"),
        Verdict(Result.FAIL, "b.example", Wish.QUARANTINE),
        Verdict(Result.TEMPERROR, "c.example"),
    ]
    assert strictest(verdicts).domain == "b.example"
    assert strictest([verdicts[0], verdicts[2]]).domain == "c.example"


@pytest.mark.parametrize(
    ("header", "domains"),
    [
        (b"From: Ann <ann@Example.ORG>\r\n", ("example.org",)),
        (b'From: "x@bank.example" <eve@example.com>\r\n', ("example.com",)),
        (b"From: a@a.example, b@b.example\r\n", ("a.example", "b.example")),
        (b"From: a@a.example\r\nFrom: b@b.example\r\n", ("a.example", "b.example")),
        (b"From : a@a.example\r\n", ("a.example",)),
        ("From: a@bücher.example\r\n".encode(), ("xn--bcher-kva.example",)),
        (b"From: undisclosed:;\r\n", ()),
        (b"From: \xff\xfe@\xff\r\n", ("",)),
        (b"From: x@bank..example, a@a.example\r\n", ("", "a.example")),
        ("From: a@bank\u200b.example\r\n".encode(), ("",)),
        ("From: a@ba\u00adnk.example\r\n".encode(), ("",)),
        (b"From: a@bank!.example\r\n", ("",)),
        (b"From: a@" + b"b" * 64 + b".example\r\n", ("",)),
        (b"From: a@" + b"b." * 130 + b"example\r\n", ("",)),
        (b"From: s@bank.example <x\r\n", ("",)),
        (b"From: s@bank.example <x>, a@a.example\r\n", ("", "a.example")),
        (b"From: Smith, John <j@a.example>\r\n", ("a.example",)),
        (b"From: John\r\n", ()),
        (b"From: a@[192.0.2.1]\r\n", ("",)),
        (
            "From: a@Bücher.example., b@stra\u00dfe.example\r\n".encode(),
            ("xn--bcher-kva.example", "xn--strae-oqa.example"),
        ),
        (b"Subject: x\r\n", ()),
    ],
)
def test_domains_of_authors(header: bytes, domains: tuple[str, ...]) -> None:
    assert author_domains(split_fields(header)) == domains


def test_too_many_authors() -> None:
    many = ", ".join(f"a@{number}.example" for number in range(5_000))
    with pytest.raises(TooManyAuthors):
        author_domains(split_fields(f"From: {many}\r\n".encode()))
    with pytest.raises(TooManyAuthors):
        author_domains(split_fields(b"From: a@a.example\r\n" * 5_000))
    with pytest.raises(TooManyAuthors):
        author_domains(split_fields(b"From: a@a.example" + b" (" * 5_000 + b"\r\n"))
