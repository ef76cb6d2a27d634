"""What arrives, however it arrives: many commands at once, each in any pieces, or half of one.

What a client says in one go is answered as if it had waited for each answer (RFC 9051 section
5.5), and what can't be answered is refused without losing the thread.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from postroom_chassis.net.connection import Connection
from postroom_chassis.net.stream import ByteStream
from postroom_imap.session import Session
from postroom_imap.tracker import Tracker

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.system import Imap, small

# -- many commands at once


async def test_a_whole_session_in_one_packet(imap: Imap) -> None:
    client = await imap.connect()
    name, password = imap.person.name, imap.person.password
    message = small(1)
    said = (
        f'a LOGIN {name} "{password}"\r\nb CREATE new\r\n'
        f"c APPEND new {{{len(message)}+}}\r\n{message.decode()}\r\nd SELECT new\r\n"
        "e FETCH 1 (FLAGS)\r\nf STORE 1 +FLAGS.SILENT (\\Deleted)\r\ng EXPUNGE\r\n"
        "h SEARCH ALL\r\ni CLOSE\r\nj DELETE new\r\nk LOGOUT\r\n"
    )
    await client.send(said.encode())
    await client.expect("a OK ...", "b OK ...", "c OK [APPENDUID ...] ...")
    while not (heard := await client.hear()).startswith(b"d "):
        assert heard.startswith(b"* ")
    await client.expect("* 1 FETCH (FLAGS ())", "e OK ...", "f OK ...")
    await client.expect("* 1 EXPUNGE", "g OK ...", "* SEARCH", "h OK ...", "i OK ...", "j OK ...")
    await client.expect("* BYE ...", "k OK ...")
    await client.expect_end()


async def test_a_pipeline_whose_commands_depend_on_each_other(imap: Imap) -> None:
    client = await imap.select(messages=3)
    await client.send(
        b"a STORE 1 +FLAGS (\\Flagged)\r\n"
        b"b FETCH 1 (FLAGS)\r\n"
        b"c STORE 1 -FLAGS (\\Flagged)\r\n"
        b"d SEARCH FLAGGED\r\n"
        b"e FETCH 1 (BODY[TEXT])\r\n"
        b"f SEARCH UNSEEN\r\n"
    )
    await client.expect("* 1 FETCH (FLAGS (\\Flagged))", "a OK ...")
    await client.expect("* 1 FETCH (FLAGS (\\Flagged))", "b OK ...")
    await client.expect("* 1 FETCH (FLAGS ())", "c OK ...")
    await client.expect("* SEARCH", "d OK ...")
    await client.expect("* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] ...)", "e OK ...")
    await client.expect("* SEARCH 2 3", "f OK ...")


async def test_numbers_behind_an_expunge_are_the_new_ones(imap: Imap) -> None:
    client = await imap.select(messages=3)
    await client.send(
        b"a STORE 1 +FLAGS.SILENT (\\Deleted)\r\n"
        b"b EXPUNGE\r\n"
        b"c FETCH 1 (UID)\r\n"
        b"d MOVE 1 Trash\r\n"
        b"e FETCH 1:* (UID)\r\n"
    )
    await client.expect("a OK ...", "* 1 EXPUNGE", "b OK ...")
    await client.expect("* 1 FETCH (UID 2)", "c OK ...")
    await client.expect("* OK [COPYUID ... 2 1] ...", "* 1 EXPUNGE", "d OK ...")
    await client.expect("* 1 FETCH (UID 3)", "e OK ...")


async def test_another_mailbox_within_a_pipeline(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.send(
        b"a COPY 1 Trash\r\n"
        b"b EXAMINE Trash\r\n"
        b"c STORE 1 +FLAGS (\\Seen)\r\n"
        b"d SELECT missing\r\n"
        b"e FETCH 1 (UID)\r\n"
        b"f SELECT INBOX\r\n"
        b"g FETCH 1 (FLAGS)\r\n"
    )
    tags = []
    while b"g" not in tags:
        tag, _, rest = (await client.hear()).partition(b" ")
        if tag != b"*":
            tags.append(tag)
            refused = b"NO" if tag in b"cd" else b"BAD" if tag == b"e" else b"OK"
            assert rest.startswith(refused + b" "), (tag, rest)
    assert tags == [b"a", b"b", b"c", b"d", b"e", b"f", b"g"]


async def test_no_expunge_is_told_within_a_pipeline_of_numbers(imap: Imap) -> None:
    """RFC 9051 section 7.5.1: not while FETCH, STORE or SEARCH run."""
    client = await imap.select(messages=3)
    other = await imap.select()
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    await client.send(
        b"a FETCH 2 (UID)\r\nb STORE 3 +FLAGS.SILENT (\\Seen)\r\nc SEARCH SEEN\r\n"
        b"d UID FETCH 3 (UID)\r\n"
    )
    await client.expect("* 2 FETCH (UID 2)", "a OK ...", "b OK ...", "* SEARCH 3", "c OK ...")
    await client.expect("* 3 FETCH (UID 3)", "* 1 EXPUNGE", "d OK ...")


async def test_literals_that_do_not_wait_to_be_asked_for(imap: Imap) -> None:
    client = await imap.login()
    message = small(1)
    await client.send(
        b'a LIST "" {5}\r\nINBOX\r\nb APPEND INBOX {%d}\r\n%b\r\nc NOOP\r\n'
        % (len(message), message)
    )
    await client.expect("+ ...", "* LIST ... INBOX", "a OK ...", "+ ...", "b OK ...", "c OK ...")


# -- in any pieces

LITERALS = [
    b"l LIST {0+}\r\n {5+}\r\nDraft%s\r\n",
    b'l LIST "" {6}\r\nDrafts\r\n',
    b"l STATUS {6+}\r\nDrafts (MESSAGES UNSEEN)\r\n",
    b"l STATUS {6}\r\nDrafts (MESSAGES UNSEEN)\r\n",
    b"l FETCH 1 (BODY.PEEK[HEADER.FIELDS ({7+}\r\nSubject {4+}\r\nDate)] UID)\r\n",
    b"l SEARCH CHARSET UTF-8 OR SUBJECT {7+}\r\nmessage TEXT {2}\r\n\xc3\xa9\r\n",
    b"l SEARCH HEADER {4}\r\nFrom {4}\r\nFred\r\n",
    b"l COPY 1 {7+}\r\nmissing\r\n",
    b'l ID ({4+}\r\nname {1}\r\n\r "version" NIL)\r\n',
    b"l CREATE {1+}\r\n\r\r\n",
    b"l APPEND {7}\r\nmissing {3+}\r\nabc\r\n",
    b"l APPEND {5+}\r\nTrash (\\Seen) {4}\r\na\r\n\r\r\n",
    b"l APPEND Trash (\\Seen \\Oops) {3+}\r\nl x\r\n",
    b"l REPLACE 1 missing {3+}\r\nabc\r\n",
    b"l APPEND Trash ANNOTATION (/comment (value.priv {3+}\r\n{1})) {3}\r\nabc\r\n",
    b"l STORE 1 ANNOTATION (/comment (value.priv ~{3+}\r\na\0\r))\r\n",
    b"l SETMETADATA INBOX (/private/comment {3+}\r\na\r\n)\r\n",
    b"l GETMETADATA {5+}\r\nINBOX {16}\r\n/private/comment\r\n",
    b"l WHAT {3+}\r\nabc {2}\r\n",
    b"l FETCH {1+}\r\n1 (UID)\r\n",
    b"l NOOP {1+}\r\n\n\r\n",
    b"{3+}\r\nabc\r\n",
]
_NUMBERS_OF_APPENDS = re.compile(rb"APPENDUID \d+ \d+")


async def heard_up_to(client: ImapClient, tag: bytes) -> bytes:
    """What is said up to a tagged response."""
    heard = b""
    while not (response := await client.hear()).startswith(tag + b" "):
        heard += response + b"\r\n"
    return _NUMBERS_OF_APPENDS.sub(b"APPENDUID", heard)


class Pieces:
    """Sends octets so that the front receives them in the pieces that are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        feed = ByteStream.feed

        def watched(stream: ByteStream, octets: bytes) -> None:
            self.sizes.append(len(octets))
            feed(stream, octets)

        monkeypatch.setattr(ByteStream, "feed", watched)

    async def send(self, client: ImapClient, *pieces: bytes) -> None:
        self.sizes.clear()
        for number, piece in enumerate(pieces, 1):
            await client.send(piece)
            while len(self.sizes) < number:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0)
        assert self.sizes == [*map(len, pieces)]


@pytest.mark.parametrize("said", LITERALS, ids=range(len(LITERALS)))
async def test_literals_cut_anywhere(
    imap: Imap, alone: FrontAlone, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    client = await imap.select(messages=1)
    said = said.replace(b"%s", b"s") + b"z NOOP\r\n"
    await client.send(said)
    whole = await heard_up_to(client, b"z")
    assert whole.count(b"BAD ") + whole.count(b"\r\nl ") + whole.startswith(b"l ") >= 1
    pieces = Pieces(monkeypatch)
    for end in range(1, len(said)):
        await pieces.send(client, said[:end], said[end:])
        assert await heard_up_to(client, b"z") == whole, said[:end]
    await pieces.send(client, *(said[at : at + 1] for at in range(len(said))))
    assert await heard_up_to(client, b"z") == whole


async def test_a_session_octet_by_octet(imap: Imap) -> None:
    client = await imap.connect()
    said = (
        f"a LOGIN {{{len(imap.person.name)}+}}\r\n{imap.person.name} "
        f'"{imap.person.password}"\r\nb SELECT {{5}}\r\nINBOX\r\nc IDLE\r\nDONE\r\nd LOGOUT\r\n'
    )
    for octet in said.encode():
        await client.send(bytes([octet]))
        await asyncio.sleep(0)
    await client.expect("a OK ...", "+ ...")
    while not (heard := await client.hear()).startswith(b"b "):
        assert heard.startswith(b"* ")
    await client.expect("+ idling", "c OK ...", "* BYE ...", "d OK ...")
    await client.expect_end()


# -- literals that are not asked for


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("l LIST x {131073}", "l BAD [TOOBIG] ..."),
        ("l LIST x {99999999999999999999}", "l BAD ..."),
        ("l WHAT {5}", "l BAD ..."),
        ("l LOGIN x {5}", "l BAD ..."),
        ("{5}", "* BAD ..."),
        ("l APPEND missing {5000000}", "l NO [TRYCREATE] ..."),
        ("l APPEND INBOX {5000000000}", "l NO [TOOBIG] ..."),
        ("l APPEND INBOX (\\Oops) {5}", "l BAD ..."),
        ("l APPEND INBOX {99999999999999999999}", "l NO [TOOBIG] ..."),
    ],
)
async def test_a_literal_is_refused_and_the_session_goes_on(
    imap: Imap, line: str, answer: str
) -> None:
    client = await imap.login()
    await client.send(f"{line}\r\n".encode())
    await client.expect(answer)
    await client.ok("NOOP")


async def test_the_second_literal_of_a_command_is_refused(imap: Imap) -> None:
    client = await imap.select()
    await client.send(b"l SEARCH SUBJECT {3}\r\n")
    await client.expect("+ ...")
    await client.send(b"abc TEXT {131070}\r\n")
    await client.expect("l BAD [TOOBIG] ...")
    await client.ok("NOOP")


async def test_tight_limits_before_sign_in(imap: Imap) -> None:
    client = await imap.connect()
    for line, answer in [
        (b"l LOGIN {16385}", "l BAD [TOOBIG] ..."),
        (b"l LOGIN " + b"x" * 8192, "l BAD [TOOBIG] ..."),
        (b"l LOGIN x " + b'"' + b"x" * 20_000 + b'"', "l BAD [TOOBIG] ..."),
    ]:
        await client.send(line + b"\r\n")
        await client.expect(answer)
    await client.ok(f'LOGIN {imap.person.name} "{imap.person.password}"')


# -- IDLE and AUTHENTICATE that end in another way


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"DONE\r\n", "i OK ..."),
        (b"done\n", "i OK ..."),
        (b"DoNe\r\n", "i OK ..."),
        (b"\r\n", "i BAD ..."),
        (b" DONE\r\n", "i BAD ..."),
        (b"DONE \r\n", "i BAD ..."),
        (b"DONE {3+}\r\n", "i BAD ..."),
        (b"i NOOP\r\n", "i BAD ..."),
        (b"D\0NE\r\n", "i BAD ..."),
        (b"\xff" * 100 + b"\r\n", "i BAD ..."),
        (b"x" * 100_000 + b"\r\n", "i BAD ..."),
    ],
)
async def test_whatever_ends_idle(imap: Imap, said: bytes, answer: str) -> None:
    client = await imap.select(messages=1)
    other = await imap.select()
    for start in (b"i IDLE\r\n", b""):
        await client.send(start or b"i IDLE\r\n" + said)
        await client.expect("+ idling")
        if start:
            await client.send(said)
        await client.expect(answer)
        await client.ok("NOOP")
    # What happens from then on waits for the next command.
    await other.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    assert await client.ok("NOOP") == ["* 1 FETCH (FLAGS (\\Seen))"]


async def test_done_without_idle(imap: Imap) -> None:
    client = await imap.select()
    await client.send(b"i IDLE\r\nDONE\r\nDONE\r\nn NOOP\r\n")
    await client.expect("+ idling", "i OK ...", "DONE BAD ...", "n OK ...")


async def test_done_in_pieces_while_things_happen(imap: Imap) -> None:
    client = await imap.select(messages=1)
    other = await imap.select()
    await client.send(b"i IDLE\r\nDO")
    await client.expect("+ idling")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    await client.expect("* 1 FETCH (FLAGS (\\Seen))")
    await client.send(b"NE\r")
    await other.ok("STORE 1 -FLAGS.SILENT (\\Seen)")
    await client.expect("* 1 FETCH (FLAGS ())")
    await client.send(b"\nn NOOP\r\n")
    await client.expect("i OK ...", "n OK ...")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"*\r\n", "a BAD ..."),
        (b"*\n", "a BAD ..."),
        (b"**\r\n", "a BAD ..."),
        (b"=\r\n", "a ..."),
        (b"\r\n", "a ..."),
        (b"AA==\r\n", "a ..."),
        (b"b NOOP\r\n", "a BAD ..."),
        (b"A" * 20_000 + b"\r\n", "a BAD [TOOBIG] ..."),
    ],
)
async def test_whatever_ends_authenticate(imap: Imap, said: bytes, answer: str) -> None:
    client = await imap.connect()
    for at_once in (False, True):
        await client.send(b"a AUTHENTICATE PLAIN\r\n" + said * at_once)
        await client.expect("+ ")
        await client.send(said * (not at_once))
        await client.expect(answer)
    await client.ok(f'LOGIN {imap.person.name} "{imap.person.password}"')


async def test_what_follows_a_cancelled_exchange_is_a_command(imap: Imap) -> None:
    client = await imap.connect()
    await client.send(b"a AUTHENTICATE PLAIN\r\n*\r\nb LOGIN nobody nothing\r\n*\r\n")
    await client.expect("+ ", "a BAD ...", "b NO [AUTHENTICATIONFAILED] ...", "* BAD ...")


# -- clients that vanish

VANISHING = {
    "in a line": b"n NOO",
    "in a literal": b"n LIST {100+}\r\nabc",
    "asked for a literal": b"n LIST {100}\r\n",
    "in a message": b"n APPEND INBOX {1000+}\r\nabc",
    "in a large message": b"n APPEND INBOX {3000000+}\r\n" + b"x" * 2_000_000,
    "in a message that is dropped": b"n APPEND missing {1000000+}\r\n" + b"x" * 500_000,
    "in the second message": b"n APPEND INBOX {3+}\r\nabc {1000+}\r\nabc",
    "in a response": b"n FETCH 1:* (BODY.PEEK[])\r\n" * 8,
    "in responses from the cache": b"n FETCH 1:* (UID FLAGS ENVELOPE)\r\n" * 500,
    "in a search": b"n SEARCH BODY nothing\r\n" * 20,
    "in IDLE": b"n IDLE\r\n",
    "in IDLE's end": b"n IDLE\r\nDO",
    "in NOTIFY": b"n NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge))\r\nm IDLE\r\n",
    "in COMPRESS": b"n COMPRESS DEFLATE\r\n\x02\xff",
}


@asynccontextmanager
async def nothing_left(imap: Imap) -> AsyncIterator[None]:
    """Demands that nothing is left of the clients that came and went."""
    client = await imap.select(messages=3)
    large = small(4) + b"x" * 1_000_000
    await client.append("INBOX", large)
    await client.ok("NOOP")
    before, tasks_before = things(), tasks()
    yield
    await client.ok("NOOP")
    try:
        async with asyncio.timeout(20):
            while tasks() - tasks_before:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.005)
            # A connection outlives its session by a turn of the loop, which sends what is left.
            while things() != before:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.005)
    except TimeoutError:
        left = f"{tasks() - tasks_before}, {things()} instead of {before}"
        raise AssertionError(f"left: {left}") from None
    assert await client.ok("STATUS INBOX (MESSAGES)") == ["* STATUS INBOX (MESSAGES 4)"]


def tasks() -> Counter[str]:
    """What runs in the loop, by what it runs; the store's streams wait for news by Queue.get."""
    names = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    return Counter(name for name in names if name not in ("", "Queue.get"))


def things() -> list[int]:
    """How many there are of what sessions are made of."""
    gc.collect()
    there = Counter(type(thing) for thing in gc.get_objects())
    return [there[kind] for kind in (Session, Connection, ByteStream, Tracker)]


@pytest.mark.parametrize("said", VANISHING.values(), ids=VANISHING)
@pytest.mark.parametrize("politely", [True, False], ids=["closed", "reset"])
async def test_nothing_is_left_of_those_who_vanish(
    imap: Imap, alone: FrontAlone, said: bytes, politely: bool
) -> None:
    async with nothing_left(imap):
        for _ in range(3):
            client = await imap.select()
            await client.send(said)
            if politely:
                await client.close()
            else:
                client.reset()
            alone.forget(client)


async def test_nothing_is_left_of_those_who_vanish_before_sign_in(
    imap: Imap, alone: FrontAlone
) -> None:
    async with nothing_left(imap):
        for said in (b"", b"a", b"a LOGIN {5}\r\n", b"a AUTHENTICATE PLAIN\r\n"):
            for asked in (True, False):
                client = await imap.connect()
                await client.send(said)
                if asked and said.endswith(b"\n"):
                    await client.expect("+ ...")
                client.reset()
                alone.forget(client)


@pytest.mark.parametrize(
    ("response", "answer"),
    [("AGEAYg==", "a NO ..."), ("*", "a BAD ..."), ("?", "a BAD ..."), ("right", "a OK ...")],
)
async def test_nothing_is_left_of_an_exchange(
    imap: Imap, alone: FrontAlone, response: str, answer: str
) -> None:
    right = f"\0{imap.person.name}\0{imap.person.password}"
    if response == "right":
        response = base64.b64encode(right.encode()).decode()
    async with nothing_left(imap):
        client = await imap.connect()
        await client.send(b"a AUTHENTICATE PLAIN\r\n")
        await client.expect("+ ")
        await client.send(f"{response}\r\n".encode())
        await client.expect(answer)
        client.reset()
        alone.forget(client)


# -- those who read slowly, or too much is asked of


async def test_who_reads_nothing_holds_up_nobody(imap: Imap, alone: FrontAlone) -> None:
    other = await imap.login()
    await other.append("INBOX", small(1) + b"x" * 2_000_000)
    await other.ok("SELECT INBOX")
    slow = [await alone.connect_slowly() for _ in range(5)]
    for client in slow:
        await client.expect("* OK ...")
        await client.ok(f'LOGIN "{imap.person.name}" "{imap.person.password}"')
        await client.ok("SELECT INBOX")
        await client.send(b"f FETCH 1 (BODY.PEEK[])\r\n" * 50)
    for _ in range(100):
        await other.ok("NOOP")
    await other.ok("FETCH 1 (BODY.PEEK[])")


DEEP = b"(" * 30_000
TOO_MUCH = [
    (b"n SEARCH " + DEEP + b"ALL", "n BAD ..."),
    (b"n SEARCH " + b"NOT " * 10_000 + b"ALL", "n BAD ..."),
    (b"n SEARCH " + b"OR ALL " * 9_000 + b"ALL", "n BAD ..."),
    (b"n FETCH 1 " + DEEP, "n BAD ..."),
    (b'n LIST "" ' + DEEP, "n BAD ..."),
    (b"n LIST " + DEEP, "n BAD ..."),
    (b"n STORE 1 FLAGS " + DEEP, "n BAD ..."),
    (b"n ID " + DEEP, "n BAD ..."),
    (b"n STATUS INBOX " + DEEP, "n BAD ..."),
    (b"n NOTIFY SET " + DEEP, "n BAD ..."),
    (b"n FETCH 1 BODY[" + b"1." * 30_000 + b"1]", "n BAD [LIMIT] ..."),
    (b"n FETCH 1 (" + b"UID " * 10_000 + b"UID)", "n BAD [LIMIT] ..."),
    (b"n FETCH 99999999999999999999 (UID)", "n BAD ..."),
    (b"n FETCH 4294967296 (UID)", "n BAD ..."),
    (b"n FETCH 0 (UID)", "n BAD ..."),
    (b"n FETCH 1:" + b"9" * 60_000 + b" (UID)", "n BAD ..."),
    (b"n UID FETCH " + b"1," * 30_000 + b"1 (UID)", "* 1 FETCH (UID 1)"),
    (b"n UID FETCH " + b"1:*," * 15_000 + b"1:* (UID)", "* 1 FETCH (UID 1)"),
    (b"n FETCH 1 BODY.PEEK[]<0.99999999999999999999>", "n BAD ..."),
    (b"n FETCH 1 BODY.PEEK[]<4294967295.4294967295>", "* 1 FETCH (BODY[]<4294967295> {0}...)"),
    (b"n SEARCH LARGER 99999999999999999999", "n BAD ..."),
    (b"n SEARCH UID 1:4294967295", "* SEARCH 1"),
    (b"n CREATE " + b"a/" * 400 + b"a", "n NO ..."),
    (b"n CREATE " + b"x" * 5_000, "n NO ..."),
    (b'n LIST "" x' + b"%*" * 499, "n OK ..."),
    (b"n" * 60_000 + b" NOOP", "* BAD ..."),
    (b"n " + b"NOOP" * 10_000, "n BAD ..."),
    (b"n NOOP" + b" " * 60_000, "n BAD ..."),
    (b"n SEARCH SUBJECT " + b'"' * 60_000, "n BAD ..."),
    (b"n SEARCH SUBJECT " + b"\\" * 60_000, "n BAD ..."),
    (b"n STORE 1 FLAGS (" + b"x" * 60_000 + b")", "n NO ..."),
    (b"n NOOP " + b"x" * 65_530, "n BAD [TOOBIG] ..."),
    (b"n NOOP " + b"x" * 900_000, "n BAD [TOOBIG] ..."),
    (b"x" * 200_000, "* BAD [TOOBIG] ..."),
]


@pytest.mark.parametrize(("line", "answer"), TOO_MUCH, ids=[line[:24] for line, _ in TOO_MUCH])
async def test_too_much(imap: Imap, line: bytes, answer: str) -> None:
    client = await imap.select(messages=1)
    await client.send(line + b"\r\n")
    await client.expect(answer)
    if not answer.startswith(("n ", "* BAD")):
        await client.expect("n OK ...")
    assert await client.ok("FETCH 1 (UID)") == ["* 1 FETCH (UID 1)"]


@pytest.mark.parametrize("octet", [*range(1, 10), 11, 12, *range(14, 32), 0, 127, 128, 255])
async def test_octets_that_belong_nowhere(imap: Imap, alone: FrontAlone, octet: int) -> None:
    client = await imap.select(messages=1)
    for line in (
        b"%c",
        b"n%c NOOP",
        b"n NO%cOP",
        b"n NOOP%c",
        b"n FETCH 1%c (UID)",
        b"n FETCH 1 (FLA%cGS)",
        b"n STORE 1 +FLAGS (a%cb)",
        b"n SELECT IN%cBOX",
    ):
        await client.send(line % octet + b"\r\n")
        _, _, done = (await client.hear()).partition(b" ")
        assert done.startswith((b"BAD ", b"NO ")), (line, done)
        if b"SELECT" in line:
            await client.ok("SELECT INBOX")
    # In a name they are refused, too; in a search key they find nothing, and NUL is nowhere.
    await client.send(b'n CREATE "a%cb"\r\n' % octet)
    assert (await client.hear()).startswith((b"n BAD ", b"n NO "))
    await client.send(b'n SEARCH SUBJECT "a%cb"\r\n' % octet)
    answer = await client.hear()
    assert answer.startswith(b"n BAD ") or answer == b"* SEARCH"
    assert answer.startswith(b"n BAD ") or octet
