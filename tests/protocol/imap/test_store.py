"""STORE: modes, .SILENT, keywords, and who is told what."""

from __future__ import annotations

import pytest

from tests.protocol.imap.system import Imap


@pytest.mark.parametrize(
    ("change", "flags"),
    [
        ("FLAGS (\\Flagged)", "\\Flagged"),
        ("+FLAGS (\\Flagged)", "\\Flagged \\Seen"),
        ("-FLAGS (\\Seen)", ""),
        ("FLAGS ()", ""),
        ("+FLAGS \\Answered \\Draft", "\\Answered \\Seen \\Draft"),
        ("+flags (\\DELETED)", "\\Deleted \\Seen"),
    ],
)
async def test_modes(imap: Imap, change: str, flags: str) -> None:
    client = await imap.select(messages=1)
    await client.ok("STORE 1 FLAGS.SILENT (\\Seen)")
    told = await client.ok(f"STORE 1 {change}")
    (answer,) = told
    assert set(answer.removeprefix("* 1 FETCH (FLAGS (").removesuffix("))").split()) == set(
        flags.split()
    )
    assert await client.ok("FETCH 1 FLAGS") == [answer]


async def test_silence(imap: Imap) -> None:
    client = await imap.select(messages=2)
    assert await client.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)") == []
    assert await client.ok("NOOP") == []
    assert await client.ok("FETCH 2 FLAGS") == ["* 2 FETCH (FLAGS (\\Seen))"]


async def test_uid_store_tells_uids(imap: Imap) -> None:
    client = await imap.select(messages=2)
    assert await client.ok("UID STORE 2 +FLAGS (\\Seen)") == ["* 2 FETCH (UID 2 FLAGS (\\Seen))"]
    assert await client.ok("UID STORE 99 +FLAGS (\\Seen)") == []


async def test_a_new_keyword_is_told_before_it_is_used(imap: Imap) -> None:
    client = await imap.select(messages=1)
    other = await imap.select()
    flags = "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Label1)"
    fetch = "* 1 FETCH (FLAGS ($Label1))"
    assert await client.ok("STORE 1 +FLAGS ($Label1)") == [flags, fetch]
    assert await other.ok("NOOP") == [flags, fetch]
    assert await client.ok("STORE 1 +FLAGS ($LABEL1)") == [fetch]


async def test_too_many_keywords(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.ok(f"STORE 1 FLAGS.SILENT ({' '.join(f'k{n}' for n in range(55))})")
    await client.no("STORE 1 +FLAGS (one-more)", "NO [LIMIT] ...")
    heard = await client.ok("SELECT INBOX")
    assert not any("\\*" in line for line in heard)


async def test_the_other_session_is_told(imap: Imap) -> None:
    client = await imap.select(messages=3)
    other = await imap.select()
    await client.ok("STORE 1:2 +FLAGS.SILENT (\\Flagged)")
    assert await other.ok("NOOP") == [
        "* 1 FETCH (FLAGS (\\Flagged))",
        "* 2 FETCH (FLAGS (\\Flagged))",
    ]
    assert await other.ok("NOOP") == []


async def test_a_silent_store_does_not_hide_what_another_session_did(imap: Imap) -> None:
    client = await imap.select(messages=1)
    other = await imap.select()
    await other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    told = await client.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    told += await client.ok("NOOP")
    assert told == ["* 1 FETCH (FLAGS (\\Flagged \\Seen))"]


async def test_no_expunge_while_store_runs(imap: Imap) -> None:
    client = await imap.select(messages=3)
    other = await imap.select()
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    assert await client.ok("STORE 3 +FLAGS (\\Seen)") == ["* 3 FETCH (FLAGS (\\Seen))"]
    await client.no("STORE 1:2 +FLAGS (\\Seen)", "NO [EXPUNGEISSUED] ...")
    assert await client.ok("NOOP") == ["* 1 EXPUNGE"]


async def test_uid_store_lets_numbers_shift(imap: Imap) -> None:
    client = await imap.select(messages=2)
    other = await imap.select()
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    assert await client.ok("UID STORE 2 +FLAGS (\\Seen)") == [
        "* 2 FETCH (UID 2 FLAGS (\\Seen))",
        "* 1 EXPUNGE",
    ]


async def test_what_can_not_be_stored(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.bad("STORE 1 +FLAGS (\\Recent)")
    await client.bad("STORE 1 +FLAGS (\\Nonsense)")
    await client.bad("STORE 2 +FLAGS (\\Seen)")
    assert await client.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS ())"]
