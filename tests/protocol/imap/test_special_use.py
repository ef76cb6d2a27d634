"""Special uses of mailboxes (RFC 6154)."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap


async def uses(client: ImapClient) -> list[str]:
    """Mailboxes that have special uses, with these."""
    listed = await client.ok('LIST (SPECIAL-USE) "" "*"')
    return [
        line.removeprefix("* LIST (").replace("\\HasNoChildren ", "").replace(') "/" ', " ")
        for line in listed
    ]


async def test_the_first_mailboxes(imap: Imap) -> None:
    client = await imap.login()
    assert await uses(client) == [
        "\\Archive Archive",
        "\\Drafts Drafts",
        "\\Junk Junk",
        "\\Sent Sent",
        "\\Trash Trash",
    ]


async def test_a_mailbox_is_made_for_a_use(imap: Imap) -> None:
    """RFC 6154 section 5.3. The uses are taken from those that had them."""
    client = await imap.login()
    await client.ok("CREATE MySpecial (USE (\\Drafts \\sent))")
    assert await uses(client) == [
        "\\Archive Archive",
        "\\Junk Junk",
        "\\Drafts \\Sent MySpecial",
        "\\Trash Trash",
    ]
    await client.no("CREATE Everything (USE (\\All))", "NO [USEATTR] ...")
    await client.no("CREATE Everything (USE (\\Flagged \\Junk))", "NO [USEATTR] ...")
    await client.no("CREATE Everything (USE (\\Frob))", "NO [USEATTR] ...")
    await client.no("SELECT Everything", "NO [NONEXISTENT] ...")
    await client.no("CREATE Sent (USE (\\Sent))", "NO [ALREADYEXISTS] ...")
    assert "\\Drafts \\Sent MySpecial" in await uses(client)
    await client.ok("CREATE Plain (USE ())")


async def test_a_use_goes_where_its_mailbox_goes(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("RENAME Sent mine/post")
    assert "\\Sent mine/post" in await uses(client)
    await client.ok("DELETE mine/post")
    assert not any("\\Sent" in line for line in await uses(client))
    await client.ok("CREATE mine/post")
    assert not any("\\Sent" in line for line in await uses(client))


async def test_a_name_that_lost_its_mailbox_gets_a_use(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE Trash/old")
    await client.ok("DELETE Trash")
    assert not any("\\Trash" in line for line in await uses(client))
    await client.ok("CREATE Trash (USE (\\Trash))")
    assert "\\HasChildren \\Trash Trash" in await uses(client)


@pytest.mark.parametrize(
    "arguments", ["x (USE)", "x (FROB (\\Sent))", "x (USE (Sent))", "x USE (\\Sent)", "x ()"]
)
async def test_what_is_no_create(imap: Imap, arguments: str) -> None:
    client = await imap.login()
    await client.bad(f"CREATE {arguments}")
