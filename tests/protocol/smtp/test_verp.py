"""XVERP: each recipient elsewhere has a reverse-path of its own (Postfix's VERP_README)."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told
from tests.protocol.smtp.test_submission import signed_in


async def test_it_is_offered_to_our_people(system: System) -> None:
    assert "XVERP" in await told(system, "submission")
    assert "XVERP" not in await told(system)
    wire = await greeted(system)
    await wire.play(
        """
        C: MAIL FROM:<a@client.example> XVERP
        S: 555 5.5.4 ...
        """
    )


@pytest.mark.parametrize(
    ("asked", "marks"), [("XVERP", "+="), ("XVERP=-=", "-="), ("xverp==+", "=+")]
)
async def test_a_bounce_says_whose_it_is(system: FrontAlone, asked: str, marks: str) -> None:
    ann, bob = await system.person(), await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> {asked}
        S: 250 2.1.0 ...
        C: RCPT TO:<c@elsewhere.example>
        S: 250 2.1.5 ...
        C: RCPT TO:<d@another.example>
        S: 250 2.1.5 ...
        C: RCPT TO:<{bob.name}>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    local, _, domain = ann.name.partition("@")
    assert [one.sender for one in delivery.queue] == [
        f"{local}{marks[0]}c{marks[1]}elsewhere.example@{domain}",
        f"{local}{marks[0]}d{marks[1]}another.example@{domain}",
    ]
    assert (delivery.sender, len(delivery.local)) == (ann.name, 1)


@pytest.mark.parametrize("value", ["XVERP=", "XVERP=+", "XVERP=+=+", "XVERP=ab", "XVERP XVERP"])
async def test_other_delimiters_are_refused(system: System, value: str) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> {value}
        S: 501 5.5.4 ...
        C: MAIL FROM:<{ann.name}>
        S: 250 ...
        """
    )


async def test_nobody_has_no_name_to_add_to(system: FrontAlone) -> None:
    """The null reverse-path stays: nothing is to come back."""
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        """
        C: MAIL FROM:<> XVERP
        S: 250 ...
        C: RCPT TO:<c@elsewhere.example>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    (queued,) = delivery.queue
    assert not queued.sender
