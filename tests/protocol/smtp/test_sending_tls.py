"""How safe connections to other servers are: opportunistic TLS, DANE, MTA-STS, REQUIRETLS, and
signing in at a smart host.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postroom_smtp.dns import Association
from postroom_smtp.protocol.envelope import Request
from postroom_smtp.sending import dane
from postroom_smtp.sending.ports import Outcome
from postroom_smtp.sending.security import client_context, verifying_context
from postroom_smtp.sending.sts import Found, Policies

from tests.harness.peer import KEYWORDS, Act, Answers, Peer
from tests.harness.post import MESSAGE, Post, certified, posting, status_of

BOB = "bob@there.example"
MX = "mx1.there.example"


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with posting(tmp_path) as running:
        yield running


async def unreached(post: Post) -> str:
    """Send a message that isn't to get there; why."""
    if not post.workers:
        post.work()
    numbers = post.queue.add([BOB], MESSAGE)
    domain = post.queue.domains["there.example"]
    failures = domain.failures
    await post.queue.until(lambda: domain.failures > failures)
    assert post.queue.entries[numbers[0]].attempts == []
    return domain.reply


async def test_tls_with_whoever_is_there(post: Post) -> None:
    """RFC 7435: the certificate is nobody's, and for another name."""
    peer = await post.peer("there.example", tls=certified("other.example", days=-1).context)
    (attempt,) = await post.send(BOB)
    assert attempt.tls == "TLSv1.3 opportunistic"
    assert peer.taken[0].tls
    assert [line.split()[0] for line in peer.heard[:3]] == ["EHLO", "STARTTLS", "EHLO"]


@pytest.mark.parametrize(
    "said", ["454 4.7.0 not now", "421 4.3.2 bye", Act.DROP, "220 begin\nnonsense", b"220 x\r\n\0"]
)
async def test_clear_text_where_tls_fails(post: Post, said: Answers) -> None:
    peer = await post.peer("there.example", keywords=(*KEYWORDS, "STARTTLS"))
    peer.answers["STARTTLS"] = said
    post.work(connect_seconds=1)
    numbers = post.queue.add([BOB], MESSAGE)
    if said is Act.DROP:
        # That may be anything: it is told as the connection's end, and tried again later.
        domain = post.queue.domains["there.example"]
        await post.queue.until(lambda: domain.failures == 1)
        return
    (attempt,) = await post.queue.until_settled(numbers)
    assert (attempt.outcome, attempt.tls) == (Outcome.RELAYED, "")
    assert not peer.taken[0].tls


async def test_nothing_of_clear_text_stays(post: Post) -> None:
    """What somebody in between has put after the reply to STARTTLS is nobody's reply."""
    peer = await post.peer("there.example", tls=certified(MX).context)
    peer.answers["STARTTLS"] = b"220 begin\r\n250-evil\r\n250 AUTH\r\n"
    (attempt,) = await post.send(BOB)
    assert attempt.tls == "TLSv1.3 opportunistic"
    assert len(peer.taken) == 1


# By setting.


@pytest.mark.parametrize("option", ["verify", "may"])
async def test_a_host_whose_name_can_not_be_in_a_handshake(post: Post, option: str) -> None:
    """It is like any other host that fails."""
    hostile = "\\195\\188" * 10
    await post.peer("there.example", tls=certified(MX).context)
    other = await post.peer(tls=post.server_tls("mx2.there.example"))
    post.dns.add(f"{hostile}.example", "A", "127.0.0.2")
    post.dns.add("there.example", "MX", f"5 {hostile}.example.", "10 mx2.there.example.")
    post.work(send_routes=f"there.example=;{option}")
    (attempt,) = await post.send(BOB)
    assert "went wrong here" not in attempt.reply
    if option == "verify":
        assert attempt.outcome is Outcome.RELAYED
        assert other.recipients == [BOB]


async def test_encryption_by_setting(post: Post) -> None:
    peer = await post.peer("there.example")
    post.work(send_routes="there.example=;encrypt")
    assert "4.7.4" in await unreached(post)
    peer.tls = certified("other.example").context
    post.queue.hasten()
    await post.queue.until(lambda: bool(peer.taken))
    assert peer.taken[0].tls


@pytest.mark.parametrize(
    ("name", "good"), [(MX, True), ("*.there.example", True), ("other.example", False)]
)
async def test_verification_by_setting(post: Post, name: str, good: bool) -> None:
    await post.peer("there.example", tls=post.server_tls(name))
    post.work(send_routes="there.example=;verify")
    if good:
        assert (await post.send(BOB))[0].tls == "TLSv1.3 verify"
    else:
        assert "4.7.5" in await unreached(post)


async def test_clear_text_by_setting(post: Post) -> None:
    peer = await post.peer("there.example", tls=certified(MX).context)
    post.work(send_routes="there.example=;none")
    assert (await post.send(BOB))[0].tls == ""
    assert not peer.taken[0].tls


# DANE (RFC 7672).


@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("usage", [2, 3])
async def test_dane(post: Post, usage: int, selector: int, matching: int) -> None:
    shown = certified(MX)
    await post.peer("there.example", tls=shown.context, secure=True)
    record = shown.record(usage, selector, matching)
    post.dns.add(f"_{post.port}._tcp.{MX}", "TLSA", record, secure=True)
    (attempt,) = await post.send(BOB)
    assert attempt.tls == "TLSv1.3 dane"


@pytest.mark.parametrize("usage", [2, 3])
async def test_dane_that_does_not_hold(post: Post, usage: int) -> None:
    peer = await post.peer("there.example", tls=certified(MX).context, secure=True)
    other = certified(MX).record(usage, 1, 1)
    post.dns.add(f"_{post.port}._tcp.{MX}", "TLSA", other, secure=True)
    assert "DANE" in await unreached(post)
    assert not peer.taken


async def test_dane_and_names_and_dates(post: Post) -> None:
    """RFC 7672 section 3.1: of an own certificate neither matters, under an authority both do."""
    shown = certified("other.example", days=-1)
    await post.peer("there.example", tls=shown.context, secure=True)
    record = f"_{post.port}._tcp.{MX}"
    post.dns.add(record, "TLSA", shown.record(2, 0, 1), secure=True)
    assert "DANE" in await unreached(post)
    post.dns.add(f"_{post.port}._tcp.mx2.there.example", "TLSA", shown.record(3, 0, 1), secure=True)
    await post.peer("second.example", tls=shown.context, secure=True)
    (attempt,) = await post.send("bob@second.example")
    assert attempt.tls == "TLSv1.3 dane"


@pytest.mark.parametrize("name", ["there.example", MX])
async def test_dane_under_an_authority_for_the_domain_or_the_host(post: Post, name: str) -> None:
    shown = certified(name)
    await post.peer("there.example", tls=shown.context, secure=True)
    post.dns.add(f"_{post.port}._tcp.{MX}", "TLSA", shown.record(2, 1, 1), secure=True)
    assert (await post.send(BOB))[0].tls == "TLSv1.3 dane"


async def test_dane_under_an_authority_for_a_domain_beyond_ascii(post: Post) -> None:
    shown = certified("xn--mnchen-3ya.example")
    await post.peer("xn--mnchen-3ya.example", tls=shown.context, secure=True)
    post.dns.add(f"_{post.port}._tcp.{MX}", "TLSA", shown.record(2, 1, 1), secure=True)
    (attempt,) = await post.send("bob@m\u00fcnchen.example")
    assert attempt.tls == "TLSv1.3 dane"


@pytest.mark.parametrize(
    "name", ["m_x.there.example", "b\u00fccher.example", "[192.0.2.1]", "a..b"]
)
def test_names_that_no_certificate_can_have(name: str) -> None:
    shown = certified(MX)
    record = Association(2, 0, 0, shown.authority)
    assert not dane.vouched([record], [shown.own, shown.authority], [name])
    assert dane.vouched([record], [shown.own, shown.authority], [name, MX])


async def test_dane_demands_tls(post: Post) -> None:
    peer = await post.peer("there.example", secure=True)
    post.dns.add(f"_{post.port}._tcp.{MX}", "TLSA", certified(MX).record(3, 1, 1), secure=True)
    assert "4.7.4" in await unreached(post)
    assert not peer.taken


async def test_records_that_can_not_be_used_demand_tls_and_no_more(post: Post) -> None:
    """RFC 7672 section 2.2."""
    await post.peer("there.example", tls=certified(MX).context, secure=True)
    post.dns.add(f"_{post.port}._tcp.{MX}", "TLSA", "1 1 1 " + "ab" * 32, secure=True)
    assert (await post.send(BOB))[0].tls == "TLSv1.3 dane-unusable"


async def test_records_without_dnssec_are_none(post: Post) -> None:
    await post.peer("there.example", tls=certified(MX).context)
    post.dns.add(f"_{post.port}._tcp.{MX}", "TLSA", "3 1 1 " + "ab" * 32, secure=True)
    assert (await post.send(BOB))[0].tls == "TLSv1.3 opportunistic"


async def test_records_that_can_not_be_learned(post: Post) -> None:
    """RFC 7672 section 2.1.1: a server whose records can't be had isn't used."""
    await post.peer("there.example", tls=certified(MX).context, secure=True)
    post.dns.fail(f"_{post.port}._tcp.{MX}")
    assert "4.4.3" in await unreached(post)


async def test_dane_at_the_end_of_an_alias(post: Post) -> None:
    shown = certified("real.example")
    peer = await post.peer(tls=shown.context)
    post.dns.add("there.example", "MX", "10 alias.example.", secure=True)
    post.dns.add("alias.example", "CNAME", "real.example.", secure=True)
    post.dns.add("real.example", "A", peer.host, secure=True)
    post.dns.add(f"_{post.port}._tcp.real.example", "TLSA", shown.record(2, 0, 1), secure=True)
    assert (await post.send(BOB))[0].tls == "TLSv1.3 dane"


# MTA-STS (RFC 8461).

POLICY = ("version: STSv1", "mode: enforce", f"mx: {MX}", "max_age: 86400")


async def test_a_policy_that_holds(post: Post) -> None:
    fetched = await post.policy("there.example", *POLICY)
    await post.peer("there.example", tls=post.server_tls(MX))
    for _ in range(2):
        assert (await post.send(BOB))[0].tls == "TLSv1.3 mta-sts"
    assert fetched == {"/.well-known/mta-sts.txt": 1}


@pytest.mark.parametrize("wrong", ["host", "certificate", "no tls"])
async def test_a_policy_that_does_not_hold(post: Post, wrong: str) -> None:
    allowed = "mx: mx9.there.example" if wrong == "host" else POLICY[2]
    await post.policy("there.example", *POLICY[:2], allowed, POLICY[3])
    tls = {
        "host": post.server_tls(MX),
        "certificate": certified(MX).context,
        "no tls": None,
    }[wrong]
    peer = await post.peer("there.example", tls=tls)
    assert "4.7." in await unreached(post)
    assert not peer.taken


async def test_a_policy_on_trial(post: Post) -> None:
    await post.policy("there.example", "version: STSv1", "mode: testing", *POLICY[2:])
    await post.peer("there.example", tls=certified(MX).context)
    assert (await post.send(BOB))[0].tls == "TLSv1.3 opportunistic"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("version: STSv2", *POLICY[1:]), {}),
        (("x" * 70_000,), {}),
        (POLICY, {"status": "404 Not Found"}),
        (POLICY, {"status": "301 Moved\r\nLocation: https://evil.example/"}),
        (POLICY, {"kind": "text/html"}),
    ],
)
async def test_what_is_no_policy(post: Post, lines: tuple[str, ...], told: dict[str, str]) -> None:
    await post.policy("there.example", *lines, **told)
    await post.peer("there.example", tls=certified(MX).context)
    assert (await post.send(BOB))[0].tls == "TLSv1.3 opportunistic"


async def test_a_newer_policy_that_can_not_be_fetched_is_asked_for_seldom(post: Post) -> None:
    """RFC 8461 section 5.1: what was known holds meanwhile."""
    fetched = await post.policy("there.example", *POLICY)
    await post.peer("there.example", tls=post.server_tls(MX))
    post.work(send_reuse_seconds=0)
    await post.send(BOB)
    await post.queue.until_idle()
    post.dns.remove("_mta-sts.there.example", "TXT")
    post.dns.text("_mta-sts.there.example", "v=STSv1; id=2;")
    asked: list[str] = []
    policies = post.workers[0]._courier.connector._policies

    async def get(name: str) -> bytes:
        asked.append(name)
        raise OSError

    policies._get = get  # type: ignore[method-assign]
    policies._resolver._resolver.cache.flush()  # type: ignore[union-attr]
    for _ in range(3):
        assert (await post.send(BOB))[0].tls == "TLSv1.3 mta-sts"
        await post.queue.until_idle()
    assert asked == ["mta-sts.there.example"]
    assert fetched == {"/.well-known/mta-sts.txt": 1}


async def test_a_policy_that_trickles_has_its_time(post: Post) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
        while not writer.is_closing():
            writer.write(b"X: x\r\n")
            await asyncio.sleep(0.05)

    tls = post.server_tls("mta-sts.there.example")
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    post.stack.callback(server.close)
    post.dns.add("mta-sts.there.example", "A", "127.0.0.1")
    post.dns.text("_mta-sts.there.example", "v=STSv1; id=1;")
    authorities = ssl.create_default_context(cafile=post.settings["send_authorities"])
    policies = Policies(
        post.resolver, authorities, port=server.sockets[0].getsockname()[1], seconds=0.3
    )
    found = await asyncio.wait_for(policies.of("there.example"), 10)
    assert found == Found(None, False)


@pytest.mark.parametrize("wrong", ["dns", "record", "policy"])
async def test_a_policy_that_is_known_holds_whatever_is_said_since(post: Post, wrong: str) -> None:
    """RFC 8461 section 5.1: nobody in between can take it away."""
    await post.policy("there.example", *POLICY)
    peer = await post.peer("there.example", tls=post.server_tls(MX))
    post.work(send_reuse_seconds=0)
    await post.send(BOB)
    if wrong == "dns":
        post.dns.fail("_mta-sts.there.example")
    elif wrong == "record":
        post.dns.text("_mta-sts.there.example", "gone", ttl=0)
    else:
        # It says that there is another one, and nobody has it.
        post.dns.text("_mta-sts.there.example", "v=STSv1; id=2;", ttl=0)
        post.dns.add("mta-sts.there.example", "A", "127.0.0.250", ttl=0)
    post.forget()
    peer.tls = certified(MX).context
    assert "4.7.5" in await unreached(post)
    assert len(peer.taken) == 1


async def test_dane_comes_before_a_policy(post: Post) -> None:
    """RFC 8461 section 2: a policy never makes up for DANE."""
    await post.policy("there.example", *POLICY)
    peer = await post.peer("there.example", tls=post.server_tls(MX), secure=True)
    other = certified(MX).record(3, 1, 1)
    post.dns.add(f"_{post.port}._tcp.{MX}", "TLSA", other, secure=True)
    assert "DANE" in await unreached(post)
    assert not peer.taken


# REQUIRETLS (RFC 8689).

REQUIRED = Request(require_tls=True)


async def test_required_tls_by_a_policy(post: Post) -> None:
    await post.policy("there.example", *POLICY)
    peer = await post.peer(
        "there.example", tls=post.server_tls(MX), keywords=(*KEYWORDS, "REQUIRETLS")
    )
    (attempt,) = await post.send(BOB, request=REQUIRED)
    assert attempt.outcome is Outcome.RELAYED
    assert peer.taken[0].mail.endswith(" REQUIRETLS")


async def test_required_tls_by_dnssec(post: Post) -> None:
    peer = await post.peer(
        "there.example", tls=post.server_tls(MX), secure=True, keywords=(*KEYWORDS, "REQUIRETLS")
    )
    (attempt,) = await post.send(BOB, request=REQUIRED)
    assert attempt.tls == "TLSv1.3 requiretls"
    assert peer.taken[0].tls


async def test_required_tls_that_the_next_server_does_not_know(post: Post) -> None:
    peer = await post.peer("there.example", tls=post.server_tls(MX), secure=True)
    (attempt,) = await post.send(BOB, request=REQUIRED)
    assert (attempt.outcome, attempt.reply[:10]) == (Outcome.FAILED, "550 5.7.30")
    assert not peer.taken
    (delivery,) = post.notices
    assert delivery.request.require_tls
    assert status_of(post.notice())["Status"] == "5.7.30"


async def test_required_tls_with_whoever_is_there(post: Post) -> None:
    peer = await post.peer("there.example", tls=post.server_tls(MX))
    (attempt,) = await post.send(BOB, request=REQUIRED)
    assert (attempt.outcome, attempt.reply[:10]) == (Outcome.FAILED, "550 5.7.10")
    assert not peer.heard


@pytest.mark.parametrize("away", ["policy", "record"])
async def test_required_tls_where_nobody_can_be_asked_now(post: Post, away: str) -> None:
    if away == "policy":
        await post.policy("there.example", *POLICY, status="500 Oh")
    else:
        post.dns.fail("_mta-sts.there.example")
    peer = await post.peer("there.example", tls=post.server_tls(MX))
    (attempt,) = await post.send(BOB, request=REQUIRED)
    assert (attempt.outcome, attempt.reply[:10]) == (Outcome.DEFERRED, "451 4.7.10")
    assert not peer.heard


@pytest.mark.parametrize("tls", ["", "TLSv1.3 waived"])
async def test_a_message_that_needs_no_tls(post: Post, tls: str) -> None:
    """RFC 8689 section 5: neither DANE nor MTA-STS holds for it, and for others they do."""
    fetched = await post.policy("there.example", *POLICY)
    context = certified(MX).context if tls else None
    peer = await post.peer("there.example", tls=context, secure=True)
    other = certified("other.example").record(3, 1, 1)
    post.dns.add(f"_{post.port}._tcp.{MX}", "TLSA", other, secure=True)
    (attempt,) = await post.send(BOB, request=Request(tls_optional=True))
    assert (attempt.outcome, attempt.tls) == (Outcome.RELAYED, tls)
    assert not fetched
    assert ("DANE" if tls else "4.7.4") in await unreached(post)
    assert len(peer.taken) == 1


async def test_a_setting_holds_also_for_a_message_that_needs_no_tls(post: Post) -> None:
    peer = await post.peer("there.example")
    post.work(send_routes="there.example=;encrypt")
    post.queue.add([BOB], MESSAGE, request=Request(tls_optional=True))
    domain = post.queue.domains["there.example"]
    await post.queue.until(lambda: domain.failures == 1)
    assert "4.7.4" in domain.reply
    assert not peer.taken


async def test_who_requires_tls_holds_nobody_else_up(post: Post) -> None:
    peer = await post.peer("there.example", tls=certified(MX).context, secure=True)
    required = post.queue.add([BOB], MESSAGE, request=REQUIRED)
    others = post.queue.add([BOB], MESSAGE)
    post.work()
    attempts = await post.queue.until_settled([*required, *others])
    assert [one.outcome for one in attempts] == [Outcome.DEFERRED, Outcome.RELAYED]
    assert peer.recipients == [BOB]


# A smart host.


async def smart(post: Post, route: str, **told: object) -> Peer:
    peer = await post.peer(**told)
    post.dns.add("smart.example", "A", peer.host)
    post.work(
        send_routes=f"*=smart.example:{post.port};{route}",
        smart_host_user="ann",
        smart_host_password="secret",
    )
    return peer


AUTH = (*KEYWORDS, "AUTH PLAIN LOGIN")


async def test_a_smart_host(post: Post) -> None:
    peer = await smart(post, "login", tls=post.server_tls("smart.example"), keywords=AUTH)
    (attempt,) = await post.send(BOB)
    assert (attempt.outcome, attempt.tls) == (Outcome.RELAYED, "TLSv1.3 verify")
    assert "AUTH PLAIN AGFubgBzZWNyZXQ=" in peer.heard
    assert peer.taken[0].tls


async def test_no_password_to_whoever_is_there(post: Post) -> None:
    peer = await smart(post, "login", tls=certified("smart.example").context, keywords=AUTH)
    assert "4.7.5" in await unreached(post)
    assert not any(line.startswith("AUTH") for line in peer.heard)


async def test_a_password_that_is_wrong_bounces_no_mail(post: Post) -> None:
    peer = await smart(post, "login", tls=post.server_tls("smart.example"), keywords=AUTH)
    peer.answers["AUTH"] = "535 5.7.8 wrong"
    assert "535 5.7.8 wrong" in await unreached(post)


async def test_a_smart_host_serves_all_over_one_connection(post: Post) -> None:
    peer = await smart(post, "login", tls=post.server_tls("smart.example"), keywords=AUTH)
    for domain in ("one.example", "two.example"):
        await post.send(f"bob@{domain}")
        await post.queue.until_idle()
    assert (len(peer.taken), peer.connections) == (2, 1)


async def test_connections_to_a_smart_host_are_few(post: Post) -> None:
    peer = await post.peer()
    post.work(send_routes=f"*={peer.host}", send_host_connections=3)
    numbers = [post.queue.add([f"bob@d{number}.example"], MESSAGE)[0] for number in range(40)]
    await post.queue.until_settled(numbers)
    assert peer.most <= 3


async def test_who_waits_for_a_smart_host_takes_no_room_from_others(post: Post) -> None:
    slow = await post.peer()
    slow.answers["MAIL"] = [Act.HOLD, "250 ok"]
    fast = await post.peer("there.example")
    post.work(
        send_routes=f"slow.example={slow.host},also.example={slow.host}",
        send_host_connections=1,
        send_batches=2,
        reply_seconds=60,
    )
    post.queue.add(["a@slow.example"], MESSAGE)
    await slow.reached.wait()
    post.queue.add(["a@also.example"], MESSAGE)
    await post.send(BOB)
    assert fast.recipients == [BOB]
    slow.let_go.set()
    await post.queue.until_idle()


async def test_tls_from_the_beginning(post: Post) -> None:
    """RFC 8314: port 465."""
    context = post.server_tls("smart.example")
    peer = Peer(host="127.0.0.9", port=post.port, keywords=AUTH)
    await post.stack.enter_async_context(peer.running(from_the_beginning=context))
    post.dns.add("smart.example", "A", peer.host)
    post.work(
        send_routes=f"*=smart.example:{post.port};tls;login",
        smart_host_user="ann",
        smart_host_password="secret",
    )
    (attempt,) = await post.send(BOB)
    assert attempt.tls == "TLSv1.3 verify"
    assert peer.recipients == [BOB]


def test_contexts_are_at_least_1_2() -> None:
    for context in (client_context(), verifying_context(None)):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
