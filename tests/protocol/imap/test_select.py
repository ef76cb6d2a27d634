"""SELECT, EXAMINE, UNSELECT, CLOSE."""

from __future__ import annotations

from tests.protocol.imap.client import matches
from tests.protocol.imap.system import Imap, small


async def test_an_empty_mailbox(imap: Imap) -> None:
    client = await imap.login()
    heard = await client.ok("SELECT INBOX")
    assert heard[0] == "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)"
    assert "* 0 EXISTS" in heard
    assert "* 0 RECENT" in heard
    assert any(matches(line, "* OK [UIDVALIDITY ...] ...") for line in heard)
    assert any(matches(line, "* OK [UIDNEXT 1] ...") for line in heard)
    assert any(matches(line, "* OK [PERMANENTFLAGS (...\\*)] ...") for line in heard)
    assert not any("UNSEEN" in line for line in heard)


async def test_messages(imap: Imap) -> None:
    client = await imap.login()
    await client.append("INBOX", small(1), "(\\Seen)")
    await client.append("INBOX", small(2))
    tag = await client.start("SELECT inbox")
    heard, done = await client.finish(tag)
    assert matches(done, "OK [READ-WRITE] ...")
    assert "* 2 EXISTS" in heard
    assert any(matches(line, "* OK [UNSEEN 2] ...") for line in heard)
    assert any(matches(line, "* OK [UIDNEXT 3] ...") for line in heard)


async def test_examine_is_read_only(imap: Imap) -> None:
    client = await imap.login()
    await client.append("INBOX", small(1))
    heard, done = await client.transact("EXAMINE INBOX")
    assert matches(done, "OK [READ-ONLY] ...")
    assert any(matches(line, "* OK [PERMANENTFLAGS ()] ...") for line in heard)
    await client.no("STORE 1 +FLAGS (\\Seen)")
    await client.no("EXPUNGE")
    await client.ok("FETCH 1 BODY[]")
    assert await client.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS ())"]


async def test_a_failed_select_leaves_no_mailbox_selected(imap: Imap) -> None:
    client = await imap.select()
    await client.no("SELECT nowhere", "NO [NONEXISTENT] ...")
    await client.bad("FETCH 1 FLAGS")


async def test_unselect_expunges_nothing(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("UNSELECT")
    await client.bad("NOOP extra")
    await client.bad("EXPUNGE")
    assert "* 1 EXISTS" in await client.ok("SELECT INBOX")


async def test_close_expunges_in_silence(imap: Imap) -> None:
    client = await imap.select(messages=2)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await client.ok("CLOSE") == []
    assert "* 1 EXISTS" in await client.ok("SELECT INBOX")


async def test_close_of_a_mailbox_that_is_examined_expunges_nothing(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXAMINE INBOX")
    await client.ok("CLOSE")
    assert "* 1 EXISTS" in await client.ok("SELECT INBOX")


async def test_keywords_are_told(imap: Imap) -> None:
    client = await imap.login()
    await client.append("INBOX", small(1), "($Forwarded)")
    heard = await client.ok("SELECT INBOX")
    assert "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)" in heard


async def test_new_messages_are_recent_in_the_first_session_alone(imap: Imap) -> None:
    first = await imap.select()
    second = await imap.select()
    await second.append("INBOX", small(1))
    assert await second.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS (\\Recent))"]
    assert await first.ok("NOOP") == ["* 1 EXISTS"]
    assert await first.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS ())"]
