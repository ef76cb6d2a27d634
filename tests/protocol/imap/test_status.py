"""What STATUS tells by extensions, and what names a mailbox whatever it is called."""

from __future__ import annotations

from tests.protocol.imap.client import matches
from tests.protocol.imap.system import Imap, small


async def test_status_items_of_extensions(imap: Imap) -> None:
    """RFC 8438 section 3.1, RFC 9208 section 4.1.4, RFC 9051 section 6.3.11."""
    client = await imap.select("Sent", messages=3)
    await client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    size, deleted = sum(len(small(n)) for n in (1, 2, 3)), sum(len(small(n)) for n in (1, 2))
    for leave in ("NOOP", "UNSELECT"):
        await client.ok(leave)
        (line,) = await client.ok("STATUS Sent (SIZE DELETED DELETED-STORAGE)")
        assert line == f"* STATUS Sent (SIZE {size} DELETED 2 DELETED-STORAGE {deleted})"
    (line,) = await client.ok("STATUS INBOX (DELETED-STORAGE APPENDLIMIT)")
    assert matches(line, "* STATUS INBOX (DELETED-STORAGE 0 APPENDLIMIT 67108864)")


async def test_object_ids_of_mailboxes(imap: Imap) -> None:
    """RFC 8474 section 4."""
    client = await imap.login()
    _, done = await client.transact("CREATE foo")
    assert matches(done, "OK [MAILBOXID (F...)] ...")
    code = done[done.index("[") : done.index("]") + 1]
    assert any(line.startswith(f"* OK {code}") for line in await client.ok("SELECT foo"))
    item = code.strip("[]")
    assert await client.ok("STATUS foo (MAILBOXID)") == [f"* STATUS foo ({item})"]
    await client.ok("RENAME foo renamed")
    assert await client.ok("STATUS renamed (MAILBOXID)") == [f"* STATUS renamed ({item})"]
    assert any(line.startswith(f"* OK {code}") for line in await client.ok("EXAMINE renamed"))
    _, done = await client.transact("CREATE foo")
    assert matches(done, "OK [MAILBOXID (F...)] ...")
    assert code not in done


async def test_names_that_became_others(imap: Imap) -> None:
    """RFC 9051 section 6.3.9.7."""
    client = await imap.login()
    assert await client.ok("CREATE old/") == []
    await client.ok("ENABLE IMAP4rev2")
    assert await client.ok("CREATE box/") == ['* LIST () "/" box ("OLDNAME" (box/))']
    assert await client.ok('RENAME box "n€w"') == ['* LIST () "/" "n€w" ("OLDNAME" (box))']
    assert await client.ok("RENAME INBOX kept") == []
    assert await client.ok("CREATE plain") == []
