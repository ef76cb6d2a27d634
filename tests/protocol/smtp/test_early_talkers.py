"""Those who can't wait for the greeting (RFC 5321 section 4.3.1) are no mail servers."""

from __future__ import annotations

import asyncio

import pytest
from postroom_smtp.smtpd import Smtpd

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import OUTSIDE, hear_reply

SLOW = {"greeting_seconds": 30}
QUICK = {"greeting_seconds": 0.05}


def proxied(address: str) -> bytes:
    return f"PROXY TCP4 {address} 127.0.0.1 50000 25\r\n".encode()


@pytest.mark.parametrize("settings", [SLOW])
@pytest.mark.parametrize(
    "said", [b"EHLO x\r\n", b"\r\n", b"H", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n"]
)
async def test_a_stranger_who_speaks_first_is_refused(system: FrontAlone, said: bytes) -> None:
    wire = await system.connect("mx-proxy")
    await wire.send(proxied(OUTSIDE) + said)
    await wire.play("S: 554 5.5.1 ...\nS: (closed)")


@pytest.mark.parametrize("settings", [SLOW])
async def test_one_who_leaves_is_not_waited_for(system: FrontAlone) -> None:
    wire = await system.connect("mx-proxy")
    await wire.send(proxied(OUTSIDE))
    wire.say_no_more()
    assert await wire.hear_rest() == b""


@pytest.mark.parametrize("settings", [QUICK])
async def test_one_who_waits_is_greeted(system: FrontAlone) -> None:
    wire = await system.connect("mx-proxy")
    await wire.send(proxied(OUTSIDE))
    await wire.play("S: 220 ...\nC: EHLO x")
    await hear_reply(wire)
    await wire.play("C: NOOP\nS: 250 2.0.0 OK")
    # Who has waited once is known, and may be quick. This is asked of the same address alone.
    system.house.settings = system.settings.model_copy(update=SLOW)
    wire = await system.connect("mx-proxy")
    await wire.send(proxied(OUTSIDE) + b"EHLO x\r\n")
    await wire.play("S: 220 ...\nS: 250-mx.example.org")
    wire = await system.connect("mx-proxy")
    await wire.send(proxied("192.0.2.8") + b"EHLO x\r\n")
    await wire.play("S: 554 5.5.1 ...\nS: (closed)")


@pytest.mark.parametrize("settings", [SLOW | {"trusted_networks": "192.0.2.0/24"}])
async def test_who_is_trusted_is_greeted_at_once(system: FrontAlone) -> None:
    wire = await system.connect("mx-proxy")
    await wire.send(proxied("192.0.2.9"))
    await wire.expect("220 ...")


@pytest.mark.parametrize("settings", [SLOW])
@pytest.mark.parametrize("listener", ["mx", "submission", "submission-proxy", "submissions"])
async def test_people_and_this_machine_are_greeted_at_once(
    system: FrontAlone, listener: str
) -> None:
    wire = await system.connect(listener)
    if listener.endswith("proxy"):
        await wire.send(proxied(OUTSIDE))
    await wire.expect("220 ...")


@pytest.mark.parametrize("settings", [SLOW])
async def test_a_drain_ends_the_waiting(
    system: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, hears = asyncio.Event(), Smtpd._hears

    async def noted(smtpd: Smtpd, seconds: float) -> bool:
        waiting.set()
        return await hears(smtpd, seconds)

    monkeypatch.setattr(Smtpd, "_hears", noted)
    wire = await system.connect("mx-proxy")
    await wire.send(proxied(OUTSIDE))
    async with asyncio.timeout(10):
        await waiting.wait()
    await system.listeners["mx-proxy"].drain(10)
    await wire.play("S: 421 4.3.2 ...\nS: (closed)")
