"""LIMITS (RFC 9422)."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told


async def test_what_is_told_is_what_there_is(system: System) -> None:
    assert f"LIMITS RCPTMAX={system.recipients}" in await told(system)


@pytest.mark.parametrize("settings", [{"recipients": 100}])
async def test_so_many_recipients_and_no_more(system: FrontAlone) -> None:
    assert "LIMITS RCPTMAX=100" in await told(system)
    people = [await system.person() for _ in range(101)]
    wire = await greeted(system)
    await wire.play("C: MAIL FROM:<a@client.example>\nS: 250 ...")
    for person in people[:-1]:
        await wire.play(f"C: RCPT TO:<{person.name}>\nS: 250 2.1.5 ...")
    await wire.play(f"C: RCPT TO:<{people[-1].name}>\nS: 452 4.5.3 ...")
    await wire.play("C: DATA\nS: 354 ...\nC: .\nS: 250 2.0.0 ...")
    (delivery,) = system.store.messages
    assert len(delivery.local) == 100
