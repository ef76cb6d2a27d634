"""VRFY and EXPN (RFC 5321 sections 3.5 and 4.1.1.6): they tell nothing unless they are to."""

from __future__ import annotations

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_smtp.ports import Account

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told


async def test_they_tell_nothing(system: System) -> None:
    ann = await system.person()
    assert not {"VRFY", "EXPN"} & set(await told(system))
    wire = await greeted(system)
    await wire.play(
        f"""
        C: VRFY {ann.name}
        S: 252 2.5.2 ...
        C: VRFY nobody@{system.domain}
        S: 252 2.5.2 ...
        C: VRFY
        S: 501 5.5.4 ...
        C: EXPN {ann.name}
        S: 502 5.5.1 ...
        """
    )


@pytest.mark.parametrize("settings", [{"vrfy": True, "expn": True}])
async def test_where_they_are_switched_on(system: FrontAlone) -> None:
    assert {"VRFY", "EXPN"} <= set(await told(system))
    ann, bob = await system.person(), await system.person()
    accounts = [system.directory.addresses[one.name].accounts[0] for one in (ann, bob)]
    system.directory.add("list@example.org", *accounts, forwards=("carol@elsewhere.example",))
    wire = await greeted(system)
    await wire.play(
        f"""
        C: VRFY {ann.name}
        S: 250 2.1.5 <{ann.name}>
        C: VRFY <{ann.name}>
        S: 250 2.1.5 <{ann.name}>
        C: VRFY nobody@{system.domain}
        S: 550 5.1.1 ...
        C: VRFY b@elsewhere.example
        S: 252 2.5.2 ...
        C: VRFY ann
        S: 501 5.5.4 ...
        C: EXPN list@example.org
        S: 250-2.1.5 <{ann.name}>
        S: 250-2.1.5 <{bob.name}>
        S: 250 2.1.5 <carol@elsewhere.example>
        C: EXPN nobody@{system.domain}
        S: 550 5.1.1 ...
        C: EXPN
        S: 501 5.5.4 ...
        C: EXPN b@elsewhere.example
        S: 550 5.1.1 ...
        """
    )
    system.directory.fault = PostroomError(Kind.UNAVAILABLE, "away")
    await wire.play(
        f"C: VRFY {ann.name}\nS: 451 4.3.0 ...\nC: EXPN list@example.org\nS: 451 4.3.0 ..."
    )


@pytest.mark.parametrize("settings", [{"vrfy": True}])
async def test_one_without_the_other(system: FrontAlone) -> None:
    system.directory.add("ann@example.org", Account(1, "ann@example.org"))
    wire = await greeted(system)
    await wire.play(
        "C: VRFY ann@example.org\nS: 250 ...\nC: EXPN ann@example.org\nS: 502 5.5.1 ..."
    )


@pytest.mark.parametrize("settings", [{"vrfy": True, "expn": True}])
async def test_addresses_beyond_ascii(system: FrontAlone) -> None:
    """RFC 6531 section 3.7.4.2."""
    joerg = "j\u00f6rg@example.org"
    system.directory.add(joerg, Account(7, joerg))
    wire = await greeted(system)
    await wire.play(
        f"""
        C: VRFY {joerg}
        S: 553 5.6.7 ...
        C: EXPN {joerg}
        S: 553 5.6.7 ...
        C: VRFY {joerg} SMTPUTF8
        S: 250 2.1.5 <{joerg}>
        C: EXPN <{joerg}> SMTPUTF8
        S: 250 2.1.5 <{joerg}>
        C: VRFY {joerg} SMTPUTF8 SMTPUTF8
        S: 501 5.5.4 ...
        """
    )
