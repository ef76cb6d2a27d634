"""PIPELINING (RFC 2920): groups of commands, and recipients that are resolved together."""

from __future__ import annotations

import asyncio

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_smtp.ports import Resolution

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, elsewhere, greeted, told


async def test_it_is_offered(system: System) -> None:
    assert "PIPELINING" in await told(system)


async def test_the_example_of_rfc_2920_section_4_1(system: System) -> None:
    ann, bob = await system.person(), await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<mrose@dbc.mtview.ca.example>
        C: RCPT TO:<{ann.name}>
        C: RCPT TO:<nobody@{system.domain}>
        C: RCPT TO:<{bob.name}>
        C: DATA
        S: 250 2.1.0 ...
        S: 250 2.1.5 ...
        S: 550 5.1.1 ...
        S: 250 2.1.5 ...
        S: 354 ...
        C: Subject: both
        C: .
        C: QUIT
        S: 250 2.0.0 ...
        S: 221 2.0.0 ...
        S: (closed)
        """
    )
    assert [len(await system.inbox(person)) for person in (ann, bob)] == [1, 1]


async def test_a_group_without_anybody_ends_with_data_refused(system: System) -> None:
    """RFC 2920 section 3.1: the client must be ready for 354 after all recipients failed."""
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<nobody@{system.domain}>
        C: RCPT TO:<no-one@{system.domain}>
        C: DATA
        S: 250 2.1.0 ...
        S: 550 5.1.1 ...
        S: 550 5.1.1 ...
        S: 503 5.5.1 ...
        """
    )


async def test_recipients_of_a_group_are_resolved_together(system: FrontAlone) -> None:
    """None is answered for before all have been asked for: one after the other would never end."""
    people = [await system.person() for _ in range(20)]
    asked, all_asked = 0, asyncio.Event()
    resolve = system.directory.resolve

    async def resolve_all(address: str) -> Resolution:
        nonlocal asked
        asked += 1
        if asked == len(people):
            all_asked.set()
        async with asyncio.timeout(10):
            await all_asked.wait()
        return await resolve(address)

    system.directory.resolve = resolve_all  # type: ignore[method-assign]
    wire = await greeted(system)
    group = "MAIL FROM:<a@client.example>\r\n"
    group += "".join(f"RCPT TO:<{person.name}>\r\n" for person in people)
    await wire.send(f"{group}DATA\r\n".encode())
    await wire.expect("250 2.1.0 ...")
    for _ in people:
        await wire.expect("250 2.1.5 ...")
    await wire.play("S: 354 ...\nC: .\nS: 250 2.0.0 ...")
    assert asked == len(people)  # and each once
    (delivery,) = system.store.messages
    assert len(delivery.local) == len(people)


async def test_each_is_answered_for_itself_and_in_order(system: FrontAlone) -> None:
    ann, full = await system.person(), await system.person(full=True)
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<{full.name}>
        C: RCPT TO:<nonsense
        C: RCPT TO:<b@elsewhere.example>
        C: RCPT TO:<{ann.name}> ODD=1
        C: RCPT TO:<{ann.name}>
        C: RCPT TO:<{ann.name}>
        C: RCPT TO:<nobody@{system.domain}>
        C: RCPT TO:<\u00fc@{system.domain}>
        C: NOOP
        S: 250 2.1.0 ...
        S: 452 4.2.2 ...
        S: 501 5.1.3 ...
        S: 554 5.7.1 ...
        S: 555 5.5.4 ...
        S: 250 2.1.5 ...
        S: 250 2.1.5 ...
        S: 550 5.1.1 ...
        S: 553 5.6.7 ...
        S: 250 2.0.0 OK
        """
    )


@pytest.mark.parametrize("behind", ["", "DATA", "NOOP", "RSET"])
async def test_what_was_found_out_ahead_is_not_kept(system: FrontAlone, behind: str) -> None:
    wire = await greeted(system)
    system.directory.fault = PostroomError(Kind.UNAVAILABLE, "away")
    ann = await system.person()
    group = f"MAIL FROM:<a@client.example>\r\nRCPT TO:<{ann.name}>\r\nRCPT TO:<b@example.org>\r\n"
    await wire.send(f"{group}{behind}\r\n".encode() if behind else group.encode())
    await wire.play("S: 250 2.1.0 ...\nS: 451 4.3.0 ...\nS: 451 4.3.0 ...")
    if behind:
        await wire.hear()
    if behind == "RSET":
        await wire.play("C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 ...")
    system.directory.fault = None
    await wire.play(f"C: RCPT TO:<{ann.name}>\nS: 250 2.1.5 ...")


@pytest.mark.parametrize("first", ["EHLO again", "DATA", "STARTTLS", "AUTH PLAIN"])
async def test_strangers_wait_for_their_turn(system: System, first: str) -> None:
    """What follows these can't have been written by whoever heard their answer (RFC 2920 3.1)."""
    wire = await elsewhere(system)
    await wire.send(f"{first}\r\nNOOP\r\n".encode())
    await wire.play("S: 554 5.5.1 ...\nS: (closed)")


async def test_strangers_may_pipeline_what_may_be(system: System) -> None:
    ann = await system.person()
    wire = await elsewhere(system)
    await wire.send(
        b"RSET\r\nMAIL FROM:<a@client.example>\r\n" + f"RCPT TO:<{ann.name}>\r\nDATA\r\n".encode()
    )
    await wire.play("S: 250 ...\nS: 250 ...\nS: 250 ...\nS: 354 ...")
    await wire.send(b".\r\nMAIL FROM:<a@client.example>\r\nQUIT\r\n")
    await wire.play("S: 250 ...\nS: 250 ...\nS: 221 ...\nS: (closed)")
