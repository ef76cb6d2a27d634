"""CONDSTORE (RFC 7162 section 3.1): modseqs are told, asked for, and make STORE conditional."""

from __future__ import annotations

import re

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap


def modseq_of(lines: list[str]) -> int:
    """The modseq in the last line that has one."""
    found = re.findall(r"(?:HIGHEST)?MODSEQ \(?(\d+)", "\n".join(lines))
    assert found, lines
    return int(found[-1])


async def highest(client: ImapClient) -> int:
    """What SELECT says."""
    return modseq_of(await client.ok("SELECT INBOX"))


async def test_select_tells_the_highest_modseq(imap: Imap) -> None:
    client = await imap.select(messages=1)
    before = await highest(client)
    await client.append("INBOX", b"\r\n")
    assert await highest(client) > before


@pytest.mark.parametrize(
    "command",
    [
        "ENABLE CONDSTORE",
        "SELECT INBOX (CONDSTORE)",
        "EXAMINE INBOX (CONDSTORE)",
        "STATUS INBOX (HIGHESTMODSEQ)",
        "FETCH 1 (MODSEQ)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
        "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Draft)",
        "SEARCH MODSEQ 1",
    ],
)
async def test_each_command_that_turns_to_modseqs(imap: Imap, command: str) -> None:
    client = await imap.select(messages=2)
    other = await imap.select()
    told = await client.ok(command)
    assert any("MODSEQ" in line or "ENABLED" in line for line in told)
    await other.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")
    (news,) = await client.ok("NOOP")
    assert re.fullmatch(r"\* 2 FETCH \(UID 2 MODSEQ \(\d+\) FLAGS \(\\Flagged\)\)", news)


async def test_turning_to_modseqs_tells_where_the_selected_mailbox_stands(imap: Imap) -> None:
    client = await imap.select(messages=1)
    now = await highest(client)
    assert await client.ok("ENABLE CONDSTORE") == [
        f"* OK [HIGHESTMODSEQ {now}] Highest",
        "* ENABLED CONDSTORE",
    ]
    assert await client.ok("ENABLE CONDSTORE") == ["* ENABLED"]


async def test_fetch(imap: Imap) -> None:
    client = await imap.select(messages=3)
    await client.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")
    told = await client.ok("FETCH 1:3 (MODSEQ)")
    first, second, third = (modseq_of([line]) for line in told[1:])
    assert first < third < second
    assert told[0] == f"* OK [HIGHESTMODSEQ {second}] Highest"
    assert await client.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {first})") == [
        f"* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ ({second}))",
        f"* 3 FETCH (UID 3 FLAGS () MODSEQ ({third}))",
    ]
    assert await client.ok(f"FETCH 1:* (UID) (CHANGEDSINCE {second})") == []


async def test_what_sets_seen_tells_its_modseq(imap: Imap) -> None:
    client = await imap.select(messages=1)
    before = modseq_of(await client.ok("ENABLE CONDSTORE"))
    (told,) = await client.ok("FETCH 1 BODY[TEXT]")
    assert re.match(r"\* 1 FETCH \(FLAGS \(\\Seen\) MODSEQ \(\d+\) BODY\[TEXT\] ", told)
    assert modseq_of([told]) > before


async def test_store_tells_modseqs_even_if_silent(imap: Imap) -> None:
    client = await imap.select(messages=2)
    await client.ok("ENABLE CONDSTORE")
    (told,) = await client.ok("STORE 1 +FLAGS (\\Seen)")
    assert re.fullmatch(r"\* 1 FETCH \(UID 1 FLAGS \(\\Seen\) MODSEQ \(\d+\)\)", told)
    (silent,) = await client.ok("UID STORE 2 +FLAGS.SILENT (\\Seen)")
    assert re.fullmatch(r"\* 2 FETCH \(UID 2 MODSEQ \(\d+\)\)", silent)


async def test_conditional_store(imap: Imap) -> None:
    """RFC 7162 section 3.1.3, examples 3 to 10, in our numbers."""
    client = await imap.select(messages=3)
    other = await imap.select()
    seen = modseq_of(await client.ok("ENABLE CONDSTORE"))
    await other.ok("STORE 2 +FLAGS.SILENT (\\Answered)")
    told, done = await client.transact(f"STORE 1:3 (UNCHANGEDSINCE {seen}) +FLAGS.SILENT ($Done)")
    assert done.startswith("OK [MODIFIED 2] ")
    assert [line.split(" (")[0] for line in told] == [
        "* FLAGS",
        "* 2 FETCH",
        "* 1 FETCH",
        "* 3 FETCH",
    ]
    assert "FLAGS (\\Answered)" in told[1]
    later = modseq_of(told)
    told, done = await client.transact(f"UID STORE 2 (UNCHANGEDSINCE {later}) +FLAGS ($Done)")
    assert done.startswith("OK STORE")
    assert re.fullmatch(
        r"\* 2 FETCH \(UID 2 FLAGS \(\\Answered \$Done\) MODSEQ \(\d+\)\)", told[-1]
    )
    told, done = await client.transact("UID STORE 1,3 (UNCHANGEDSINCE 0) +FLAGS (\\Deleted)")
    assert (told, done.startswith("OK [MODIFIED 1,3] ")) == ([], True)


async def test_conditional_store_of_a_message_that_is_gone(imap: Imap) -> None:
    client = await imap.select(messages=2)
    other = await imap.select()
    seen = modseq_of(await client.ok("ENABLE CONDSTORE"))
    await other.ok("STORE 1 FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    _, done = await client.transact(f"STORE 1:2 (UNCHANGEDSINCE {seen}) +FLAGS (\\Seen)")
    assert done.startswith("NO [EXPUNGEISSUED]")


async def test_search(imap: Imap) -> None:
    client = await imap.select(messages=4)
    await client.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")
    seen = modseq_of(await client.ok("FETCH 3 (MODSEQ)"))
    now = await highest(client)
    assert await client.ok(f"SEARCH MODSEQ {seen}") == [f"* SEARCH 2 3 4 (MODSEQ {now})"]
    assert await client.ok(f'UID SEARCH MODSEQ "/flags/\\\\draft" all {now}') == [
        f"* SEARCH 2 (MODSEQ {now})"
    ]
    assert await client.ok(f"SEARCH MODSEQ {now + 1}") == ["* SEARCH"]
    assert await client.ok(f"SEARCH OR SUBJECT nothing MODSEQ {now}") == [
        f"* SEARCH 2 (MODSEQ {now})"
    ]
    await client.send(f"e SEARCH RETURN (MIN MAX) MODSEQ {seen}\r\n".encode())
    told, _ = await client.finish("e")
    assert re.fullmatch(r'\* ESEARCH \(TAG "e"\) MIN 2 MAX 4 MODSEQ \d+', told[0])
    assert modseq_of(told) == now
    await client.send(f"f SEARCH RETURN (MAX) MODSEQ {seen}\r\n".encode())
    told, _ = await client.finish("f")
    assert seen < modseq_of(told) < now  # of the one that is named


@pytest.mark.parametrize(
    "command",
    [
        "STORE 1 (UNCHANGEDSINCE) +FLAGS (\\Seen)",
        "STORE 1 (UNCHANGEDSINCE -1) +FLAGS (\\Seen)",
        "STORE 1 (SINCE 1) +FLAGS (\\Seen)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE x)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 1 (FLAGS) (VANISHED)",
        "SEARCH MODSEQ",
        'SEARCH MODSEQ "/flags/\\\\seen" mine 1',
        "SELECT INBOX (CONDSTORES)",
        "SELECT INBOX ()",
    ],
)
async def test_what_is_not_understood(imap: Imap, command: str) -> None:
    client = await imap.select(messages=1)
    await client.bad(command)
    assert await client.ok("NOOP") == []
