"""Searches as deep and as large as may be, and beyond: each is answered, or refused as too much."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.protocol.imap.client import matches
from tests.protocol.imap.system import Imap

VERBS = {
    "search": "SEARCH",
    "kept search": "SEARCH RETURN (ALL UPDATE)",
    "sort": "SORT (DATE) UTF-8",
    "thread": "THREAD REFERENCES UTF-8",
    "several": "ESEARCH IN (personal)",
}
TOO_MUCH = "NO [LIMIT] ..."
TOO_MUCH_FOR_THE_STORE = "NO [CANNOT] A search has at most 1000 keys, 50 deep"


def nested(levels: int) -> str:
    """Levels that can't be taken apart without a look at the messages."""
    program = "BODY hello"
    for level in range(levels):
        odd = level % 2
        program = f"NOT (BODY no{level} {program})" if odd else f"OR BODY no{level} ({program})"
    return program


def tree(keys: Iterator[str], leaves: int) -> str:
    """A tree of ORs, as flat as it can be."""
    if leaves == 1:
        return next(keys)
    return f"OR {tree(keys, leaves // 2)} {tree(keys, leaves - leaves // 2)}"


def each(pattern: str) -> Iterator[str]:
    return (pattern.format(number) for number in itertools.count())


PROGRAMS = {
    "as deep as the store goes": (nested(32), "OK ..."),
    "deeper than the store goes": (nested(36), TOO_MUCH),
    "deeper than protobuf goes": (nested(50), TOO_MUCH),
    "NOT as deep as it may be": ("NOT " * 49 + "BODY hello", "OK ..."),
    "NOT deeper than the store goes": ("NOT " * 99 + "BODY hello", TOO_MUCH),
    "deeper than is read": ("NOT " * 101 + "SEEN", "BAD [LIMIT] ..."),
    "FUZZY": ("FUZZY " * 99 + "BODY hello", TOO_MUCH),
    "many texts": (" ".join(f"BODY word{n}" for n in range(999)), "OK ..."),
    "more texts": (" ".join(f"BODY word{n}" for n in range(1_500)), TOO_MUCH_FOR_THE_STORE),
    "more keys than are read": (" ".join(["SEEN"] * 2_001), "BAD [LIMIT] ..."),
    "many fields": (" ".join(f"HEADER X-{n} a" for n in range(999)), "OK ..."),
    "a tree of texts": (tree(each("BODY word{}"), 900), "OK ..."),
    "a tree of sizes": (tree(each("LARGER {}"), 900), "OK ..."),
    "a tree of keywords": (tree(each("KEYWORD $a{}"), 900), "OK ..."),
    "a tree of NOTs": ("NOT (" + tree(each("NOT BODY word{}"), 400) + ")", "OK ..."),
    "a long text": ('BODY "' + "hello " * 5_000 + '"', "OK ..."),
    "wild UIDs": ("OR UID " + ",".join(f"{3 * n}" for n in range(1, 9_000)) + " BODY x", "OK ..."),
}


@pytest.mark.parametrize(("program", "answer"), PROGRAMS.values(), ids=PROGRAMS)
async def test_absurd_programs(imap: Imap, program: str, answer: str) -> None:
    client = await imap.select(messages=3)
    for verb in VERBS.values():
        _, done = await client.transact(f"{verb} {program}")
        assert matches(done, answer), (verb, done)
    assert await client.ok("SEARCH BODY hello") == ["* SEARCH 1 2 3"]


async def test_what_is_absurd_is_searched_right(imap: Imap) -> None:
    client = await imap.select(messages=3)
    # As deep as is read: the store needs not be asked.
    assert await client.ok("SEARCH " + "NOT " * 100 + "UNSEEN") == ["* SEARCH 1 2 3"]
    for program in ("NOT " * 48 + "SUBJECT 2", tree(each("SUBJECT {}"), 3) + " NOT SUBJECT 1"):
        assert await client.ok(f"SEARCH {program}") == ["* SEARCH 2"]
    assert await client.ok("SEARCH " + "NOT " * 49 + "SUBJECT 2") == ["* SEARCH 1 3"]
    assert await client.ok("SEARCH " + tree(each("SUBJECT {}"), 500)) == ["* SEARCH 1 2 3"]
