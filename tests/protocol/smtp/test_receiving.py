"""Mail from other servers, as they see it (RFC 5321): transcripts against any system."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.system import (
    OUTSIDE,
    System,
    greeted,
    hear_reply,
    stuffed,
    without_trace,
)

MESSAGE = b"Subject: one\r\n\r\nHello.\r\n"


async def test_a_whole_session(system: System) -> None:
    ann, bob = await system.person(), await system.person()
    wire = await system.connect()
    await wire.play(f"S: 220 {system.hostname} ESMTP ...\nC: EHLO client.example")
    lines = [line[4:] for line in await hear_reply(wire)]
    assert lines[0].startswith(system.hostname)
    assert {
        "PIPELINING",
        f"SIZE {system.message_bytes}",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
        "HELP",
    } <= set(lines)
    assert not any(line.startswith("AUTH") for line in lines)
    await wire.play(
        f"""
        C: MAIL FROM:<sender@client.example> SIZE=100 BODY=8BITMIME
        S: 250 2.1.0 ...
        C: RCPT TO:<{ann.name}>
        S: 250 2.1.5 ...
        C: RCPT TO:<{bob.name}>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: Subject: one
        C:{" "}
        C: Hello.
        C: .
        S: 250 2.0.0 ...
        C: QUIT
        S: 221 2.0.0 ...
        S: (closed)
        """
    )
    for person in (ann, bob):
        (stored,) = await system.inbox(person)
        assert stored.startswith(b"Return-Path: <sender@client.example>\r\nReceived: from ")
        assert b"\tfor <" not in stored
        assert without_trace(stored) == MESSAGE


async def test_the_received_field(system: System) -> None:
    ann = await system.person()
    wire = await system.connect("mx-proxy")
    await wire.play(
        f"""
        C: PROXY TCP6 2001:db8::25 ::1 50000 25
        S: 220 ...
        C: HELO sender(x)
        S: 250 ...
        C: MAIL FROM:<>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        """
    )
    reply = await wire.hear()
    (stored,) = await system.inbox(ann)
    fields = stored.decode().split("\r\n")
    assert fields[0] == "Return-Path: <>"
    assert fields[1] == "Received: from sender?x? ([IPv6:2001:db8::25])"
    assert fields[2] == f"\tby {system.hostname} (Postroom) with SMTP"
    assert fields[3].startswith("\tid ")
    assert fields[3].split()[1] in reply
    assert fields[3].endswith(f" for <{ann.name}>;") or fields[4] == f"\tfor <{ann.name}>;"
    assert fields[-2].endswith(" +0000")
    assert fields[-1] == ""


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n",
        b".\r\n",
        b"..\r\n.\r\n...\r\n",
        b"Subject: x\r\n\r\n" + b"x" * 100_000 + b"\r\n",
        b"Subject: x\r\n\r\n" + bytes(set(range(256)) - {0x0D, 0x0A}) + b"\r\n",
        b"not a header\r\n\xff\xfe\r\n",
        b"\r\n\r\n\r\n.dots\r\n..\r\n",
        b"Subject: large\r\n\r\n" + b".line of a large message\r\n" * 200_000,
        b"Subject: one line\r\n\r\n" + b"x" * 3_000_000 + b"\r\n",
    ],
    ids=range(10),
)
async def test_every_byte_arrives(system: System, message: bytes) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    )
    await wire.send(stuffed(message))
    await wire.play("S: 250 2.0.0 ...\nC: QUIT\nS: 221 ...")
    (stored,) = await system.inbox(ann)
    assert without_trace(stored) == message


async def test_a_pipelined_session(system: System) -> None:
    ann, bob = await system.person(), await system.person()
    wire = await system.connect()
    # RFC 2920 section 4.1: QUIT may be in the group that the end of data begins.
    await wire.send(
        (
            "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n"
            f"RCPT TO:<{ann.name}>\r\nRCPT TO:<nobody@{system.domain}>\r\nRCPT TO:<{bob.name}>\r\n"
            "DATA\r\nSubject: one\r\n\r\nHello.\r\n.\r\n"
            f"MAIL FROM:<b@client.example>\r\nRCPT TO:<{ann.name}>\r\nDATA\r\n.\r\nQUIT\r\n"
        ).encode()
    )
    wire.say_no_more()
    heard = (await wire.hear_rest()).decode().split("\r\n")
    codes = [line[:3] for line in heard if line[3:4] == " "]
    assert codes == [
        *("220", "250"),
        *("250", "250", "550", "250", "354", "250"),
        *("250", "250", "354", "250", "221"),
    ]
    assert len(await system.inbox(ann)) == 2
    assert len(await system.inbox(bob)) == 1


async def test_recipients_are_judged_one_by_one(system: System) -> None:
    ann, full = await system.person(), await system.person(full=True)
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example> SIZE=1000
        S: 250 2.1.0 ...
        C: RCPT TO:<nobody@{system.domain}>
        S: 550 5.1.1 ...
        C: RCPT TO:<{full.name}>
        S: 452 4.2.2 ...
        C: RCPT TO:<somebody@elsewhere.example>
        S: 554 5.7.1 ...
        C: DATA
        S: 503 5.5.1 ...
        C: RCPT TO:<@one.example,@two.example:{ann.name}>
        S: 250 2.1.5 ...
        C: RCPT TO:<{ann.name}>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    assert len(await system.inbox(ann)) == 1
    assert await system.inbox(full) == []
    assert await system.queue() == []


async def test_nobody_relays(system: System) -> None:
    wire = await greeted(system)
    await wire.play("C: MAIL FROM:<a@client.example>\nS: 250 ...")
    for address in (
        "b@elsewhere.example",
        f'"b@elsewhere.example"@{system.domain}',
        f"b%elsewhere.example@{system.domain}",
        f"@{system.domain}:b@elsewhere.example",
        "b@[192.0.2.1]",
        f"elsewhere.example!b@{system.domain}",
    ):
        await wire.say(f"RCPT TO:<{address}>")
        assert (await wire.hear())[:1] == "5"
    assert await system.queue() == []


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("", "500 5.5.2 ..."),
        ("NONSENSE", "500 5.5.1 ..."),
        ("\u00fc", "500 5.5.2 ..."),
        ("EHLO", "501 5.5.4 ..."),
        ("HELO a b", "501 5.5.4 ..."),
        ("MAIL", "501 5.5.4 ..."),
        ("MAIL FROM", "501 5.5.4 ..."),
        ("MAIL TO:<a@b.example>", "501 5.5.4 ..."),
        ("MAIL FROM:a@b.example", "501 5.1.7 ..."),
        ("MAIL FROM:<a@b.example", "501 5.1.7 ..."),
        ("MAIL FROM:<a b@b.example>", "501 5.1.7 ..."),
        ("MAIL FROM:<a@-b.example>", "501 5.1.7 ..."),
        ("MAIL FROM:<a@[1.2.3]>", "501 5.1.7 ..."),
        ("MAIL FROM:<a@b.example>SIZE=1", "501 5.5.4 ..."),
        ("MAIL FROM:<a@b.example> SIZE=big", "501 5.5.4 ..."),
        ("MAIL FROM:<a@b.example> SIZE=1 SIZE=2", "501 5.5.4 ..."),
        ("MAIL FROM:<a@b.example> SMTPUTF8=1", "501 5.5.4 ..."),
        ("MAIL FROM:<a@b.example> X-ODD=1", "555 5.5.4 ..."),
        ("MAIL FROM:<a@b.example> SIZE=99999999999999999999", "552 5.3.4 ..."),
        ("MAIL FROM:<\u00fc@b.example>", "553 5.6.7 ..."),
        ("RCPT TO:<a@b.example>", "503 5.5.1 ..."),
        ("DATA", "503 5.5.1 ..."),
        ("RSET now", "501 5.5.4 ..."),
        ("QUIT now", "501 5.5.4 ..."),
        ("STARTTLS now", "501 5.5.4 ..."),
        ("AUTH PLAIN AGEAYg==", "502 5.5.1 ..."),
        ("EXPN list", "502 5.5.1 ..."),
        ("VRFY", "501 5.5.4 ..."),
        ("VRFY ann", "252 2.5.2 ..."),
        ("NOOP whatever", "250 2.0.0 ..."),
        ("RSET", "250 2.0.0 ..."),
        ("HELP", "250 2.0.0 ..."),
    ],
)
async def test_a_command_out_of_place(system: System, command: str, reply: str) -> None:
    wire = await greeted(system)
    await wire.play(f"C: {command}\nS: {reply}\nC: NOOP\nS: 250 2.0.0 OK")


@pytest.mark.parametrize(
    ("recipient", "reply"),
    [
        ("", "501 5.5.4 ..."),
        ("RCPT TO:<>", "501 5.1.3 ..."),
        ("RCPT TO:<a@>", "501 5.1.3 ..."),
        ("RCPT TO:<@b.example>", "501 5.1.3 ..."),
        ("RCPT TO:<a@b.example\u0007>", "501 5.1.3 ..."),
        ("RCPT TO:<a@b.example> X-ODD=1", "555 5.5.4 ..."),
        ("RCPT TO:<\u00fc@b.example>", "553 5.6.7 ..."),
        (f"RCPT TO:<{'x' * 600}@b.example>", "501 5.1.3 ..."),
        ("MAIL FROM:<a@b.example>", "503 5.5.1 ..."),
    ],
)
async def test_a_recipient_that_cannot_be(system: System, recipient: str, reply: str) -> None:
    wire = await greeted(system)
    await wire.play(
        f"C: MAIL FROM:<a@client.example>\nS: 250 ...\nC: {recipient or 'RCPT'}\nS: {reply}"
    )


async def test_helo_comes_first_and_has_no_extensions(system: System) -> None:
    wire = await system.connect()
    await wire.play(
        """
        S: 220 ...
        C: MAIL FROM:<a@client.example>
        S: 503 5.5.1 ...
        C: HELO client.example
        S: 250 ...
        C: MAIL FROM:<a@client.example> SIZE=1
        S: 555 5.5.4 ...
        C: mail from: <a@client.example>
        S: 250 2.1.0 ...
        C: RSET
        S: 250 2.0.0 ...
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 ...
        C: EHLO client.example
        """
    )
    await hear_reply(wire)
    await wire.play("C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 ...")


async def test_an_address_in_every_script(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<j\u00f6rg@b\u00fccher.example> SMTPUTF8
        S: 250 2.1.0 ...
        C: RCPT TO:<{ann.name}>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: Subject: \u65e5\u672c\u8a9e
        C: .
        S: 250 2.0.0 ...
        """
    )
    (stored,) = await system.inbox(ann)
    assert "Return-Path: <j\u00f6rg@b\u00fccher.example>" in stored.decode()
    assert " with UTF8SMTP\r\n" in stored.decode()


async def test_a_message_that_is_too_large(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system)
    begin = f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    await wire.play(begin)
    line = b"x" * 1022 + b"\r\n"
    for _ in range(system.message_bytes // 1024 // 1024):
        await wire.send(line * 1024)
    await wire.send(line)
    await wire.play("C: .\nS: 552 5.3.4 ...")
    await wire.play(begin)
    await wire.play("C: .\nS: 250 2.0.0 ...")
    assert len(await system.inbox(ann)) == 1


async def test_too_many_recipients(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system)
    count = 10_000
    await wire.send(
        b"MAIL FROM:<a@client.example>\r\n" + f"RCPT TO:<{ann.name}>\r\n".encode() * count
    )
    await wire.expect("250 2.1.0 ...")
    replies = [await wire.hear() for _ in range(count)]
    accepted = system.recipients
    assert all(reply.startswith("250 2.1.5") for reply in replies[:accepted])
    assert all(reply.startswith("452 4.5.3") for reply in replies[accepted:])
    await wire.play("C: DATA\nS: 354 ...\nC: .\nS: 250 2.0.0 ...\nC: QUIT\nS: 221 ...")
    assert len(await system.inbox(ann)) == 1


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\xff\xfe\r\n",
        b"NOOP\n",
        b"NOOP\rNOOP\r\n",
        b"NO\0OP\r\n",
        b"X" * 100_000 + b"\r\n",
        b"MAIL FROM:<" + b"x" * 8_000 + b"@client.example>\r\n",
        b"EHLO \xff\xfe\r\n",
    ],
)
async def test_junk_is_refused_and_the_session_goes_on(system: System, junk: bytes) -> None:
    wire = await greeted(system)
    await wire.send(junk)
    heard = await wire.hear()
    assert heard[:5] in ("500 5", "501 5")
    await wire.play("C: NOOP\nS: 250 2.0.0 OK")


async def test_too_much_junk_ends_the_connection(system: System) -> None:
    wire = await greeted(system)
    for _ in range(1000):
        await wire.say("JUNK")
        if (heard := await wire.hear()).startswith("421 4.7.0 "):
            break
        assert heard.startswith("500 5.5.1 ")
    else:
        raise AssertionError("it goes on for ever")
    await wire.expect("(closed)")


async def test_a_message_that_loops(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system)
    for hops, reply in ((100, "250 2.0.0 ..."), (101, "554 5.4.6 ...")):
        await wire.play(
            f"""
            C: MAIL FROM:<a@client.example>
            S: 250 ...
            C: RCPT TO:<{ann.name}>
            S: 250 ...
            C: DATA
            S: 354 ...
            """
        )
        # Our own field counts too, as one of them.
        await wire.send(stuffed(b"received: from x\r\n" * (hops - 1) + b"\r\nReceived:\r\n"))
        await wire.expect(reply)


async def test_who_is_elsewhere_is_told_by_a_trusted_proxy_alone(system: System) -> None:
    wire = await system.connect("mx")
    await wire.play(f"S: 220 ...\nC: PROXY TCP4 {OUTSIDE} 127.0.0.1 50000 25\nS: 500 5.5.1 ...")
