"""IDLE and NOOP: what other clients do is told as it happens."""

from __future__ import annotations

from tests.protocol.imap.system import Imap, small


async def test_arrivals_flags_and_expunges(imap: Imap) -> None:
    client = await imap.select(messages=1)
    other = await imap.select()
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    await client.expect("* 1 FETCH (FLAGS (\\Seen))")
    await other.append("INBOX", small(2))
    await client.expect("* 2 EXISTS", "* 1 RECENT")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.expect("* 1 FETCH (FLAGS (\\Deleted \\Seen))")
    await other.ok("EXPUNGE")
    await client.expect("* 1 EXPUNGE")
    await client.send(b"DONE\r\n")
    await client.expect("i OK ...")
    assert await client.ok("NOOP") == []


async def test_what_happened_before_is_told_at_once(imap: Imap) -> None:
    client = await imap.select(messages=1)
    other = await imap.select()
    await other.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling", "* 1 FETCH (FLAGS (\\Seen))")


async def test_without_a_mailbox(imap: Imap) -> None:
    client = await imap.login()
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling")
    await client.send(b"done\r\n")
    await client.expect("i OK ...")


async def test_anything_but_done(imap: Imap) -> None:
    client = await imap.select()
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling")
    await client.send(b"x NOOP\r\n")
    await client.expect("i BAD ...")
    await client.ok("NOOP")


async def test_done_and_the_next_command_in_one_packet(imap: Imap) -> None:
    client = await imap.select()
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling")
    await client.send(b"DONE\r\nn NOOP\r\n")
    await client.expect("i OK ...", "n OK ...")


async def test_noop_tells_what_happened(imap: Imap) -> None:
    client = await imap.select()
    other = await imap.login()
    await other.append("INBOX", small(1), "(\\Flagged)")
    told = await client.ok("NOOP")
    assert told == ["* 1 EXISTS", "* 1 RECENT"]
    assert await client.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS (\\Flagged \\Recent))"]


async def test_pipelined_commands_are_answered_in_order(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.send(b"".join(b"n%d NOOP\r\n" % n for n in range(200)) + b"f FETCH 1 UID\r\n")
    await client.expect(*(f"n{n} OK ..." for n in range(200)))
    await client.expect("* 1 FETCH (UID 1)", "f OK ...")
