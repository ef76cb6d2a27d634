"""What becomes of queued mail, by a worker, real DNS and servers that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.repeating import ATTEMPTS
from postroom_smtp.ports import Delivery
from postroom_smtp.protocol.envelope import Body, Notify, Recipient, Request, Return
from postroom_smtp.sending.ports import Outcome, Settlement
from postroom_smtp.sending.worker import give_up

from tests.harness.peer import KEYWORDS, Act, Answers, Peer
from tests.harness.post import MESSAGE, Post, posting, status_of

ANN = "ann@here.example"
BOB = "bob@there.example"
DAY = 86_400


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with posting(tmp_path) as running:
        yield running


# What goes well.


async def test_a_message_gets_there(post: Post) -> None:
    peer = await post.peer("there.example")
    (attempt,) = await post.send(BOB)
    assert attempt.outcome is Outcome.RELAYED
    assert attempt.reply == "250 2.0.0 taken"
    assert attempt.host == "mx1.there.example [127.0.0.2]"
    (taken,) = peer.taken
    assert (taken.recipients, taken.content) == ([BOB], MESSAGE)
    assert taken.mail == f"MAIL FROM:<{ANN}> SIZE={len(MESSAGE)}"
    assert peer.heard[0] == "EHLO mx.here.example"
    assert not post.notices


async def test_recipients_of_one_message_share_it(post: Post) -> None:
    peer = await post.peer("there.example")
    await post.send(*(f"r{number}@there.example" for number in range(250)))
    assert sorted(len(taken.rcpt) for taken in peer.taken) == [50, 100, 100]


async def test_a_server_says_how_many_it_takes(post: Post) -> None:
    """RFC 9422."""
    peer = await post.peer("there.example", keywords=(*KEYWORDS, "LIMITS RCPTMAX=10 MAILMAX=2"))
    await post.send(*(f"r{number}@there.example" for number in range(40)))
    assert [len(taken.rcpt) for taken in peer.taken] == [10] * 4
    assert peer.connections == 2


async def test_too_many_recipients_go_at_once_in_another_transaction(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = [*["250 ok"] * 3, *["452 4.5.3 too many"] * 2, "250 ok"]
    attempts = await post.send(*(f"r{number}@there.example" for number in range(5)))
    assert {attempt.outcome for attempt in attempts} == {Outcome.RELAYED}
    assert [len(taken.rcpt) for taken in peer.taken] == [3, 2]


async def test_large_messages_pass_in_pieces(post: Post) -> None:
    peer = await post.peer("there.example")
    content = MESSAGE + b".x" * 39 + b"\r\n" + b".\r\n..\r\n" + (b"y" * 78 + b"\r\n") * 100_000
    await post.send(BOB, content=content)
    assert peer.taken[0].content == content


async def test_the_return_path_stays_here(post: Post) -> None:
    peer = await post.peer("there.example")
    await post.send(BOB, content=b"Return-Path: <ann@here.example>\r\n" + MESSAGE)
    assert peer.taken[0].content == MESSAGE
    assert f"SIZE={len(MESSAGE)}" in peer.taken[0].mail


async def test_connections_are_used_again(post: Post) -> None:
    peer = await post.peer("there.example")
    for _ in range(5):
        await post.send(BOB)
        await post.queue.until_idle()
    assert (len(peer.taken), peer.connections) == (5, 1)


async def test_a_connection_that_went_meanwhile_costs_nothing(post: Post) -> None:
    peer = await post.peer("there.example")
    await post.send(BOB)
    await post.queue.until_idle()
    peer.answers["MAIL"] = ["421 4.4.2 you waited too long", "250 ok"]
    (attempt,) = await post.send(BOB)
    assert attempt.outcome is Outcome.RELAYED
    assert peer.connections == 2


async def test_binary_in_chunks(post: Post) -> None:
    peer = await post.peer("there.example", keywords=(*KEYWORDS, "CHUNKING", "BINARYMIME"))
    content = MESSAGE + b"\0\n.\n\r.\r\xff"
    await post.send(BOB, content=content, request=Request(body=Body.BINARY))
    assert peer.taken[0].content == content
    assert "BODY=BINARYMIME" in peer.taken[0].mail


async def test_lmtp_and_its_replies(post: Post) -> None:
    peer = await post.peer(lmtp=True)
    peer.answers[".RCPT TO:<FULL"] = "452 4.2.2 full"
    post.work(send_routes=f"there.example=127.0.0.2:{post.port};lmtp")
    attempts = await post.send(BOB, "full@there.example")
    assert [one.outcome for one in attempts] == [Outcome.DELIVERED, Outcome.DEFERRED]
    assert peer.taken[0].recipients == [BOB]


# What doesn't.


@pytest.mark.parametrize(
    ("step", "said", "outcome"),
    [
        ("MAIL", "550 5.7.1 not from you", Outcome.FAILED),
        ("MAIL", "451 4.3.0 later", Outcome.DEFERRED),
        ("MAIL", "250-ok\n550 5.1.0 no", Outcome.FAILED),
        ("RCPT", "550 5.1.1 nobody", Outcome.FAILED),
        ("RCPT", "450 4.2.0 greylisted", Outcome.DEFERRED),
        ("RCPT", "354 go on", Outcome.DEFERRED),
        ("RCPT", "421 4.3.2 bye", Outcome.DEFERRED),
        ("DATA", "554 5.5.1 no recipients", Outcome.FAILED),
        ("DATA", "451 4.3.0 later", Outcome.DEFERRED),
        ("DATA", "250 fine", Outcome.DEFERRED),
        ("DATA", "421 4.3.2 bye", Outcome.DEFERRED),
        ("DATA", Act.DROP, Outcome.DEFERRED),
        ("RCPT", Act.DROP, Outcome.DEFERRED),
        ("CONTENT", Act.DROP, Outcome.DEFERRED),
        (".", "554 5.7.1 spam", Outcome.FAILED),
        (".", "451 4.3.0 later", Outcome.DEFERRED),
        (".", "421 4.3.2 bye", Outcome.DEFERRED),
        (".", Act.DROP, Outcome.DEFERRED),
        (".", "hello", Outcome.DEFERRED),
        (".", b"250", Outcome.DEFERRED),
        (".", b"\xff\xfe\r\n", Outcome.DEFERRED),
        (".", b"250 " + b"x" * 100_000 + b"\r\n", Outcome.RELAYED),
        (".", b"250\r\n", Outcome.RELAYED),
        (".", b"250-a\n250-b\n250 c\n", Outcome.RELAYED),
        (".", b"250-x\r\n" * 10_000, Outcome.DEFERRED),
    ],
)
@pytest.mark.parametrize("keywords", [KEYWORDS, ()], ids=["pipelined", "stepwise"])
async def test_what_servers_say(
    post: Post, step: str, said: Answers, outcome: Outcome, keywords: tuple[str, ...]
) -> None:
    peer = await post.peer("there.example", keywords=keywords)
    peer.answers[step] = said
    post.work(end_seconds=1)
    (attempt,) = await post.send(BOB)
    assert attempt.outcome is outcome
    assert len(post.notices) == (outcome is Outcome.FAILED)
    if outcome is Outcome.DEFERRED:
        (waiting,) = post.queue.entries.values()
        assert 200 < waiting.due - post.queue.clock() < 400


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "."])
async def test_servers_that_stall(post: Post, step: str) -> None:
    peer = await post.peer("there.example", keywords=())
    peer.answers[step] = Act.STALL
    post.work(reply_seconds=0.3, end_seconds=0.3)
    (attempt,) = await post.send(BOB)
    assert attempt.outcome is Outcome.DEFERRED
    assert "said nothing" in attempt.reply


async def test_a_server_that_takes_the_content_slowly(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["CONTENT"] = Act.STALL
    post.work(piece_seconds=0.5)
    (attempt,) = await post.send(BOB, content=MESSAGE + (b"x" * 78 + b"\r\n") * 400_000)
    assert attempt.outcome is Outcome.DEFERRED
    assert "took nothing" in attempt.reply


async def test_a_server_that_says_no_in_the_midst_of_it(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["CONTENT"] = "552 5.3.4 that is too much"
    peer.answers["."] = Act.DROP
    (attempt,) = await post.send(BOB)
    assert attempt.outcome is Outcome.FAILED
    assert attempt.reply == "552 5.3.4 that is too much"


async def test_some_recipients_fail(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT TO:<NOBODY"] = "550 5.1.1 nobody"
    peer.answers["RCPT TO:<LATER"] = "451 4.7.1 greylisted"
    attempts = await post.send("nobody@there.example", BOB, "later@there.example")
    assert [one.outcome for one in attempts] == [
        Outcome.FAILED,
        Outcome.RELAYED,
        Outcome.DEFERRED,
    ]
    assert peer.recipients == [BOB]
    status = status_of(post.notice())
    assert status["Final-Recipient"] == "rfc822; nobody@there.example"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("", "554 5.7.1 go away"),
        ("", "421 4.7.0 too many connections"),
        ("", Act.DROP),
        ("", "hello"),
        ("EHLO", Act.DROP),
        ("EHLO", "421 4.3.2 bye"),
    ],
)
async def test_the_next_server_is_tried(post: Post, step: str, said: Answers) -> None:
    first, second = await post.peer(), await post.peer()
    post.dns.add("there.example", "MX", "10 mx1.there.example.", "20 mx2.there.example.")
    first.answers[step] = said
    (attempt,) = await post.send(BOB)
    assert attempt.outcome is Outcome.RELAYED
    assert (first.recipients, second.recipients) == ([], [BOB])


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("said", ["421 4.3.2 going down", "451 4.3.0 trouble here"])
async def test_what_a_server_puts_off_another_may_take(post: Post, step: str, said: str) -> None:
    first, second = await post.peer(), await post.peer()
    post.dns.add("there.example", "MX", "10 mx1.there.example.", "20 mx2.there.example.")
    first.answers[step] = said
    (attempt,) = await post.send(BOB)
    assert attempt.outcome is Outcome.RELAYED
    assert "mx2" in attempt.host
    assert (first.recipients, second.recipients) == ([], [BOB])


@pytest.mark.parametrize(
    "said", ["451 4.7.1 greylisted", "452 4.2.2 full", "451 4.7.28 rate limit reached"]
)
async def test_what_all_servers_would_say_is_heard_once(post: Post, said: str) -> None:
    first, second = await post.peer(), await post.peer()
    post.dns.add("there.example", "MX", "10 mx1.there.example.", "20 mx2.there.example.")
    first.answers["RCPT"] = said
    (attempt,) = await post.send(BOB)
    assert (attempt.outcome, attempt.reply) == (Outcome.DEFERRED, said)
    assert second.connections == 0


async def test_where_all_put_it_off_that_is_found_out_once_in_a_batch(post: Post) -> None:
    first, second = await post.peer(), await post.peer()
    post.dns.add("there.example", "MX", "10 mx1.there.example.", "20 mx2.there.example.")
    first.answers["."] = second.answers["."] = "451 4.3.0 trouble here"
    numbers = [post.queue.add([BOB], MESSAGE)[0] for _ in range(5)]
    post.work(send_connections=1)
    attempts = await post.queue.until_settled(numbers)
    assert {one.outcome for one in attempts} == {Outcome.DEFERRED}
    assert second.connections == 1


async def test_a_server_that_puts_off_and_is_the_only_one_keeps_its_connection(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "451 4.3.0 trouble here"
    numbers = [post.queue.add([BOB], MESSAGE)[0] for _ in range(3)]
    post.work(send_connections=1)
    await post.queue.until_settled(numbers)
    assert peer.connections == 1


async def test_a_destination_that_is_not_reached_is_left_alone(post: Post) -> None:
    post.dns.add("there.example", "A", "127.0.0.99")
    post.work()
    numbers = post.queue.add([BOB], MESSAGE)
    domain = post.queue.domains["there.example"]
    await post.queue.until(lambda: domain.failures == 1)
    assert 40 < domain.retry_at - post.queue.clock() < 80
    assert "refused" in domain.reply
    assert post.queue.entries[numbers[0]].attempts == []
    post.queue.hasten()
    await post.queue.until(lambda: domain.failures == 2)
    assert 90 < domain.retry_at - post.queue.clock() < 150


async def test_connections_that_bring_nothing(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "421 4.3.2 bye"
    post.work(send_connections=1)
    for number in range(5):
        post.queue.add([f"r{number}@there.example"], MESSAGE)
    domain = post.queue.domains["there.example"]
    await post.queue.until(lambda: domain.failures == 1)
    await post.queue.until_idle()
    assert peer.connections <= 4


async def test_a_rate_that_is_too_high_lowers_ours(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["."] = "451 4.7.28 our rate limit for you is reached"
    worker = post.work(send_connections=8)
    await post.send(BOB)
    assert worker._wish(1).limits == {"there.example": 0}


async def test_rates(post: Post) -> None:
    peer = await post.peer("there.example")
    post.work(send_rates="there.example=10", send_connections=1)
    numbers = [post.queue.add([BOB], MESSAGE)[0] for _ in range(5)]
    attempts = await post.queue.until_settled(numbers)
    assert len(peer.taken) == 5
    assert len(attempts) == 5


async def test_a_low_rate_keeps_no_connection_waiting(post: Post) -> None:
    peer = await post.peer("there.example")
    post.work(send_rates="*=0.01", send_connections=1)
    numbers = [post.queue.add([BOB], MESSAGE)[0] for _ in range(3)]
    await post.queue.until_settled(numbers[:1])
    await post.queue.until_idle()
    waiting = [post.queue.entries[number] for number in numbers[1:]]
    due = [one.due - post.queue.clock() for one in waiting]
    assert (len(peer.taken), [one.attempts for one in waiting]) == (1, [[], []])
    assert 90 < due[0] < 110
    assert 190 < due[1] < 210


# Where mail goes.


async def test_no_such_domain(post: Post) -> None:
    (attempt,) = await post.send("bob@nowhere.example")
    assert (attempt.outcome, attempt.host) == (Outcome.FAILED, "")
    assert attempt.reply == "550 5.1.2 there is no such domain"
    assert status_of(post.notice())["Status"] == "5.1.2"


async def test_a_domain_that_takes_no_mail(post: Post) -> None:
    """RFC 7505."""
    post.dns.add("there.example", "MX", "0 .")
    (attempt,) = await post.send(BOB)
    assert (attempt.outcome, attempt.reply[:10]) == (Outcome.FAILED, "556 5.1.10")


async def test_a_domain_without_mx(post: Post) -> None:
    peer = await post.peer()
    post.dns.add("there.example", "A", peer.host)
    (attempt,) = await post.send(BOB)
    assert attempt.outcome is Outcome.RELAYED


async def test_an_address_literal(post: Post) -> None:
    peer = await post.peer()
    (attempt,) = await post.send(f"bob@[{peer.host}]")
    assert attempt.outcome is Outcome.RELAYED


async def test_ipv6(post: Post) -> None:
    peer = await post.stack.enter_async_context(Peer(host="::1", port=post.port).running())
    post.dns.add("there.example", "MX", "10 six.there.example.")
    post.dns.add("six.there.example", "AAAA", "::1")
    post.dns.add("six.there.example", "A", "127.0.0.99")
    post.work(send_families="6,4")
    (attempt,) = await post.send(BOB)
    assert attempt.host == "six.there.example [::1]"
    assert peer.recipients == [BOB]


async def test_where_ipv6_leads_nowhere(post: Post) -> None:
    await post.peer("there.example")
    post.dns.add("mx1.there.example", "AAAA", "100::1")
    post.work(send_families="6,4", connect_seconds=1)
    (attempt,) = await post.send(BOB)
    assert attempt.host == "mx1.there.example [127.0.0.2]"


async def test_dns_that_fails_is_temporary(post: Post) -> None:
    post.dns.fail("there.example")
    post.work()
    post.queue.add([BOB], MESSAGE)
    domain = post.queue.domains["there.example"]
    await post.queue.until(lambda: domain.failures == 1)
    assert domain.reply.startswith("451 4.4.3 DNS")


async def test_mail_for_this_very_server(post: Post) -> None:
    """RFC 5321 section 5.1: nothing goes to us, or to who would hand it to us."""
    await post.peer()
    post.dns.add("there.example", "MX", "10 mx.here.example.", "20 mx1.there.example.")
    (attempt,) = await post.send(BOB)
    assert (attempt.outcome, attempt.reply[:9]) == (Outcome.FAILED, "554 5.4.6")


async def test_a_backup_hands_mail_to_those_before_it(post: Post) -> None:
    peer = await post.peer()
    post.dns.add("there.example", "MX", "10 mx1.there.example.", "20 mx.here.example.")
    await post.send(BOB)
    assert peer.recipients == [BOB]


async def test_an_address_that_is_ours(post: Post) -> None:
    await post.peer("there.example")
    post.work(send_addresses="127.0.0.2")
    (attempt,) = await post.send(BOB)
    assert (attempt.outcome, attempt.reply[:9]) == (Outcome.FAILED, "554 5.4.6")


async def test_a_server_that_calls_itself_as_we_do(post: Post) -> None:
    await post.peer("there.example", answers={"EHLO": "250 MX.here.example"})
    (attempt,) = await post.send(BOB)
    assert (attempt.outcome, attempt.reply[:9]) == (Outcome.FAILED, "554 5.4.6")


async def test_what_comes_after_this_very_server_is_not_asked(post: Post) -> None:
    """It would hand the mail to us."""
    await post.peer(answers={"EHLO": "250 MX.here.example"})
    other = await post.peer()
    post.dns.add("there.example", "MX", "10 mx1.there.example.", "20 mx2.there.example.")
    (attempt,) = await post.send(BOB)
    assert (attempt.outcome, attempt.reply[:9]) == (Outcome.FAILED, "554 5.4.6")
    assert not other.heard


async def test_a_literal_that_is_ours(post: Post) -> None:
    peer = await post.peer()
    post.work(send_addresses=peer.host)
    (attempt,) = await post.send(f"bob@[{peer.host}]")
    assert (attempt.outcome, attempt.reply[:9]) == (Outcome.FAILED, "554 5.4.6")
    assert not peer.heard


async def test_all_servers_together_have_their_time(post: Post) -> None:
    await post.peer(answers={"": Act.STALL})
    await post.peer(answers={"": Act.STALL})
    post.dns.add("there.example", "MX", "10 mx1.there.example.", "20 mx2.there.example.")
    post.work(reply_seconds=30, reach_seconds=0.5)
    post.queue.add([BOB], MESSAGE)
    domain = post.queue.domains["there.example"]
    await post.queue.until(lambda: domain.failures == 1)
    assert domain.reply == "451 4.4.1 no server was ready within 0.5 seconds"


async def test_routes(post: Post) -> None:
    one, other, rest = await post.peer(), await post.peer(), await post.peer()
    port = post.port
    post.work(
        send_routes=f"one.example={one.host}:{port}, .other.example={other.host}:{port},"
        f" *={rest.host}:{port}"
    )
    await post.send("a@one.example")
    await post.send("b@sub.other.example")
    await post.send("c@third.example")
    assert [peer.recipients for peer in (one, other, rest)] == [
        ["a@one.example"],
        ["b@sub.other.example"],
        ["c@third.example"],
    ]


async def test_sources_by_sender(post: Post) -> None:
    peer = await post.peer("there.example")
    post.work(send_sources="one.example=127.0.0.51/one.example,*=127.0.0.52")
    await post.send(BOB, sender="a@one.example")
    await post.send(BOB, sender="a@two.example")
    assert [line for line in peer.heard if line.startswith("EHLO")] == [
        "EHLO one.example",
        "EHLO mx.here.example",
    ]
    assert peer.connections == 2


async def test_a_source_that_is_none_of_ours_stops_nobody_else(post: Post) -> None:
    peer = await post.peer("there.example")
    post.work(send_sources="one.example=192.0.2.1")
    wrong = post.queue.add([BOB], MESSAGE, sender="a@one.example")
    right = post.queue.add([BOB], MESSAGE)
    (attempt,) = await post.queue.until_settled(right)
    assert attempt.outcome is Outcome.RELAYED
    assert peer.recipients == [BOB]
    assert post.queue.entries[wrong[0]].outcome in (None, Outcome.DEFERRED)


# What senders are told.


async def test_a_notice_of_failure(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "550 5.1.1 there is nobody\r\nDATA"
    recipient = Recipient(BOB, "rfc822;b+ob@x.example")
    await post.send(recipient, request=Request(envid="e 1"))
    (delivery,) = post.notices
    assert [one.address for one in delivery.local] == [ANN]
    notice = post.notice()
    assert notice["To"] == f"<{ANN}>"
    assert notice["Auto-Submitted"] == "auto-replied"
    assert notice.get_content_type() == "multipart/report"
    assert status_of(notice) == {
        "Original-Envelope-Id": "e+201",
        "Reporting-MTA": "dns; mx.here.example",
        "Arrival-Date": status_of(notice)["Arrival-Date"],
        "Original-Recipient": "rfc822; b+2Bob@x.example",
        "Final-Recipient": f"rfc822; {BOB}",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx1.there.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 there is nobody",
        "Last-Attempt-Date": status_of(notice)["Last-Attempt-Date"],
    }
    parts = notice.get_payload()
    assert isinstance(parts, list)
    assert parts[2].get_content_type() == "message/rfc822"
    assert isinstance(delivery.content, bytes)
    assert MESSAGE in delivery.content


async def test_a_notice_with_headers_alone(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "550 5.1.1 nobody"
    await post.send(BOB, request=Request(ret=Return.HEADERS))
    (delivery,) = post.notices
    assert isinstance(delivery.content, bytes)
    assert b"Subject: hello\r\n" in delivery.content
    assert b"\r\nhello\r\n" not in delivery.content


async def test_notices_go_elsewhere_by_the_queue(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "550 5.1.1 nobody"
    await post.send(BOB, sender="eve@elsewhere.example")
    (delivery,) = post.notices
    assert (delivery.sender, delivery.local) == ("", ())
    assert [one.address for one in delivery.queue] == ["eve@elsewhere.example"]


@pytest.mark.parametrize(
    ("sender", "notify"),
    [("", frozenset()), (ANN, {Notify.NEVER}), (ANN, {Notify.SUCCESS}), (ANN, {Notify.DELAY})],
)
async def test_who_hears_nothing_of_failures(post: Post, sender: str, notify: set[Notify]) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "550 5.1.1 nobody"
    recipient = Recipient(BOB, notify=frozenset(notify))
    (attempt,) = await post.send(recipient, sender=sender)
    assert attempt.outcome is Outcome.FAILED
    assert not post.notices


async def test_what_is_asked_for_goes_on_to_who_knows_it(post: Post) -> None:
    peer = await post.peer("there.example", keywords=(*KEYWORDS, "DSN"))
    recipient = Recipient(BOB, "rfc822;b@x", frozenset({Notify.SUCCESS}))
    (attempt,) = await post.send(recipient, request=Request(Return.FULL, "e"))
    assert attempt.outcome is Outcome.DELIVERED
    assert peer.taken[0].mail.endswith("RET=FULL ENVID=e")
    assert peer.taken[0].rcpt == (f"RCPT TO:<{BOB}> NOTIFY=SUCCESS ORCPT=rfc822;b@x",)
    assert not post.notices


async def test_of_what_goes_to_who_does_not_know_it_we_tell(post: Post) -> None:
    """RFC 3461 section 5.2.2."""
    await post.peer("there.example")
    await post.send(Recipient(BOB, notify=frozenset({Notify.SUCCESS})))
    status = status_of(post.notice())
    assert (status["Action"], status["Status"]) == ("relayed", "2.0.0")


async def test_delays_are_told_once(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "451 4.7.1 later"
    numbers = post.queue.add([BOB], MESSAGE, age=5 * 3600)
    post.work()
    await post.queue.until_settled(numbers)
    post.queue.hasten()
    await post.queue.until_settled(numbers, 2)
    status = status_of(post.notice())
    assert (status["Action"], status["Status"]) == ("delayed", "4.7.1")
    assert "Will-Retry-Until" in status


async def test_delays_of_destinations_that_are_not_reached(post: Post) -> None:
    post.dns.add("there.example", "A", "127.0.0.99")
    post.work()
    post.queue.add([BOB], MESSAGE, age=5 * 3600)
    (waiting,) = post.queue.entries.values()
    await post.queue.until(lambda: waiting.delay_told)
    assert waiting.attempts == []
    assert status_of(post.notice())["Action"] == "delayed"


async def test_a_destination_is_looked_at_soon_while_there_is_something_to_tell(post: Post) -> None:
    post.dns.add("there.example", "A", "127.0.0.99")
    old = post.queue.add([BOB], MESSAGE, age=6 * DAY)
    post.queue.add(["new@there.example"], MESSAGE)
    domain = post.queue.domains["there.example"]
    domain.failures = 7
    post.work()
    await post.queue.until_settled(old)
    await post.queue.until(lambda: domain.failures == 8)
    assert domain.retry_at - post.queue.clock() <= 61
    assert len(post.notices) == 1


@pytest.mark.parametrize("reached", [True, False])
async def test_after_five_days_it_is_over(post: Post, reached: bool) -> None:
    if reached:
        peer = await post.peer("there.example")
        peer.answers["RCPT"] = "451 4.7.1 later"
    else:
        post.dns.add("there.example", "A", "127.0.0.99")
    (attempt,) = await post.send(BOB, age=5 * DAY + 1)
    assert attempt.outcome is Outcome.FAILED
    status = status_of(post.notice())
    assert (status["Action"], status["Status"]) == ("failed", "5.4.7")


async def test_a_future_release_has_its_five_days(post: Post) -> None:
    """RFC 4865: they begin when it may be sent."""
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "451 4.7.1 later"
    held = Request(hold_until=int(post.queue.clock()))
    (attempt,) = await post.send(BOB, age=6 * DAY, request=held)
    assert attempt.outcome is Outcome.DEFERRED


async def test_time_that_is_over_before_it_was_sent(post: Post) -> None:
    """RFC 2852 section 4.1.4."""
    peer = await post.peer("there.example")
    late = int(post.queue.clock()) - 1
    (attempt,) = await post.send(BOB, request=Request(deliver_by=late, by_returns=True))
    assert (attempt.outcome, peer.connections) == (Outcome.FAILED, 0)
    assert status_of(post.notice())["Status"] == "5.4.7"


async def test_time_that_is_over_and_told_of(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = ["451 4.7.1 later", "250 ok"]
    late = int(post.queue.clock()) - 1
    (attempt,) = await post.send(BOB, request=Request(deliver_by=late))
    assert attempt.outcome is Outcome.DEFERRED
    assert status_of(post.notice())["Action"] == "delayed"


async def test_suppressed(post: Post) -> None:
    peer = await post.peer("there.example")
    (attempt,) = await post.send(BOB, suppressed=True)
    assert (attempt.outcome, peer.connections) == (Outcome.FAILED, 0)
    assert len(post.notices) == 1


async def test_bounces_of_forwards_go_to_who_sent_them(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "550 5.1.1 nobody"
    worker = post.work(srs_domain="here.example", srs_secrets="secret")
    rewriting = worker._courier.notices._rewriting
    assert rewriting is not None
    ours = rewriting.forward("eve@elsewhere.example", post.queue.clock())
    await post.send(Recipient(BOB, sender=ours), sender="eve@elsewhere.example")
    assert peer.heard[1].startswith(f"MAIL FROM:<{ours}>")
    (delivery,) = post.notices
    assert [one.address for one in delivery.queue] == ["eve@elsewhere.example"]


# What a server can't be given.


@pytest.mark.parametrize(
    ("content", "request_", "status"),
    [
        (MESSAGE + b"x" * 2000 + b"\r\n", Request(), "5.3.4"),
        (b"Subject: \xc3\xbc\r\n\r\n", Request(smtputf8=True), "5.6.3"),
        (MESSAGE, Request(require_tls=True), "5.7.10"),
    ],
)
async def test_what_a_server_can_not_take(
    post: Post, content: bytes, request_: Request, status: str
) -> None:
    peer = await post.peer("there.example", keywords=("SIZE 1000",))
    (attempt,) = await post.send(BOB, content=content, request=request_)
    assert attempt.outcome is Outcome.FAILED
    assert status in attempt.reply
    assert not peer.taken


async def test_a_bare_newline_far_into_a_message(post: Post) -> None:
    peer = await post.peer("there.example")
    content = MESSAGE + (b"x" * 78 + b"\r\n") * 10_000 + b".\n" + (b"x" * 78 + b"\r\n") * 10_000
    (attempt,) = await post.send(BOB, content=content)
    assert attempt.outcome is Outcome.FAILED
    assert "5.6.0" in attempt.reply
    assert not peer.taken


# When others are away.

AWAY = PostroomError(Kind.UNAVAILABLE, "away")


async def test_a_store_that_is_away_for_a_while(post: Post) -> None:
    peer = await post.peer("there.example")
    numbers = post.queue.add([BOB], MESSAGE)
    post.queue.fault = AWAY
    post.work()
    await post.queue.refused.wait()
    post.queue.fault = None
    await post.queue.until_settled(numbers)
    assert peer.recipients == [BOB]


async def test_nobody_fails_unheard(post: Post) -> None:
    """What failed stays until its sender can be told."""
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "550 5.1.1 nobody"
    post.store.faults = [AWAY] * ATTEMPTS
    (attempt,) = await post.send(BOB)
    assert attempt.outcome is Outcome.DEFERRED
    post.queue.hasten()
    (attempt,) = await post.queue.until_settled(list(post.queue.entries), 2)
    assert attempt.outcome is Outcome.FAILED
    assert len(post.notices) == 1


async def test_who_can_not_be_told_for_long_is_given_up(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "550 5.1.1 nobody"
    post.store.faults = [AWAY] * ATTEMPTS
    (attempt,) = await post.send(BOB, age=10 * DAY + 1)
    assert attempt.outcome is Outcome.FAILED
    assert not post.notices


async def test_a_notice_that_nobody_can_get(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "550 5.1.1 nobody"
    (attempt,) = await post.send(BOB, sender="gone@here.example")
    assert attempt.outcome is Outcome.FAILED
    assert not post.notices


async def test_what_was_taken_is_not_sent_again_for_want_of_a_notice(post: Post) -> None:
    peer = await post.peer("there.example")
    post.store.faults = [AWAY] * ATTEMPTS
    (attempt,) = await post.send(Recipient(BOB, notify=frozenset({Notify.SUCCESS})))
    assert attempt.outcome is Outcome.RELAYED
    assert peer.recipients == [BOB]


async def test_a_message_that_can_not_be_read_is_put_off(post: Post) -> None:
    peer = await post.peer("there.example")
    numbers = post.queue.add([BOB], MESSAGE)
    post.queue.entries[numbers[0]].content = MESSAGE[:-10]  # shorter than it was said to be
    post.work()
    (attempt,) = await post.queue.until_settled(numbers)
    assert (attempt.outcome, attempt.reply[:9]) == (Outcome.DEFERRED, "451 4.3.0")
    assert not peer.taken


async def test_who_has_lost_a_lease_ends_no_message(post: Post) -> None:
    """Somebody else may be sending it."""
    peer = await post.peer("there.example", keywords=())
    peer.answers["DATA"] = [Act.HOLD, "354 go on"]
    post.work(send_lease_seconds=30, reply_seconds=60)
    numbers = post.queue.add([BOB], MESSAGE)
    await peer.reached.wait()
    # The lease is over, and another worker has what it held.
    post.queue.expire()
    await post.queue.until_settled(numbers)
    peer.let_go.set()
    await post.queue.until_idle()
    assert peer.recipients == [BOB]


async def test_a_drain_ends_what_is_under_way(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["."] = Act.HOLD
    worker = post.work(send_connections=1)
    numbers = [post.queue.add([BOB], MESSAGE)[0] for _ in range(5)]
    await peer.reached.wait()
    draining = asyncio.create_task(worker.drain(20))
    await asyncio.sleep(0)
    peer.let_go.set()
    await draining
    done = [number for number in numbers if post.queue.entries[number].done]
    assert len(done) == len(peer.taken) == 1
    assert not any(one.lease_id for one in post.queue.entries.values())


async def test_a_drain_waits_for_nobody_for_ever(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = Act.HOLD
    worker = post.work(reply_seconds=60)
    post.queue.add([BOB], MESSAGE)
    await peer.reached.wait()
    await asyncio.wait_for(worker.drain(0.2), 10)
    assert not any(one.lease_id for one in post.queue.entries.values())


@pytest.mark.parametrize("meanwhile", ["nothing", "a drain", "the lease ends"])
async def test_what_is_known_is_told_when_the_store_is_there_again(
    post: Post, meanwhile: str
) -> None:
    """Otherwise it would be sent again."""
    peer = await post.peer("there.example")
    peer.answers["."] = [Act.HOLD, "250 ok"]
    worker = post.work()
    numbers = post.queue.add([BOB], MESSAGE)
    await peer.reached.wait()
    settle, refused = post.queue.settle, asyncio.Semaphore(0)

    async def told(settlement: Settlement) -> frozenset[int]:
        refused.release()
        return await settle(settlement)

    post.queue.settle = told  # type: ignore[method-assign]
    post.queue.fault = AWAY
    drained = asyncio.create_task(worker.drain(20)) if meanwhile == "a drain" else None
    peer.let_go.set()
    for _ in range(2):
        await refused.acquire()
    if meanwhile == "the lease ends":
        ((lease, task),) = worker._leases.values()
        give_up(lease, task)
        await refused.acquire()
        give_up(lease, task)
        await refused.acquire()
    post.queue.fault = None
    (attempt,) = await post.queue.until_settled(numbers)
    assert attempt.outcome is Outcome.RELAYED
    await post.queue.until_idle()
    assert peer.recipients == [BOB]
    if drained is not None:
        await drained


async def test_no_lease_is_ended_without_what_is_known(post: Post) -> None:
    """Others would send it again at once."""
    peer = await post.peer("there.example")
    peer.answers["."] = Act.HOLD
    worker = post.work()
    (number,) = post.queue.add([BOB], MESSAGE)
    await peer.reached.wait()
    settle, ends = post.queue.settle, list[Settlement]()

    async def told(settlement: Settlement) -> frozenset[int]:
        if not settlement.ended:
            raise AWAY
        ends.append(settlement)
        return await settle(settlement)

    post.queue.settle = told  # type: ignore[method-assign]
    peer.let_go.set()
    draining = asyncio.create_task(worker.drain(0.5))
    (attempt,) = await post.queue.until_settled([number])
    await draining
    assert attempt.outcome is Outcome.RELAYED
    assert [fate.queue_id for fate in ends[0].fates] == [number]


async def test_one_whose_fate_breaks_takes_nobody_along(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["RCPT"] = "550 5.1.1 nobody"
    post.work()
    tell = post.store.deliver

    async def deliver(delivery: Delivery) -> None:
        if b"first@there.example" in post.store.content(delivery):
            raise ZeroDivisionError
        await tell(delivery)

    post.store.deliver = deliver  # type: ignore[method-assign]
    numbers = post.queue.add(["first@there.example", BOB], MESSAGE)
    attempts = await post.queue.until_settled(numbers)
    assert [one.outcome for one in attempts] == [Outcome.DEFERRED, Outcome.FAILED]
    assert len(post.notices) == 1


@pytest.mark.parametrize("days", [0, 6])
async def test_what_breaks_here_has_its_time_and_its_end(post: Post, days: int) -> None:
    await post.peer("there.example")
    worker = post.work()

    async def connect(way: object) -> None:
        raise ZeroDivisionError

    worker._courier.connector.connect = connect  # type: ignore[method-assign, assignment]
    (number,) = post.queue.add([BOB], MESSAGE, age=days * DAY)
    (attempt,) = await post.queue.until_settled([number])
    assert attempt.outcome is (Outcome.FAILED if days else Outcome.DEFERRED)
    assert attempt.reply.startswith("451 4.3.0 something went wrong here")
    assert len(post.notices) == bool(days)
