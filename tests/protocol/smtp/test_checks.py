"""Mail that is checked as it comes: who sends it by a DNS server of the test's own, filters by
servers of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from postroom_smtp.checks.settings import CheckSettings
from postroom_smtp.checks.wiring import make_checking

from tests.harness.dns import DnsServer, dns_server
from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import Person, elsewhere, stuffed
from tests.protocol.smtp.test_submission import signed_in
from tests.protocol.wire import Wire
from tests.unit.smtp.checking import (
    FakeScreening,
    FakeSigningKeys,
    publish,
    resolver_of,
    signing_key,
)
from tests.unit.smtp.test_milter import ScriptedMilter, running

LETTER = (
    b"From: Ann <ann@sender.example>\r\n"
    b"Authentication-Results: mx.example.org; dmarc=pass\r\n"
    b"Subject: x\r\n"
    b"\r\n"
    b"Hello\r\n"
)


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with dns_server() as server:
        server.text("sender.example", "v=spf1 ip4:192.0.2.7 -all")
        server.text("_dmarc.sender.example", "v=DMARC1; p=reject")
        yield server


def check(
    system: FrontAlone,
    dns: DnsServer,
    screening: FakeScreening | None = None,
    keys: FakeSigningKeys | None = None,
    **settings: Any,
) -> None:
    """From now on mail is checked."""
    checking = make_checking(
        CheckSettings(**settings),
        system.hostname,
        resolver_of(dns),
        screening or FakeScreening(),
        keys or FakeSigningKeys(),
    )
    system.house.policy, system.house.signer = checking.policy, checking.signer


async def send(wire: Wire, to: str, reply: str, message: bytes = LETTER) -> None:
    await wire.play(
        f"""
        C: MAIL FROM:<ann@sender.example>
        S: 250 ...
        C: RCPT TO:<{to}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    )
    await wire.send(stuffed(message))
    await wire.expect(reply)


async def inbox(system: FrontAlone, person: Person) -> bytes:
    (stored,) = await system.inbox(person)
    return stored


async def test_who_sends_is_found_out_and_told(system: FrontAlone, dns: DnsServer) -> None:
    check(system, dns, iprev="off")
    bob = await system.person()
    await send(await elsewhere(system), bob.name, "250 2.0.0 ...")
    stored = await inbox(system, bob)
    results = (
        b"Authentication-Results: mx.example.org;\r\n"
        b"\tspf=pass smtp.mailfrom=ann@sender.example;\r\n"
        b"\tdkim=none;\r\n"
        b"\tdmarc=pass (p=reject) header.from=sender.example\r\n"
    )
    assert results + b"From: Ann <ann@sender.example>\r\nSubject: x\r\n\r\nHello" in stored
    assert stored.count(b"Authentication-Results") == 1
    (delivery,) = system.store.messages
    assert delivery.arrival.verdict == (
        "spf=pass smtp.mailfrom=ann@sender.example; dkim=none; "
        "dmarc=pass (p=reject) header.from=sender.example"
    )


async def test_forged_mail_is_refused_or_goes_to_junk(system: FrontAlone, dns: DnsServer) -> None:
    check(system, dns)
    bob = await system.person()
    wire = await elsewhere(system, address="198.51.100.1")
    await send(wire, bob.name, "550 5.7.1 ...")
    dns.text("_dmarc.sender.example", "v=DMARC1; p=quarantine")
    check(system, dns)
    wire = await elsewhere(system, address="198.51.100.1")
    await send(wire, bob.name, "250 2.0.0 ...")
    (delivery,) = system.store.messages
    assert delivery.local[0].mailbox == "Junk"


async def test_dns_that_fails_is_temporary(system: FrontAlone, dns: DnsServer) -> None:
    check(system, dns)
    dns.fail("_dmarc.sender.example")
    bob = await system.person()
    await send(await elsewhere(system), bob.name, "451 4.7.5 ...")


async def test_a_blocklist_at_the_greeting(system: FrontAlone, dns: DnsServer) -> None:
    dns.add("7.2.0.192.list.example", "A", "127.0.0.2")
    check(system, dns, dnsbls="list.example", dnsbl_stage="greeting")
    wire = await system.connect("mx-proxy")
    await wire.play(
        "C: PROXY TCP4 192.0.2.7 127.0.0.1 50000 25\n"
        "S: 554 5.7.1 you are on a blocklist: list.example"
    )


async def test_greylists(system: FrontAlone, dns: DnsServer) -> None:
    screening = FakeScreening(wait=300)
    check(system, dns, screening, greylisting=True)
    bob = await system.person()
    wire = await elsewhere(system, address="198.51.100.1")
    await wire.play(
        f"""
        C: MAIL FROM:<ann@sender.example>
        S: 250 ...
        C: RCPT TO:<{bob.name}>
        S: 451 4.7.1 you are new here: try again in a few minutes
        """
    )
    # Who may send for the domain isn't put off.
    await send(await elsewhere(system), bob.name, "250 2.0.0 ...")


async def test_a_milter_hears_of_it_from_the_greeting(system: FrontAlone, dns: DnsServer) -> None:
    answers = {b"E": [b"i" + bytes(4) + b"X-Scanned\0yes\0", b"c"]}
    async with running(ScriptedMilter(answers)) as scripted:
        check(system, dns, milters=f"127.0.0.1:{scripted.port}")
        bob = await system.person()
        wire = await elsewhere(system)
        assert scripted.commands == b"OC"
        await send(wire, bob.name, "250 2.0.0 ...")
        assert b"X-Scanned: yes\r\n" in await inbox(system, bob)
        scripted.answers[b"R"] = [b"y550 5.7.1 not to him\0"]
        await wire.play(
            f"""
            C: MAIL FROM:<ann@sender.example>
            S: 250 ...
            C: RCPT TO:<{bob.name}>
            S: 550 5.7.1 not to him
            C: QUIT
            S: 221 ...
            S: (closed)
            """
        )
    assert scripted.commands.endswith(b"Q")


async def test_a_milter_changes_who_sends_and_who_gets_it(
    system: FrontAlone, dns: DnsServer
) -> None:
    ann, bob, carl = [await system.person() for _ in range(3)]
    said = [
        f"-<{ann.name}>",
        f"+<{carl.name}>",
        f"+<nobody@{system.domain}>",
        "+<fay@elsewhere.example>",
        "e<bounces@sender.example>",
    ]
    answers = [each.encode() + b"\0" for each in said] + [b"bAnother body\r\n", b"c"]
    async with running(ScriptedMilter({b"E": answers})) as scripted:
        check(system, dns, milters=f"127.0.0.1:{scripted.port}")
        wire = await elsewhere(system)
        await wire.play(
            f"""
            C: MAIL FROM:<ann@sender.example>
            S: 250 ...
            C: RCPT TO:<{ann.name}>
            S: 250 ...
            C: RCPT TO:<{bob.name}>
            S: 250 ...
            C: DATA
            S: 354 ...
            """
        )
        await wire.send(stuffed(LETTER))
        await wire.expect("250 2.0.0 ...")
        (delivery,) = system.store.messages
        assert delivery.sender == "bounces@sender.example"
        assert {one.address for one in delivery.local} == {bob.name, carl.name}
        assert [one.address for one in delivery.queue] == ["fay@elsewhere.example"]
        stored = await inbox(system, carl)
        assert stored.startswith(b"Return-Path: <bounces@sender.example>\r\n")
        assert stored.endswith(b"Subject: x\r\n\r\nAnother body\r\n")
        # Nobody is left: it is taken, and goes nowhere.
        scripted.answers[b"E"] = [f"-<{bob.name}>".encode() + b"\0", b"c"]
        await send(wire, bob.name, "250 2.0.0 ...")
        assert system.store.messages == [delivery]
        await wire.play("C: QUIT\nS: 221 ...\nS: (closed)")


async def test_mail_of_our_people_is_signed(system: FrontAlone, dns: DnsServer) -> None:
    keys = FakeSigningKeys(
        {system.domain: (signing_key(system.domain), signing_key(system.domain, rsa=False))}
    )
    publish(dns, *keys.held[system.domain])
    check(system, dns, keys=keys)
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: From: {ann.name}
        C: Bcc: eve@elsewhere.example
        C: Subject: signed
        C: {""}
        C: Hello
        C: .
        S: 250 2.0.0 ...
        """
    )
    stored = await inbox(system, ann)
    assert stored.count(b"DKIM-Signature: ") == 2
    # It comes back from elsewhere as it went out, with the fields that were added to it.
    returned = stored[stored.index(b"DKIM-Signature: ") :]
    assert b"Message-ID: " in returned
    assert b"Bcc" not in returned
    await send(await elsewhere(system), ann.name, "250 2.0.0 ...", returned)
    *_, delivery = system.store.messages
    assert delivery.arrival.verdict.count("dkim=pass") == 2


async def test_what_is_handed_on_is_sealed(system: FrontAlone, dns: DnsServer) -> None:
    keys = FakeSigningKeys({system.domain: (signing_key(system.domain),)})
    publish(dns, *keys.held[system.domain])
    check(system, dns, keys=keys, arc_trusted=system.domain)
    moved, bob = f"moved@{system.domain}", await system.person()
    system.directory.add(moved, forwards=("moved@elsewhere.example",))
    await send(await elsewhere(system), moved, "250 2.0.0 ...")
    (delivery,) = system.store.messages
    assert [one.address for one in delivery.queue] == ["moved@elsewhere.example"]
    handed_on = system.store.content(delivery)
    assert b"ARC-Seal: i=1; cv=none; a=rsa-sha256; d=example.org;" in handed_on
    # Whoever trusts us takes it from anybody.
    stranger = await elsewhere(system, address="203.0.113.9")
    await send(stranger, bob.name, "250 2.0.0 ...", handed_on)
    *_, delivery = system.store.messages
    assert "arc=pass (i=1)" in delivery.arrival.verdict
    assert "dmarc=fail (p=reject dis=none arc of example.org)" in delivery.arrival.verdict
