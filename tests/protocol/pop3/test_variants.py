"""APOP (RFC 1939 section 7) and RPOP (RFC 1081), where an operator wants them."""

from __future__ import annotations

import hashlib
import re

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_pop3.ports import APOP, RPOP

from tests.protocol.pop3.conftest import FrontAlone
from tests.protocol.pop3.system import Person
from tests.protocol.wire import Wire

TIMESTAMP = re.compile(r"<[0-9a-f]{32}\.[0-9]+@[a-z]+>")
NO_DIGEST = "0" * 32


def digest(timestamp: str, secret: str) -> str:
    return hashlib.md5((timestamp + secret).encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def variants(system: FrontAlone) -> FrontAlone:
    system.authenticator.commands = frozenset({APOP, RPOP})
    return system


async def greeted(system: FrontAlone, listener: str = "pop3") -> tuple[Wire, str]:
    """A connection and its greeting's timestamp."""
    wire = await system.connect(listener)
    found = TIMESTAMP.search(await wire.hear())
    assert found
    return wire, found[0]


async def test_nobody_is_greeted_with_a_timestamp_unless_an_operator_wants_it(
    system: FrontAlone,
) -> None:
    wire = await system.connect()
    assert "<" not in await wire.hear()
    await wire.play(
        f"C: APOP ann {NO_DIGEST}\nS: -ERR no such command\nC: RPOP x\nS: -ERR no such command"
    )
    assert system.authenticator.clients == []


async def test_apop(variants: FrontAlone) -> None:
    person = await variants.person(b"1\r\n")
    wire, timestamp = await greeted(variants)
    await wire.play(
        f"""
        C: APOP {person.name} {digest(timestamp, person.password)}
        S: +OK 1 messages (3 octets)
        C: APOP {person.name} {digest(timestamp, person.password)}
        S: -ERR not now
        """
    )


async def test_every_greeting_is_another_and_no_digest_serves_twice(variants: FrontAlone) -> None:
    person = await variants.person()
    stamps = {(await greeted(variants))[1] for _ in range(20)}
    assert len(stamps) == 20
    _, heard = await greeted(variants)
    wire, _ = await greeted(variants)
    await wire.play(
        f"""
        C: APOP {person.name} {digest(heard, person.password)}
        S: -ERR [AUTH] ...
        C: NOOP
        S: +OK
        """
    )


async def test_apop_goes_on_after_a_mistake_and_ends_after_many(variants: FrontAlone) -> None:
    person = await variants.person()
    wire, timestamp = await greeted(variants)
    for _ in range(4):
        await wire.play(f"C: APOP {person.name} {NO_DIGEST}\nS: -ERR [AUTH] ...")
    await wire.play(f"C: APOP {person.name} {digest(timestamp, person.password)}\nS: +OK ...")
    wire, _ = await greeted(variants)
    for _ in range(5):
        await wire.play(f"C: APOP {person.name} {NO_DIGEST}\nS: -ERR [AUTH] ...")
    await wire.expect("(closed)")


async def test_apop_in_clear_text_shows_nothing_and_is_taken(variants: FrontAlone) -> None:
    person = await variants.person()
    wire = await variants.connect("pop3-proxy")
    await wire.say("PROXY TCP4 192.0.2.7 127.0.0.1 50000 110")
    found = TIMESTAMP.search(await wire.hear())
    assert found
    await wire.play(f"C: APOP {person.name} {digest(found[0], person.password)}\nS: +OK ...")


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("APOP", "-ERR a name and a digest are needed"),
        ("APOP ann", "-ERR a name and a digest are needed"),
        ("APOP  " + NO_DIGEST, "-ERR an argument is needed"),
        ("APOP a\0b " + NO_DIGEST, "-ERR an argument is needed"),
        ("APOP " + "a" * 20_000, "-ERR that line is too long"),
        ("RPOP", "-ERR an argument is needed"),
        ("RPOP id", "-ERR USER comes first"),
    ],
)
async def test_what_is_no_digest_and_no_id_is_refused(
    variants: FrontAlone, said: str, heard: str
) -> None:
    wire, _ = await greeted(variants)
    await wire.play(f"C: {said}\nS: {heard}\nC: NOOP\nS: +OK")


async def test_garbage_is_no_name(variants: FrontAlone) -> None:
    wire, _ = await greeted(variants)
    await wire.send(b"APOP \xff\xfe " + NO_DIGEST.encode() + b"\r\n")
    await wire.play("S: -ERR that is not UTF-8\nC: NOOP\nS: +OK")


async def test_rpop(variants: FrontAlone) -> None:
    person = await variants.person(b"1\r\n")
    wire, _ = await greeted(variants)
    await wire.play(
        f"""
        C: USER {person.name}
        S: +OK ...
        C: RPOP wrong
        S: -ERR [AUTH] ...
        C: RPOP {person.password}
        S: -ERR USER comes first
        C: USER {person.name}
        S: +OK ...
        C: RPOP {person.password}
        S: +OK 1 messages (3 octets)
        """
    )


async def test_a_user_that_apop_follows_is_forgotten(variants: FrontAlone) -> None:
    person = await variants.person()
    wire, _ = await greeted(variants)
    await wire.play(
        f"""
        C: USER {person.name}
        S: +OK ...
        C: APOP {person.name} {NO_DIGEST}
        S: -ERR [AUTH] ...
        C: PASS {person.password}
        S: -ERR USER comes first
        """
    )


async def test_while_auth_is_away_the_greeting_comes_all_the_same(variants: FrontAlone) -> None:
    variants.authenticator.fault = PostroomError(Kind.UNAVAILABLE, "away")
    wire = await variants.connect()
    assert "<" not in await wire.hear()


async def test_the_timestamp_outlives_stls(variants: FrontAlone) -> None:
    person: Person = await variants.person()
    wire, timestamp = await greeted(variants)
    await wire.play("C: STLS\nS: +OK ...")
    await wire.start_tls(variants.tls)
    await wire.play(f"C: APOP {person.name} {digest(timestamp, person.password)}\nS: +OK ...")
