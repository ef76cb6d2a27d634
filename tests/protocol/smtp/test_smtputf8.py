"""SMTPUTF8 (RFC 6531)."""

from __future__ import annotations

import pytest
from postroom_smtp.ports import Account

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told
from tests.protocol.smtp.test_submission import signed_in

JOERG = "j\u00f6rg@example.org"


async def test_it_is_offered(system: System) -> None:
    assert "SMTPUTF8" in await told(system)


async def test_addresses_of_every_script(system: FrontAlone) -> None:
    system.directory.add(JOERG, Account(7, JOERG))
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<\u7528\u6237@\u4f8b\u5b50.example> SMTPUTF8
        S: 250 2.1.0 ...
        C: RCPT TO:<{JOERG}>
        S: 250 2.1.5 ...
        C: RCPT TO:<"\u00fc b"@example.org>
        S: 550 5.1.1 ...
        C: DATA
        S: 354 ...
        C: From: <\u7528\u6237@\u4f8b\u5b50.example>
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    assert delivery.sender == "\u7528\u6237@\u4f8b\u5b50.example"
    assert [one.address for one in delivery.local] == [JOERG]
    assert delivery.request.smtputf8
    assert b" with UTF8SMTP\r\n" in system.store.content(delivery)


async def test_without_the_parameter_addresses_are_ascii(system: FrontAlone) -> None:
    """RFC 6531 section 3.5: 553 or 550 with 5.6.7."""
    system.directory.add(JOERG, Account(7, JOERG))
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<{JOERG}>
        S: 553 5.6.7 ...
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 ...
        C: RCPT TO:<{JOERG}>
        S: 553 5.6.7 ...
        """
    )


async def test_it_goes_on_with_what_is_sent_elsewhere(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> SMTPUTF8
        S: 250 ...
        C: RCPT TO:<\u00fc@elsewhere.example>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 ...
        """
    )
    (delivery,) = system.store.messages
    assert delivery.request.smtputf8


@pytest.mark.parametrize(
    "octets", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"]
)
async def test_what_is_no_utf_8_is_no_address(system: System, octets: bytes) -> None:
    wire = await greeted(system)
    await wire.send(b"MAIL FROM:<a" + octets + b"@client.example> SMTPUTF8\r\n")
    await wire.play("S: 501 5.1.7 ...\nC: MAIL FROM:<a@client.example> SMTPUTF8\nS: 250 ...")
    await wire.send(b"RCPT TO:<a" + octets + b"@example.org>\r\n")
    await wire.play("S: 501 5.1.3 ...\nC: NOOP\nS: 250 2.0.0 OK")
