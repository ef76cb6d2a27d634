"""ETRN (RFC 1985): what waits for a domain is sent because its server is there again."""

from __future__ import annotations

import pytest
from postroom_chassis.errors import Kind, PostroomError

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, elsewhere, greeted, told

RELAY = {"relay_domains": "uu.example, other.example", "trusted_networks": "192.0.2.0/24"}


async def test_it_is_not_offered_where_there_are_no_such_domains(system: System) -> None:
    assert "ETRN" not in await told(system)
    await (await greeted(system)).play("C: ETRN uu.example\nS: 502 5.5.1 ...")


@pytest.mark.parametrize("settings", [RELAY])
async def test_the_examples_of_rfc_1985_section_6(system: FrontAlone) -> None:
    assert "ETRN" in await told(system)
    assert "ETRN" not in await told(system, "submission")
    system.waiting.domains["uu.example"] = 14
    wire = await greeted(system)
    await wire.play(
        """
        C: ETRN
        S: 501 5.5.4 ...
        C: ETRN foo.example
        S: 459 4.7.1 ...
        C: ETRN #queue
        S: 459 4.7.1 ...
        C: ETRN UU.example
        S: 253 2.0.0 OK, 14 pending messages for node uu.example started
        C: ETRN uu.example
        S: 250 2.0.0 ...
        C: ETRN other.example
        S: 251 2.0.0 ...
        """
    )
    # Asked again within a minute, a stranger changes nothing.
    assert system.waiting.asked == [("uu.example", False), ("other.example", False)]


@pytest.mark.parametrize("settings", [RELAY])
async def test_who_is_trusted_may_ask_for_every_domain(system: FrontAlone) -> None:
    wire = await elsewhere(system, address="192.0.2.9")
    await wire.play(
        "C: ETRN @foo.example\nS: 251 2.0.0 ...\nC: ETRN @foo.example\nS: 251 2.0.0 ..."
    )
    system.waiting.fault = PostroomError(Kind.UNAVAILABLE, "away")
    await wire.play("C: ETRN foo.example\nS: 458 4.3.0 ...")
    assert system.waiting.asked == [("foo.example", True)] * 2 + [("foo.example", False)]


@pytest.mark.parametrize("settings", [RELAY])
@pytest.mark.parametrize(
    "node", ["", "@", "a b", "-a.example", "a..b\u00fc", "x" * 300, "<uu.example>"]
)
async def test_what_is_no_node(system: FrontAlone, node: str) -> None:
    wire = await greeted(system)
    await wire.play(f"C: ETRN {node}\nS: 501 5.5.4 ...")


@pytest.mark.parametrize("settings", [RELAY])
async def test_ehlo_comes_first(system: FrontAlone) -> None:
    wire = await system.connect()
    await wire.play("S: 220 ...\nC: ETRN uu.example\nS: 503 5.5.1 ...")
