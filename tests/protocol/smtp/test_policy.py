"""What is asked of those who send, and what becomes of their mail by that."""

from __future__ import annotations

import pytest
from postroom_smtp.ports import Judgement
from postroom_smtp.protocol.reply import Reply

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import Person, elsewhere, greeted, hear_reply, stuffed
from tests.protocol.smtp.test_submission import signed_in
from tests.protocol.wire import Wire

NO = Reply(550, "5.7.1", "not you")
LATER = Reply(451, "4.7.1", "later")


async def send(wire: Wire, person: Person, message: bytes, reply: str = "250 2.0.0 ...") -> None:
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{person.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    )
    await wire.send(stuffed(message))
    await wire.expect(reply)


async def test_it_is_asked_at_every_step(system: FrontAlone) -> None:
    policy = system.ask()
    ann, bob = await system.person(), await system.person()
    wire = await elsewhere(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example> BODY=8BITMIME
        S: 250 ...
        C: RCPT TO:<nobody@{system.domain}>
        S: 550 5.1.1 ...
        C: RCPT TO:<{ann.name}>
        C: RCPT TO:<{bob.name}>
        S: 250 ...
        S: 250 ...
        C: DATA
        S: 354 ...
        C: Subject: x
        C: .
        S: 250 2.0.0 ...
        C: QUIT
        S: 221 ...
        S: (closed)
        """
    )
    assert [moment for moment, _ in policy.asked] == [
        *("connected", "mail", "recipient", "recipient", "message")
    ]
    connected, mail, first, second, message = (sending for _, sending in policy.asked)
    assert (connected.client.address, connected.name, connected.sender) == ("192.0.2.7", "", None)
    assert (mail.name, mail.sender, mail.trusted) == ("x", "a@client.example", False)
    assert (first.recipients, second.recipients) == ((), (ann.name,))
    assert message.recipients == (ann.name, bob.name)
    assert policy.messages == [b"Subject: x\r\n"]
    (delivery,) = system.store.messages
    assert message.message_id == delivery.arrival.message_id
    assert {sending.connection for _, sending in policy.asked} == set(policy.over)


async def test_who_signed_in_is_known(system: FrontAlone) -> None:
    policy = system.ask()
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(f"C: MAIL FROM:<{ann.name}>\nS: 250 ...")
    _, sending = policy.asked[-1]
    assert sending.trusted
    assert sending.identity is not None
    assert sending.identity.address == ann.name


async def test_a_client_may_be_refused(system: FrontAlone) -> None:
    system.ask().refuses["connected"] = NO
    await (await system.connect()).play("S: 550 5.7.1 not you\nS: (closed)")


async def test_a_sender_and_a_recipient_may_be_refused(system: FrontAlone) -> None:
    policy = system.ask()
    ann, bob = await system.person(), await system.person()
    wire = await greeted(system)
    policy.refuses = {"mail": LATER}
    await wire.play("C: MAIL FROM:<a@client.example>\nS: 451 4.7.1 later\nC: DATA\nS: 503 ...")
    policy.refuses = {ann.name: LATER}
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 451 4.7.1 later
        C: RCPT TO:<{bob.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 ...
        """
    )
    assert len(await system.inbox(bob)) == 1


async def test_a_message_may_be_refused(system: FrontAlone) -> None:
    system.ask().judgement = Judgement(refused=NO)
    wire = await greeted(system)
    await send(wire, await system.person(), b"Subject: x\r\n", "550 5.7.1 not you")
    assert system.store.messages == []


async def test_a_message_may_go_to_another_mailbox(system: FrontAlone) -> None:
    system.ask().judgement = Judgement(mailbox="Junk", verdict="spf=fail")
    wire = await greeted(system)
    await send(wire, await system.person(), b"Subject: x\r\n")
    (delivery,) = system.store.messages
    assert [one.mailbox for one in delivery.local] == ["Junk"]
    assert (delivery.arrival.verdict, delivery.arrival.name) == ("spf=fail", "client.example")


async def test_a_message_may_be_taken_and_thrown_away(system: FrontAlone) -> None:
    system.ask().judgement = Judgement(quiet=True)
    wire = await greeted(system)
    await send(wire, await system.person(), b"Subject: x\r\n", "250 2.0.0 taken as ...")
    assert system.store.messages == []


async def test_recipients_may_be_dropped_and_added(system: FrontAlone) -> None:
    """Whoever remains gets it, also what they have together with one that is dropped."""
    policy = system.ask()
    ann, bob, carol = [await system.person() for _ in range(3)]
    accounts = [system.directory.addresses[one.name].accounts[0] for one in (ann, bob)]
    forwards = ("dan@elsewhere.example",)
    system.directory.add("all@example.org", *accounts, forwards=forwards)
    system.directory.add("alias@example.org", accounts[0])
    for dropped, added, local, queue in (
        ((carol.name, "all@example.org"), (), [1], []),
        ((carol.name, "all@example.org"), (bob.name,), [1, 2], []),
        ((carol.name, "all@example.org", ann.name), ("alias@example.org",), [1], []),
        ((carol.name, "all@example.org"), ("eve@elsewhere.example", carol.name), [1, 3], ["eve"]),
        ((ann.name,), (), [1, 2, 3], ["dan"]),
        ((), (ann.name,), [1, 2, 3], ["dan"]),
    ):
        policy.judgement = Judgement(dropped=frozenset(dropped), added=added)
        system.store.taken.clear()
        wire = await greeted(system)
        await wire.play(
            f"""
            C: MAIL FROM:<a@client.example>
            S: 250 ...
            C: RCPT TO:<{carol.name}>
            S: 250 ...
            C: RCPT TO:<all@example.org>
            S: 250 ...
            C: RCPT TO:<{ann.name}>
            S: 250 ...
            C: DATA
            S: 354 ...
            C: .
            S: 250 2.0.0 ...
            C: QUIT
            S: 221 ...
            """
        )
        (delivery,) = system.store.messages
        assert sorted(one.account_id for one in delivery.local) == local
        assert [one.address.partition("@")[0] for one in delivery.queue] == queue


async def test_nobody_who_is_dropped_is_told_of(system: FrontAlone) -> None:
    """Nor has a message a Return-Path that nobody here gets."""
    policy = system.ask()
    ann = await system.person()
    system.directory.add("list@example.org", forwards=("dan@elsewhere.example",))
    policy.judgement = Judgement(dropped=frozenset({ann.name}))
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}> NOTIFY=SUCCESS
        S: 250 ...
        C: RCPT TO:<list@example.org>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    assert [one.address for one in delivery.queue] == ["dan@elsewhere.example"]
    assert system.store.content(delivery).startswith(b"Received: ")


async def test_each_by_lmtp_has_its_reply_whoever_is_dropped(system: FrontAlone) -> None:
    policy = system.ask()
    ann, bob = await system.person(), await system.person()
    both = [system.directory.addresses[one.name].accounts[0] for one in (ann, bob)]
    system.directory.add("both@example.org", *both)
    policy.judgement = Judgement(dropped=frozenset({"both@example.org"}))
    wire = await system.connect("lmtp")
    await wire.play("S: 220 ...\nC: LHLO x")
    await hear_reply(wire)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<both@example.org>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        S: 250 2.0.0 ...
        """
    )
    assert [one.account_id for each in system.store.messages for one in each.local] == [1]


@pytest.mark.parametrize("lines", [1, 200_000])
async def test_fields_are_put_in_and_taken_out(system: FrontAlone, lines: int) -> None:
    """Those below the Received field are ours; of the others, as many as it says."""
    system.ask().judgement = Judgement(
        fields=b"Authentication-Results: mx.example.org; none\r\nX-A: 1\r\n",
        removed=frozenset({("authentication-results", 0), ("authentication-results", 2)}),
    )
    body = b"\r\n" + b"Authentication-Results: not a field\r\n" * lines
    header = (
        b"Authentication-Results: forged;\r\n\tspf=pass\r\n"
        b"Subject: x\r\n"
        b"authentication-RESULTS : true\r\n"
        b"X-B: 2\r\n folded\r\n"
        b"Authentication-Results: forged too\r\n"
    )
    wire = await greeted(system)
    await send(wire, await system.person(), header + body)
    (delivery,) = system.store.messages
    stored = system.store.content(delivery)
    assert stored.endswith(
        b"+0000\r\n"
        b"Authentication-Results: mx.example.org; none\r\nX-A: 1\r\n"
        b"Subject: x\r\n"
        b"authentication-RESULTS : true\r\n"
        b"X-B: 2\r\n folded\r\n" + body
    )


async def test_lmtps_messages_are_judged_once(system: FrontAlone) -> None:
    policy = system.ask()
    policy.judgement = Judgement(refused=LATER)
    ann, bob = await system.person(), await system.person()
    wire = await system.connect("lmtp")
    await wire.play("S: 220 ...\nC: LHLO x")
    await hear_reply(wire)
    for judgement, replies in (
        (Judgement(refused=LATER), "S: 451 4.7.1 ...\nS: 451 4.7.1 ..."),
        (Judgement(quiet=True), "S: 250 2.0.0 ...\nS: 250 2.0.0 ..."),
        (Judgement(mailbox="Junk"), "S: 250 2.0.0 ...\nS: 250 2.0.0 ..."),
    ):
        policy.judgement = judgement
        await wire.play(
            f"""
            C: MAIL FROM:<a@client.example>
            S: 250 ...
            C: RCPT TO:<{ann.name}>
            S: 250 ...
            C: RCPT TO:<{bob.name}>
            S: 250 ...
            C: DATA
            S: 354 ...
            C: .
            """
        )
        await wire.play(replies)
    assert len(policy.messages) == 3
    assert [one.mailbox for each in system.store.messages for one in each.local] == ["Junk"] * 2
