"""Lengths (RFC 5321 section 4.5.3.1): the RFC's, and beyond where peers go beyond."""

from __future__ import annotations

import pytest
from postroom_smtp.ports import Account
from postroom_smtp.smtpd import Smtpd

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, hear_reply, stuffed, without_trace
from tests.protocol.smtp.test_submission import signed_in

LABEL = "x" * 63
DOMAIN = f"{LABEL}.{LABEL}.{LABEL}.{'x' * 55}.example"  # of 255 octets


async def test_the_longest_path_of_the_rfc(system: FrontAlone) -> None:
    """A local part of 64 octets, a path of 256, a domain of 255: sections 4.5.3.1.1 to 3."""
    assert len(DOMAIN) == 255
    local = "l" * 64
    path = f"{local}@{DOMAIN[: 254 - 65 - 8]}.example"
    wire = await signed_in(system, await system.person())
    await wire.play(
        f"""
        C: MAIL FROM:<>
        S: 250 2.1.0 ...
        C: RCPT TO:<{local}@elsewhere.example>
        S: 250 2.1.5 ...
        C: RCPT TO:<{path}>
        S: 250 2.1.5 ...
        C: RCPT TO:<a@{DOMAIN}>
        S: 250 2.1.5 ...
        """
    )


async def test_longer_ones_that_are_in_use(system: FrontAlone) -> None:
    """VERP has a recipient in the local part."""
    ann = await system.person()
    wire = await greeted(system)
    for local, reply in (("b" * 400, "250 2.1.0 ..."), ("b" * 600, "501 5.1.7 ...")):
        await wire.play(f"C: MAIL FROM:<{local}@client.example>\nS: {reply}")
    await wire.play(f"C: RCPT TO:<{ann.name}>\nS: 250 ...\nC: DATA\nS: 354 ...\nC: .\nS: 250 ...")
    (delivery,) = system.store.messages
    assert delivery.sender == f"{'b' * 400}@client.example"


@pytest.mark.parametrize(
    ("octets", "reply"), [(512, "250 ..."), (4096, "250 ..."), (4097, "500 5.5.2 ...")]
)
async def test_command_lines(system: System, octets: int, reply: str) -> None:
    """512 octets with their end in section 4.5.3.1.4, which extensions add to."""
    wire = await greeted(system)
    await wire.send(b"NOOP " + b"x" * (octets - 5) + b"\r\n")
    await wire.play(f"S: {reply}\nC: NOOP\nS: 250 2.0.0 OK")


async def test_verbs(system: FrontAlone) -> None:
    """What clients call commands is kept nowhere."""
    limits = Smtpd(system.settings).command_size_limits
    before = dict(limits)
    assert {limits[verb] for verb in ("NOOP", "NONSENSE", "X" * 4_000)} == {4096}
    assert (dict(limits), limits["AUTH"]) == (before, 12_288)
    wire = await greeted(system)
    await wire.play(
        f"""
        C: {"X" * 20}
        S: 500 5.5.1 ...
        C: {"X" * 21} y
        S: 500 5.5.1 ...
        C: {"X" * 12_000}
        S: 500 5.5.1 ...
        C: NOOP
        S: 250 2.0.0 OK
        """
    )


@pytest.mark.parametrize("octets", [998, 1000, 1001, 70_000, 2_000_000])
async def test_text_lines(system: System, octets: int) -> None:
    """1,000 octets with their end in section 4.5.3.1.6; mail in use has longer ones."""
    ann = await system.person()
    wire = await greeted(system)
    message = b"Subject: x\r\n\r\n." + b"y" * (octets - 3) + b"\r\n"
    await wire.play(
        f"C: MAIL FROM:<>\nS: 250 ...\nC: RCPT TO:<{ann.name}>\nS: 250 ...\nC: DATA\nS: 354 ..."
    )
    await wire.send(stuffed(message))
    await wire.expect("250 2.0.0 ...")
    (stored,) = await system.inbox(ann)
    assert without_trace(stored) == message


async def test_our_own_lines_are_short(system: FrontAlone) -> None:
    """512 octets with their end (section 4.5.3.1.5); fields of 998 at most (RFC 5322 2.1.1)."""
    name = f"{'n' * 200}@example.org"
    system.directory.add(name, Account(1, name))
    wire = await system.connect()
    await wire.expect("220 ...")
    await wire.say("EHLO " + "e" * 4000)
    heard = await hear_reply(wire)
    for command in ("HELP", "VRFY x", f"MAIL FROM:<{name}>", f"RCPT TO:<{name}>", "DATA"):
        await wire.say(command)
        heard += await hear_reply(wire)
    await wire.play("C: .\nS: 250 ...")
    assert max(map(len, heard)) <= 510
    (delivery,) = system.store.messages
    assert max(map(len, system.store.content(delivery).split(b"\r\n"))) <= 998
