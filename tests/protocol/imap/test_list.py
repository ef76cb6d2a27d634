"""LIST and LSUB."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap

FIRST = "Archive Drafts INBOX Junk Sent Trash"


async def grown(imap: Imap) -> ImapClient:
    client = await imap.login()
    for name in ("a/b/c", "a/d", "Entw&APw-rfe"):
        await client.ok(f"CREATE {name}")
    return client


def names(responses: list[str]) -> list[str]:
    return [line.rpartition(' "/" ')[2] for line in responses]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ('"" *', f"{FIRST} Entw&APw-rfe a a/b a/b/c a/d"),
        ('"" %', f"{FIRST} Entw&APw-rfe a"),
        ('"" a/%', "a/b a/d"),
        ("a/ %", "a/b a/d"),
        ("a/ *", "a/b a/b/c a/d"),
        ('"" */c', "a/b/c"),
        ('"" inbox', "INBOX"),
        ('"" InB%', "INBOX"),
        ('"" nothing*', ""),
        ('"" Entw&APw-%', "Entw&APw-rfe"),
    ],
)
async def test_patterns(imap: Imap, arguments: str, wanted: str) -> None:
    client = await grown(imap)
    assert sorted(names(await client.ok(f"LIST {arguments}"))) == sorted(wanted.split())


async def test_the_delimiter(imap: Imap) -> None:
    client = await imap.login()
    assert await client.ok('LIST "" ""') == ['* LIST (\\Noselect) "/" ""']
    assert await client.ok('LSUB "" ""') == ['* LSUB (\\Noselect) "/" ""']


async def test_children_and_special_uses(imap: Imap) -> None:
    client = await grown(imap)
    assert await client.ok('LIST "" (a a/b/c Sent)') == [
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
        '* LIST (\\HasChildren) "/" a',
        '* LIST (\\HasNoChildren) "/" a/b/c',
    ]
    special = await client.ok('LIST (SPECIAL-USE) "" * RETURN (SPECIAL-USE)')
    assert names(special) == ["Archive", "Drafts", "Junk", "Sent", "Trash"]


async def test_lsub(imap: Imap) -> None:
    client = await grown(imap)
    for name in ("a/b/c", "gone/away"):
        await client.ok(f"SUBSCRIBE {name}")
    for name in FIRST.split():
        if name != "INBOX":
            await client.ok(f"UNSUBSCRIBE {name}")
    assert names(await client.ok('LSUB "" *')) == ["INBOX", "a/b/c", "gone/away"]
    assert await client.ok('LSUB "" %') == [
        '* LSUB () "/" INBOX',
        '* LSUB (\\Noselect) "/" a',
        '* LSUB (\\Noselect) "/" gone',
    ]
    await client.ok("UNSUBSCRIBE gone/away")
    assert names(await client.ok('LSUB "" *')) == ["INBOX", "a/b/c"]


async def test_subscriptions_in_list(imap: Imap) -> None:
    client = await grown(imap)
    for name in FIRST.split():
        await client.ok(f"UNSUBSCRIBE {name}")
    await client.ok("SUBSCRIBE a/b/c")
    await client.ok("SUBSCRIBE gone")
    assert await client.ok('LIST (SUBSCRIBED) "" *') == [
        '* LIST (\\HasNoChildren \\Subscribed) "/" a/b/c',
        '* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) "/" gone',
    ]
    recursive = await client.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" %')
    assert recursive == [
        '* LIST (\\HasChildren) "/" a ("CHILDINFO" ("SUBSCRIBED"))',
        '* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) "/" gone',
    ]
    (line,) = await client.ok('LIST "" a/b/c RETURN (SUBSCRIBED CHILDREN)')
    assert line == '* LIST (\\HasNoChildren \\Subscribed) "/" a/b/c'


async def test_a_name_that_lost_its_mailbox(imap: Imap) -> None:
    client = await grown(imap)
    await client.ok("DELETE a")
    (line,) = await client.ok('LIST "" a')
    assert line == '* LIST (\\Noselect \\HasChildren) "/" a'
    await client.no("SELECT a", "NO [NONEXISTENT] ...")
