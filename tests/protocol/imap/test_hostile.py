"""Clients that say what nobody should: thousands of lines, made of the grammar and broken.

Nothing of it may go wrong here (SERVERBUG), end a connection by accident, or be in the way of the
next client.
"""

from __future__ import annotations

from random import Random

import pytest
from structlog.testing import capture_logs

from tests.harness import imap_grammar
from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.system import Imap

LINES = 40
CLIENTS = 100
PATIENT = {"bad_commands": 1_000_000, "login_failures": 1_000_000}
REFUSED = (b" BAD ", b" NO ", b"* BYE ")


async def talk(imap: Imap, alone: FrontAlone, random: Random, state: str) -> bytes:
    """What a client hears that says all in one go, and then no more."""
    client = await (imap.connect() if state == "not authenticated" else imap.login())
    if state == "selected":
        await client.ok("SELECT INBOX")
    said = b"".join(imap_grammar.hostile(random, b"t%d" % number) for number in range(LINES))
    await client.send(said)
    client.say_no_more()
    heard = await client.hear_all(None)
    await client.close()
    alone.forget(client)
    return heard


@pytest.mark.parametrize("bounds", [PATIENT])
@pytest.mark.parametrize("state", ["not authenticated", "authenticated", "selected"])
async def test_thousands_of_hostile_lines(imap: Imap, alone: FrontAlone, state: str) -> None:
    random, refused = Random(state), 0
    witness = await imap.select("Archive", messages=3)
    await imap.select(messages=3)
    with capture_logs() as logged:
        for _ in range(CLIENTS):
            heard = await talk(imap, alone, random, state)
            assert b"SERVERBUG" not in heard
            refused += sum(heard.count(word) for word in REFUSED)
            # Whoever was there is served all the while.
            await witness.ok("NOOP")
    assert [line for line in logged if line["log_level"] not in ("debug", "info")] == []
    assert refused > CLIENTS * LINES / 2
    client = await imap.login()
    await client.ok('LIST "" *')
    await client.append("INBOX", b"Subject: after all\r\n\r\n")
    assert await witness.ok("FETCH 1:* (UID)")
