"""COMPARATOR, and how texts are compared: I18NLEVEL=1 and I18NLEVEL=2 (RFC 5255 section 4)."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap

MESSAGES = (
    "From: ANN <ann@example.org>\r\nSubject: =?utf-8?Q?Caf=C3=A9?=\r\nX-Test: Yes\r\n\r\n"
    "Straße  one\r\n",
    "From: Bob <bob@example.org>\r\nSubject: café\r\nX-Test: yes\r\n\r\nSTRASSE one\r\n",
    "From: ann <ann@example.com>\r\nSubject: CAFÉ\r\n\r\nStraße one\r\n",
)


async def cafes(imap: Imap) -> ImapClient:
    client = await imap.login()
    for message in MESSAGES:
        await client.append("INBOX", message.encode())
    await client.ok("SELECT INBOX")
    return client


async def found(client: ImapClient, program: str) -> list[int]:
    """What a search finds; its text is sent as a literal."""
    keys, _, text = program.partition("|")
    octets = text.encode()
    head = f"s SEARCH CHARSET UTF-8 {keys} {{{len(octets)}+}}\r\n"
    await client.send(head.encode() + octets + b"\r\n")
    (line,), done = await client.finish("s")
    assert done.startswith("OK "), done
    return [int(number) for number in line.split()[2:]]


async def test_it_is_told_that_there_is_a_choice(imap: Imap) -> None:
    client = await imap.login()
    (line,) = await client.ok("CAPABILITY")
    assert {"I18NLEVEL=1", "I18NLEVEL=2"} <= set(line.split())


async def test_the_examples(imap: Imap) -> None:
    client = await imap.login()
    assert await client.ok("COMPARATOR") == ["* COMPARATOR i;unicode-casemap"]
    assert await client.ok('COMPARATOR "cz;*" i;octet') == ["* COMPARATOR i;octet"]
    assert await client.ok("COMPARATOR") == ["* COMPARATOR i;octet"]
    assert await client.ok("COMPARATOR default") == ["* COMPARATOR i;unicode-casemap"]


async def test_several_that_match_are_told(imap: Imap) -> None:
    client = await imap.login()
    assert await client.ok('COMPARATOR "i;a*" i;octet') == [
        "* COMPARATOR i;ascii-casemap (i;ascii-casemap i;octet)"
    ]
    assert await client.ok('COMPARATOR "*"') == [
        "* COMPARATOR i;unicode-casemap (i;unicode-casemap i;ascii-casemap i;octet)"
    ]
    assert await client.ok('COMPARATOR "+I;OCTET" "i;octet"') == ["* COMPARATOR i;octet"]


@pytest.mark.parametrize("order", ["i;basic", '"-i;octet"', '""', '"i%"', "i;ascii-numeric"])
async def test_there_is_no_such_comparator(imap: Imap, order: str) -> None:
    client = await imap.login()
    await client.ok("COMPARATOR i;octet")
    assert await client.no(f"COMPARATOR {order}", "NO [BADCOMPARATOR] ...") == []
    assert await client.ok("COMPARATOR") == ["* COMPARATOR i;octet"]


async def test_bad_input(imap: Imap) -> None:
    client = await imap.connect()
    await client.bad("COMPARATOR")
    await client.ok(f'LOGIN "{imap.person.name}" "{imap.person.password}"')
    await client.bad("COMPARATOR (i;octet)")
    await client.bad("COMPARATOR  i;octet")
    _, done = await client.transact(f"COMPARATOR{' a' * 2000}")
    assert done.startswith("BAD [LIMIT]")
    many = "*a" * 120
    assert await client.no(f'COMPARATOR "{many}"', "NO [BADCOMPARATOR] ...") == []


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("program", "unicode", "ascii", "octet"),
    [
        ("SUBJECT|café", [1, 2, 3], [1, 2], [2]),
        ("SUBJECT|CAFÉ", [1, 2, 3], [3], [3]),
        ("SUBJECT|cafe", [1, 2, 3], [], []),
        ("SUBJECT|Caf", [1, 2, 3], [1, 2, 3], [1]),
        ("SUBJECT|af", [1, 2, 3], [1, 2, 3], [1, 2]),
        ("FROM|ann", [1, 3], [1, 3], [1, 3]),
        ("FROM|ANN <", [1, 3], [1, 3], [1]),
        ("BODY|straße", [1, 2, 3], [1, 3], []),
        ("BODY|Straße one", [1, 2, 3], [3], [3]),
        ("TEXT|X-Test: Y", [1, 2], [1, 2], [1]),
        ("HEADER X-TEST|YES", [1, 2], [1, 2], []),
        ("HEADER x-test|es", [1, 2], [1, 2], [1, 2]),
        ("NOT SUBJECT|café", [], [3], [1, 3]),
        ("FUZZY SUBJECT|café", [1, 2, 3], [1, 2], [2]),
        ("1:2 SUBJECT|é", [1, 2], [1, 2], [1, 2]),
    ],
)
async def test_searches(
    imap: Imap, program: str, unicode: list[int], ascii: list[int], octet: list[int]
) -> None:
    client = await cafes(imap)
    assert await found(client, program) == unicode
    await client.ok("COMPARATOR i;ascii-casemap")
    assert await found(client, program) == ascii
    await client.ok("COMPARATOR i;octet")
    assert await found(client, program) == octet
    await client.ok("COMPARATOR default")
    assert await found(client, program) == unicode


async def test_what_has_no_text_is_as_before(imap: Imap) -> None:
    client = await cafes(imap)
    await client.ok("COMPARATOR i;octet")
    assert await client.ok("SEARCH UNSEEN 2:*") == ["* SEARCH 2 3"]
    await client.ok("STORE 1 +FLAGS ($Work)")
    assert await client.ok("SEARCH KEYWORD $work LARGER 10") == ["* SEARCH 1"]


async def test_it_is_the_sessions_own(imap: Imap) -> None:
    first, second = await imap.login(), await imap.login()
    await first.ok("COMPARATOR i;octet")
    assert await second.ok("COMPARATOR") == ["* COMPARATOR i;unicode-casemap"]
    await first.ok("SELECT INBOX")
    assert await first.ok("COMPARATOR") == ["* COMPARATOR i;octet"]
    await first.ok("UNAUTHENTICATE")
    await first.ok(f'LOGIN "{imap.person.name}" "{imap.person.password}"')
    assert await first.ok("COMPARATOR") == ["* COMPARATOR i;unicode-casemap"]
