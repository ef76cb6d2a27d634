"""FUTURERELEASE (RFC 4865)."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told
from tests.protocol.smtp.test_submission import signed_in


def moment(seconds: float) -> str:
    """So many seconds from now, as RFC 3339 has it."""
    return f"{datetime.fromtimestamp(time.time() + seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("settings", [{"hold_seconds": 86_400}])
async def test_it_is_offered_to_those_who_submit(system: FrontAlone) -> None:
    (line,) = [line for line in await told(system, "submission") if "FUTURERELEASE" in line]
    _, seconds, latest = line.split(" ")
    assert seconds == "86400"
    assert abs(datetime.fromisoformat(latest).timestamp() - time.time() - 86_400) < 10
    assert not any("FUTURERELEASE" in line for line in await told(system))
    wire = await greeted(system)
    await wire.play("C: MAIL FROM:<a@client.example> HOLDFOR=1\nS: 555 5.5.4 ...")


@pytest.mark.parametrize("settings", [{"hold_seconds": 0}])
async def test_an_operator_may_not_want_it(system: FrontAlone) -> None:
    assert not any("FUTURERELEASE" in line for line in await told(system, "submission"))


@pytest.mark.parametrize("how", ["HOLDFOR", "HOLDUNTIL"])
async def test_a_message_is_held(system: FrontAlone, how: str) -> None:
    ann = await system.person()
    parameter = f"{how}={3600 if how == 'HOLDFOR' else moment(3600)}"
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> {parameter}
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
    assert abs(delivery.request.hold_until - time.time() - 3600) < 60


async def test_what_is_past_is_sent_at_once(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    for parameter in ("HOLDUNTIL=2001-09-09T01:46:40Z", "HOLDFOR=0"):
        await wire.play(
            f"""
            C: MAIL FROM:<{ann.name}> {parameter}
            S: 250 2.1.0 ...
            C: RCPT TO:<{ann.name}>
            S: 250 2.1.5 ...
            C: DATA
            S: 354 ...
            C: .
            S: 250 2.0.0 ...
            """
        )
        assert system.store.messages[-1].request.hold_until == 0


@pytest.mark.parametrize(
    "parameters",
    [
        *("HOLDFOR", "HOLDFOR=", "HOLDFOR=-1", "HOLDFOR=1h", "HOLDFOR=9999999999", "HOLDUNTIL"),
        *("HOLDUNTIL=tomorrow", "HOLDUNTIL=2026-02-30T00:00:00Z", "HOLDUNTIL=2026-01-01"),
        *("HOLDUNTIL=2026-01-01T00:00:00", "HOLDFOR=1 HOLDUNTIL=2040-01-01T00:00:00Z"),
        *("HOLDFOR=999999999", "HOLDUNTIL=9999-01-01T00:00:00Z", "HOLDFOR=1 HOLDFOR=1"),
        "HOLDFOR=3600 BY=60;N",
    ],
)
async def test_what_can_not_be_held(system: System, parameters: str) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(f"C: MAIL FROM:<{ann.name}> {parameters}\nS: 501 5.5.4 ...")


@pytest.mark.parametrize("settings", [{"postmaster": "person1@example.org"}])
async def test_mail_for_people_here_waits_in_the_queue_like_any_other(system: FrontAlone) -> None:
    ann = await system.person()
    system.directory.add("list@example.org", forwards=("carol@elsewhere.example",))
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> HOLDFOR=3600
        S: 250 2.1.0 ...
        C: RCPT TO:<{ann.name}> NOTIFY=SUCCESS
        S: 250 2.1.5 ...
        C: RCPT TO:<postmaster>
        S: 250 2.1.5 ...
        C: RCPT TO:<list@example.org>
        S: 250 2.1.5 ...
        C: RCPT TO:<nobody@example.org>
        S: 550 5.1.1 ...
        C: DATA
        S: 354 ...
        C: Postroom-Copy: Sent
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages  # and no notice of success yet
    assert [one.address for one in delivery.queue] == [ann.name, "list@example.org"]
    assert [one.mailbox for one in delivery.local] == ["Sent"]
    assert system.store.content(delivery).startswith(b"Received: ")
