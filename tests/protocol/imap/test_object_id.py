"""EMAILID and THREADID (RFC 8474), PREVIEW (RFC 8970), SAVEDATE (RFC 8514) in FETCH; PARTIAL."""

from __future__ import annotations

import re
import time

import pytest

from tests.protocol.imap.system import Imap


async def test_copies_share_their_email_id(imap: Imap) -> None:
    client = await imap.select(messages=2)
    first, second = await client.ok("FETCH 1:2 (EMAILID)")
    assert re.fullmatch(r"\* 1 FETCH \(EMAILID \(M[0-9]+-[0-9]+\)\)", first)
    assert first.split("EMAILID")[1] != second.split("EMAILID")[1]
    await client.ok("COPY 1 Archive")
    await client.ok("SELECT Archive")
    assert await client.ok("FETCH 1 (EMAILID)") == [first]


async def test_a_reply_shares_its_thread_id(imap: Imap) -> None:
    client = await imap.select(messages=2)
    await client.append("INBOX", b"In-Reply-To: <1@example.org>\r\nMessage-Id: <x@y>\r\n\r\n")
    one, two, reply = [line.split("THREADID")[1] for line in await client.ok("FETCH 1:3 THREADID")]
    assert one == reply != two
    assert re.fullmatch(r" \(T[0-9]+-[0-9]+\)\)", one)


async def test_preview(imap: Imap) -> None:
    client = await imap.select(messages=1)
    assert await client.ok("FETCH 1 (PREVIEW)") == ['* 1 FETCH (PREVIEW "Hello number 1.")']
    assert await client.ok("FETCH 1 PREVIEW (LAZY)") == ['* 1 FETCH (PREVIEW "Hello number 1.")']
    assert await client.ok("FETCH 1 (UID PREVIEW (LAZY))") == [
        '* 1 FETCH (UID 1 PREVIEW "Hello number 1.")'
    ]
    text = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbcezi\r\n"
    await client.append("INBOX", text)
    assert await client.ok("FETCH 2 PREVIEW") == ["* 2 FETCH (PREVIEW {7}\r\nGrüezi)"]
    await client.append("INBOX", b"\r\n")
    assert await client.ok("FETCH 3 PREVIEW") == ['* 3 FETCH (PREVIEW "")']
    assert await client.ok("SEARCH SEEN") == ["* SEARCH"]


async def test_each_copy_has_its_save_date(imap: Imap) -> None:
    client = await imap.login()
    await client.append("INBOX", b"\r\n", '"17-Jul-1996 02:44:25 -0700"')
    await client.ok("SELECT INBOX")
    (told,) = await client.ok("FETCH 1 (SAVEDATE)")
    date = re.fullmatch(r'\* 1 FETCH \(SAVEDATE "(.*) \+0000"\)', told)
    assert date
    saved = time.mktime(time.strptime(date[1], "%d-%b-%Y %H:%M:%S")) - time.timezone
    assert abs(saved - time.time()) < 60


@pytest.mark.parametrize(
    ("part", "uids"),
    [
        ("1:2", ["1", "3"]),
        ("4:2", ["3", "4", "5"]),
        ("-1:-2", ["6", "7"]),
        ("-2:-1", ["6", "7"]),
        ("5:900", ["6", "7"]),
        ("-5:-900", ["1", "3"]),
        ("7:9", []),
    ],
)
async def test_partial_fetch(imap: Imap, part: str, uids: list[str]) -> None:
    client = await imap.select(messages=7)
    await client.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    told = await client.ok(f"UID FETCH 1:* (UID) (PARTIAL {part})")
    assert [line.split("UID ")[1].rstrip(")") for line in told] == uids


async def test_partial_of_what_changed(imap: Imap) -> None:
    client = await imap.select(messages=5)
    told = await client.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 PARTIAL -1:-2)")
    assert [re.sub(r"MODSEQ.*", "", line) for line in told[1:]] == [
        "* 4 FETCH (UID 4 FLAGS () ",
        "* 5 FETCH (UID 5 FLAGS () ",
    ]


@pytest.mark.parametrize("part", ["0:1", "1:-1", "1", "-0:-1", "1:2:3", "1:99999999999"])
async def test_parts_that_are_none(imap: Imap, part: str) -> None:
    client = await imap.select(messages=1)
    await client.bad(f"UID FETCH 1:* (UID) (PARTIAL {part})")
    await client.bad("FETCH 1:* (UID) (PARTIAL 1:2)")
