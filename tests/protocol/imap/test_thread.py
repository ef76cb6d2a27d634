"""THREAD (RFC 5256; REFS: draft-ietf-morg-inthread). What threads are, tests/unit/imap shows."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap


def message(number: int, references: str, subject: str) -> bytes:
    fields = [
        f"Date: {number} Mar 2000 00:00:00 +0000",
        f"Message-ID: <{number}@example.org>",
        f"Subject: {subject}",
    ]
    if references:
        ids = " ".join(f"<{each}@example.org>" for each in references.split())
        fields.append(f"{'References' if len(references) > 1 else 'In-Reply-To'}: {ids}")
    return "\r\n".join([*fields, "", "x", ""]).encode()


async def filled(imap: Imap) -> ImapClient:
    client = await imap.select()
    for number, (references, subject) in enumerate(
        [
            ("", "apples"),
            ("1", "Re: apples"),
            ("", "lunch"),
            ("1 2", "Re: apples"),
            ("9", "Re: missing"),
            ("9", "Re: missing"),
            ("1", "Re: lunch"),
            ("", "Re: lunch"),
        ],
        start=1,
    ):
        date = f'"{20 - number}-Mar-2000 00:00:00 +0000"'
        await client.append("INBOX", message(number, references, subject), date)
    await client.ok("NOOP")
    return client


@pytest.mark.parametrize(
    ("algorithm", "threads"),
    [
        ("ORDEREDSUBJECT", "(1 (2)(4))(3 (7)(8))(5 6)"),
        ("REFERENCES", "(1 (2 4)(7))(3 8)((5)(6))"),
        ("REFS", "(8)((5)(6))(3)(1 (2 4)(7))"),
    ],
)
async def test_algorithms(imap: Imap, algorithm: str, threads: str) -> None:
    client = await filled(imap)
    for _ in range(2):  # what is kept from the first time says the same
        assert await client.ok(f"THREAD {algorithm} UTF-8 ALL") == [f"* THREAD {threads}"]


async def test_what_comes_and_goes_is_threaded_too(imap: Imap) -> None:
    client, other = await filled(imap), await imap.select()
    everything = "THREAD REFERENCES UTF-8 ALL"
    assert await client.ok(everything) == ["* THREAD (1 (2 4)(7))(3 8)((5)(6))"]
    await other.append("INBOX", message(10, "8", "Re: lunch"))
    await client.ok("NOOP")
    assert await client.ok(everything) == ["* THREAD (1 (2 4)(7))(3 8 9)((5)(6))"]
    await other.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    # The numbers don't shift before the session is told.
    told = await client.ok(everything)
    assert "* THREAD (1 (2 4)(7))(3 8 9)((5)(6))" in told
    await client.ok("NOOP")
    assert await client.ok(everything) == ["* THREAD (1 (2 3)(6))((4)(5))(7 8)"]
    assert await client.ok(f"UID {everything}") == ["* THREAD (1 (2 4)(7))((5)(6))(8 9)"]


async def test_some_of_the_messages(imap: Imap) -> None:
    client = await filled(imap)
    assert await client.ok("THREAD REFERENCES UTF-8 SUBJECT apples 2:8") == ["* THREAD (2 4)"]
    assert await client.ok("THREAD REFERENCES US-ASCII SINCE 18-Mar-2000") == ["* THREAD (1 2)"]
    assert await client.ok('THREAD ORDEREDSUBJECT US-ASCII TEXT "gewp"') == ["* THREAD"]


async def test_by_uid(imap: Imap) -> None:
    client = await filled(imap)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    assert await client.ok("UID THREAD REFERENCES UTF-8 UID 2:4") == ["* THREAD (2 4)(3)"]
    # The message that all of them answer is gone.
    assert await client.ok("THREAD REFERENCES UTF-8 1:3") == ["* THREAD (1 3)(2)"]


async def test_in_a_session_without_numbers(imap: Imap) -> None:
    client = await filled(imap)
    await client.ok("ENABLE UIDONLY")
    await client.bad("THREAD REFS UTF-8 ALL")
    assert await client.ok("UID THREAD REFERENCES UTF-8 UID 3:4") == ["* THREAD (3)(4)"]


@pytest.mark.parametrize(
    "arguments", ["", "REFERENCES", "REFERENCES UTF-8", "JWZ UTF-8 ALL", "(REFERENCES) UTF-8 ALL"]
)
async def test_what_is_not_understood(imap: Imap, arguments: str) -> None:
    client = await imap.select(messages=1)
    await client.bad(f"THREAD {arguments}".rstrip())
    await client.no("THREAD REFS x-none ALL", "NO [BADCHARSET ...] ...")
    assert await client.ok("THREAD REFS UTF-8 ALL") == ["* THREAD (1)"]
