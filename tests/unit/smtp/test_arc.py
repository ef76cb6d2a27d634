"""ARC: chains of dkimpy's and of ours, its verdicts on ours, and chains that are broken."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import dkim
import pytest
from postroom_smtp.checks.content import Content, Workers
from postroom_smtp.checks.dkim import Chain, verify_chain
from postroom_smtp.checks.signing import Signer
from postroom_smtp.protocol.authentication import Finding, Result, authentication_results

from tests.harness.dns import DnsServer, dns_server
from tests.unit.smtp.checking import (
    LETTER,
    FakeSigningKeys,
    content_of,
    pkcs8,
    publish,
    record,
    resolver_of,
    signing_key,
    spooled,
)

FINDINGS = (Finding("spf", Result.PASS, (("smtp.mailfrom", "ann@example.org"),)),)


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with dns_server() as running:
        publish(running, signing_key())
        yield running


async def chain_of(server: DnsServer, message: bytes) -> Chain:
    async with content_of(message) as content:
        return await verify_chain(content, resolver_of(server))


async def sealed(server: DnsServer, message: bytes) -> bytes:
    """The message as we hand it on."""
    workers = Workers(1, 1)
    signer = Signer(FakeSigningKeys({"example.org": (signing_key(),)}), workers, "mx.example.org")
    async with spooled(message) as spool:
        content = Content(spool, workers)
        chain = await verify_chain(content, resolver_of(server))
        return await signer.seal(content, "example.org", chain, FINDINGS) + message


def dkimpy_sealed(message: bytes) -> bytes:
    before = Finding("arc", Result.PASS if b"ARC-Seal" in message else Result.NONE)
    said = authentication_results("lists.example", (*FINDINGS, before))
    pem = base64.encodebytes(pkcs8(signing_key()))
    key = b"-----BEGIN PRIVATE KEY-----\n" + pem + b"-----END PRIVATE KEY-----\n"
    fields = dkim.arc_sign(
        said + message,
        b"rsa",
        b"example.org",
        key,
        b"lists.example",
        include_headers=[b"from", b"to", b"subject", b"date", b"message-id"],
    )
    return b"".join(fields) + message


def dkimpy_says(message: bytes) -> str:
    found = dkim.arc_verify(
        message, dnsfunc=lambda *_arguments, **_more: record(signing_key()).encode()
    )
    return str(found[0].decode())


async def test_no_chain(server: DnsServer) -> None:
    found = await chain_of(server, LETTER)
    assert (found.result, str(found.finding)) == (Result.NONE, "arc=none")


async def test_a_chain_of_ours(server: DnsServer) -> None:
    once = await sealed(server, LETTER)
    assert once.startswith(b"ARC-Seal: i=1; cv=none; a=rsa-sha256; d=example.org; s=rsa;")
    assert b"ARC-Authentication-Results: i=1; mx.example.org;\r\n\tspf=pass" in once
    assert (await chain_of(server, once)).result is Result.PASS
    assert dkimpy_says(once) == "pass"
    twice = await sealed(server, once)
    assert twice.startswith(b"ARC-Seal: i=2; cv=pass;")
    found = await chain_of(server, twice)
    assert (found.result, str(found.finding)) == (Result.PASS, "arc=pass (i=2)")
    assert [one.seal.instance for one in found.sets] == [1, 2]
    assert dkimpy_says(twice) == "pass"


async def test_a_chain_of_dkimpy_and_of_ours(server: DnsServer) -> None:
    once = dkimpy_sealed(LETTER)
    assert (await chain_of(server, once)).result is Result.PASS
    twice = await sealed(server, once)
    assert twice.startswith(b"ARC-Seal: i=2; cv=pass;")
    assert dkimpy_says(twice) == "pass"
    thrice = dkimpy_sealed(twice)
    assert (await chain_of(server, thrice)).length == 3
    assert (await chain_of(server, thrice)).result is Result.PASS


async def test_a_body_that_was_changed(server: DnsServer) -> None:
    once = (await sealed(server, LETTER)).replace(b"Hello", b"Hallo")
    found = await chain_of(server, once)
    assert (found.result, found.why) == (Result.FAIL, "the body was changed")
    # It is handed on under a seal that says so, and not again.
    twice = await sealed(server, once)
    assert twice.startswith(b"ARC-Seal: i=2; cv=fail;")
    assert (await chain_of(server, twice)).result is Result.FAIL
    assert await sealed(server, twice) == twice


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"spf=pass", b"spf=fail"),
        (b"ARC-Authentication-Results: i=1;", b"ARC-Authentication-Results: i=2;"),
        (b"ARC-Authentication-Results: i=1;", b"ARC-Authentication-Results: i=0;"),
        (b"ARC-Authentication-Results: i=1;", b"ARC-Authentication-Results: x;"),
        (b"ARC-Authentication-Results:", b"X-Lost:"),
        (b"ARC-Seal: i=1; cv=none", b"ARC-Seal: i=1; cv=pass"),
        (b"ARC-Seal: i=1; cv=none", b"ARC-Seal: i=1; cv=maybe"),
        (b"ARC-Seal: i=1;", b"ARC-Seal: i=51;"),
        (b"ARC-Seal: i=1;", b"ARC-Seal: i=1; h=from;"),
        (b"ARC-Seal: i=1;", b"ARC-Seal: i=1; i=1;"),
        (b"Subject: Dinner", b"Subject: Lunch"),
        (b"d=example.org", b"d=example.com"),
    ],
)
async def test_chains_that_are_broken(server: DnsServer, before: bytes, after: bytes) -> None:
    once = await sealed(server, LETTER)
    assert before in once
    assert (await chain_of(server, once.replace(before, after, 1))).result is Result.FAIL


async def test_a_set_that_is_there_twice(server: DnsServer) -> None:
    once = await sealed(server, LETTER)
    seal = once[: once.index(b"ARC-Message-Signature")]
    assert (await chain_of(server, seal + once)).why == "there are two of set 1"


async def test_a_chain_that_is_made_up_costs_few_lookups(server: DnsServer) -> None:
    """The newest set is looked at first, and older ones where that is good."""
    once = await sealed(server, LETTER)
    twice = await sealed(server, once)
    newest = twice.removesuffix(once)
    server.asked.clear()
    found = await chain_of(server, newest + once.replace(b"s=rsa;", b"s=older;"))
    assert found.result is Result.FAIL
    assert set(server.asked) == {("rsa._domainkey.example.org", "TXT")}
    assert (await chain_of(server, twice)).result is Result.PASS


async def test_a_key_that_can_not_be_had(server: DnsServer) -> None:
    once = await sealed(server, LETTER)
    server.fail("rsa._domainkey.example.org")
    assert (await chain_of(server, once)).result is Result.TEMPERROR
    assert await sealed(server, once) == once


async def test_the_longest_chain(server: DnsServer) -> None:
    message = LETTER
    async with asyncio.timeout(60):
        for _ in range(50):
            message = await sealed(server, message)
        assert (await chain_of(server, message)).length == 50
    assert await sealed(server, message) == message


async def test_thousands_of_sets(server: DnsServer) -> None:
    seal = b"ARC-Seal: i=%d; cv=none; a=rsa-sha256; d=example.org; s=rsa; b=AAAA\r\n"
    message = b"".join(seal % (each % 60) for each in range(3_000)) + LETTER
    async with asyncio.timeout(10):
        assert (await chain_of(server, message)).result is Result.FAIL


async def test_nothing_is_sealed_without_a_key(server: DnsServer) -> None:
    workers = Workers(1, 1)
    async with spooled(LETTER) as spool:
        content = Content(spool, workers)
        signer = Signer(FakeSigningKeys(), workers, "mx.example.org")
        assert await signer.seal(content, "example.org", Chain(Result.NONE), FINDINGS) == b""
