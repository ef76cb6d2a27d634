"""MT-PRIORITY (RFC 6710)."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told
from tests.protocol.smtp.test_submission import signed_in


async def test_it_is_offered(system: System) -> None:
    assert "MT-PRIORITY" in await told(system)
    assert "MT-PRIORITY" in await told(system, "submission")


@pytest.mark.parametrize("priority", range(-9, 10))
async def test_a_priority_goes_on_with_the_message(system: FrontAlone, priority: int) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> MT-PRIORITY={priority}
        S: 250 2.1.0 ...
        C: RCPT TO:<b@elsewhere.example>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    assert delivery.request.priority == priority
    told_in_trace = f" priority {priority}".encode() in system.store.content(delivery)
    assert told_in_trace is (priority != 0)


async def test_a_stranger_is_not_served_first(system: FrontAlone) -> None:
    """RFC 6710 section 5: 2.3.6 says that the priority is another."""
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example> MT-PRIORITY=-3
        S: 250 2.1.0 ...
        C: RSET
        S: 250 ...
        C: MAIL FROM:<a@client.example> MT-PRIORITY=9
        S: 250 2.3.6 0 is the new priority of the message
        C: RCPT TO:<{ann.name}>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    assert delivery.request.priority == 0


@pytest.mark.parametrize("value", ["", "=", "=10", "=-10", "=+1", "=-0", "=01", "=high", "=1.5"])
async def test_what_is_no_priority(system: System, value: str) -> None:
    wire = await greeted(system)
    await wire.play(f"C: MAIL FROM:<a@client.example> MT-PRIORITY{value}\nS: 501 5.5.4 ...")
