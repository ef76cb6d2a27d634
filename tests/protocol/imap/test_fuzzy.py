"""Fuzzy searches (RFC 6203)."""

from __future__ import annotations

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap

SUBJECTS = ("Breaking IMAP", "IMAP breaks", "lunch", "The break", "Hello from here")


async def filled(imap: Imap) -> ImapClient:
    client = await imap.select()
    for subject in SUBJECTS:
        text = f"From: user@example.com\r\nSubject: {subject}\r\n\r\nSay hello.\r\n"
        await client.append("INBOX", text.encode())
    await client.ok("NOOP")
    return client


async def test_words_in_any_order(imap: Imap) -> None:
    client = await filled(imap)
    assert await client.ok('SEARCH SUBJECT "IMAP break"') == ["* SEARCH 2"]
    assert await client.ok('SEARCH FUZZY (SUBJECT "IMAP break")') == ["* SEARCH 1 2 4"]
    assert await client.ok('SEARCH FUZZY SUBJECT "IMAP break" FROM user@example.net') == [
        "* SEARCH"
    ]


async def test_relevancy(imap: Imap) -> None:
    client = await filled(imap)
    await client.send(b'B1 SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT "IMAP break"\r\n')
    await client.expect('* ESEARCH (TAG "B1") ALL 1:2,4 RELEVANCY (100 100 50)', "B1 OK ...")
    await client.send(b'B2 SEARCH RETURN (RELEVANCY PARTIAL 2:3) FUZZY SUBJECT "IMAP break"\r\n')
    await client.expect('* ESEARCH (TAG "B2") PARTIAL (2:3 2,4) RELEVANCY (100 50)', "B2 OK ...")
    await client.send(b"B3 SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT Helo\r\n")
    await client.expect('* ESEARCH (TAG "B3") ALL 5 RELEVANCY (60)', "B3 OK ...")
    await client.send(b"B4 SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT unicorn\r\n")
    await client.expect('* ESEARCH (TAG "B4") RELEVANCY ()', "B4 OK ...")


async def test_other_keys_match_exactly(imap: Imap) -> None:
    client = await filled(imap)
    await client.ok("STORE 2 +FLAGS.SILENT (\\Answered)")
    await client.send(b"C1 SEARCH RETURN (RELEVANCY ALL) FUZZY ANSWERED\r\n")
    await client.expect('* ESEARCH (TAG "C1") ALL 2 RELEVANCY (100)', "C1 OK ...")
    assert await client.ok('SEARCH SUBJECT "imap" FUZZY ANSWERED') == ["* SEARCH 2"]
    assert await client.ok("SEARCH FUZZY (LARGER 10 SMALLER 20)") == ["* SEARCH"]


async def test_relevancy_of_what_is_not_fuzzy(imap: Imap) -> None:
    client = await filled(imap)
    await client.bad("SEARCH RETURN (RELEVANCY) SUBJECT imap")
