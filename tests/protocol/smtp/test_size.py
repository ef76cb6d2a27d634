"""SIZE (RFC 1870)."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told


async def test_the_largest_is_told(system: System) -> None:
    assert f"SIZE {system.message_bytes}" in await told(system)


async def test_the_examples_of_rfc_1870_section_6(system: System) -> None:
    """One that fits, one that is too large for the server, one for somebody without room."""
    ann, full = await system.person(), await system.person(full=True)
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<ned@thor.innosoft.example> SIZE=500000
        S: 250 2.1.0 ...
        C: RCPT TO:<{ann.name}>
        S: 250 2.1.5 ...
        C: RCPT TO:<{full.name}>
        S: 452 4.2.2 ...
        C: RSET
        S: 250 2.0.0 ...
        C: MAIL FROM:<ned@thor.innosoft.example> SIZE={system.message_bytes + 1}
        S: 552 5.3.4 ...
        C: MAIL FROM:<ned@thor.innosoft.example> SIZE={system.message_bytes}
        S: 250 2.1.0 ...
        """
    )


@pytest.mark.parametrize("value", ["", "=", "=-1", "=+1", "=1k", "=0x1", f"={'9' * 21}", "=1.5"])
async def test_what_is_no_size(system: System, value: str) -> None:
    wire = await greeted(system)
    await wire.play(f"C: MAIL FROM:<a@client.example> SIZE{value}\nS: 501 5.5.4 ...")


async def test_a_size_that_was_a_lie(system: FrontAlone) -> None:
    """RFC 1870 section 6.3: what is declared is a hint."""
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example> SIZE=1
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: Subject: longer than that
        C: .
        S: 250 2.0.0 ...
        """
    )
