"""INPROGRESS (RFC 9585): how far a command that lasts has come."""

from __future__ import annotations

import re

import pytest
from postroom_store import messages, progress
from postroom_store.search import program

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.system import Imap

AT_ONCE = {"progress_seconds": 0}
MESSAGES = 12
# Too short for the index, so that every message is read.
DEAR = "BODY ~x"


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store tells of each message."""
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    monkeypatch.setattr(messages, "PORTION", 1)


async def filled(imap: Imap, alone: FrontAlone) -> ImapClient:
    await alone.fill(imap.person.name, MESSAGES)
    return await imap.select()


def told(lines: list[str], tag: str = r'"t\d+"') -> tuple[list[tuple[int, int]], list[str]]:
    """What is told of progress, first of all; and the other responses."""
    found = [
        re.fullmatch(rf"\* OK \[INPROGRESS \({tag} (\d+) (\d+)\)\] Still at work", line)
        for line in lines
    ]
    count = sum(one is not None for one in found)
    assert all(found[:count]), lines
    return [(int(one[1]), int(one[2])) for one in found if one], lines[count:]


async def test_it_is_told_that_there_is_progress_to_hear(imap: Imap) -> None:
    client = await imap.login()
    (line,) = await client.ok("CAPABILITY")
    assert "INPROGRESS" in line.split()


@pytest.mark.parametrize("bounds", [AT_ONCE])
@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (f"SEARCH {DEAR}", "* SEARCH"),
        (f"UID SEARCH {DEAR}", "* SEARCH"),
        (f"SEARCH RETURN (COUNT) {DEAR}", "* ESEARCH (TAG ...) COUNT 0"),
        (f"SORT (DATE) UTF-8 {DEAR}", "* SORT"),
        (f"THREAD REFERENCES UTF-8 {DEAR}", "* THREAD"),
    ],
)
@pytest.mark.usefixtures("telling")
async def test_a_search_that_reads_messages(
    imap: Imap, alone: FrontAlone, command: str, answer: str
) -> None:
    client = await filled(imap, alone)
    steps, (line,) = told(await client.ok(command))
    assert line.startswith(answer.partition("(TAG")[0])
    assert steps == [(done, MESSAGES) for done in range(MESSAGES)]


@pytest.mark.parametrize("bounds", [AT_ONCE])
@pytest.mark.usefixtures("telling")
async def test_what_the_sets_settle_is_done(imap: Imap, alone: FrontAlone) -> None:
    client = await filled(imap, alone)
    steps, _ = told(await client.ok(f"SEARCH 10:* {DEAR}"))
    assert steps == [(9, MESSAGES), (10, MESSAGES), (11, MESSAGES)]
    assert await client.ok("SEARCH LARGER 1000000") == ["* SEARCH"]
    assert await client.ok("SEARCH UNSEEN 1") == ["* SEARCH 1"]


@pytest.mark.parametrize("bounds", [AT_ONCE])
@pytest.mark.usefixtures("telling")
async def test_a_search_in_several_mailboxes(imap: Imap, alone: FrontAlone) -> None:
    client = await filled(imap, alone)
    await client.ok("COPY 1:3 Archive")
    steps, rest = told(await client.ok(f"ESEARCH IN (personal) {DEAR}"))
    assert rest == []
    assert {goal for _, goal in steps} == {MESSAGES + 3}
    done = [done for done, _ in steps]
    assert done == sorted(done)
    assert set(done) == set(range(MESSAGES + 3))


@pytest.mark.parametrize("bounds", [AT_ONCE])
@pytest.mark.usefixtures("telling")
async def test_copies_and_moves(imap: Imap, alone: FrontAlone) -> None:
    client = await filled(imap, alone)
    steps, rest = told(await client.ok("UID COPY 1:10 Archive"))
    assert steps == [(done, 10) for done in range(10)]
    assert rest == []
    steps, rest = told(await client.ok("MOVE 1:4 Archive"))
    assert steps == [(0, 4), (0, 4), (1, 4), (1, 4)]
    assert rest[0].startswith("* OK [COPYUID ")
    assert rest[1:] == ["* 4 EXPUNGE", "* 3 EXPUNGE", "* 2 EXPUNGE", "* 1 EXPUNGE"]


@pytest.mark.parametrize("bounds", [AT_ONCE])
@pytest.mark.usefixtures("telling")
async def test_a_tag_that_would_end_the_code(imap: Imap, alone: FrontAlone) -> None:
    client = await filled(imap, alone)
    await client.send(f"a] SEARCH {DEAR}\r\n".encode())
    lines, _ = await client.finish("a]")
    steps, _ = told(lines, "NIL")
    assert len(steps) == MESSAGES


@pytest.mark.parametrize("bounds", [AT_ONCE])
@pytest.mark.usefixtures("telling")
async def test_commands_that_follow_at_once(imap: Imap, alone: FrontAlone) -> None:
    client = await filled(imap, alone)
    await client.send(f"b SEARCH {DEAR}\r\nc COPY 1:2 Archive\r\nd NOOP\r\n".encode())
    for tag, steps in (("b", MESSAGES), ("c", 2), ("d", 0)):
        lines, done = await client.finish(tag)
        assert done.startswith("OK "), done
        assert len(told(lines, f'"{tag}"')[0]) == steps


@pytest.mark.parametrize("bounds", [AT_ONCE])
@pytest.mark.usefixtures("telling")
async def test_others_hear_nothing_of_it(imap: Imap, alone: FrontAlone) -> None:
    client, other = await filled(imap, alone), await imap.select()
    tag = await client.start(f"SEARCH {DEAR}")
    assert await other.ok("NOOP") == []
    assert len(told((await client.finish(tag))[0])[0]) == MESSAGES
    assert await other.ok("NOOP") == []


@pytest.mark.parametrize("bounds", [AT_ONCE])
@pytest.mark.usefixtures("telling")
async def test_a_search_that_fails_after_some_progress(
    imap: Imap, alone: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await filled(imap, alone)
    monkeypatch.setattr(program, "MOST_SECONDS", 0.0)
    _, done = await client.transact(f"SEARCH {DEAR}")
    assert done.startswith("NO [LIMIT] ")
    assert await client.ok("NOOP") == []


@pytest.mark.usefixtures("telling")
async def test_what_is_quick_is_not_told(imap: Imap, alone: FrontAlone) -> None:
    """The first is told after ten seconds."""
    client = await filled(imap, alone)
    assert await client.ok(f"SEARCH {DEAR}") == ["* SEARCH"]
    assert await client.ok("COPY 1:* Archive") == []
