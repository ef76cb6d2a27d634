"""UIDONLY (RFC 9586): messages have no numbers any more."""

from __future__ import annotations

import re

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap


async def uid_only(imap: Imap, *, messages: int = 0) -> ImapClient:
    """A client that has enabled it, with INBOX selected; its first message is expunged."""
    client = await imap.select(messages=messages + 1)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("CLOSE")
    assert await client.ok("ENABLE UIDONLY") == ["* ENABLED UIDONLY"]
    await client.ok("SELECT INBOX")
    return client


async def test_fetch(imap: Imap) -> None:
    client = await uid_only(imap, messages=3)
    assert await client.ok("UID FETCH 2:3 (FLAGS)") == [
        "* 2 UIDFETCH (FLAGS ())",
        "* 3 UIDFETCH (FLAGS ())",
    ]
    assert await client.ok("UID FETCH 4 (UID)") == ["* 4 UIDFETCH (UID 4)"]
    (told,) = await client.ok("UID FETCH 4 (BODY[TEXT])")
    assert told.startswith("* 4 UIDFETCH (FLAGS (\\Seen) BODY[TEXT] {")


async def test_store_and_expunge(imap: Imap) -> None:
    client = await uid_only(imap, messages=3)
    other = await imap.select()
    assert await client.ok("UID STORE 2,4 +FLAGS (\\Deleted)") == [
        "* 2 UIDFETCH (FLAGS (\\Deleted))",
        "* 4 UIDFETCH (FLAGS (\\Deleted))",
    ]
    assert await client.ok("UID EXPUNGE 2") == ["* VANISHED 2"]
    assert await client.ok("EXPUNGE") == ["* VANISHED 4"]
    await other.ok("UID STORE 3 +FLAGS (\\Flagged)")
    assert await client.ok("NOOP") == ["* 3 UIDFETCH (FLAGS (\\Flagged))"]


async def test_with_modseqs(imap: Imap) -> None:
    client = await uid_only(imap, messages=2)
    await client.ok("ENABLE CONDSTORE")
    (told,) = await client.ok("UID STORE 3 +FLAGS.SILENT (\\Seen)")
    assert re.fullmatch(r"\* 3 UIDFETCH \(MODSEQ \(\d+\)\)", told)


async def test_search(imap: Imap) -> None:
    client = await uid_only(imap, messages=2)
    assert await client.ok("UID SEARCH UID 3") == ["* SEARCH 3"]


@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 (FLAGS)",
        "STORE 1 +FLAGS (\\Seen)",
        "COPY 1 Trash",
        "MOVE 1 Trash",
        "SEARCH ALL",
        "UID SEARCH 1",
        "UID SEARCH OR SEEN NOT (1:3 DRAFT)",
    ],
)
async def test_numbers_are_refused(imap: Imap, command: str) -> None:
    client = await uid_only(imap, messages=2)
    untagged, done = await client.transact(command)
    assert (untagged, done.split("]")[0]) == ([], "BAD [UIDREQUIRED")


async def test_what_is_known_by_number_is_refused(imap: Imap) -> None:
    client = await uid_only(imap, messages=1)
    await client.ok("ENABLE QRESYNC")
    _, done = await client.transact("SELECT INBOX (QRESYNC (1 1 1:3 (1 1)))")
    assert done.startswith("BAD [UIDREQUIRED]")
