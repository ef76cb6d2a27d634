"""COPY and MOVE."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import matches
from tests.protocol.imap.system import Imap


@pytest.mark.parametrize(("command", "numbers"), [("COPY", "1:2"), ("UID COPY", "1,2")])
async def test_copy(imap: Imap, command: str, numbers: str) -> None:
    client = await imap.select(messages=3)
    await client.ok("STORE 1 FLAGS.SILENT (\\Flagged $Work)")
    told, done = await client.transact(f"{command} {numbers} Trash")
    assert told == []
    assert matches(done, "OK [COPYUID ... 1:2 1:2] ...")
    assert "* 3 EXISTS" in await client.ok("SELECT INBOX")
    heard = await client.ok("SELECT Trash")
    assert "* 2 EXISTS" in heard
    flags = [line.replace(" \\Recent", "") for line in await client.ok("FETCH 1 FLAGS")]
    assert flags == ["* 1 FETCH (FLAGS (\\Flagged $Work))"]


async def test_copies_keep_their_date_and_bytes(imap: Imap) -> None:
    client = await imap.select(messages=1)
    wanted = await client.ok("FETCH 1 (INTERNALDATE BODY.PEEK[])")
    await client.ok("COPY 1 Trash")
    await client.ok("SELECT Trash")
    assert await client.ok("FETCH 1 (INTERNALDATE BODY.PEEK[])") == wanted


async def test_copy_into_the_selected_mailbox(imap: Imap) -> None:
    client = await imap.select(messages=2)
    told, done = await client.transact("COPY 1:2 INBOX")
    assert told[0] == "* 4 EXISTS"
    assert matches(done, "OK [COPYUID ... 1:2 3:4] ...")


@pytest.mark.parametrize("command", ["COPY 1", "UID COPY 1", "MOVE 1", "UID MOVE 1"])
async def test_the_target_is_missing(imap: Imap, command: str) -> None:
    client = await imap.select(messages=1)
    await client.no(f"{command} nowhere", "NO [TRYCREATE] ...")
    assert await client.ok("SEARCH ALL") == ["* SEARCH 1"]


async def test_nothing_to_copy(imap: Imap) -> None:
    client = await imap.select(messages=1)
    assert await client.ok("UID COPY 77 Trash") == []
    assert await client.ok("UID MOVE 77 Trash") == []
    await client.bad("COPY 2 Trash")
    await client.bad("MOVE 2 Trash")


async def test_move_tells_copyuid_before_it_expunges(imap: Imap) -> None:
    client = await imap.select(messages=4)
    other = await imap.select()
    told = await client.ok("MOVE 2:3 Trash")
    assert matches(told[0], "* OK [COPYUID ... 2:3 1:2] ...")
    assert told[1:] == ["* 3 EXPUNGE", "* 2 EXPUNGE"]
    assert await other.ok("NOOP") == ["* 3 EXPUNGE", "* 2 EXPUNGE"]
    assert await client.ok("UID SEARCH ALL") == ["* SEARCH 1 4"]
    assert "* 2 EXISTS" in await client.ok("SELECT Trash")


async def test_uid_move(imap: Imap) -> None:
    client = await imap.select(messages=2)
    told = await client.ok("UID MOVE 2 Trash")
    assert matches(told[0], "* OK [COPYUID ... 2 1] ...")
    assert told[1:] == ["* 2 EXPUNGE"]


async def test_move_into_the_same_mailbox_gives_new_uids(imap: Imap) -> None:
    client = await imap.select(messages=2)
    await client.ok("MOVE 1 INBOX")
    await client.ok("NOOP")
    assert await client.ok("UID SEARCH ALL") == ["* SEARCH 2 3"]


async def test_nothing_is_moved_out_of_a_mailbox_that_is_examined(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.ok("EXAMINE INBOX")
    await client.no("MOVE 1 Trash")
    await client.ok("COPY 1 Trash")
    assert await client.ok("SEARCH ALL") == ["* SEARCH 1"]
