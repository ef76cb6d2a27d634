"""SEARCH: every key, charsets, UID SEARCH, and sessions that lag behind."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap

# Each engine searches in a way of its own.
pytestmark = pytest.mark.databases("sqlite", "postgresql")


def message(subject: str, sender: str, date: str, text: str, *more: str) -> bytes:
    lines = [
        f"From: {sender}",
        f"Subject: {subject}",
        f"Date: {date}",
        *more,
        "Content-Type: text/plain; charset=utf-8",
        "",
        text,
        "",
    ]
    return "\r\n".join(lines).encode()


MESSAGES = [
    (
        message("Lunch", "ann@example.org", "Mon, 1 Jan 2024 12:00:00 +0000", "Pizza today?"),
        '(\\Seen \\Answered) "01-Jan-2024 12:00:00 +0000"',
    ),
    (
        message(
            "Re: Lunch",
            "Bob <bob@example.net>",
            "Tue, 2 Jan 2024 23:30:00 -0200",
            "Rather soup, " + "and more " * 200,
            "To: ann@example.org",
            "Cc: carl@example.com",
            "X-Mood: hungry",
        ),
        '(\\Flagged $Food) "02-Jan-2024 12:00:00 +0000"',
    ),
    (
        message("Grüße", "carl@example.com", "Wed, 3 Jan 2024 00:00:00 +0000", "Schöne Grüße!"),
        '(\\Draft) "03-Jan-2024 00:00:00 +0000"',
    ),
    (
        message(
            "Bcc",
            "dora@example.org",
            "Sat, 30 Dec 2023 09:00:00 +0000",
            "pizza",
            "Bcc: ann@example.org",
        ),
        '(\\Deleted) "04-Jan-2024 00:00:00 +0000"',
    ),
]


async def searched(imap: Imap) -> ImapClient:
    client = await imap.login()
    for content, arguments in MESSAGES:
        await client.append("INBOX", content, arguments)
    await client.ok("SELECT INBOX")
    return client


CASES = {
    "ALL": "1 2 3 4",
    "SEEN": "1",
    "UNSEEN": "2 3 4",
    "ANSWERED": "1",
    "UNANSWERED": "2 3 4",
    "FLAGGED": "2",
    "UNFLAGGED": "1 3 4",
    "DELETED": "4",
    "UNDELETED": "1 2 3",
    "DRAFT": "3",
    "UNDRAFT": "1 2 4",
    "KEYWORD $food": "2",
    "KEYWORD unknown": "",
    "UNKEYWORD $Food": "1 3 4",
    "UNKEYWORD unknown": "1 2 3 4",
    "UNSEEN UNDELETED": "2 3",
    "FLAGGED UNFLAGGED": "",
    "UNFLAGGED FLAGGED": "",
    "2:3": "2 3",
    "*": "4",
    "UID 3:*": "3 4",
    "UID 77:99": "",
    "NOT SEEN": "2 3 4",
    "OR SEEN DRAFT": "1 3",
    "OR SEEN OR DRAFT DELETED": "1 3 4",
    "NOT (OR SEEN DRAFT)": "2 4",
    "(UNSEEN (NOT DRAFT)) 1:3": "2",
    "SUBJECT lunch": "1 2",
    'SUBJECT "re: LUNCH"': "2",
    "FROM bob": "2",
    "FROM BOB@EXAMPLE": "2",
    "TO ann": "2",
    "CC carl": "2",
    "BCC ann": "4",
    "BODY pizza": "1 4",
    "TEXT ann": "1 2 4",
    "HEADER X-Mood hungry": "2",
    'HEADER X-Mood ""': "2",
    "HEADER X-Mood thirsty": "",
    "HEADER Subject lunch": "1 2",
    "LARGER 1000": "2",
    "SMALLER 1000": "1 3 4",
    "BEFORE 2-Jan-2024": "1",
    "ON 2-Jan-2024": "2",
    "SINCE 3-Jan-2024": "3 4",
    "SENTBEFORE 2-Jan-2024": "1 4",
    "SENTSINCE 2-Jan-2024": "2 3",
    "UNSEEN BODY pizza": "4",
    "1:3 BODY pizza": "1",
    "NOT BODY pizza": "2 3",
    "OR BODY pizza SEEN": "1 4",
}


async def test_keys(imap: Imap) -> None:
    client = await searched(imap)
    found = {key: await client.ok(f"SEARCH {key}") for key in CASES}
    assert found == {
        key: [" ".join(("* SEARCH", *numbers.split()))] for key, numbers in CASES.items()
    }


async def test_uid_search(imap: Imap) -> None:
    client = await searched(imap)
    await client.ok("EXPUNGE")
    await client.ok("STORE 1 FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    assert await client.ok("SEARCH ALL") == ["* SEARCH 1 2"]
    assert await client.ok("UID SEARCH ALL") == ["* SEARCH 2 3"]
    assert await client.ok("UID SEARCH 1 BODY soup") == ["* SEARCH 2"]


async def test_charsets(imap: Imap) -> None:
    client = await searched(imap)
    for charset, text in (("UTF-8", "GRÜSSE".encode()), ("ISO-8859-1", "grüße".encode("latin-1"))):
        head = b"s SEARCH CHARSET %b SUBJECT {%d+}\r\n" % (charset.encode(), len(text))
        await client.send(head + text + b"\r\n")
        assert (await client.finish("s"))[0] == ["* SEARCH 3"]
    await client.no("SEARCH CHARSET X-UNKNOWN SUBJECT x", "NO [BADCHARSET (...)] ...")


async def test_recent(imap: Imap) -> None:
    client = await imap.select()
    await client.append("INBOX", MESSAGES[0][0])
    await client.append("INBOX", MESSAGES[0][0], "(\\Seen)")
    assert await client.ok("SEARCH RECENT") == ["* SEARCH 1 2"]
    assert await client.ok("SEARCH NEW") == ["* SEARCH 1"]
    assert await client.ok("SEARCH OLD") == ["* SEARCH"]
    assert await client.ok("SEARCH RECENT BODY pizza") == ["* SEARCH 1 2"]


async def test_a_session_that_lags_finds_by_its_own_numbers(imap: Imap) -> None:
    client = await searched(imap)
    other = await imap.select()
    await other.ok("EXPUNGE")
    await other.ok("STORE 1 FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    assert await client.ok("SEARCH DRAFT") == ["* SEARCH 3"]
    assert await client.ok("SEARCH BODY soup") == ["* SEARCH 2"]
    assert await client.ok("NOOP") == ["* 4 EXPUNGE", "* 1 EXPUNGE"]
    assert await client.ok("SEARCH BODY soup") == ["* SEARCH 1"]


@pytest.mark.parametrize(
    "key", ["", "NONSENSE", "SINCE 32-Jan-2024", "OR SEEN", "(SEEN", "LARGER -1", "HEADER X"]
)
async def test_bad_keys(imap: Imap, key: str) -> None:
    client = await imap.select(messages=1)
    await client.bad(f"SEARCH {key}".rstrip())
    await client.ok("SEARCH ALL")
