"""DELIVERBY (RFC 2852)."""

from __future__ import annotations

import time

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told
from tests.protocol.smtp.test_submission import signed_in


async def test_it_is_offered(system: System) -> None:
    assert "DELIVERBY" in await told(system)
    assert "DELIVERBY" in await told(system, "submission")


@pytest.mark.parametrize(
    ("value", "seconds", "returns"),
    [("120;R", 120, True), ("+125;rt", 125, True), ("120;N", 120, False), ("-60;n", -60, False)],
)
async def test_a_time_goes_on_with_the_message(
    system: FrontAlone, value: str, seconds: int, returns: bool
) -> None:
    """RFC 2852 section 4.1: BY=120;R and its like."""
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> BY={value}
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
    assert abs(delivery.request.deliver_by - time.time() - seconds) < 60
    assert delivery.request.by_returns is returns


@pytest.mark.parametrize(
    "value",
    ["", "=", "=1", "=1;", "=1;X", "=;R", "=0;R", "=-1;R", "=1;RT2", "=1234567890;N", "=1;RN"],
)
async def test_what_is_no_time(system: System, value: str) -> None:
    wire = await greeted(system)
    await wire.play(f"C: MAIL FROM:<a@client.example> BY{value}\nS: 501 5.5.4 ...")
