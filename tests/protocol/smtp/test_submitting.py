"""What becomes of a message that our people submit (RFC 6409 section 8)."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import cast

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import Person, elsewhere, greeted, stuffed, without_trace
from tests.protocol.smtp.test_submission import signed_in
from tests.protocol.wire import Wire


async def submit(
    wire: Wire, person: Person, message: bytes, reply: str = "250 2.0.0 ...", sender: str = "-"
) -> None:
    await wire.play(
        f"""
        C: MAIL FROM:<{person.name if sender == "-" else sender}>
        S: 250 ...
        C: RCPT TO:<{person.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    )
    await wire.send(stuffed(message))
    await wire.expect(reply)


def last(system: FrontAlone) -> bytes:
    return without_trace(system.store.content(system.store.messages[-1]))


async def test_what_is_missing_is_added(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await submit(wire, ann, b"Subject: x\r\n\r\nHello.\r\n")
    stored = last(system)
    assert stored.endswith(b"Subject: x\r\n\r\nHello.\r\n")
    message = cast(EmailMessage, message_from_bytes(stored, policy=policy.default))
    assert message["From"] == ann.name
    assert message["Message-ID"].endswith("@mx.example.org>")
    assert parsedate_to_datetime(message["Date"]).tzinfo is not None


async def test_what_is_complete_stays_as_it_is(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    message = (
        b"Message-id: <1@x>\r\nDATE: Mon, 1 Jan 2024 00:00:00 +0000\r\nTo: b@x\r\n"
        b"from: Ann <%b>\r\nBccx: y\r\n\r\nBcc: not a field\r\n" % ann.name.encode()
    )
    await submit(wire, ann, message)
    assert last(system) == message


@pytest.mark.parametrize(
    "body", [b"", b"\r\n", b"\r\nHello.\r\n", b"\r\n" + b"Bcc: x\r\n" * 300_000]
)
async def test_blind_copies_are_blind(system: FrontAlone, body: bytes) -> None:
    """And a Return-Path is the last server's to write (RFC 5321 section 4.4)."""
    ann = await system.person()
    wire = await signed_in(system, ann)
    kept = b"Message-ID: <1@x>\r\nDate: x\r\nFrom: %b\r\n" % ann.name.encode()
    hidden = b"Bcc: c@x,\r\n d@x\r\nRESENT-BCC: e@x\r\nbcc :\r\nReturn-Path: <f@x>\r\n"
    await submit(wire, ann, hidden + kept + hidden + body)
    assert last(system) == kept + body


async def test_a_message_without_a_header(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    for message in (b"", b"\r\n", b"\r\nBcc: of the text\r\n"):
        await submit(wire, ann, message)
        stored = last(system)
        assert stored.startswith(b"From: ")
        assert stored.endswith(message)


@pytest.mark.parametrize(
    "fields",
    [
        "From: bob@example.org\r\n",
        "From: {0}, bob@example.org\r\n",
        "From: {0}\r\nSender: bob@example.org\r\n",
        "From: {0} <bob@example.org>\r\n",
        "From: {0}\r\n <bob@example.org>\r\n",
        'From: "{0}" <bob@elsewhere.example>\r\n',
        "From: friends: bob@example.org;\r\n",
        "FROM : bob@example.org\r\n",
        "From: {0},\r\n\tbob@example.org\r\n",
    ],
)
async def test_nobody_writes_as_another(system: FrontAlone, fields: str) -> None:
    ann = await system.person()
    system.directory.senders[99] = {"bob@example.org"}
    wire = await signed_in(system, ann)
    message = fields.format(ann.name).encode() + b"\r\nHello.\r\n"
    await submit(wire, ann, message, "550 5.7.1 ...")
    await submit(wire, ann, message, "550 5.7.1 ...", sender="")
    await submit(wire, ann, b"\r\nHello.\r\n" * 200_000)


@pytest.mark.parametrize(
    "fields",
    [
        "From: {0}\r\nFrom: {0}\r\n",
        "From: {0}\r\nSender: {0}\r\nSender: {0}\r\n",
        "From:\r\n",
        "From: undisclosed:;\r\n",
        "X: y\r\n" * 2_000 + "From: {0}\r\n",
        "X: " + "y" * 300_000 + "\r\nFrom: {0}\r\n",
        "From: " + "{0}, " * 2_000 + "{0}\r\n",
    ],
)
async def test_an_author_that_can_not_be_told(system: FrontAlone, fields: str) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await submit(wire, ann, fields.format(ann.name).encode() + b"\r\n", "550 5.6.0 ...")
    assert system.store.messages == []


async def test_an_alias_is_an_address_of_mine(system: FrontAlone) -> None:
    ann = await system.person()
    system.directory.senders[1].add("alias@example.org")
    wire = await signed_in(system, ann)
    await submit(wire, ann, b"From: Me <alias@example.org>\r\n\r\n")
    await submit(
        wire,
        ann,
        b"From: %b, alias@example.org\r\nSender: alias@example.org\r\n\r\n" % ann.name.encode(),
    )
    await submit(wire, ann, b"From: %b\r\n\r\n" % ann.name.upper().encode(), "550 5.7.1 ...")


async def test_a_notice_is_from_whom_it_is_about(system: FrontAlone) -> None:
    """RFC 8098 section 3: by the null sender, and still not as anybody."""
    ann = await system.person()
    wire = await signed_in(system, ann)
    await submit(wire, ann, b"Subject: read\r\n\r\n", sender="")
    assert f"From: {ann.name}\r\n".encode() in last(system)


async def test_a_copy_is_kept_where_the_client_asks(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    header = b"Message-ID: <1@x>\r\nDate: x\r\nFrom: %b\r\n" % ann.name.encode()
    for field, mailbox in (
        (b"Postroom-Copy: Sent\r\n", "Sent"),
        (b"postroom-copy: Archiv/Gr\xc3\xbc\xc3\x9fe\r\n", "Archiv/Gr\u00fc\u00dfe"),
        (b"Postroom-Copy:\r\n", "Sent"),
        (b"Postroom-Copy: //\r\n", "Sent"),
        (b"Postroom-Copy: a\x07\r\n", "Sent"),
        (b"Postroom-Copy: \xff\r\n", "Sent"),
        (b"Postroom-Copy: " + b"x" * 500 + b"\r\n", "Sent"),
    ):
        await wire.play(
            f"""
            C: MAIL FROM:<{ann.name}>
            S: 250 ...
            C: RCPT TO:<b@elsewhere.example>
            S: 250 ...
            C: DATA
            S: 354 ...
            """
        )
        await wire.send(field + header + b"Bcc: c@x\r\n\r\nHello.\r\n.\r\n")
        await wire.expect("250 2.0.0 ...")
        delivery = system.store.messages[-1]
        ((account, address, where),) = (
            (one.account_id, one.address, one.mailbox) for one in delivery.local
        )
        assert (account, address, where) == (1, ann.name, mailbox)
        # It goes elsewhere, too: the Return-Path is for the last server to write.
        content = system.store.content(delivery)
        assert content.startswith(b"Received: ")
        assert content.endswith(b" +0000\r\n" + header + b"\r\nHello.\r\n")


async def test_whoever_writes_to_himself_has_both(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await submit(wire, ann, b"Postroom-Copy: Sent\r\n\r\n")
    local = system.store.messages[-1].local
    assert [(one.mailbox, one.seen) for one in local] == [("", False), ("Sent", True)]


async def test_nobody_else_asks_for_copies(system: FrontAlone) -> None:
    """On other listeners such a field is one like any other."""
    ann = await system.person()
    wire = await greeted(system)
    message = b"Postroom-Copy: Sent\r\nBcc: c@x\r\n\r\n"
    await submit(wire, ann, message, sender="a@client.example")
    assert last(system) == message
    assert [one.mailbox for one in system.store.messages[-1].local] == [""]


@pytest.mark.parametrize("settings", [{"trusted_networks": "192.0.2.0/24"}])
async def test_a_trusted_network_has_no_author_to_prove(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await elsewhere(system, "submission", "192.0.2.9")
    await submit(wire, ann, b"From: a@x\r\nFrom: b@x\r\nBcc: c@x\r\n\r\n", sender="")
    stored = last(system)
    assert stored.endswith(b"From: a@x\r\nFrom: b@x\r\n\r\n")
    assert b"Date: " in stored


@pytest.mark.parametrize("settings", [{"check_author": False}])
async def test_an_operator_may_let_people_write_for_others(system: FrontAlone) -> None:
    """The reverse-path is an address of theirs all the same."""
    ann = await system.person()
    wire = await signed_in(system, ann)
    await submit(wire, ann, b"From: bob@example.org\r\nBcc: c@x\r\n\r\n")
    assert b"Bcc" not in last(system)
    await wire.play("C: MAIL FROM:<bob@example.org>\nS: 553 5.7.1 ...")
