"""MESSAGELIMIT, SAVELIMIT, UIDAFTER and UIDBEFORE (RFC 9738)."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap, small

few = pytest.mark.parametrize("bounds", [{"message_limit": 3, "save_limit": 3}])


async def five(imap: Imap) -> ImapClient:
    """Five messages with the UIDs 2 to 6."""
    client = await imap.select(messages=6)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    return client


async def told(client: ImapClient, command: str) -> tuple[list[str], str]:
    untagged, done = await client.transact(command)
    return untagged, done.split("]")[0] + "]"


@few
async def test_the_limits_are_told(imap: Imap) -> None:
    client = await imap.login()
    (capability,) = await client.ok("CAPABILITY")
    assert {"MESSAGELIMIT=3", "SAVELIMIT=3"} <= set(capability.split())


async def test_as_long_as_they_are_not_reached_nothing_is_said(imap: Imap) -> None:
    client = await imap.select(messages=3)
    assert "* CAPABILITY" in (await client.ok("CAPABILITY"))[0]
    _, done = await client.transact("FETCH 1:* UID")
    assert done == "OK FETCH completed"


@few
async def test_fetch(imap: Imap) -> None:
    client = await five(imap)
    assert await told(client, "FETCH 1:* UID") == (
        ["* 3 FETCH (UID 4)", "* 4 FETCH (UID 5)", "* 5 FETCH (UID 6)"],
        "OK [MESSAGELIMIT 3 4]",
    )
    # From there the client goes on.
    assert await told(client, "UID FETCH 1:3 UID") == (
        ["* 1 FETCH (UID 2)", "* 2 FETCH (UID 3)"],
        "OK FETCH completed]",
    )
    _, done = await told(client, "UID FETCH 1:* (UID) (PARTIAL 1:4)")
    assert done == "NO [MESSAGELIMIT 3]"
    untagged, _ = await told(client, "UID FETCH 1:* (UID) (PARTIAL -1:-3)")
    assert len(untagged) == 3


@few
async def test_store(imap: Imap) -> None:
    client = await five(imap)
    untagged, done = await told(client, "STORE 1:* +FLAGS (\\Flagged)")
    assert (len(untagged), done) == (3, "OK [MESSAGELIMIT 3 4]")
    assert await client.ok("SEARCH UID 1:3 FLAGGED") == ["* SEARCH"]
    untagged, done = await told(client, "STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (\\Answered)")
    assert done == "OK [MODIFIED 3:5]"
    assert untagged[-1].startswith("* NO [MESSAGELIMIT 3 4]")


@few
async def test_search(imap: Imap) -> None:
    client = await five(imap)
    assert await told(client, "SEARCH ALL") == (["* SEARCH 3 4 5"], "OK [MESSAGELIMIT 3 4]")
    assert await told(client, "UID SEARCH SUBJECT message") == (
        ["* SEARCH 4 5 6"],
        "OK [MESSAGELIMIT 3 4]",
    )
    # What the program's own sets leave out is not counted.
    assert await told(client, "SEARCH 1:2 SUBJECT message") == (
        ["* SEARCH 1 2"],
        "OK SEARCH completed]",
    )
    assert await told(client, "UID SEARCH UIDBEFORE 4") == (
        ["* SEARCH 2 3"],
        "OK SEARCH completed]",
    )


@few
async def test_sort_and_thread_are_done_whole_or_not_at_all(imap: Imap) -> None:
    client = await five(imap)
    assert await told(client, "SORT (SUBJECT) UTF-8 ALL") == ([], "NO [MESSAGELIMIT 3]")
    assert await told(client, "THREAD REFS UTF-8 ALL") == ([], "NO [MESSAGELIMIT 3]")
    assert await client.ok("SORT (SUBJECT) UTF-8 1:3") == ["* SORT 1 2 3"]


@few
async def test_copy_is_done_whole_or_not_at_all(imap: Imap) -> None:
    client = await five(imap)
    assert await told(client, "COPY 1:* Archive") == ([], "NO [MESSAGELIMIT 3]")
    assert await client.ok("STATUS Archive (MESSAGES)") == ["* STATUS Archive (MESSAGES 0)"]
    await client.ok("COPY 1:3 Archive")


@few
async def test_move(imap: Imap) -> None:
    client = await five(imap)
    untagged, done = await told(client, "MOVE 1:* Archive")
    assert done == "OK [MESSAGELIMIT 3 4]"
    assert untagged[0].startswith("* OK [COPYUID ")
    assert untagged[1:] == ["* 5 EXPUNGE", "* 4 EXPUNGE", "* 3 EXPUNGE"]


@few
async def test_uid_expunge_counts_what_is_deleted(imap: Imap) -> None:
    client = await five(imap)
    await client.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
    await client.ok("STORE 5 +FLAGS.SILENT (\\Deleted)")
    assert await told(client, "UID EXPUNGE 1:*") == (
        ["* 5 EXPUNGE", "* 3 EXPUNGE", "* 2 EXPUNGE"],
        "OK [MESSAGELIMIT 3 3]",
    )
    assert await told(client, "UID EXPUNGE 1:*") == (["* 1 EXPUNGE"], "OK EXPUNGE completed]")


@few
async def test_uid_expunge_of_what_is_gone_already(imap: Imap) -> None:
    client, other = await five(imap), await imap.select()
    await client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    await other.ok("UID EXPUNGE 2")
    assert await told(client, "UID EXPUNGE 1:*") == (
        ["* 2 EXPUNGE", "* 1 EXPUNGE"],
        "OK EXPUNGE completed]",
    )


@few
async def test_append(imap: Imap) -> None:
    client = await imap.login()
    literal = b" {%d+}\r\n%b" % (len(small(1)), small(1))
    await client.send(b"a APPEND INBOX" + 4 * literal + b"\r\n")
    await client.expect("a NO [MESSAGELIMIT 3] ...")
    assert await client.ok("STATUS INBOX (MESSAGES)") == ["* STATUS INBOX (MESSAGES 0)"]
    await client.send(b"b APPEND INBOX" + 3 * literal + b"\r\n")
    await client.expect("b OK [APPENDUID ...] ...")


async def test_uids_above_and_below(imap: Imap) -> None:
    client = await five(imap)
    assert await client.ok("UID SEARCH UIDAFTER 4") == ["* SEARCH 5 6"]
    assert await client.ok("UID SEARCH UIDAFTER 6") == ["* SEARCH"]
    assert await client.ok("SEARCH UIDBEFORE 3 SUBJECT message") == ["* SEARCH 1"]
    assert await client.ok("UID SEARCH UIDBEFORE 1") == ["* SEARCH"]
    assert await client.ok("UID SEARCH UIDAFTER 4294967295") == ["* SEARCH"]
    await client.bad("UID SEARCH UIDAFTER 0")
    await client.bad("UID SEARCH UIDBEFORE *")
