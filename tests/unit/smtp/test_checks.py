"""The policy: what becomes of mail, by what is found out about it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import dns.asyncresolver
import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_smtp.checks.content import Workers
from postroom_smtp.checks.edits import Edits
from postroom_smtp.checks.filters import Opinion
from postroom_smtp.checks.policy import Checks
from postroom_smtp.checks.screening import Screen
from postroom_smtp.checks.settings import CheckSettings
from postroom_smtp.checks.signing import Signer
from postroom_smtp.ports import Client, Identity, Judgement, Sending
from postroom_smtp.protocol.authentication import Finding, Result
from postroom_smtp.protocol.fields import split_fields
from postroom_smtp.protocol.header import without
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.spool import Spool

from tests.harness.dns import DnsServer, dns_server
from tests.unit.smtp.checking import (
    LETTER,
    FakeScreening,
    FakeSigningKeys,
    publish,
    resolver_of,
    signing_key,
    spooled,
)

STRANGER = Sending(
    Client("192.0.2.1", False),
    name="mail.example.org",
    sender="ann@example.org",
    recipients=("bob@example.net",),
    message_id="m1",
)
OURS = replace(STRANGER, identity=Identity(7, "bob@example.net", "ticket"), trusted=True)


@dataclass
class FakeFilter:
    """Says what it is told to; keeps what it was asked."""

    opinion: Opinion = field(default_factory=Opinion)
    reply: Reply | None = None
    asked: list[str] = field(default_factory=list)

    async def connected(self, sending: Sending) -> Reply | None:
        self.asked.append("connected")
        return self.reply

    async def mail(self, sending: Sending) -> Reply | None:
        self.asked.append("mail")
        return self.reply

    async def recipient(self, sending: Sending, address: str) -> Reply | None:
        self.asked.append(address)
        return self.reply

    async def message(self, sending: Sending, message: Spool, edits: Edits) -> Opinion:
        self.asked.append("message")
        edits.append(b"X-Seen", b" yes")
        return self.opinion

    async def ended(self, connection: str) -> None:
        self.asked.append(f"ended {connection}")


@dataclass
class House:
    """Checks, and all that they ask."""

    server: DnsServer
    keys: FakeSigningKeys = field(default_factory=FakeSigningKeys)
    screening: FakeScreening = field(default_factory=FakeScreening)
    filter: FakeFilter = field(default_factory=FakeFilter)
    dns_seconds: float = 1.0

    def checks(self, **settings: Any) -> Checks:
        told = CheckSettings(**settings)
        workers = Workers(1, 1)
        return Checks(
            told,
            "MX.example.net",
            resolver_of(self.server, seconds=self.dns_seconds),
            Screen(self.screening, told),
            Signer(self.keys, workers, "mx.example.net"),
            workers,
            [self.filter],
        )

    async def judge(
        self, message: bytes = LETTER, sending: Sending = STRANGER, **settings: Any
    ) -> Judgement:
        async with spooled(message) as spool:
            return await self.checks(**settings).message(sending, spool)


@pytest.fixture
def house() -> Iterator[House]:
    with dns_server() as server:
        yield House(server)


def delivered(judgement: Judgement, message: bytes = LETTER) -> bytes:
    """The message as it is kept."""
    header, _, body = message.partition(b"\r\n\r\n")
    return judgement.fields + without(header + b"\r\n\r\n", judgement.removed) + body


def publish_everything(server: DnsServer) -> None:
    server.text("example.org", "v=spf1 ip4:192.0.2.1 -all")
    server.text("_dmarc.example.org", "v=DMARC1; p=reject")
    server.add("1.2.0.192.in-addr.arpa", "PTR", "mail.example.org.")
    server.add("mail.example.org", "A", "192.0.2.1")


async def test_good_mail(house: House) -> None:
    publish_everything(house.server)
    found = await house.judge()
    assert found.refused is None
    assert found.mailbox == ""
    assert found.fields == (
        b"Authentication-Results: mx.example.net;\r\n"
        b"\tspf=pass smtp.mailfrom=ann@example.org;\r\n"
        b"\tdkim=none;\r\n"
        b"\tdmarc=pass (p=reject) header.from=example.org;\r\n"
        b"\tiprev=pass (mail.example.org) policy.iprev=192.0.2.1\r\n"
        b"X-Seen: yes\r\n"
    )
    assert found.verdict == (
        "spf=pass smtp.mailfrom=ann@example.org; dkim=none; "
        "dmarc=pass (p=reject) header.from=example.org; "
        "iprev=pass (mail.example.org) policy.iprev=192.0.2.1"
    )


@pytest.mark.parametrize(
    ("wish", "settings", "refused", "mailbox"),
    [
        ("reject", {}, True, ""),
        ("reject", {"dmarc_reject": "junk"}, False, "Junk"),
        ("reject", {"dmarc": "mark"}, False, ""),
        ("reject", {"dmarc": "off"}, False, ""),
        ("quarantine", {}, False, "Junk"),
        ("quarantine", {"junk_mailbox": "Spam"}, False, "Spam"),
        ("none", {}, False, ""),
    ],
)
async def test_forged_mail(
    house: House, wish: str, settings: dict[str, Any], refused: bool, mailbox: str
) -> None:
    publish_everything(house.server)
    house.server.text("_dmarc.example.org", f"v=DMARC1; p={wish}")
    forged = replace(STRANGER, client=Client("198.51.100.9", False))
    found = await house.judge(sending=forged, **settings)
    assert (found.refused is not None, found.mailbox) == (refused, mailbox)
    if found.refused:
        assert found.refused.permanent
        assert house.filter.asked == []


async def test_mail_that_another_author_hides_in(house: House) -> None:
    publish_everything(house.server)
    house.server.text("_dmarc.bank.example", "v=DMARC1; p=reject")
    message = b"From: The Bank <it@bank.example>\r\n" + LETTER
    assert (await house.judge(message)).refused is not None
    message = LETTER.replace(b"From: ", b"From: it@bank.example, ")
    assert (await house.judge(message)).refused is not None
    crowd = ", ".join(f"a@{each}.example" for each in range(100)).encode()
    found = await house.judge(LETTER.replace(b"From: ", b"From: " + crowd + b", "))
    assert (found.refused, found.mailbox) == (None, "Junk")


@pytest.mark.parametrize(
    "author",
    [
        b"From: Bank <s@bank..example>\r\n",
        "From: s@bank\u200b.example\r\n".encode(),
        b"From: s@\xff\xfe.example\r\n",
        b"From: s@bank.example <x\r\n",
        b"From: undisclosed:;\r\n",
        b"",
    ],
)
async def test_authors_that_can_not_be_told_are_not_passed_over(
    house: House, author: bytes
) -> None:
    publish_everything(house.server)
    without_author = LETTER.replace(b"From: Ann <ann@example.org>\r\n", b"")
    found = await house.judge(author + without_author)
    assert (found.refused, found.mailbox) == (None, "Junk")
    assert "dmarc=permerror" in found.verdict
    if b"@" in author:
        # Nor beside another, who is who they say.
        found = await house.judge(author + LETTER)
        assert (found.refused, found.mailbox) == (None, "Junk")
        house.server.text("example.org", "v=spf1 -all")
        assert (await house.judge(author + LETTER)).refused is not None


async def test_a_message_has_few_lookups_at_a_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is signed by, and from whom."""
    under_way, most = 0, 0
    resolve = dns.asyncresolver.Resolver.resolve

    async def watched(*arguments: Any, **more: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await resolve(*arguments, **more)
        finally:
            under_way -= 1

    monkeypatch.setattr(dns.asyncresolver.Resolver, "resolve", watched)
    tags = "v=1; a=rsa-sha256; d=example.org; h=from; bh=AAAA; b=AAAA; s="
    signatures = "".join(f"DKIM-Signature: {tags}s{each}\r\n" for each in range(10))
    authors = ", ".join(f"a@{each}.a{each}.example" for each in range(10))
    message = f"{signatures}From: {authors}\r\n\r\n".encode()
    for name in [f"s{each}._domainkey.example.org" for each in range(10)]:
        house.server.silence(name)
    house.dns_seconds = 0.3
    found = await house.judge(message, dns_failing="accept")
    assert found.verdict.count("dkim=temperror") == 10
    assert most == 5
    assert house.server.asked["_dmarc.9.a9.example", "TXT"] == 1


async def test_dns_that_fails_is_temporary(house: House) -> None:
    house.server.fail("_dmarc.example.org")
    found = await house.judge()
    assert found.refused is not None
    assert not found.refused.permanent
    found = await house.judge(dns_failing="accept")
    assert found.refused is None
    assert "dmarc=temperror" in found.verdict


async def test_dns_that_is_silent(house: House) -> None:
    for name in ("example.org", "_dmarc.example.org", "1.2.0.192.in-addr.arpa"):
        house.server.silence(name)
    house.dns_seconds = 60
    async with asyncio.timeout(10):
        found = await house.judge(check_seconds=0.3)
    assert found.refused is not None
    assert not found.refused.permanent
    assert "spf=temperror (it took too long)" in found.verdict


async def test_a_key_that_takes_too_long_is_a_temporary_failure(house: House) -> None:
    house.server.text("_dmarc.example.org", "v=DMARC1; p=reject")
    house.keys.held["example.org"] = (signing_key(),)
    house.server.silence("rsa._domainkey.example.org")
    async with spooled(LETTER) as spool:
        fields = await Signer(house.keys, Workers(1, 1), "x").sign(spool)
    for seconds, limit in (60.0, 0.4), (0.4, 60.0):
        house.dns_seconds = seconds
        async with asyncio.timeout(10):
            found = await house.judge(fields + LETTER, check_seconds=limit)
        assert found.refused is not None
        assert not found.refused.permanent


async def test_signatures_count_for_the_author(house: House) -> None:
    publish(house.server, signing_key())
    house.server.text("_dmarc.example.org", "v=DMARC1; p=reject")
    house.keys.held["example.org"] = (signing_key(),)
    workers = Workers(1, 1)
    async with spooled(LETTER) as spool:
        fields = await Signer(house.keys, workers, "x").sign(spool)
    found = await house.judge(fields + LETTER)
    assert found.refused is None
    assert "dkim=pass header.d=example.org" in found.verdict
    assert "dmarc=pass" in found.verdict


async def test_what_says_that_it_is_from_us_is_taken_away(house: House) -> None:
    message = (
        b"Authentication-Results: other.example; spf=fail\r\n"
        b"Authentication-Results: mx.example.net; dmarc=pass\r\n"
        b'AUTHENTICATION-RESULTS : (x)\r\n "MX.example.net" 1; dkim=pass\r\n' + LETTER
    )
    found = await house.judge(message)
    assert found.removed == {("authentication-results", 1), ("authentication-results", 2)}
    kept = delivered(found, message)
    assert kept.lower().count(b"mx.example.net") == 1
    assert b"other.example; spf=fail" in kept
    assert (await house.judge(message, OURS)).removed == found.removed


async def test_our_people_are_asked_nothing(house: House) -> None:
    found = await house.judge(sending=OURS)
    assert (found.fields, found.verdict) == (b"X-Seen: yes\r\n", "")
    assert not house.server.asked
    house.filter.asked.clear()
    assert (await house.judge(sending=OURS, filter_submission=False)).fields == b""
    assert house.filter.asked == []


async def test_exempt_networks_are_asked_nothing_and_filtered(house: House) -> None:
    found = await house.judge(check_exempt_networks="192.0.2.0/24", filter_submission=False)
    assert found.fields == b"X-Seen: yes\r\n"
    assert not house.server.asked


async def test_filters_see_results_and_have_the_last_word(house: House) -> None:
    finding = Finding("x-filter", Result.FAIL, (), "7 of 5")
    house.filter.opinion = Opinion(junk=True, finding=finding)
    found = await house.judge()
    assert found.mailbox == "Junk"
    assert found.verdict.endswith("; x-filter=fail (7 of 5)")
    house.filter.opinion = Opinion(quiet=True)
    assert (await house.judge()).quiet
    house.filter.opinion = Opinion(refused=Reply(554, "5.7.1", "malware"))
    assert str((await house.judge()).refused) == "554 5.7.1 malware"
    assert (await house.judge(filter_bytes=10)).refused is None


async def test_filters_hear_every_step(house: House) -> None:
    checks = house.checks()
    assert await checks.connected(STRANGER) is None
    assert await checks.mail(STRANGER) is None
    assert await checks.recipient(STRANGER, "bob@example.net") is None
    await checks.ended("c1")
    assert house.filter.asked == ["connected", "mail", "bob@example.net", "ended c1"]
    house.filter.reply = Reply(450, "4.7.1", "not now")
    assert str(await checks.mail(STRANGER)) == "450 4.7.1 not now"
    assert str(await checks.connected(STRANGER)) == "421 4.7.1 not now"
    house.filter.reply = Reply(550, "5.7.1", "never")
    assert str(await checks.connected(STRANGER)) == "554 5.7.1 never"


async def test_an_error_of_ours_loses_nothing(house: House) -> None:
    async def broken(*_arguments: object) -> Opinion:
        raise RuntimeError("a bug")

    house.filter.message = broken  # type: ignore[method-assign]
    house.filter.mail = broken  # type: ignore[method-assign,assignment]
    found = await house.judge()
    assert found.refused is not None
    assert not found.refused.permanent
    answer = await house.checks().mail(STRANGER)
    assert answer is not None
    assert not answer.permanent


async def test_a_header_without_an_end(house: House) -> None:
    found = await house.judge(b"X: " + b"x" * 300_000 + b"\r\n" + LETTER)
    assert str(found.refused) == "552 5.3.4 the header of the message is too large"
    found = await house.judge(b"X:\r\n" * 6_000 + LETTER)
    assert str(found.refused) == "552 5.3.4 the header of the message is too large"
    assert await house.judge(b"X:\r\n" * 6_000 + LETTER, OURS) == Judgement()
    found = await house.judge(b"From: ann@example.org\r\n")
    assert found.refused is None


async def test_spf_that_refuses(house: House) -> None:
    house.server.text("example.org", "v=spf1 -all exp=why.example.org")
    house.server.text("why.example.org", "ask %{i}")
    checks = house.checks(spf="refuse")
    assert str(await checks.mail(STRANGER)) == (
        "550 5.7.23 example.org says that you don't send for it (SPF): ask 192.0.2.1"
    )
    assert await house.checks().mail(STRANGER) is None
    assert await checks.mail(replace(STRANGER, trusted=True)) is None
    house.server.fail("mail.example.org")
    bounce = replace(STRANGER, sender="")
    assert str(await checks.mail(bounce)).startswith("451 4.7.5")
    assert await house.checks(spf="refuse", dns_failing="accept").mail(bounce) is None


async def test_names_of_addresses_that_refuse(house: House) -> None:
    checks = house.checks(iprev="refuse")
    assert str(await checks.mail(STRANGER)).startswith("550 5.7.25")
    house.server.add("1.2.0.192.in-addr.arpa", "PTR", "mail.example.org.")
    assert str(await house.checks(iprev="refuse").mail(STRANGER)).startswith("550 5.7.25")
    house.server.add("mail.example.org", "A", "192.0.2.1")
    assert await house.checks(iprev="refuse").mail(STRANGER) is None
    six = replace(STRANGER, client=Client("2001:db8::1", False))
    pointer = "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa"
    house.server.add(pointer, "PTR", "six.example.org.")
    house.server.add("six.example.org", "AAAA", "2001:db8::1")
    assert await house.checks(iprev="refuse").mail(six) is None


LISTS = "a.list.example=127.0.0.2-127.0.0.9*3,b.list.example,good.list.example*-4"


async def test_blocklists_add_up(house: House) -> None:
    refusing = {"dnsbls": LISTS, "dnsbl_refuse": 4, "dnsbl_junk": 3}
    recipient = "bob@example.net"
    assert await house.checks(**refusing).recipient(STRANGER, recipient) is None
    house.server.add("1.2.0.192.a.list.example", "A", "127.0.0.4")
    assert await house.checks(**refusing).recipient(STRANGER, recipient) is None
    found = await house.judge(**refusing)
    assert found.mailbox == "Junk"
    assert "x-dnsbl=fail (3: a.list.example)" in found.verdict
    house.server.add("1.2.0.192.b.list.example", "A", "127.0.0.2")
    refused = await house.checks(**refusing).recipient(STRANGER, recipient)
    assert str(refused) == ("554 5.7.1 you are on a blocklist: a.list.example, b.list.example")
    house.server.add("1.2.0.192.good.list.example", "A", "127.0.0.1")
    assert await house.checks(**refusing).recipient(STRANGER, recipient) is None


async def test_blocklists_at_the_greeting_and_who_is_always_reachable(house: House) -> None:
    house.server.add("1.2.0.192.b.list.example", "A", "127.0.0.2")
    early = house.checks(dnsbls="b.list.example", dnsbl_stage="greeting")
    assert await early.connected(STRANGER) is not None
    late = house.checks(dnsbls="b.list.example")
    assert await late.connected(STRANGER) is None
    assert await late.recipient(STRANGER, "bob@example.net") is not None
    assert await late.recipient(STRANGER, "Postmaster@example.net") is None
    assert await late.recipient(STRANGER, "postmaster") is None
    assert await late.recipient(OURS, "bob@example.net") is None


@pytest.mark.parametrize("answer", ["127.255.255.254", "203.0.113.5", "127.0.0.77"])
async def test_answers_of_a_blocklist_that_do_not_count(house: House, answer: str) -> None:
    house.server.add("1.2.0.192.b.list.example", "A", answer)
    checks = house.checks(dnsbls="b.list.example=127.0.0.2-127.0.0.10")
    assert await checks.recipient(STRANGER, "bob@example.net") is None
    if answer != "127.0.0.77":
        checks = house.checks(dnsbls="b.list.example")
        assert await checks.recipient(STRANGER, "bob@example.net") is None


async def test_blocklists_of_domains(house: House) -> None:
    house.server.add("example.org.dbl.example", "A", "127.0.1.2")
    checks = house.checks(dnsbl_domains="dbl.example", dnsbl_stage="greeting")
    assert await checks.connected(replace(STRANGER, sender=None, name="")) is None
    assert await checks.recipient(STRANGER, "bob@example.net") is not None


async def test_a_blocklist_that_is_silent(house: House) -> None:
    house.server.silence("1.2.0.192.b.list.example")
    settings = {"dnsbls": "b.list.example", "dnsbl_seconds": 0.1}
    async with asyncio.timeout(5):
        assert await house.checks(**settings).recipient(STRANGER, "bob@example.net") is None
        checks = house.checks(**settings, dnsbl_failing="tempfail")
        assert str(await checks.recipient(STRANGER, "bob@example.net")).startswith("451")


async def test_greylisting(house: House) -> None:
    checks = house.checks(greylisting=True)
    house.screening.wait = 300
    refused = await checks.recipient(STRANGER, "bob@example.net")
    assert str(refused) == "451 4.7.1 you are new here: try again in a few minutes"
    near = replace(STRANGER, client=Client("192.0.2.200", False))
    await checks.recipient(near, "BOB@example.net")
    far = replace(STRANGER, client=Client("192.0.3.1", False))
    await checks.recipient(far, "bob@example.net")
    first, second, third = house.screening.greylisted
    assert len(first) == 16
    assert first == second
    assert first != third
    house.screening.wait = 0
    assert await checks.recipient(STRANGER, "bob@example.net") is None
    assert await checks.recipient(OURS, "bob@example.net") is None
    assert await house.checks().recipient(STRANGER, "bob@example.net") is None
    assert len(house.screening.greylisted) == 4


async def test_who_is_known_is_not_put_off(house: House) -> None:
    house.screening.wait = 300
    publish_everything(house.server)
    assert await house.checks(greylisting=True).recipient(STRANGER, "bob@example.net") is None
    assert house.screening.greylisted == []
    # One whose signature was good before.
    publish(house.server, signing_key())
    house.keys.held["example.org"] = (signing_key(),)
    async with spooled(LETTER) as spool:
        fields = await Signer(house.keys, Workers(1, 1), "x").sign(spool)
    elsewhere = replace(STRANGER, client=Client("198.51.100.7", False))
    checks = house.checks(greylisting=True)
    assert await checks.recipient(elsewhere, "bob@example.net") is not None
    async with spooled(fields + LETTER) as spool:
        assert (await checks.message(elsewhere, spool)).refused is None
    assert await checks.recipient(elsewhere, "eve@example.net") is None


async def test_rates(house: House) -> None:
    checks = house.checks(
        rate_connections="2/60", rate_messages="3/60", rate_sender_messages="2/60",
        rate_recipients="3/60", rate_recipient_messages="1/60",
    )  # fmt: skip
    assert await checks.connected(STRANGER) is None
    assert await checks.connected(STRANGER) is None
    assert str(await checks.connected(STRANGER)) == (
        "421 4.7.1 that is too much: try again in 60 seconds"
    )
    assert await checks.mail(STRANGER) is None
    assert await checks.mail(STRANGER) is None
    assert await checks.mail(STRANGER) is not None
    assert await checks.recipient(STRANGER, "bob@example.net") is None
    assert await checks.recipient(STRANGER, "bob@example.net") is not None
    assert await checks.recipient(OURS, "bob@example.net") is None


async def test_a_proxy_has_no_rate(house: House) -> None:
    checks = house.checks(
        rate_connections="1/60", rate_messages="1/60", rate_recipients="1/60", concurrency_address=1
    )
    proxy = replace(STRANGER, proxy=True)
    for number in range(3):
        one = replace(proxy, connection=f"c{number}")
        assert await checks.connected(one) is None
        assert await checks.mail(one) is None
        assert await checks.recipient(one, "bob@example.net") is None
    assert await checks.connected(STRANGER) is None
    assert await checks.connected(STRANGER) is not None


async def test_rates_of_those_who_signed_in(house: House) -> None:
    checks = house.checks(
        rate_messages="1/60", rate_account_messages="2/3600", rate_account_recipients="1/3600"
    )
    assert [await checks.mail(OURS) is None for _ in range(3)] == [True, True, False]
    assert [await checks.recipient(OURS, "x@y.z") is None for _ in range(2)] == [True, False]


async def test_a_store_that_is_away(house: House) -> None:
    house.screening.fault = PostroomError(Kind.UNAVAILABLE, "away")
    settings = {"greylisting": True, "rate_messages": "1/60"}
    checks = house.checks(**settings)
    assert await checks.mail(STRANGER) is None
    assert await checks.recipient(STRANGER, "bob@example.net") is None
    checks = house.checks(**settings, screening_failing="tempfail")
    assert str(await checks.mail(STRANGER)).startswith("451 4.3.0")
    assert str(await checks.recipient(STRANGER, "bob@example.net")).startswith("451 4.3.0")


FIRST = replace(STRANGER, connection="c1")
SECOND = replace(STRANGER, connection="c2")


@pytest.mark.parametrize(
    ("setting", "other"),
    [
        ("concurrency_address", {"client": Client("198.51.100.9", False)}),
        ("concurrency_sender", {"sender": "eve@example.org"}),
    ],
)
async def test_how_much_is_under_way(house: House, setting: str, other: dict[str, Any]) -> None:
    checks = house.checks(**{setting: 1})
    assert await checks.mail(FIRST) is None
    assert str(await checks.mail(SECOND)) == (
        "451 4.7.1 too much of this is under way: try again later"
    )
    assert await checks.mail(replace(SECOND, **other)) is None
    # It begins anew, it comes to its end, its connection does.
    assert await checks.mail(FIRST) is None
    assert await checks.mail(SECOND) is not None
    async with spooled(LETTER) as spool:
        await checks.message(FIRST, spool)
    assert await checks.mail(SECOND) is None
    assert await checks.mail(FIRST) is not None
    await checks.ended("c2")
    assert await checks.mail(FIRST) is None
    assert await checks.mail(replace(OURS, connection="c3")) is None
    await checks.ended("c1")
    house.filter.reply = Reply(450, "4.7.1", "not now")
    assert await checks.mail(FIRST) == house.filter.reply
    house.filter.reply = None
    assert await checks.mail(SECOND) is None


async def test_how_much_is_under_way_to_a_recipient(house: House) -> None:
    checks = house.checks(concurrency_recipient=1)
    assert await checks.mail(FIRST) is None
    assert await checks.recipient(FIRST, "bob@example.net") is None
    assert await checks.recipient(FIRST, "Bob@example.net") is None
    assert await checks.mail(SECOND) is None
    assert str(await checks.recipient(SECOND, "bob@example.net")).startswith("451 4.7.1")
    assert await checks.recipient(SECOND, "eve@example.net") is None
    await checks.ended("c1")
    assert await checks.recipient(SECOND, "bob@example.net") is None


async def test_what_is_handed_on_is_sealed(house: House) -> None:
    house.keys.held["example.net"] = (signing_key("example.net"),)
    publish(house.server, signing_key("example.net"))
    forwarded = replace(STRANGER, forwarded=True)
    found = await house.judge(sending=forwarded)
    assert found.fields.startswith(b"ARC-Seal: i=1; cv=none; a=rsa-sha256; d=example.net;")
    sealed = delivered(found)
    again = await house.judge(sealed, replace(STRANGER, client=Client("198.51.100.9", False)))
    assert "arc=pass (i=1)" in again.verdict
    assert b"ARC-Seal" not in (await house.judge()).fields
    house.keys.fault = PostroomError(Kind.UNAVAILABLE, "away")
    found = await house.judge(sending=forwarded)
    assert found.refused is None
    assert b"ARC-Seal" not in found.fields


async def test_a_sealer_that_is_trusted(house: House) -> None:
    publish_everything(house.server)
    house.keys.held["lists.example"] = (signing_key("lists.example"),)
    publish(house.server, signing_key("lists.example"))
    at_list = replace(STRANGER, forwarded=True, recipients=("dinner@lists.example",))
    sealed = delivered(await house.judge(sending=at_list))
    from_list = replace(
        STRANGER, client=Client("198.51.100.9", False), sender="bounces@lists.example"
    )
    assert (await house.judge(sealed, from_list)).refused is not None
    found = await house.judge(sealed, from_list, arc_trusted="lists.example")
    assert found.refused is None
    assert "dmarc=fail (p=reject dis=none arc of lists.example)" in found.verdict


async def test_a_client_whose_address_nobody_says(house: House) -> None:
    publish_everything(house.server)
    checks = house.checks(
        spf="refuse",
        iprev="refuse",
        dnsbls="b.list.example",
        greylisting=True,
        rate_connections="1/60",
        concurrency_address=1,
    )
    hidden = replace(STRANGER, client=Client("", False), connection="c1")
    for _ in range(3):
        assert await checks.connected(hidden) is None
        assert await checks.mail(hidden) is None
        assert await checks.recipient(hidden, "bob@example.net") is None
    assert house.screening.greylisted == []
    # It isn't exempt for that.
    async with spooled(LETTER) as spool:
        found = await checks.message(hidden, spool)
    assert found.refused is not None
    assert "spf=none" in found.verdict
    zoned = replace(STRANGER, client=Client("fe80::1%eth0", False))
    assert await house.checks().mail(zoned) is None
    assert await house.checks(iprev="refuse").mail(zoned) is not None


async def test_what_is_off_is_not_told(house: House) -> None:
    found = await house.judge(spf="off", dkim=False, dmarc="off", arc=False, iprev="off")
    assert found.fields == b"Authentication-Results: mx.example.net;\r\n\tnone\r\nX-Seen: yes\r\n"
    assert not house.server.asked


async def test_lookups_are_made_once(house: House) -> None:
    publish_everything(house.server)
    checks = house.checks()
    for _ in range(3):
        async with spooled(LETTER) as spool:
            await checks.message(STRANGER, spool)
    assert house.server.asked["example.org", "TXT"] == 1
    assert house.server.asked["_dmarc.example.org", "TXT"] == 1


PIECES = [
    b"From: ann@example.org\r\n",
    b"From: <>\r\n",
    b"From: a@" + b"x." * 200 + b"org\r\n",
    b"From: \xff\xfe <\xff@\xff>\r\n",
    b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=rsa; h=from; bh=AAAA; b=AAAA\r\n",
    b"DKIM-Signature: v=1; a=rsa-sha256; d=\\.\\..org; s=\\; h=from; bh=AAAA; b=AAAA\r\n",
    b"DKIM-Signature: v=1; a=ed25519-sha256; d=a.b; s=" + b"x" * 70 + b"; h=from; bh=; b=\r\n",
    b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=a.b; s=c; b=AAAA\r\n",
    b"ARC-Message-Signature: i=1; a=rsa-sha256; d=a.b; s=c; h=from; bh=AAAA; b=AAAA\r\n",
    b"ARC-Authentication-Results: i=1; x; dmarc=pass\r\n",
    b"Authentication-Results: mx.example.net; spf=pass\r\n",
    b"Authentication-Results: ((((\r\n",
    b": no name\r\n",
    b"no field\r\n",
    b" folded at first\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"body \xff\r\n",
]


async def test_no_message_is_an_error_of_ours(house: House) -> None:
    house.server.text("rsa._domainkey.example.org", "v=DKIM1; p=\xff")
    house.keys.held["example.net"] = (signing_key("example.net"),)
    chance = random.Random(5321)
    checks = house.checks(dns_failing="accept", dmarc_reject="junk")
    senders = ["", "ann@example.org", "a@", '"\\"@\\.org', "é@é.é", "x@[192.0.2.1]", "a" * 500]
    for _ in range(400):
        message = b"".join(chance.choices(PIECES, k=chance.randrange(12)))
        sending = replace(
            STRANGER,
            sender=chance.choice(senders),
            name=chance.choice(["", "mail.example.org", "[192.0.2.1]", "é", "\\", "a" * 300]),
            client=Client(chance.choice(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"]), False),
            forwarded=True,
        )
        assert await checks.mail(sending) is None
        assert await checks.recipient(sending, "bob@example.net") is None
        async with spooled(message) as spool:
            found = await checks.message(sending, spool)
        assert found.refused is None
        # What is put before a message is whole fields, and nothing else.
        assert found.fields.endswith(b"\r\n")
        assert b"\r\n\r\n" not in found.fields
        assert all(field.name for field in split_fields(found.fields))


async def test_thousands_of_signatures_and_authors(house: House) -> None:
    house.server.silence("x.example")
    fields = PIECES[4] * 1_500 + PIECES[10] * 1_500
    async with asyncio.timeout(10):
        found = await house.judge(fields + LETTER)
    assert found.refused is None
    assert found.verdict.count("dkim=") == 10
    assert len(found.removed) == 1_500
    async with asyncio.timeout(10):
        found = await house.judge(PIECES[4] * 4_000 + LETTER)
    assert found.refused is not None
