"""REPLACE, UID REPLACE (RFC 8508): a new message in the place of one that goes."""

from __future__ import annotations

from tests.protocol.imap.client import ImapClient, matches
from tests.protocol.imap.system import Imap, small


async def hear_replaced(client: ImapClient, tag: str, *, uid: int, exists: int, gone: int) -> None:
    """Hear a message come behind the others, so that there are so many, and another one go.

    What comes and what goes is told in either order: the stream of changes, which tells both at
    once, may be quicker than the answer. The UID is told before (RFC 8508 section 4.3).
    """
    told, done = await client.finish(tag)
    assert done.startswith("OK")
    assert matches(told[0], f"* OK [APPENDUID ... {uid}] ...")
    assert [line for line in told[1:] if not line.endswith("RECENT")] in (
        [f"* {exists} EXISTS", f"* {gone} EXPUNGE"],
        [f"* {gone} EXPUNGE", f"* {exists - 1} EXISTS"],
    )


async def test_the_example(imap: Imap) -> None:
    client = await imap.select("Drafts", messages=4)
    message = small(9)
    await client.send(b"A003 REPLACE 4 Drafts (\\Seen \\Draft) {%d}\r\n" % len(message))
    await client.expect("+ ...")
    await client.send(message + b"\r\n")
    await hear_replaced(client, "A003", uid=5, exists=5, gone=4)
    assert await client.ok("UID SEARCH ALL") == ["* SEARCH 1 2 3 5"]
    assert await client.ok("FETCH 4 FLAGS") == ["* 4 FETCH (FLAGS (\\Seen \\Draft \\Recent))"]


async def test_by_uid_told_to_others(imap: Imap) -> None:
    client = await imap.select("Drafts", messages=2)
    other = await imap.examine("Drafts")
    await client.ok("STORE 1 +FLAGS (\\Deleted \\Answered)")
    message = small(9)
    await client.send(b"a UID REPLACE 2 Drafts {%d+}\r\n%b\r\n" % (len(message), message))
    await hear_replaced(client, "a", uid=3, exists=3, gone=2)
    # Nothing else goes, and nothing is inherited.
    assert await client.ok("FETCH 1:2 (UID FLAGS)") == [
        "* 1 FETCH (UID 1 FLAGS (\\Answered \\Deleted))",
        "* 2 FETCH (UID 3 FLAGS (\\Recent))",
    ]
    heard = await other.ok("NOOP")
    assert "* 2 EXPUNGE" in heard
    assert "* 2 EXISTS" in heard


async def test_into_another_mailbox(imap: Imap) -> None:
    client = await imap.select("Drafts", messages=1)
    await client.send(b"a REPLACE * Sent (\\Seen) {3+}\r\nabc\r\n")
    await client.expect("* OK [APPENDUID ... 1] ...", "* 1 EXPUNGE", "a OK ...")
    await client.ok("EXAMINE Sent")
    assert await client.ok("FETCH 1 (FLAGS RFC822.SIZE)") == [
        "* 1 FETCH (FLAGS (\\Seen) RFC822.SIZE 3)"
    ]


async def test_with_what_it_replaces(imap: Imap) -> None:
    client = await imap.select("Drafts", messages=1)
    fields = b"To: Mitzy <miss.mitzy@example.org>\r\nSubject: My view of the fireworks\r\n"
    await client.send(b"A011 UID REPLACE 1 Drafts CATENATE (TEXT {%d}\r\n" % len(fields))
    await client.expect("+ ...")
    await client.send(fields + b' URL "/Drafts/;UID=1")\r\n')
    await hear_replaced(client, "A011", uid=2, exists=2, gone=1)
    (line,) = await client.ok("FETCH 1 BODY.PEEK[]")
    assert line.encode().endswith(fields + small(1) + b")")


async def test_refusals(imap: Imap) -> None:
    client = await imap.select("Drafts", messages=1)
    await client.send(b"a REPLACE 2 Drafts {3+}\r\nabc\r\nb UID REPLACE 7 Drafts {3}\r\n")
    await client.expect("a NO [NONEXISTENT] ...", "b NO [NONEXISTENT] ...")
    await client.send(b"c REPLACE 1 nowhere {3+}\r\nabc\r\n")
    await client.expect("c NO [TRYCREATE] ...")
    await client.send(b"d REPLACE 1 Drafts {3+}\r\nabc {3+}\r\ndef\r\n")
    await client.expect("d BAD ...")
    await client.send(b"e REPLACE 1 Drafts {0+}\r\n\r\n")
    await client.expect("e NO ...")
    await client.ok("EXAMINE Drafts")
    await client.send(b"f REPLACE 1 Drafts {3+}\r\nabc\r\n")
    await client.expect("f NO ...")
    assert await client.ok("UID SEARCH ALL") == ["* SEARCH 1"]
    await client.ok("UNSELECT")
    await client.send(b"g REPLACE 1 Drafts {3+}\r\nabc\r\n")
    await client.expect("g BAD ...")
    await client.ok("NOOP")


async def test_one_that_has_gone(imap: Imap) -> None:
    client = await imap.select("Drafts", messages=2)
    other = await imap.select("Drafts")
    await other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    await client.send(b"a REPLACE 2 Drafts {3+}\r\nabc\r\n")
    _, done = await client.finish("a")
    assert done.startswith("NO [EXPUNGEISSUED] ")
    assert await other.ok("UID SEARCH ALL") == ["* SEARCH 1"]


async def test_where_messages_have_no_numbers(imap: Imap) -> None:
    client = await imap.select("Drafts", messages=1)
    await client.ok("ENABLE UIDONLY")
    await client.send(b"a REPLACE 1 Drafts {3+}\r\nabc\r\nb UID REPLACE 1 Drafts {3+}\r\nabc\r\n")
    await client.expect(
        "a BAD [UIDREQUIRED] ...",
        "* OK [APPENDUID ... 2] ...",
        "* 2 EXISTS",
        "* ... RECENT",
        "* VANISHED 1",
        "b OK ...",
    )
