"""UIDBATCHES (draft-ietf-mailmaint-imap-uidbatches); what batches are, tests/unit/imap shows."""

from __future__ import annotations

import pytest

from tests.protocol.imap.system import Imap


async def test_batches(imap: Imap) -> None:
    client = await imap.select(messages=3)
    await client.send(b"A143 UIDBATCHES 2000\r\n")
    await client.expect('* UIDBATCHES (TAG "A143") 3:1', "A143 OK ...")
    await client.send(b"A302 UIDBATCHES 2000 1:20\r\n")
    await client.expect('* UIDBATCHES (TAG "A302") 3:1', "A302 OK ...")
    await client.send(b"A303 UIDBATCHES 2000 21:40\r\n")
    await client.expect('* UIDBATCHES (TAG "A303")', "A303 OK ...")


async def test_of_an_empty_mailbox(imap: Imap) -> None:
    client = await imap.select()
    await client.send(b"A144 UIDBATCHES 500\r\n")
    await client.expect('* UIDBATCHES (TAG "A144")', "A144 OK ...")


async def test_a_saved_result_stays(imap: Imap) -> None:
    client = await imap.select(messages=3)
    await client.ok("SEARCH RETURN (SAVE) 2")
    await client.ok("UIDBATCHES 500")
    assert await client.ok("FETCH $ UID") == ["* 2 FETCH (UID 2)"]


async def test_in_a_session_without_numbers(imap: Imap) -> None:
    client = await imap.select(messages=2)
    await client.ok("ENABLE UIDONLY")
    (told,) = await client.ok("UIDBATCHES 500")
    assert told.endswith(" 2:1")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("499", "NO [TOOFEW] ..."),
        ("500 1:10000", "NO [TOOMANY] ..."),
        ("100001 1:1", "NO [TOOMANY] ..."),
        ("500 20:10", "BAD [CLIENTBUG] ..."),
    ],
)
async def test_what_is_refused(imap: Imap, arguments: str, answer: str) -> None:
    client = await imap.select(messages=1)
    await client.send(f"r UIDBATCHES {arguments}\r\n".encode())
    await client.expect(f"r {answer}")


@pytest.mark.parametrize("arguments", ["", "0", "all", "500 1", "500 0:1", "500 1:*", "4294967296"])
async def test_what_is_not_understood(imap: Imap, arguments: str) -> None:
    client = await imap.select(messages=1)
    await client.bad(f"UIDBATCHES {arguments}".rstrip())
    await client.ok("UIDBATCHES 500")


async def test_it_needs_a_mailbox(imap: Imap) -> None:
    client = await imap.login()
    await client.bad("UIDBATCHES 500")
