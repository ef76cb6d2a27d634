"""IMAP4rev2 (RFC 9051): what changes for a client that enables it, and for nobody else."""

from __future__ import annotations

import re

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap, small


async def rev2(imap: Imap) -> ImapClient:
    client = await imap.login()
    assert await client.ok("ENABLE IMAP4rev2") == ["* ENABLED IMAP4rev2"]
    return client


async def test_select(imap: Imap) -> None:
    client = await rev2(imap)
    await client.append("INBOX", small(1))
    told = await client.ok("SELECT INBOX")
    assert [re.sub(r"\d{6,}|F\d+-\d+", "…", line) for line in told] == [
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
        "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] "
        "Flags that can be changed",
        "* 1 EXISTS",
        "* OK [UIDVALIDITY …] UIDs are valid",
        "* OK [UIDNEXT 2] Next UID",
        "* OK [MAILBOXID (…)] Object id",
        "* OK [URLMECH INTERNAL] URLs can be authorized",
        *[line for line in told if "HIGHESTMODSEQ" in line],
        "* OK [ANNOTATIONS 65536] Annotations",
        '* LIST () "/" INBOX',
    ]


async def test_nothing_is_recent(imap: Imap) -> None:
    client = await rev2(imap)
    await client.ok("SELECT INBOX")
    await client.append("INBOX", small(1))
    older = await imap.select()
    await client.append("INBOX", small(2))
    assert await client.ok("NOOP") == []  # told with the append
    assert await client.ok("FETCH 1:2 FLAGS") == ["* 1 FETCH (FLAGS ())", "* 2 FETCH (FLAGS ())"]
    assert "* 2 RECENT" in await older.ok("NOOP")


async def test_a_mailbox_that_is_left_is_closed(imap: Imap) -> None:
    client = await rev2(imap)
    await client.ok("SELECT INBOX")
    told = await client.ok("SELECT Trash")
    assert told[0] == "* OK [CLOSED] The mailbox before is closed"
    await client.ok("UNSELECT")
    assert "CLOSED" not in (await client.ok("SELECT INBOX"))[0]


async def test_search_answers_esearch(imap: Imap) -> None:
    client = await rev2(imap)
    await client.append("INBOX", small(1))
    await client.ok("SELECT INBOX")
    await client.send(b"e SEARCH ALL\r\nf UID SEARCH SUBJECT nothing\r\n")
    await client.expect('* ESEARCH (TAG "e") ALL 1', "e OK ...")
    await client.expect('* ESEARCH (TAG "f") UID', "f OK ...")


async def test_names_are_utf_8(imap: Imap) -> None:
    client = await rev2(imap)
    await client.ok('CREATE "Entwürfe & mehr"')
    assert await client.ok('LIST "" Ent*') == ['* LIST (\\HasNoChildren) "/" "Entwürfe & mehr"']
    assert (await client.ok('SELECT "Entwürfe & mehr"'))[-1] == '* LIST () "/" "Entwürfe & mehr"'
    assert await client.ok('STATUS "Entwürfe & mehr" (MESSAGES)') == [
        '* STATUS "Entwürfe & mehr" (MESSAGES 0)'
    ]
    older = await imap.login()
    assert await older.ok('LIST "" Ent*') == ['* LIST (\\HasNoChildren) "/" "Entw&APw-rfe &- mehr"']
    await client.ok('CREATE "&AOQ-"')  # a name as any other
    assert await older.ok('LIST "" "&-AOQ-"') == ['* LIST (\\HasNoChildren) "/" &-AOQ-']


async def test_one_spelling_of_a_text_is_one_mailbox(imap: Imap) -> None:
    """RFC 9051 section 5.1: names are in normal form C, however a client composes them."""
    client = await rev2(imap)
    composed, decomposed = "Entw\u00fcrfe", "Entwu\u0308rfe"
    await client.ok(f'CREATE "{decomposed}"')
    assert await client.ok(f'LIST "" "{decomposed}"') == [
        f'* LIST (\\HasNoChildren) "/" "{composed}"'
    ]
    await client.no(f'CREATE "{composed}"', "NO [ALREADYEXISTS] ...")
    await client.ok(f'SELECT "{decomposed}"')
    older = await imap.login()
    assert await older.ok("STATUS Entwu&Awg-rfe (MESSAGES)") == [
        "* STATUS Entw&APw-rfe (MESSAGES 0)"
    ]


async def test_status_counts_what_is_deleted(imap: Imap) -> None:
    client = await rev2(imap)
    await client.append("INBOX", small(1))
    await client.append("INBOX", small(2), "(\\Deleted)")
    size = len(small(1)) + len(small(2))
    assert await client.ok("STATUS INBOX (MESSAGES UNSEEN DELETED SIZE)") == [
        f"* STATUS INBOX (MESSAGES 2 UNSEEN 2 DELETED 1 SIZE {size})"
    ]


async def test_search_texts_are_utf_8(imap: Imap) -> None:
    """RFC 9051 section 6.4.4: without CHARSET, texts are UTF-8."""
    client = await rev2(imap)
    await client.append("INBOX", "Subject: Grüße\r\n\r\nx\r\n".encode())
    await client.ok("SELECT INBOX")
    (found,) = await client.ok('SEARCH SUBJECT "GRÜSSE" UNDELETED')
    assert found.endswith("ALL 1"), found


async def test_a_client_of_rev1_is_served_as_ever(imap: Imap) -> None:
    client = await imap.select(messages=1)
    told = await client.ok("SELECT INBOX")
    assert "* 0 RECENT" in told
    assert not any(line.startswith("* LIST") for line in told)
    assert await client.ok("SEARCH ALL") == ["* SEARCH 1"]


async def test_octets_that_are_no_utf_8(imap: Imap) -> None:
    client = await rev2(imap)
    await client.send(b'e SELECT "\xff\xfe"\r\n')
    await client.expect("e BAD ...")  # RFC 9755 section 3
