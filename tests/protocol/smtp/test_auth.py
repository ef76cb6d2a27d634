"""AUTH (RFC 4954): its frame, and where it is offered. Mechanisms are auth's."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, elsewhere, greeted, hear_reply, told
from tests.protocol.smtp.test_submission import base64, plain, signed_in


async def test_it_is_offered_to_those_who_submit(system: System) -> None:
    assert "AUTH PLAIN LOGIN" in await told(system, "submission")
    for listener in ("mx", "lmtp"):
        assert not any("AUTH" in line for line in await told(system, listener))
    await (await greeted(system)).play("C: AUTH PLAIN AGEAYg==\nS: 502 5.5.1 ...")


async def test_the_examples_of_rfc_4954_section_4_1(system: System) -> None:
    """With an initial response and without, and where TLS must come first."""
    ann = await system.person()
    wire = await greeted(system, "submission")
    await wire.play(f"C: AUTH PLAIN {plain(ann)}\nS: 235 2.7.0 ...")
    wire = await greeted(system, "submission")
    await wire.play(f"C: AUTH PLAIN\nS: 334 \nC: {plain(ann)}\nS: 235 2.7.0 ...")
    wire = await elsewhere(system, "submission")
    await wire.play(f"C: AUTH PLAIN {plain(ann)}\nS: 538 5.7.11 ...\nC: STARTTLS\nS: 220 ...")
    await wire.start_tls(system.tls)
    await wire.say("EHLO x")
    assert "AUTH PLAIN LOGIN" in [line[4:] for line in await hear_reply(wire)]
    await wire.play(f"C: AUTH PLAIN {plain(ann)}\nS: 235 2.7.0 ...")


async def test_it_comes_before_mail_and_once(system: System) -> None:
    """RFC 4954 section 4: 503 within a transaction, and after success."""
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: AUTH PLAIN {plain(ann)}
        S: 503 5.5.1 ...
        C: MAIL FROM:<{ann.name}>
        S: 250 ...
        C: AUTH PLAIN {plain(ann)}
        S: 503 5.5.1 ...
        C: RSET
        S: 250 ...
        C: AUTH PLAIN {plain(ann)}
        S: 503 5.5.1 ...
        """
    )


@pytest.mark.parametrize("value", ["<>", "a@b.example", "e+3Dmc2@example.com", "a" * 500])
async def test_its_parameter_is_read_and_not_believed(system: FrontAlone, value: str) -> None:
    """RFC 4954 section 5, whose example is e+3Dmc2@example.com."""
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> AUTH={value}
        S: 250 2.1.0 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 ...
        """
    )
    (delivery,) = system.store.messages
    assert value not in system.store.content(delivery).decode() or value == "<>"


@pytest.mark.parametrize("value", ["", "=", "=+3", "=a=b", "=+GG", f"={'a' * 501}"])
async def test_what_is_no_such_parameter(system: System, value: str) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(f"C: MAIL FROM:<{ann.name}> AUTH{value}\nS: 501 5.5.4 ...")


async def test_a_response_may_be_as_long_as_the_rfc_says(system: System) -> None:
    """RFC 4954 section 4: lines of 12,288 octets; a password of 8,000 is read, and is wrong."""
    ann = await system.person()
    long = base64(f"\0{ann.name}\0{'x' * 8_000}")
    assert 10_000 < len(long) < 12_280
    wire = await greeted(system, "submission")
    await wire.play(
        f"""
        C: AUTH PLAIN
        S: 334 ...
        C: {long}
        S: 535 5.7.8 ...
        C: AUTH PLAIN {long}
        S: 535 5.7.8 ...
        """
    )
