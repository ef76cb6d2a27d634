"""FILTERS (RFC 5466): searches that are kept under names."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.system import Imap, small

FILTERS = "/private/filters/values"


async def three(imap: Imap) -> ImapClient:
    """Three messages, of which the second is from the boss and the third is flagged."""
    client = await imap.login()
    await client.append("INBOX", small(1))
    boss = small(2).replace(b"foobar@example.org", b"boss@example.com")
    await client.append("INBOX", boss + b"x" * 6000)
    await client.append("INBOX", small(3) + b"x" * 6000, "(\\Flagged)")
    await client.ok("SELECT INBOX")
    return client


async def keep(client: ImapClient, name: str, program: str) -> None:
    octets = program.encode()
    head = f'k SETMETADATA "" ({FILTERS}/{name} {{{len(octets)}+}}\r\n'
    await client.send(head.encode() + octets + b")\r\n")
    told, done = await client.finish("k")
    assert (told, done[:3]) == ([], "OK "), done


async def test_the_examples(imap: Imap) -> None:
    client = await three(imap)
    (line,) = await client.ok("CAPABILITY")
    assert "FILTERS" in line.split()
    program = 'OR SMALLER 5000 FROM \\"boss@example.com\\"'
    await client.ok(f'SETMETADATA "" ({FILTERS}/on-the-road "{program}")')
    assert await client.ok(f'GETMETADATA "" {FILTERS}/on-the-road') == [
        f'* METADATA "" ({FILTERS}/on-the-road "{program}")'
    ]
    assert await client.ok("SEARCH FILTER on-the-road") == ["* SEARCH 1 2"]
    assert await client.ok("UID SEARCH UID 2:900 FILTER on-the-road") == ["* SEARCH 2"]
    assert await client.ok("SEARCH CHARSET UTF-8 FILTER On-The-Road") == ["* SEARCH 1 2"]
    await client.ok(f'SETMETADATA "" ({FILTERS}/on-the-road NIL)')
    await client.no("SEARCH FILTER on-the-road", "NO [UNDEFINED-FILTER on-the-road] ...")


async def test_a_filter_is_one_key(imap: Imap) -> None:
    client = await three(imap)
    await keep(client, "flagged", "FLAGGED LARGER 5000")
    assert await client.ok("SEARCH NOT FILTER flagged") == ["* SEARCH 1 2"]
    assert await client.ok("SEARCH OR FILTER flagged 1") == ["* SEARCH 1 3"]
    assert await client.ok("SEARCH (FILTER flagged) UNSEEN") == ["* SEARCH 3"]
    assert await client.ok("SEARCH FUZZY FILTER flagged") == ["* SEARCH 3"]


async def test_texts_are_utf8(imap: Imap) -> None:
    client = await imap.login()
    await client.append("INBOX", "Subject: Grüße\r\n\r\nhi\r\n".encode())
    await client.ok("SELECT INBOX")
    await keep(client, "greetings", 'SUBJECT "grüße"')
    assert await client.ok("SEARCH FILTER greetings") == ["* SEARCH 1"]
    assert await client.ok("SEARCH CHARSET US-ASCII FILTER greetings") == ["* SEARCH 1"]
    _, done = await client.transact("SEARCH CHARSET ISO-8859-1 FILTER greetings")
    assert done.startswith("BAD [BADCHARSET (US-ASCII UTF-8)] ")
    await keep(client, "literal", "SUBJECT {7}\r\ngrüße")
    assert await client.ok("SEARCH FILTER literal") == ["* SEARCH 1"]


async def test_filters_in_filters(imap: Imap) -> None:
    client = await three(imap)
    await keep(client, "a", "FILTER b")
    await keep(client, "b", "NOT FILTER c")
    await keep(client, "c", "FLAGGED")
    assert await client.ok("SEARCH FILTER a") == ["* SEARCH 1 2"]
    await keep(client, "deeper", "FILTER a")
    await client.no("SEARCH FILTER deeper", "NO [UNDEFINED-FILTER c] ...")
    await client.no("SEARCH OR 1 FILTER nothing", "NO [UNDEFINED-FILTER nothing] ...")


async def test_loops_are_undefined(imap: Imap) -> None:
    client = await three(imap)
    await keep(client, "self", "UNSEEN FILTER self")
    await client.no("SEARCH FILTER self", "NO [UNDEFINED-FILTER self] ...")
    await keep(client, "ping", "FILTER pong")
    await keep(client, "pong", "FILTER ping")
    await client.no("SEARCH FILTER ping", "NO [UNDEFINED-FILTER p...] ...")
    assert await client.ok("SEARCH 1") == ["* SEARCH 1"]


async def test_what_grows_too_large_is_refused(imap: Imap) -> None:
    client = await three(imap)
    await keep(client, "c", "SEEN " * 1500 + "SEEN")
    await keep(client, "b", "FILTER c " * 1500 + "FILTER c")
    await keep(client, "a", "FILTER b " * 1500 + "FILTER b")
    await client.no("SEARCH FILTER a", "NO [LIMIT] ...")
    await keep(client, "deep", "NOT " * 60 + "FILTER deeper")
    await keep(client, "deeper", "NOT " * 61 + "SEEN")
    await client.no("SEARCH FILTER deep", "NO [LIMIT] ...")
    assert await client.ok("SEARCH FILTER deeper") == ["* SEARCH 1 2 3"]


@pytest.mark.parametrize(
    "value",
    [
        '"no such key"',
        '""',
        '"SEEN "',
        '"FROM"',
        '"FILTER a/b"',
        '"SEEN) NOT (SEEN"',
        '"CHARSET x 1"',
    ],
)
async def test_what_is_no_search_is_not_kept(imap: Imap, value: str) -> None:
    client = await imap.login()
    await client.no(f'SETMETADATA "" ({FILTERS}/x {value})', "NO [CANNOT] ...")
    assert await client.ok(f'GETMETADATA "" {FILTERS}/x') == [f'* METADATA "" ({FILTERS}/x NIL)']
    # Annotations of a mailbox are no filters.
    await client.ok(f"SETMETADATA INBOX ({FILTERS}/x {value})")


@pytest.mark.parametrize("name", ["a/b", '"a b"', "a(", "a]"])
async def test_what_is_no_name_is_refused(imap: Imap, name: str) -> None:
    client = await three(imap)
    await client.bad(f"SEARCH FILTER {name}")
    entry = name if name.startswith('"') else f'"{name}"'
    quoted = f'"{FILTERS}/{entry[1:]}'
    await client.no(f'SETMETADATA "" ({quoted} "SEEN")', "NO [CANNOT] ...")


async def test_descriptions(imap: Imap) -> None:
    client = await imap.login()
    entry = "/private/filters/descriptions/x"
    await client.ok(f'SETMETADATA "" ({entry} "What I want")')
    await client.send(f'd SETMETADATA "" ({entry} {{1+}}\r\n'.encode() + b"\xff)\r\n")
    _, done = await client.finish("d")
    assert done.startswith("NO [CANNOT] ")
    assert await client.ok(f'GETMETADATA "" {entry}') == [f'* METADATA "" ({entry} "What I want")']


async def test_a_filter_kept_otherwise_is_undefined(imap: Imap) -> None:
    """RFC 5466 section 3.1: what is found is looked at again."""
    first, second = await three(imap), await imap.login()
    await keep(second, "x", "1:2")
    assert await first.ok("SEARCH FILTER x") == ["* SEARCH 1 2"]
    await first.ok("ENABLE UIDONLY")
    _, done = await first.transact("UID SEARCH FILTER x")
    assert done.startswith("BAD [UIDREQUIRED] ")


async def test_a_search_that_saves(imap: Imap) -> None:
    client = await three(imap)
    await keep(client, "flagged", "FLAGGED")
    await client.ok("SEARCH RETURN (SAVE) FILTER flagged")
    assert await client.ok("SEARCH $") == ["* SEARCH 3"]
    await keep(client, "saved", "$")
    assert await client.ok("SEARCH FILTER saved") == ["* SEARCH 3"]
    await client.no("SEARCH RETURN (SAVE) FILTER none", "NO [UNDEFINED-FILTER none] ...")
    assert await client.ok("SEARCH $") == ["* SEARCH"]


SHARED = {"shared_filters": "Boss FROM boss@example.com\n\nsmall  SMALLER 5000\n"}


@pytest.mark.parametrize("bounds", [SHARED])
async def test_filters_of_the_operator(imap: Imap) -> None:
    client = await three(imap)
    assert await client.ok("SEARCH FILTER small") == ["* SEARCH 1"]
    assert await client.ok('GETMETADATA "" (DEPTH 1) /shared/filters/values') == [
        '* METADATA "" (/shared/filters/values/boss "FROM boss@example.com"'
        ' /shared/filters/values/small "SMALLER 5000")'
    ]
    await keep(client, "boss", "FLAGGED")  # a person's own comes first
    assert await client.ok("SEARCH FILTER boss") == ["* SEARCH 3"]
    await client.ok(f'SETMETADATA "" ({FILTERS}/boss NIL)')
    assert await client.ok("SEARCH FILTER boss") == ["* SEARCH 2"]
    await client.no('SETMETADATA "" (/shared/filters/values/boss "SEEN")', "NO [NOPERM] ...")


async def test_what_it_costs(imap: Imap, alone: FrontAlone) -> None:
    client = await three(imap)
    await keep(client, "a", "FILTER b FILTER c")
    await keep(client, "b", "FLAGGED")
    await keep(client, "c", "UNSEEN")
    alone.calls.clear()
    await client.ok("SEARCH UNSEEN")
    assert alone.calls.made == {}
    assert await client.ok("SEARCH FILTER a") == ["* SEARCH 3"]
    assert alone.calls.made == {"get_metadata": 2}
