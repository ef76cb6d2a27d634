"""STARTTLS (RFC 3207), and what might be smuggled past it."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, elsewhere, greeted, hear_reply, told
from tests.protocol.smtp.test_submission import plain


@pytest.mark.parametrize("listener", ["mx", "submission", "lmtp"])
async def test_the_example_of_rfc_3207_section_5(system: FrontAlone, listener: str) -> None:
    assert "STARTTLS" in await told(system, listener)
    wire = await system.connect(listener)
    hello = "LHLO" if listener == "lmtp" else "EHLO"
    await wire.play(f"S: 220 ...\nC: {hello} mail.imc.example")
    await hear_reply(wire)
    await wire.play("C: STARTTLS\nS: 220 2.0.0 ...")
    await wire.start_tls(system.tls)
    await wire.play(f"C: {hello} mail.imc.example")
    assert not any("STARTTLS" in line for line in await hear_reply(wire))
    await wire.play("C: STARTTLS\nS: 503 5.5.1 ...\nC: NOOP\nS: 250 2.0.0 OK")


async def test_it_is_not_offered_where_there_is_no_certificate(system: FrontAlone) -> None:
    system.house.tls = None
    assert "STARTTLS" not in await told(system)
    await (await greeted(system)).play("C: STARTTLS\nS: 454 4.7.0 ...")


async def test_it_has_no_parameters(system: System) -> None:
    await (await greeted(system)).play("C: STARTTLS now\nS: 501 5.5.4 ...")


@pytest.mark.parametrize(
    "injected",
    [
        "MAIL FROM:<forged@client.example>\r\nRCPT TO:<{0}>\r\nDATA\r\nforged\r\n.\r\n",
        "AUTH PLAIN {1}\r\n",
        "EHLO forged.example\r\n",
        "BDAT 1000000 LAST\r\n",
        "half a comma",
        "\r\n",
    ],
)
async def test_what_was_injected_before_tls_is_gone(system: System, injected: str) -> None:
    """CVE-2011-0411: commands behind STARTTLS in the same segment, which an attacker put there."""
    ann = await system.person()
    wire = await greeted(system, "submission")
    await wire.send(b"STARTTLS\r\n" + injected.format(ann.name, plain(ann)).encode())
    await wire.expect("220 2.0.0 ...")
    await wire.start_tls(system.tls)
    await wire.play("C: NOOP\nS: 250 2.0.0 OK\nC: MAIL FROM:<a@client.example>\nS: 503 5.5.1 ...")
    await wire.say("EHLO client.example")
    await hear_reply(wire)
    await wire.play(f"C: MAIL FROM:<{ann.name}>\nS: 530 5.7.0 ...\nC: RSET\nS: 250 2.0.0 ...")
    assert await system.inbox(ann) == []


async def test_a_stranger_who_injects_hears_no_more(system: System) -> None:
    wire = await elsewhere(system)
    await wire.send(b"STARTTLS\r\nEHLO forged.example\r\n")
    await wire.play("S: 554 5.5.1 ...\nS: (closed)")


async def test_a_transaction_is_forgotten(system: System) -> None:
    """RFC 3207 section 4.2: so is what was said before, and by whom."""
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: BDAT 0
        S: 250 ...
        C: STARTTLS
        S: 220 ...
        """
    )
    await wire.start_tls(system.tls)
    await wire.play("C: BDAT 0 LAST\nS: 503 5.5.1 ...\nC: MAIL FROM:<>\nS: 503 5.5.1 ...")
    assert await system.inbox(ann) == []
