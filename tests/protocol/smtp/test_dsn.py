"""DSN (RFC 3461): what senders want to hear of, on its way to whoever tells them."""

from __future__ import annotations

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_smtp.ports import Judgement
from postroom_smtp.protocol.envelope import Notify, Recipient, Return

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told
from tests.protocol.smtp.test_submission import signed_in


async def test_it_is_offered(system: System) -> None:
    assert "DSN" in await told(system)
    assert "DSN" in await told(system, "submission")


async def test_the_example_of_rfc_3461_section_10_1(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> RET=HDRS ENVID=QQ314159
        S: 250 2.1.0 ...
        C: RCPT TO:<Bob@elsewhere.example> NOTIFY=SUCCESS ORCPT=rfc822;Bob@elsewhere.example
        S: 250 2.1.5 ...
        C: RCPT TO:<Carol@ivory.example> NOTIFY=FAILURE ORCPT=rfc822;Carol@ivory.example
        S: 250 2.1.5 ...
        C: RCPT TO:<Dana@ivory.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Dana@ivory.example
        S: 250 2.1.5 ...
        C: RCPT TO:<Eric@bombs.example> NOTIFY=FAILURE ORCPT=rfc822;Eric@bombs.example
        S: 250 2.1.5 ...
        C: RCPT TO:<Fred@bombs.example> NOTIFY=NEVER
        S: 250 2.1.5 ...
        C: RCPT TO:<George@tax-me.example> NOTIFY=FAILURE ORCPT=rfc822;George@tax-me.example
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    assert (delivery.request.ret, delivery.request.envid) == (Return.HEADERS, "QQ314159")
    success, failure = frozenset({Notify.SUCCESS}), frozenset({Notify.FAILURE})
    assert delivery.queue == (
        Recipient("Bob@elsewhere.example", "rfc822;Bob@elsewhere.example", success),
        Recipient("Carol@ivory.example", "rfc822;Carol@ivory.example", failure),
        Recipient("Dana@ivory.example", "rfc822;Dana@ivory.example", success | failure),
        Recipient("Eric@bombs.example", "rfc822;Eric@bombs.example", failure),
        Recipient("Fred@bombs.example", "", frozenset({Notify.NEVER})),
        Recipient("George@tax-me.example", "rfc822;George@tax-me.example", failure),
    )


async def test_xtext_and_scripts(system: FrontAlone) -> None:
    """RFC 3461 section 4, RFC 6533 section 3."""
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> ENVID=a+2Bb+3Dc+20d RET=full SMTPUTF8
        S: 250 2.1.0 ...
        C: RCPT TO:<b@elsewhere.example> ORCPT=RFC822;"b+20+2B"@one.example
        S: 250 2.1.5 ...
        C: RCPT TO:<c@elsewhere.example> ORCPT=utf-8;j\\x{{F6}}rg@one.example notify=delay
        S: 250 2.1.5 ...
        C: RCPT TO:<d@elsewhere.example> ORCPT=utf-8;j\u00f6rg@one.example
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    assert (delivery.request.envid, delivery.request.ret) == ("a+b=c d", Return.FULL)
    assert [one.original for one in delivery.queue] == [
        'rfc822;"b +"@one.example',
        "utf-8;j\u00f6rg@one.example",
        "utf-8;j\u00f6rg@one.example",
    ]
    assert [one.notify for one in delivery.queue][1] == {Notify.DELAY}


@pytest.mark.parametrize(
    "parameters",
    [
        *("RET", "RET=", "RET=BODY", "RET=FULL RET=FULL", "RET=FULL RET=HDRS"),
        *("ENVID", "ENVID=", "ENVID=a=b", "ENVID=a+2", "ENVID=a+GG", "ENVID=a+0A", "ENVID=+C3+BC"),
        *("ENVID=+FF", f"ENVID={'x' * 101}"),
    ],
)
async def test_what_mail_may_not_say(system: System, parameters: str) -> None:
    wire = await greeted(system)
    await wire.play(f"C: MAIL FROM:<a@client.example> {parameters}\nS: 501 5.5.4 ...")


@pytest.mark.parametrize(
    "parameters",
    [
        *("NOTIFY", "NOTIFY=", "NOTIFY=ALWAYS", "NOTIFY=NEVER,SUCCESS", "NOTIFY=SUCCESS,"),
        *("NOTIFY=,", "NOTIFY=NEVER NOTIFY=NEVER", "ORCPT", "ORCPT=", "ORCPT=a@b.example"),
        *("ORCPT=;a@b.example", "ORCPT=rfc822;", "ORCPT=rfc822;a+0D+0ARCPT", "ORCPT=rfc822;a+2"),
        *("ORCPT=rfc822;+C3+BC@b.example", "ORCPT=utf-8;+FF", "ORCPT=utf-8;\\x{D800}"),
        *("ORCPT=utf-8;\\x{FFFFFF}", "ORCPT=utf-8;\\x{A}", f"ORCPT=rfc822;{'x' * 500}"),
    ],
)
async def test_what_rcpt_may_not_say(system: System, parameters: str) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}> {parameters}
        S: 501 5.5.4 ...
        C: RCPT TO:<{ann.name}> NOTIFY=NEVER
        S: 250 2.1.5 ...
        """
    )


async def test_helo_offers_none(system: System) -> None:
    wire = await system.connect()
    await wire.play(
        """
        S: 220 ...
        C: HELO x
        S: 250 ...
        C: MAIL FROM:<a@client.example> RET=FULL
        S: 555 5.5.4 ...
        """
    )


async def test_what_is_asked_goes_on_with_forwards(system: FrontAlone) -> None:
    """RFC 3461 section 5.2.7: with the address that the sender knows."""
    system.directory.add("list@example.org", forwards=("carol@elsewhere.example",))
    wire = await greeted(system)
    for parameters, recipient in (
        ("", Recipient("carol@elsewhere.example")),
        (
            " NOTIFY=FAILURE",
            Recipient(
                "carol@elsewhere.example", "rfc822;list@example.org", frozenset({Notify.FAILURE})
            ),
        ),
        (" ORCPT=rfc822;x@y.example", Recipient("carol@elsewhere.example", "rfc822;x@y.example")),
    ):
        await wire.play(
            f"""
            C: MAIL FROM:<a@client.example>
            S: 250 ...
            C: RCPT TO:<list@example.org>{parameters}
            S: 250 ...
            C: DATA
            S: 354 ...
            C: .
            S: 250 ...
            """
        )
        assert system.store.messages[-1].queue == (recipient,)


async def test_success_is_told_of_people_here(system: FrontAlone) -> None:
    """RFC 3461 section 6: to the sender of the message, from nobody, once for all recipients."""
    ann, bob = await system.person(), await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<sender@client.example> ENVID=QQ+20314159 RET=FULL
        S: 250 ...
        C: RCPT TO:<{ann.name}> NOTIFY=SUCCESS ORCPT=rfc822;Ann+2B@client.example
        S: 250 ...
        C: RCPT TO:<{bob.name}> NOTIFY=FAILURE
        S: 250 ...
        C: DATA
        S: 354 ...
        C: Subject: the header comes back
        C:{" "}
        C: and the text does not
        C: .
        S: 250 2.0.0 ...
        """
    )
    message, notice = system.store.messages
    assert len(message.local) == 2
    assert (notice.sender, notice.local) == ("", ())
    assert notice.queue == (Recipient("sender@client.example", notify=frozenset({Notify.NEVER})),)
    content = system.store.content(notice)
    for line in (
        b"Original-Envelope-Id: QQ+20314159\r\n",
        b"Reporting-MTA: dns; mx.example.org\r\n",
        b"Original-Recipient: rfc822; Ann+2B@client.example\r\n",
        b"Final-Recipient: rfc822; %b\r\n" % ann.name.encode(),
        b"Action: delivered\r\n",
        b"Status: 2.1.5\r\n",
        b"Subject: the header comes back\r\n",
    ):
        assert line in content
    assert bob.name.encode() not in content
    assert b"the text does not" not in content


async def test_what_goes_wrong_with_the_notice_changes_nothing_of_the_message(
    system: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken, whatever is wrong: 250 is said, and so it doesn't come again."""
    monkeypatch.setattr("postroom_smtp.success.compose", None)
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<sender@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}> NOTIFY=SUCCESS
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        C: NOOP
        S: 250 2.0.0 OK
        """
    )
    assert len(system.store.messages) == 1


async def test_success_is_told_to_people_here(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}>
        S: 250 ...
        C: RCPT TO:<{ann.name}> NOTIFY=SUCCESS,DELAY
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    _, notice = await system.inbox(ann)
    assert notice.startswith(b"Return-Path: <>\r\nFrom: Mail Delivery System")


@pytest.mark.parametrize("sender", ["", "a@client.example"])
@pytest.mark.parametrize(
    "notify", ["", " NOTIFY=NEVER", " NOTIFY=FAILURE,DELAY", " NOTIFY=SUCCESS"]
)
async def test_success_is_told_to_those_alone_who_ask(
    system: FrontAlone, sender: str, notify: str
) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<{sender}>
        S: 250 ...
        C: RCPT TO:<{ann.name}>{notify}
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    told_of = bool(sender) and "SUCCESS" in notify
    assert len(system.store.messages) == (2 if told_of else 1)


async def test_a_notice_that_fails_leaves_the_message_taken(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<sender@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}> NOTIFY=SUCCESS
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    )
    system.directory.fault = PostroomError(Kind.UNAVAILABLE, "away")
    await wire.play("C: .\nS: 250 2.0.0 ...")
    assert len(system.store.messages) == 1


async def test_nothing_is_told_of_junk(system: FrontAlone) -> None:
    """Its sender is seldom who it says."""
    system.ask().judgement = Judgement(mailbox="Junk")
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<sender@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}> NOTIFY=SUCCESS
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    assert [one.mailbox for one in delivery.local] == ["Junk"]
