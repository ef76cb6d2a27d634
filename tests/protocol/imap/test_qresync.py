"""QRESYNC (RFC 7162 section 3.2): a client that was away hears what it missed, and no more."""

from __future__ import annotations

import re

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap
from tests.protocol.imap.test_condstore import modseq_of


async def resync(imap: Imap, *, messages: int = 0) -> tuple[ImapClient, str, int]:
    """A client with QRESYNC and INBOX selected; what it knows: UID validity, highest modseq."""
    client = await imap.select(messages=messages)
    assert await client.ok("ENABLE QRESYNC") == [
        f"* OK [HIGHESTMODSEQ {modseq_of(await client.ok('EXAMINE INBOX'))}] Highest",
        "* ENABLED QRESYNC",
    ]
    told = "\n".join(await client.ok("SELECT INBOX"))
    validity = re.search(r"UIDVALIDITY (\d+)", told)
    assert validity
    return client, validity[1], modseq_of([told])


def missed(told: list[str]) -> list[str]:
    """What SELECT tells beyond the usual, with modseqs left out."""
    return [
        re.sub(r" MODSEQ \(\d+\)", "", line)
        for line in told
        if " FETCH " in line or "VANISHED" in line
    ]


async def expunge(client: ImapClient, uids: str) -> None:
    await client.ok(f"UID STORE {uids} +FLAGS.SILENT (\\Deleted)")
    await client.ok(f"UID EXPUNGE {uids}")


async def test_select_tells_what_happened_meanwhile(imap: Imap) -> None:
    client, validity, seen = await resync(imap, messages=10)
    other = await imap.select()
    await expunge(other, "2,4:6")
    await other.ok("UID STORE 7 +FLAGS.SILENT (\\Flagged)")
    await other.append("INBOX", b"\r\n")
    told = await client.ok(f"SELECT INBOX (QRESYNC ({validity} {seen}))")
    assert told[0] == "* OK [CLOSED] The mailbox before is closed"
    assert "* 7 EXISTS" in told
    assert missed(told) == [
        "* VANISHED (EARLIER) 2,4:6",
        "* 3 FETCH (UID 7 FLAGS (\\Flagged))",
        "* 7 FETCH (UID 11 FLAGS ())",
    ]
    assert modseq_of(told) > seen


async def test_select_with_what_the_client_knows(imap: Imap) -> None:
    client, validity, seen = await resync(imap, messages=10)
    other = await imap.select()
    await expunge(other, "2,4:6")
    await other.ok("UID STORE 1,7 +FLAGS.SILENT (\\Flagged)")
    told = await client.ok(f"SELECT INBOX (QRESYNC ({validity} {seen} 5:9))")
    assert missed(told) == ["* VANISHED (EARLIER) 5:6", "* 3 FETCH (UID 7 FLAGS (\\Flagged))"]
    told = await client.ok(f"SELECT INBOX (QRESYNC ({validity} {seen} 1:9 (1,3 1,3)))")
    assert missed(told)[0] == "* VANISHED (EARLIER) 2,4:6"
    told = await client.ok(f"EXAMINE INBOX (QRESYNC ({validity} {seen} (1,3 1,3)))")
    assert missed(told)[0] == "* VANISHED (EARLIER) 2,4:6"


async def test_nothing_missed(imap: Imap) -> None:
    client, validity, seen = await resync(imap, messages=3)
    assert missed(await client.ok(f"SELECT INBOX (QRESYNC ({validity} {seen}))")) == []
    assert missed(await client.ok(f"SELECT INBOX (QRESYNC ({validity} {seen + 100}))")) == []


async def test_another_uid_validity_makes_it_a_plain_select(imap: Imap) -> None:
    client, validity, _ = await resync(imap, messages=3)
    await expunge(client, "2")
    assert missed(await client.ok(f"SELECT INBOX (QRESYNC ({int(validity) + 1} 1))")) == []


async def test_vanished_takes_the_place_of_expunge(imap: Imap) -> None:
    client, _, _ = await resync(imap, messages=6)
    other = await imap.select()
    await client.ok("UID STORE 2,4:5 +FLAGS.SILENT (\\Deleted)")
    told, done = await client.transact("EXPUNGE")
    assert told == ["* VANISHED 2,4:5"]
    assert re.match(r"OK \[HIGHESTMODSEQ \d+\] ", done)
    assert (await other.ok("NOOP"))[:3] == ["* 5 EXPUNGE", "* 4 EXPUNGE", "* 2 EXPUNGE"]
    await expunge(other, "6")
    assert await client.ok("NOOP") == ["* VANISHED 6"]


async def test_what_sets_seen_tells_the_uid(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.ok("ENABLE QRESYNC")
    (told,) = await client.ok("FETCH 1 BODY[TEXT]")
    assert told.startswith("* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (")


async def test_close_tells_the_modseq(imap: Imap) -> None:
    client, validity, _ = await resync(imap, messages=2)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    _, done = await client.transact("CLOSE")
    now = modseq_of([done])
    assert missed(await client.ok(f"SELECT INBOX (QRESYNC ({validity} {now}))")) == []


async def test_fetch_with_vanished(imap: Imap) -> None:
    client, _, seen = await resync(imap, messages=8)
    await expunge(client, "3,5")
    await client.ok("UID STORE 6 +FLAGS.SILENT (\\Seen)")
    told = await client.ok(f"UID FETCH 1:6 (FLAGS) (CHANGEDSINCE {seen} VANISHED)")
    assert missed(told) == ["* VANISHED (EARLIER) 3,5", "* 4 FETCH (UID 6 FLAGS (\\Seen))"]
    told = await client.ok(f"UID FETCH 4:* (FLAGS) (CHANGEDSINCE {seen} VANISHED)")
    assert missed(told)[0] == "* VANISHED (EARLIER) 5"


async def test_no_modseq_hides_an_expunge_that_is_held_back(imap: Imap) -> None:
    """RFC 5162, erratum 1810: who is cut off now must hear of message 1 when he comes back."""
    client, validity, seen = await resync(imap, messages=3)
    other = await imap.select()
    await expunge(other, "1")
    await other.ok("UID STORE 3 +FLAGS.SILENT (\\Seen)")
    told = await client.ok("FETCH 3 (FLAGS MODSEQ)")
    assert told[-1] == f"* OK [HIGHESTMODSEQ {seen}] Highest"
    back = await imap.login()
    await back.ok("ENABLE QRESYNC")
    told = await back.ok(f"SELECT INBOX (QRESYNC ({validity} {seen}))")
    assert missed(told)[0] == "* VANISHED (EARLIER) 1"
    told = await client.ok("NOOP")
    assert told[0] == "* VANISHED 1"
    assert modseq_of(told[-1:]) > seen


async def test_it_must_be_enabled(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.bad("SELECT INBOX (QRESYNC (1 1))")
    await client.bad("UID FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)")
    assert await client.ok("FETCH 1 (FLAGS)") == ["* 1 FETCH (FLAGS ())"]


@pytest.mark.parametrize(
    "parameters",
    [
        "()",
        "(1)",
        "(1 )",
        "(1 2 )",
        "(1 2 1:*)",
        "(1 2 1:3 (1))",
        "(1 2 1:3 (1 1:*))",
        "(1 2 (1 1)",
        "1 2",
    ],
)
async def test_what_is_not_understood(imap: Imap, parameters: str) -> None:
    client = await imap.login()
    await client.ok("ENABLE QRESYNC")
    await client.bad(f"SELECT INBOX (QRESYNC {parameters})")
    await client.ok("SELECT INBOX")
