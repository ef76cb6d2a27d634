"""A sending worker and receivers that others wrote: Postfix with TLS, and smtp-sink."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postroom_smtp.protocol.envelope import Recipient, Request
from postroom_smtp.sending.ports import Outcome

from tests.harness.clients import require
from tests.harness.post import MESSAGE, Certified, Post, certified, posting, status_of
from tests.harness.postfix import Postfix, postfix, sink

pytestmark = pytest.mark.clients("postfix", "smtp-sink")

MX = "mx.there.example"
HOST = "127.0.0.200"
BOB = "bob@there.example"
UTF8 = "grün@there.example"


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with posting(tmp_path) as running:
        running.dns.add("there.example", "MX", f"10 {MX}.", secure=True)
        running.dns.add(MX, "A", HOST, secure=True)
        running.work(reply_seconds=30, end_seconds=30)
        yield running


@pytest.fixture
def shown() -> Certified:
    return certified(MX)


@pytest.fixture
async def there(post: Post, shown: Certified) -> AsyncIterator[Postfix]:
    require("" if os.geteuid() == 0 else "root, whom Postfix insists on")
    access = "later@there.example 450 4.7.1 greylisted\nfull@there.example 452 4.2.2 full\n"
    people = [BOB, UTF8, *(f"r{number}@there.example" for number in range(100))]
    with postfix(HOST, post.port, MX, people, shown.pem, access) as running:
        yield running


async def test_a_message_arrives_as_it_was(post: Post, there: Postfix) -> None:
    content = MESSAGE + b".\r\n..\r\n.x\r\n" + b"y" * 900 + b"\r\n\r\n"
    (attempt,) = await post.send(BOB, content=content)
    assert attempt.outcome is Outcome.DELIVERED
    assert attempt.tls == "TLSv1.3 opportunistic"
    (stored,) = there.mail(BOB)
    assert stored.endswith(content.replace(b"\r\n", b"\n"))
    assert b"Return-Path: <ann@here.example>\n" in stored


async def test_dane(post: Post, there: Postfix, shown: Certified) -> None:
    record = f"_{post.port}._tcp.{MX}"
    post.dns.add(record, "TLSA", shown.record(3, 1, 1), secure=True)
    (attempt,) = await post.send(BOB)
    assert attempt.tls == "TLSv1.3 dane"
    there.mail(BOB)


async def test_dane_that_does_not_hold(post: Post, there: Postfix) -> None:
    record = f"_{post.port}._tcp.{MX}"
    post.dns.add(record, "TLSA", certified(MX).record(3, 1, 1), secure=True)
    post.queue.add([BOB], MESSAGE)
    domain = post.queue.domains["there.example"]
    await post.queue.until(lambda: domain.failures == 1)
    assert "DANE" in domain.reply


async def test_recipients_of_all_kinds(post: Post, there: Postfix) -> None:
    attempts = await post.send(BOB, "nobody@there.example", "later@there.example")
    assert [one.outcome for one in attempts] == [
        Outcome.DELIVERED,
        Outcome.FAILED,
        Outcome.DEFERRED,
    ]
    status = status_of(post.notice())
    assert status["Final-Recipient"] == "rfc822; nobody@there.example"
    assert status["Status"] == "5.1.1"


async def test_many_messages_share_connections(post: Post, there: Postfix) -> None:
    numbers = [post.queue.add([f"r{number}@there.example"], MESSAGE)[0] for number in range(100)]
    attempts = await post.queue.until_settled(numbers)
    assert {one.outcome for one in attempts} == {Outcome.DELIVERED}
    for number in range(100):
        there.mail(f"r{number}@there.example")
    assert there.log.count(": connect from") <= 11


async def test_a_message_that_is_too_large(post: Post, there: Postfix) -> None:
    (attempt,) = await post.send(BOB, content=MESSAGE + (b"x" * 78 + b"\r\n") * 20_000)
    assert (attempt.outcome, attempt.reply[:9]) == (Outcome.FAILED, "552 5.3.4")


async def test_eight_bits_and_utf8(post: Post, there: Postfix) -> None:
    content = "From: ann@here.example\r\nSubject: Grüße\r\n\r\nGrüße\r\n".encode()
    asked = Request(smtputf8=True)
    (attempt,) = await post.send(Recipient(UTF8), content=content, request=asked)
    assert attempt.outcome is Outcome.DELIVERED
    (stored,) = there.mail(UTF8)
    assert stored.endswith(content.replace(b"\r\n", b"\n"))


async def test_required_tls_stops_where_it_is_not_known(post: Post, there: Postfix) -> None:
    (attempt,) = await post.send(BOB, request=Request(require_tls=True))
    assert attempt.outcome is not Outcome.DELIVERED
    assert "for <bob@there.example>" not in there.log


# smtp-sink. A list of commands ends with a "." that stands for the end of a message.


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ((), Outcome.DELIVERED),  # it says that it knows DSN
        (("-e",), Outcome.RELAYED),  # no ESMTP
        (("-p",), Outcome.DELIVERED),  # no PIPELINING
        (("-w", "1"), Outcome.DELIVERED),  # slow
        (("-r", "mail"), Outcome.DEFERRED),
        (("-r", "rcpt"), Outcome.DEFERRED),
        (("-r", "data"), Outcome.DEFERRED),
        (("-r", "."), Outcome.DEFERRED),
        (("-f", "mail"), Outcome.FAILED),
        (("-f", "rcpt"), Outcome.FAILED),
        (("-f", "data"), Outcome.FAILED),
        (("-f", "."), Outcome.FAILED),
        (("-q", "rcpt"), Outcome.DEFERRED),  # it closes the connection
        (("-q", "data"), Outcome.DEFERRED),
        (("-q", "."), Outcome.DEFERRED),
        (("-Q", "rcpt"), Outcome.DEFERRED),  # 421
        (("-Q", "."), Outcome.DEFERRED),
    ],
)
async def test_sink(post: Post, options: tuple[str, ...], outcome: Outcome) -> None:
    with sink(HOST, post.port, *options):
        (attempt,) = await post.send(BOB)
    assert attempt.outcome is outcome


async def test_sink_takes_a_thousand(post: Post) -> None:
    with sink(HOST, post.port):
        numbers = [
            post.queue.add([f"r{number}@there.example"], MESSAGE)[0] for number in range(1_000)
        ]
        await post.queue.until_settled(numbers)
    assert post.queue.settled[Outcome.DELIVERED] == 1_000
    assert post.queue.domains["there.example"].most <= 10
