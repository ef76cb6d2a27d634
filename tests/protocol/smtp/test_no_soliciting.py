"""NO-SOLICITING (RFC 3865)."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told

KEYWORDS = {"no_soliciting": "net.example:ADV,org.example:ADV:ADLT"}


async def test_it_is_not_offered_where_nothing_is_refused(system: System) -> None:
    assert not any("SOLICIT" in line for line in await told(system))
    wire = await greeted(system)
    await wire.play("C: MAIL FROM:<a@client.example> SOLICIT=net.example:ADV\nS: 555 5.5.4 ...")


@pytest.mark.parametrize("settings", [KEYWORDS])
async def test_the_examples_of_rfc_3865_sections_2_3_and_2_5(system: FrontAlone) -> None:
    ann = await system.person()
    assert "NO-SOLICITING net.example:adv,org.example:adv:adlt" in await told(system)
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<save@example.com> SOLICIT=org.example:ADV:ADLT
        S: 550 5.7.1 ...
        C: MAIL FROM:<save@example.com> SOLICIT=other.example:X,NET.example:adv
        S: 550 5.7.1 ...
        C: MAIL FROM:<save@example.com> SOLICIT=other.example:X
        S: 250 2.1.0 ...
        C: RCPT TO:<{ann.name}>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )


@pytest.mark.parametrize("settings", [KEYWORDS])
@pytest.mark.parametrize(
    ("field", "reply"),
    [
        ("Solicitation: net.example:ADV", "550 5.7.1 ..."),
        ("solicitation: other.example:X,\r\n org.example:ADV:ADLT", "550 5.7.1 ..."),
        ("Solicitation: other.example:X", "250 2.0.0 ..."),
        ("Solicitation: \u00fc", "250 2.0.0 ..."),
        ("X: y\r\n\r\nSolicitation: net.example:ADV", "250 2.0.0 ..."),
    ],
)
async def test_a_message_says_itself_what_it_is(system: FrontAlone, field: str, reply: str) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<save@example.com>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    )
    await wire.say(field)
    await wire.play(f"C: .\nS: {reply}")


@pytest.mark.parametrize("settings", [KEYWORDS])
@pytest.mark.parametrize("value", ["", "=", "=,", "=a:b,", f"=a:{'b' * 1000}", "=a;b"])
async def test_what_is_no_solicitation(system: FrontAlone, value: str) -> None:
    wire = await greeted(system)
    await wire.play(f"C: MAIL FROM:<a@client.example> SOLICIT{value}\nS: 501 5.5.4 ...")
