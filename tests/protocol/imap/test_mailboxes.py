"""CREATE, DELETE, RENAME, STATUS."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import matches
from tests.protocol.imap.system import Imap, small


async def test_create(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE new/inner/")
    assert await client.ok('LIST "" new%') == ['* LIST (\\HasChildren) "/" new']
    await client.ok("SELECT new/inner")
    await client.no("CREATE new/inner", "NO [ALREADYEXISTS] ...")
    await client.no("CREATE inbox", "NO [ALREADYEXISTS] ...")
    await client.no('CREATE "a//b"', "NO [CANNOT] ...")


async def test_delete(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE gone")
    await client.append("gone", small(1))
    await client.ok("DELETE gone")
    await client.no("SELECT gone", "NO [NONEXISTENT] ...")
    await client.no("DELETE gone", "NO [NONEXISTENT] ...")
    await client.no("DELETE INBOX", "NO [CANNOT] ...")


async def test_a_new_mailbox_of_an_old_name_is_another(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE box")
    await client.append("box", small(1))
    await client.ok("SELECT box")
    await client.ok("UNSELECT")
    await client.ok("DELETE box")
    await client.ok("CREATE box")
    assert "* 0 EXISTS" in await client.ok("SELECT box")


async def test_the_selected_mailbox_is_deleted_by_its_own_session(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE box")
    await client.ok("SELECT box")
    await client.ok("DELETE box")
    await client.bad("EXPUNGE")
    await client.ok("SELECT INBOX")


async def test_the_selected_mailbox_is_deleted_by_another(imap: Imap) -> None:
    client, other = await imap.login(), await imap.login()
    await client.ok("CREATE box")
    await other.ok("SELECT box")
    await client.ok("DELETE box")
    await other.send(b"n IDLE\r\n")
    heard = [(await other.hear()).decode()]
    if heard[0].startswith("+"):  # the news were still on their way
        heard = [(await other.hear()).decode()]
    assert heard[0].startswith("* BYE")
    await other.expect_end()


async def test_rename(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE old/inner")
    await client.append("old/inner", small(1))
    await client.ok("SELECT old/inner")
    await client.ok("RENAME old new")
    assert await client.ok("FETCH 1 UID") == ["* 1 FETCH (UID 1)"]
    assert await client.ok("STORE 1 +FLAGS.SILENT (\\Seen)") == []
    await client.no("SELECT old/inner", "NO [NONEXISTENT] ...")
    assert "* 1 EXISTS" in await client.ok("SELECT new/inner")
    await client.no("RENAME old other", "NO [NONEXISTENT] ...")
    await client.no("RENAME new INBOX", "NO [ALREADYEXISTS] ...")


async def test_rename_of_inbox_moves_its_messages(imap: Imap) -> None:
    client = await imap.select(messages=2)
    await client.ok("RENAME INBOX archive")
    await client.ok("NOOP")
    assert "* 0 EXISTS" in await client.ok("SELECT INBOX")
    assert "* 2 EXISTS" in await client.ok("SELECT archive")


async def test_status(imap: Imap) -> None:
    client = await imap.login()
    await client.append("Sent", small(1))
    await client.append("Sent", small(2), "(\\Seen)")
    (line,) = await client.ok("STATUS Sent (MESSAGES UIDNEXT UNSEEN RECENT UIDVALIDITY)")
    assert matches(line, "* STATUS Sent (MESSAGES 2 UIDNEXT 3 UNSEEN 1 RECENT 0 UIDVALIDITY ...)")
    await client.no("STATUS nowhere (MESSAGES)", "NO [NONEXISTENT] ...")
    await client.bad("STATUS Sent ()")


async def test_status_of_the_selected_mailbox(imap: Imap) -> None:
    client = await imap.select(messages=2)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    (line,) = await client.ok("STATUS INBOX (UNSEEN MESSAGES)")
    assert line == "* STATUS INBOX (UNSEEN 1 MESSAGES 2)"


@pytest.mark.parametrize("command", ["SUBSCRIBE nowhere", "UNSUBSCRIBE nowhere"])
async def test_any_name_can_be_subscribed(imap: Imap, command: str) -> None:
    client = await imap.login()
    await client.ok(command)
