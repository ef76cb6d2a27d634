"""The milter client, against a milter of the test's own and against opendkim."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from postroom_smtp.checks.content import Workers
from postroom_smtp.checks.dkim import verify
from postroom_smtp.checks.edits import MOST_BYTES, Edits
from postroom_smtp.checks.filters import Opinion
from postroom_smtp.checks.milter import Milter
from postroom_smtp.checks.settings import CheckSettings, Failing, MilterAddress, parse_milters
from postroom_smtp.checks.signing import Signer
from postroom_smtp.ports import Client, Sending
from postroom_smtp.protocol.authentication import Result
from postroom_smtp.protocol.fields import split_fields, split_message
from postroom_smtp.protocol.header import without
from postroom_smtp.protocol.milter import parse_reply

from tests.harness.clients import require
from tests.harness.dns import dns_server
from tests.unit.smtp.checking import (
    LETTER,
    RSA,
    FakeSigningKeys,
    content_of,
    publish,
    record,
    resolver_of,
    signing_key,
    spooled,
)

SENDING = Sending(
    Client("192.0.2.1", False),
    name="mail.example.org",
    sender="ann@example.org",
    recipients=("bob@example.net", "eve@example.net"),
    message_id="m1",
    connection="c1",
)
ALONE = replace(SENDING, connection="")

CONTINUE = b"c"
# Name, value, NUL after each.
Said = tuple[bytes, bytes]


@dataclass
class ScriptedMilter:
    """Answers a command as told, else CONTINUE; keeps all that it hears.

    Attributes:
        answers: packets, by command; several for the end of a body.
        stall: commands after which nothing comes.
        drop: commands after which it is gone.
    """

    answers: dict[bytes, list[bytes]] = field(default_factory=dict)
    stall: bytes = b""
    drop: bytes = b""
    terms: bytes = struct.pack("!III", 6, 0x31, 0)
    heard: list[Said] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    port: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                (size,) = struct.unpack("!I", await reader.readexactly(4))
                packet = await reader.readexactly(size)
                if not self._answer(packet[:1], packet[1:], writer):
                    break
                await writer.drain()
        except (EOFError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self.open -= 1
            self.closed.set()

    def _answer(self, command: bytes, data: bytes, writer: asyncio.StreamWriter) -> bool:
        self.heard.append((command, data))
        self.news.set()
        if command in self.drop or command == b"Q":
            return False
        if command == b"O":
            answers = [b"O" + self.terms]
        elif command in b"AD" or command in self.stall:
            return True
        else:
            answers = self.answers.get(command, [CONTINUE])
        for answer in answers:
            writer.write(struct.pack("!I", len(answer)) + answer)
        return True

    def said(self, command: bytes) -> list[bytes]:
        return [data for heard, data in self.heard if heard == command]

    async def until(self, command: bytes) -> None:
        """Wait for a command."""
        while command not in self.commands:
            self.news.clear()
            await self.news.wait()

    @property
    def commands(self) -> bytes:
        """What was said, macros apart."""
        return b"".join(command for command, _ in self.heard if command != b"D")


@asynccontextmanager
async def running(scripted: ScriptedMilter) -> AsyncIterator[ScriptedMilter]:
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
        async with asyncio.timeout(5):
            while scripted.open:
                scripted.closed.clear()
                await scripted.closed.wait()
    finally:
        server.close()


def client(scripted: ScriptedMilter, *, failing: str = "tempfail", **settings: Any) -> Milter:
    address = MilterAddress("scripted", host="127.0.0.1", port=scripted.port)
    told = {"milter_command_seconds": 5.0, "milter_content_seconds": 5.0, **settings}
    return Milter(
        replace(address, failing=Failing(failing)), CheckSettings(**told), "mx.example.net"
    )


async def shown(
    milter: Milter,
    sending: Sending = ALONE,
    message: bytes = LETTER,
    edits: Edits | None = None,
) -> tuple[Opinion, bytes]:
    """What it says of a message, and the message as it is kept."""
    header, _ = split_message(message)
    edits = edits or Edits(split_fields(header))
    async with spooled(message) as spool:
        opinion = await milter.message(sending, spool, edits)
        body = (await spool.whole())[len(header) :]
    return opinion, edits.added + without(header, edits.removed) + body


def changed(code: bytes, name: bytes, value: bytes, index: int | None = None) -> bytes:
    number = b"" if index is None else struct.pack("!I", index)
    return code + number + name + b"\0" + value + b"\0"


async def test_a_message_from_the_greeting_to_its_end() -> None:
    async with running(ScriptedMilter()) as scripted:
        milter = client(scripted)
        assert await milter.connected(SENDING) is None
        assert await milter.mail(SENDING) is None
        assert await milter.recipient(SENDING, "bob@example.net") is None
        opinion, kept = await shown(milter, SENDING)
        assert (opinion.refused, opinion.junk, opinion.quiet) == (None, False, False)
        assert str(opinion.finding) == "x-milter=pass (scripted: passed)"
        assert kept == LETTER
        assert scripted.commands == b"OCHMRT" + b"L" * 6 + b"NBE"
        assert scripted.said(b"C") == [b"[192.0.2.1]\x004\x00\x00192.0.2.1\x00"]
        assert scripted.said(b"H") == [b"mail.example.org\0"]
        assert scripted.said(b"M") == [b"<ann@example.org>\0"]
        assert scripted.said(b"R") == [b"<bob@example.net>\0"]
        assert b"Subject\0Dinner\n  on  Friday\0" in scripted.said(b"L")
        assert scripted.said(b"B") == [LETTER.partition(b"\r\n\r\n")[2]]
        assert b"Mi\0m1\0{mail_addr}\0ann@example.org\0" in scripted.said(b"D")
        # The next message on the connection, after one that was given up.
        assert await milter.mail(SENDING) is None
        assert await milter.mail(SENDING) is None
        await shown(milter, SENDING)
        assert scripted.commands.endswith(b"EMAMT" + b"L" * 6 + b"NBE")
        assert (scripted.connections, scripted.open) == (1, 1)
        await milter.ended("c1")
        await scripted.closed.wait()
        assert scripted.commands.endswith(b"Q")


async def test_everything_at_the_end_where_nobody_keeps_connections() -> None:
    async with running(ScriptedMilter()) as scripted:
        milter = client(scripted)
        assert await milter.connected(ALONE) is None
        assert await milter.mail(ALONE) is None
        assert await milter.recipient(ALONE, "bob@example.net") is None
        opinion, _ = await shown(milter)
        assert opinion.refused is None
        await scripted.closed.wait()
        assert scripted.commands == b"OCHMRRT" + b"L" * 6 + b"NBEQ"


async def test_an_address_of_ipv6() -> None:
    async with running(ScriptedMilter()) as scripted:
        await shown(client(scripted), replace(ALONE, client=Client("2001:db8::1", False)))
        assert scripted.said(b"C") == [b"[2001:db8::1]\x006\x00\x00IPv6:2001:db8::1\x00"]


async def test_an_address_that_nobody_says() -> None:
    async with running(ScriptedMilter()) as scripted:
        opinion, _ = await shown(client(scripted), replace(ALONE, client=Client("", False)))
        assert opinion.refused is None
        assert scripted.said(b"C") == [b"unknown\0U"]


async def test_everything_is_offered() -> None:
    async with running(ScriptedMilter(terms=struct.pack("!III", 6, 0x1FF, 0))) as scripted:
        opinion, _ = await shown(client(scripted))
        assert opinion.refused is None
        assert scripted.said(b"O") == [struct.pack("!III", 6, 0x1FF, 0x1FF7FF)]


async def test_what_needs_not_be_said_or_answered() -> None:
    # No connect, helo, mail, recipients, data, unknown; no answers to headers and their end.
    skips = 0x1 | 0x2 | 0x4 | 0x8 | 0x200 | 0x100 | 0x80 | 0x40000 | 0x100000
    scripted = ScriptedMilter(terms=struct.pack("!III", 6, 0x1, skips), stall=b"LN")
    async with running(scripted):
        opinion, _ = await shown(client(scripted))
        assert opinion.refused is None
        assert scripted.commands.startswith(b"O" + b"L" * 6 + b"NBE")
        assert b"To\0 Bob <bob@example.net>\0" in scripted.said(b"L")


async def test_headers_alone() -> None:
    scripted = ScriptedMilter(terms=struct.pack("!III", 6, 0, 0x10))
    async with running(scripted):
        await shown(client(scripted))
        assert b"B" not in scripted.commands


async def test_a_large_body_comes_in_chunks_and_may_be_skipped() -> None:
    message = LETTER + b"x" * 3_000_000
    async with running(ScriptedMilter()) as scripted:
        await shown(client(scripted), message=message)
        assert b"".join(scripted.said(b"B")) == message.partition(b"\r\n\r\n")[2]
        assert max(map(len, scripted.said(b"B"))) == 65_535
    terms = struct.pack("!III", 6, 0, 0x400)
    async with running(ScriptedMilter({b"B": [b"s"]}, terms=terms)) as scripted:
        opinion, _ = await shown(client(scripted), message=message)
        assert opinion.refused is None
        assert len(scripted.said(b"B")) == 1


async def test_changes_of_the_header() -> None:
    changes = [
        changed(b"h", b"X-Added", b"last"),
        changed(b"i", b"X-First", b"one\n\ttwo", 0),
        changed(b"m", b"Subject", b"[junk] Dinner", 1),
        changed(b"m", b"to", b"", 1),
        changed(b"m", b"X-New", b"made", 1),
        changed(b"m", b"Message-ID", b"", 2),
        CONTINUE,
    ]
    async with running(ScriptedMilter({b"E": changes})) as scripted:
        opinion, kept = await shown(client(scripted))
        assert opinion.refused is None
        assert kept == (
            b"X-First: one\r\n\ttwo\r\n"
            b"Subject: [junk] Dinner\r\n"
            b"X-Added: last\r\n"
            b"X-New: made\r\n"
            + LETTER.replace(b"To: Bob <bob@example.net>\r\n", b"").replace(
                b"Subject: Dinner\r\n  on  Friday\r\n", b""
            )
        )


@pytest.mark.parametrize(
    "value", [b"a\nX-Evil: yes", b"a\r\n\r\nbody", b"a\rb", b"\n\n\nFrom: x", b"a\n", b"\nx"]
)
async def test_a_value_breaks_out_of_no_field(value: bytes) -> None:
    async with running(
        ScriptedMilter({b"E": [changed(b"h", b"X-A", value), CONTINUE]})
    ) as scripted:
        _, kept = await shown(client(scripted))
        names = [each.name for each in split_fields(split_message(kept)[0])]
        assert names == ["x-a", "received", "from", "to", "subject", "date", "message-id"]
        assert kept.endswith(LETTER)


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"x" * 300])
async def test_a_name_that_is_none(name: bytes) -> None:
    async with running(ScriptedMilter({b"E": [changed(b"h", name, b"v"), CONTINUE]})) as scripted:
        _, kept = await shown(client(scripted))
        assert kept == LETTER


async def test_more_than_a_message_can_bear() -> None:
    large = changed(b"h", b"X-A", b"x" * 100_000)
    async with running(ScriptedMilter({b"E": [large] * 20 + [CONTINUE]})) as scripted:
        _, kept = await shown(client(scripted))
        assert len(kept) < len(LETTER) + MOST_BYTES
    endless = [changed(b"h", b"X-A", b"")] * 20_000
    async with running(ScriptedMilter({b"E": endless})) as scripted:
        opinion, _ = await shown(client(scripted))
        assert str(opinion.refused).startswith("451")


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_another_body(size: int) -> None:
    pieces = [b"bThis was\r\n", b"b" + b"x" * 900_000, b"b" + b"y" * 900_000, CONTINUE]
    message = LETTER + b"z" * size + b"\r\n"
    header, _ = split_message(message)
    edits = Edits(split_fields(header))
    async with running(ScriptedMilter({b"E": pieces})) as scripted:
        opinion, kept = await shown(client(scripted), message=message, edits=edits)
        assert opinion.refused is None
        assert kept == header + b"This was\r\n" + b"x" * 900_000 + b"y" * 900_000
        assert edits.bodies == 1


async def test_half_of_another_body_is_nobody_s_to_take() -> None:
    async with running(ScriptedMilter({b"E": [b"bhalf", b"Z"]})) as scripted:
        opinion, _ = await shown(client(scripted, failing="accept"))
        assert str(opinion.refused).startswith("451")
    async with running(ScriptedMilter({b"E": [b"b" + b"x" * 900_000] * 3})) as scripted:
        opinion, _ = await shown(client(scripted, failing="accept", filter_bytes=2_000_000))
        assert str(opinion.refused).startswith("451")


async def test_who_sends_and_who_gets_it() -> None:
    said = [
        b"+<carl@example.net>\0",
        b"+carl@example.net\0",
        b"+<dan@example.net>\0",
        b"2<fay@elsewhere.example>\0NOTIFY=NEVER\0",
        b"-<DAN@example.net>\0",
        b"-<Eve@example.net>\0",
        b"-<nobody@example.net>\0",
        b"e<bounces@example.net>\0SIZE=1\0",
        CONTINUE,
    ]
    edits = Edits([])
    async with running(ScriptedMilter({b"E": said})) as scripted:
        opinion, _ = await shown(client(scripted), edits=edits)
        assert opinion.refused is None
    assert edits.recipients == ["carl@example.net", "fay@elsewhere.example"]
    assert edits.dropped == {"eve@example.net"}
    assert edits.sender == "bounces@example.net"
    async with running(ScriptedMilter({b"E": [b"e<>\0", CONTINUE]})) as scripted:
        await shown(client(scripted), edits=edits)
    assert edits.sender == ""


@pytest.mark.parametrize("command", list(b"CHMRTLNBE"))
@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (b"r", "550 5.7.1 not taken"),
        (b"t", "451 4.7.1 not now, try again later"),
        (b"y550 5.7.9 no such luck\0", "550 5.7.9 no such luck"),
        (b"y450-4.2.0 one\r\n450 4.2.0 two 100%%\0", "450 4.2.0 one two 100%"),
        (b"4", "421 4.7.0 too many connections, come back later"),
    ],
)
async def test_refusals(command: int, answer: bytes, refused: str) -> None:
    async with running(ScriptedMilter({bytes([command]): [answer]})) as scripted:
        opinion, _ = await shown(client(scripted))
        assert str(opinion.refused) == refused


async def test_refusals_while_mail_comes() -> None:
    async with running(ScriptedMilter({b"R": [b"r"]})) as scripted:
        milter = client(scripted)
        assert await milter.connected(SENDING) is None
        assert await milter.mail(SENDING) is None
        assert str(await milter.recipient(SENDING, "eve@example.net")).startswith("550")
        scripted.answers.clear()
        assert await milter.recipient(SENDING, "bob@example.net") is None
        assert (await shown(milter, SENDING))[0].refused is None
        scripted.answers[b"M"] = [b"t"]
        assert str(await milter.mail(SENDING)).startswith("451")
        assert await milter.recipient(SENDING, "bob@example.net") is None
        scripted.answers[b"C"] = [b"r"]
        assert str(await milter.connected(replace(SENDING, connection="c2"))).startswith("550")
        await milter.ended("c1")
        await milter.ended("c2")


async def test_one_recipient_that_is_not_wanted_does_not_refuse_all() -> None:
    class Picky(ScriptedMilter):
        def _answer(self, command: bytes, data: bytes, writer: asyncio.StreamWriter) -> bool:
            self.answers[b"R"] = [b"r" if b"eve" in data else b"c"]
            return super()._answer(command, data, writer)

    async with running(Picky()) as scripted:
        assert (await shown(client(scripted)))[0].refused is None
        alone = replace(ALONE, recipients=("eve@example.net",))
        assert (await shown(client(scripted), alone))[0].refused is not None


@pytest.mark.parametrize("command", list(b"CHMRTLNBE"))
async def test_who_has_heard_enough(command: int) -> None:
    async with running(ScriptedMilter({bytes([command]): [b"a"]})) as scripted:
        opinion, kept = await shown(client(scripted))
        assert (opinion.refused, opinion.quiet, kept) == (None, False, LETTER)
        await scripted.closed.wait()
        assert scripted.commands.endswith(bytes([command]) + b"Q")


@pytest.mark.parametrize("command", list(b"MRTLNBE"))
async def test_discarded(command: int) -> None:
    async with running(ScriptedMilter({bytes([command]): [b"d"]})) as scripted:
        opinion, _ = await shown(client(scripted))
        assert (opinion.refused, opinion.quiet) == (None, True)
        assert str(opinion.finding) == "x-milter=fail (scripted: discarded)"


async def test_quarantine() -> None:
    async with running(ScriptedMilter({b"E": [b"qit looks odd\0", b"a"]})) as scripted:
        opinion, _ = await shown(client(scripted))
        assert (opinion.refused, opinion.junk) == (None, True)


@pytest.mark.parametrize(
    ("field", "junk"),
    [
        (changed(b"h", b"X-Spam-Flag", b"YES"), True),
        (changed(b"i", b"x-spam-status", b"Yes, score=7.1 required=5.0", 1), True),
        (changed(b"h", b"X-Spam-Status", b"No, score=1.0"), False),
        (changed(b"m", b"X-Spam-Flag", b"NO", 1), False),
        (CONTINUE, False),
    ],
)
async def test_fields_that_say_junk(field: bytes, junk: bool) -> None:
    # What the message came with says nothing.
    message = b"X-Spam-Flag: YES\r\n" + LETTER
    async with running(ScriptedMilter({b"E": [field, CONTINUE]})) as scripted:
        opinion, _ = await shown(client(scripted), message=message)
        assert opinion.junk is junk


async def test_who_takes_long_says_so() -> None:
    class Slow(ScriptedMilter):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.answers[b"E"] = [b"p"]
            serving = asyncio.create_task(super().serve(reader, writer))
            await self.until(b"E")
            for _ in range(4):
                await asyncio.sleep(0.2)
                writer.write(struct.pack("!I", 1) + b"p")
            writer.write(struct.pack("!I", 1) + b"c")
            await serving

    async with running(Slow()) as scripted:
        opinion, _ = await shown(client(scripted, milter_content_seconds=0.6))
        assert opinion.refused is None


NONSENSE: list[Callable[[], ScriptedMilter]] = [
    lambda: ScriptedMilter(terms=struct.pack("!III", 7, 0, 0)),
    lambda: ScriptedMilter(terms=struct.pack("!III", 1, 0, 0)),
    lambda: ScriptedMilter(terms=struct.pack("!III", 6, 0x200, 0)),
    lambda: ScriptedMilter(terms=struct.pack("!III", 6, 0, 0x800)),
    lambda: ScriptedMilter(terms=struct.pack("!III", 6, 0, 0x20000000)),
    lambda: ScriptedMilter(terms=b"x"),
    lambda: ScriptedMilter(drop=b"O"),
    lambda: ScriptedMilter(drop=b"C"),
    lambda: ScriptedMilter(drop=b"B"),
    lambda: ScriptedMilter(drop=b"E"),
    lambda: ScriptedMilter({b"M": [b"Z"]}),
    lambda: ScriptedMilter({b"M": [b""]}),
    lambda: ScriptedMilter({b"M": [b"s"]}),
    lambda: ScriptedMilter({b"M": [b"ynonsense\0"]}),
    lambda: ScriptedMilter({b"M": [b"y250 2.0.0 fine\0"]}),
    lambda: ScriptedMilter({b"C": [b"d"]}),
    lambda: ScriptedMilter({b"E": [b"h"]}),
    lambda: ScriptedMilter({b"E": [b"i\0\0"]}),
    lambda: ScriptedMilter({b"E": [b"hX-A\0value"]}),
    lambda: ScriptedMilter({b"E": [b"+<>\0"]}),
    lambda: ScriptedMilter({b"E": [b"+nobody\0"]}),
    lambda: ScriptedMilter({b"E": [b"enobody at all\0"]}),
    lambda: ScriptedMilter({b"E": [b"+a%d@example.com\0" % each for each in range(2_000)]}),
    lambda: ScriptedMilter({b"E": [b"p"] * 20_000}),
]


@pytest.mark.parametrize("made", NONSENSE)
async def test_a_milter_that_talks_nonsense_or_goes(made: Callable[[], ScriptedMilter]) -> None:
    async with running(made()) as scripted:
        opinion, kept = await shown(client(scripted))
        assert str(opinion.refused) == "451 4.3.0 not now, try again later"
        assert str(opinion.finding) == "x-milter=temperror (scripted: away)"
        opinion, kept = await shown(client(scripted, failing="accept"))
        assert (opinion.refused, kept) == (None, LETTER)


@pytest.mark.parametrize("command", list(b"CHMRTLNB"))
async def test_a_milter_that_stalls(command: int) -> None:
    async with running(ScriptedMilter(stall=bytes([command]))) as scripted, asyncio.timeout(5):
        opinion, _ = await shown(client(scripted, milter_command_seconds=0.1))
        assert str(opinion.refused).startswith("451")


async def test_a_milter_that_never_has_a_last_word() -> None:
    async with running(ScriptedMilter(stall=b"E")) as scripted, asyncio.timeout(5):
        opinion, _ = await shown(client(scripted, milter_content_seconds=0.1))
        assert str(opinion.refused).startswith("451")


async def test_a_packet_that_is_too_large() -> None:
    class Large(ScriptedMilter):
        def _answer(self, command: bytes, data: bytes, writer: asyncio.StreamWriter) -> bool:
            writer.write(b"\xff\xff\xff\xff")
            return command == b"O"

    async with running(Large()) as scripted:
        opinion, _ = await shown(client(scripted))
        assert str(opinion.refused).startswith("451")


async def test_nobody_is_there() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and doesn't listen
        await nobody_is_at(ScriptedMilter(port=bound.getsockname()[1]))


async def nobody_is_at(scripted: ScriptedMilter) -> None:
    milter = client(scripted)
    assert str(await milter.connected(SENDING)).startswith("451")
    assert str((await shown(milter))[0].refused).startswith("451")
    milter = client(scripted, failing="accept")
    assert await milter.connected(SENDING) is None
    assert await milter.mail(SENDING) is None
    assert await milter.recipient(SENDING, "bob@example.net") is None
    assert (await shown(milter, SENDING))[0].refused is None


async def test_one_that_was_started_anew_between_messages() -> None:
    class Restarted(ScriptedMilter):
        def _answer(self, command: bytes, data: bytes, writer: asyncio.StreamWriter) -> bool:
            going_on = super()._answer(command, data, writer)
            return going_on and not (command == b"H" and self.connections == 1 and self.said(b"E"))

    async with running(Restarted()) as scripted:
        milter = client(scripted)
        assert await milter.connected(SENDING) is None
        assert await milter.mail(SENDING) is None
        await shown(milter, SENDING)
        scripted.heard = [(b"E", b"")]
        assert await milter.mail(replace(SENDING, name="another.example.org")) is None
        assert scripted.commands == b"EHOCHM"
        await milter.ended("c1")


async def test_one_that_comes_back_hears_everything() -> None:
    async with running(ScriptedMilter(drop=b"M")) as scripted:
        milter = client(scripted, failing="accept")
        assert await milter.connected(SENDING) is None
        assert await milter.mail(SENDING) is None
        scripted.drop = b""
        scripted.heard.clear()
        opinion, _ = await shown(milter, SENDING)
        assert opinion.refused is None
        assert scripted.commands == b"OCHMRRT" + b"L" * 6 + b"NBE"
        await milter.ended("c1")


async def test_so_many_connections() -> None:
    async with running(ScriptedMilter()) as scripted:
        milter = client(scripted, milter_connections=1)
        assert await milter.connected(SENDING) is None
        other = replace(SENDING, connection="c2")
        assert str(await milter.connected(other)).startswith("451")
        await milter.ended("c1")
        assert await milter.connected(other) is None
        await milter.ended("c2")
        await milter.ended("c2")


async def test_a_client_that_goes_in_the_middle() -> None:
    async with running(ScriptedMilter(stall=b"M")) as scripted:
        milter = client(scripted)
        mailing = asyncio.create_task(milter.mail(SENDING))
        await scripted.until(b"M")
        mailing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await mailing
        await scripted.closed.wait()
        assert scripted.open == 0


def test_replies_of_milters() -> None:
    assert str(parse_reply(b"550 only text\0")) == "550 5.7.1 only text"
    assert str(parse_reply(b"450 5.7.1 contradictory\0")) == "450 4.7.1 contradictory"
    assert str(parse_reply(b"421 4.7.0 \xff\x07bell\0")) == "421 4.7.0 ??bell"
    assert str(parse_reply(b"550\0")) == "550 5.7.1 not taken"
    assert parse_reply(b"") is None
    assert len(str(parse_reply(b"550 5.7.1 " + b"x" * 100_000))) < 500


def test_addresses_of_milters() -> None:
    assert parse_milters("a=127.0.0.1:8891;accept, unix:/run/x.sock,[::1]:7") == (
        MilterAddress("a", host="127.0.0.1", port=8891, failing=Failing.ACCEPT),
        MilterAddress("/run/x.sock", path="/run/x.sock"),
        MilterAddress("[::1]:7", host="::1", port=7),
    )
    for wrong in ("localhost", "a:99999", "a=x:1,a=x:2", "x:1;maybe", "unix:relative"):
        with pytest.raises(ValueError, match=r"not |two |a "):
            parse_milters(wrong)


OPENDKIM = shutil.which("opendkim", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")


@asynccontextmanager
async def opendkim(folder: Path, *settings: str) -> AsyncIterator[Milter]:
    """A milter of libmilter's."""
    require("" if OPENDKIM else "opendkim")
    assert OPENDKIM is not None
    path, configuration = folder / "milter.sock", folder / "opendkim.conf"
    told = [f"Socket local:{path}", "Background no", "Syslog no", *settings]
    configuration.write_text("\n".join(told) + "\n")
    process = await asyncio.create_subprocess_exec(
        OPENDKIM, "-f", "-x", str(configuration), stdout=sys.stderr
    )
    try:
        async with asyncio.timeout(20):
            while not path.exists():
                assert process.returncode is None
                await asyncio.sleep(0.05)
        yield Milter(MilterAddress("opendkim", path=str(path)), CheckSettings(), "mx.test")
    finally:
        process.terminate()
        await process.wait()


async def test_opendkim_signs(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(
        RSA.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    key.chmod(0o600)
    signing = ["Mode s", "Domain example.org", "Selector rsa", f"KeyFile {key}"]
    how = ["Canonicalization relaxed/relaxed", "InternalHosts 192.0.2.1", "RequireSafeKeys no"]
    async with opendkim(tmp_path, *signing, *how) as milter:
        opinion, kept = await shown(milter)
    assert opinion.refused is None
    assert kept.startswith(b"DKIM-Signature: ")
    with dns_server() as server:
        publish(server, signing_key())
        async with content_of(kept) as content:
            (found,) = await verify(content, resolver_of(server), most=1)
    assert (found.result, found.domain) == (Result.PASS, "example.org")


async def test_opendkim_takes_what_is_signed(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"rsa._domainkey.example.org {record(signing_key())}\n")
    signer = Signer(
        FakeSigningKeys({"example.org": (signing_key(),)}), Workers(1, 1), "mx.example.org"
    )
    async with spooled(LETTER) as spool:
        signed = await signer.sign(spool) + LETTER
    mode = ["Mode v", f"TestPublicKeys {keys}", "AuthservID milter.test", "On-BadSignature reject"]
    async with opendkim(tmp_path, *mode, "AlwaysAddARHeader yes") as milter:
        opinion, kept = await shown(milter, message=signed)
        assert opinion.refused is None
        assert b"Authentication-Results: milter.test;\r\n\tdkim=pass" in kept
        opinion, _ = await shown(milter, message=signed.replace(b"Hello", b"Hallo"))
        assert opinion.refused is not None
        assert opinion.refused.permanent
