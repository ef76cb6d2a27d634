"""COMPRESS=DEFLATE (RFC 4978)."""

from __future__ import annotations

import asyncio
import os
import zlib

import pytest
from postroom_chassis.net import listener
from postroom_chassis.net.deflate import PIECE_BYTES, Deflation
from postroom_chassis.net.stream import ByteStream

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.system import Imap, small


async def test_everything_is_compressed_after_the_ok(imap: Imap) -> None:
    client = await imap.login()
    assert await client.ok("COMPRESS deflate") == []
    # The octets after the tagged OK are a DEFLATE stream, and so must be those that are sent.
    peer = zlib.compressobj(wbits=-15)
    await client.send(peer.compress(b"n NOOP\r\n") + peer.flush(zlib.Z_SYNC_FLUSH))
    heard = b""
    back = zlib.decompressobj(-15)
    while not heard.endswith(b"\r\n"):
        heard += back.decompress(await client.hear_some())
    assert heard == b"n OK NOOP completed\r\n"


async def test_it_is_offered_once(imap: Imap) -> None:
    client = await imap.connect()
    await client.bad("COMPRESS DEFLATE")
    await client.ok(f'LOGIN "{imap.person.name}" "{imap.person.password}"')
    (line,) = await client.ok("CAPABILITY")
    assert "COMPRESS=DEFLATE" in line.split()
    await client.compress()
    (line,) = await client.ok("CAPABILITY")
    assert "COMPRESS=DEFLATE" not in line.split()
    _, done = await client.transact("COMPRESS DEFLATE")
    assert done.startswith("BAD [COMPRESSIONACTIVE] ")
    await client.ok("NOOP")


@pytest.mark.parametrize("arguments", ["", " GZIP", " DEFLATE 9"])
async def test_what_cannot_be_compressed_by(imap: Imap, arguments: str) -> None:
    client = await imap.login()
    await client.bad(f"COMPRESS{arguments}")
    await client.ok("NOOP")


async def test_a_session_within(imap: Imap) -> None:
    client = await imap.login()
    await client.compress()
    await client.append("INBOX", small(1))
    await client.send(b"a APPEND INBOX {%d}\r\n" % len(small(2)))
    await client.expect("+ ...")
    await client.send(small(2) + b"\r\n")
    await client.expect("a OK [APPENDUID ...")
    await client.ok("SELECT INBOX")
    lines = await client.ok("FETCH 1:* (BODY.PEEK[])")
    assert [line.partition("\r\n")[2].removesuffix(")").encode() for line in lines] == [
        small(1),
        small(2),
    ]
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling")
    other = await imap.select()
    await other.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    await client.expect("* 1 FETCH (FLAGS (\\Seen))")
    await client.send(b"DONE\r\nl LOGOUT\r\n")
    await client.expect("i OK ...", "* BYE ...", "l OK ...")
    await client.expect_end()


async def test_over_tls(imap: Imap) -> None:
    client = await imap.connect()
    await client.send(b"s STARTTLS\r\n")
    await client.expect("s OK ...")
    await client.start_tls(imap.system.tls)
    await client.ok(f'LOGIN "{imap.person.name}" "{imap.person.password}"')
    await client.compress()
    await client.append("INBOX", small(1))
    await client.ok("SELECT INBOX")
    assert len(await client.ok("FETCH 1 (ENVELOPE)")) == 1


async def test_a_large_message_comes_and_goes_byte_by_byte_the_same(imap: Imap) -> None:
    client = await imap.login()
    await client.compress()
    message = small(1) + b"\r\n".join(os.urandom(30).hex().encode() for _ in range(60_000))
    await client.append("INBOX", message)
    await client.ok("SELECT INBOX")
    (line,) = await client.ok("FETCH 1 (BODY.PEEK[])")
    assert line.partition("\r\n")[2].removesuffix(")").encode() == message


async def test_responses_become_small(imap: Imap) -> None:
    client = await imap.select(messages=100)
    wire = await client.compress()
    lines = await client.ok("FETCH 1:* (UID FLAGS ENVELOPE)")
    assert wire.received < sum(map(len, lines)) / 5


async def test_commands_cut_at_every_byte(imap: Imap) -> None:
    client = await imap.login()
    await client.compress()
    peer = zlib.compressobj(wbits=-15)
    said = b'n NOOP\r\ns STATUS {5+}\r\nINBOX (MESSAGES)\r\ne LIST "" {6}\r\n'
    for octet in peer.compress(said) + peer.flush(zlib.Z_SYNC_FLUSH):
        await client.send_as_it_is(bytes([octet]))
        await asyncio.sleep(0)
    await client.expect("n OK ...", "* STATUS INBOX (MESSAGES 0)", "s OK ...", "+ ...")
    await client.send_as_it_is(peer.compress(b"Drafts\r\n") + peer.flush(zlib.Z_SYNC_FLUSH))
    await client.expect('* LIST (...) "/" Drafts', "e OK ...")


async def test_what_is_no_deflate(imap: Imap) -> None:
    client = await imap.login()
    await client.compress()
    await client.send_as_it_is(b"n NOOP\r\nn NOOP\r\n")
    await client.expect("* BYE [CLIENTBUG] ...")


async def test_a_client_that_goes_on_after_its_streams_end(imap: Imap) -> None:
    client = await imap.login()
    await client.compress()
    peer = zlib.compressobj(wbits=-15)
    ended = peer.compress(b"n NOOP\r\n") + peer.flush(zlib.Z_FINISH)
    await client.send_as_it_is(ended + b"o NOOP\r\n")
    await client.expect("n OK ...", "* BYE [CLIENTBUG] ...")


def bomb(head: bytes, size: int, tail: bytes) -> bytes:
    """A thousandth of what it becomes."""
    peer = zlib.compressobj(9, wbits=-15)
    made = [peer.compress(head)]
    made += [peer.compress(b"x" * 1_000_000) for _ in range(size // 1_000_000)]
    return b"".join((*made, peer.compress(tail), peer.flush(zlib.Z_SYNC_FLUSH)))


@pytest.mark.parametrize(
    ("head", "tail", "answer"),
    [
        (b"", b"", "* BYE ..."),
        (b"a APPEND INBOX {200000000+}\r\n", b"\r\n", "a NO [TOOBIG] ..."),
    ],
    ids=["line", "message"],
)
async def test_bombs(
    imap: Imap,
    alone: FrontAlone,
    monkeypatch: pytest.MonkeyPatch,
    head: bytes,
    tail: bytes,
    answer: str,
) -> None:
    held: list[int] = []
    feed = ByteStream.feed

    def watched(stream: ByteStream, octets: bytes) -> None:
        feed(stream, octets)
        held.append(len(stream))

    client, other = await imap.login(), await imap.login()
    await client.compress()
    monkeypatch.setattr(ByteStream, "feed", watched)
    await client.send_as_it_is(bomb(head, 200_000_000, tail))
    await other.ok("NOOP")  # the others are served all the while
    await client.expect(answer)
    assert PIECE_BYTES // 2 < max(held) <= 2 * PIECE_BYTES


async def test_commands_by_the_thousand_in_a_few_kilobytes(imap: Imap) -> None:
    client = await imap.login()
    await client.compress()
    peer = zlib.compressobj(9, wbits=-15)
    count = 20_000
    await client.send_as_it_is(peer.compress(b"n NOOP\r\n" * count) + peer.flush(zlib.Z_SYNC_FLUSH))
    await client.expect(*["n OK ..."] * count)


async def test_a_slow_reader_holds_up_nobody_but_itself(imap: Imap, alone: FrontAlone) -> None:
    message = small(1) + os.urandom(1_500_000).hex().encode()
    other = await imap.login()
    await other.append("INBOX", message)
    await other.ok("SELECT INBOX")
    client = await alone.connect_slowly()
    await client.expect("* OK ...")
    await client.ok(f'LOGIN "{imap.person.name}" "{imap.person.password}"')
    await client.compress()
    await client.ok("SELECT INBOX")
    for number in range(8):
        await client.send(b"f%d FETCH 1 (BODY.PEEK[])\r\n" % number)
    await other.ok("FETCH 1 (UID)")
    for number in range(8):
        (line,), done = await client.finish(f"f{number}")
        assert line.partition("\r\n")[2].removesuffix(")").encode() == message
        assert done.startswith("OK")


@pytest.mark.parametrize("idle", [False, True])
async def test_a_drain_says_goodbye(imap: Imap, alone: FrontAlone, idle: bool) -> None:
    client = await imap.select()
    await client.compress()
    if idle:
        await client.send(b"i IDLE\r\n")
        await client.expect("+ idling")
    await alone.service.drain(5)
    await client.expect("* BYE [UNAVAILABLE] ...")
    await client.expect_end()


async def test_a_client_that_hears_nothing_for_a_while_hears_the_rest(
    imap: Imap, alone: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SWEEP_SECONDS", 0.01)
    rested = asyncio.Event()
    rest = Deflation.rest

    def watched(deflation: Deflation) -> None:
        rest(deflation)
        if not deflation.busy:
            rested.set()

    client = await imap.select(messages=1)
    await client.compress()
    await client.ok("FETCH 1 (ENVELOPE)")
    monkeypatch.setattr(Deflation, "rest", watched)
    await rested.wait()
    await client.ok("FETCH 1 (ENVELOPE)")


async def test_half_a_command_and_the_end(imap: Imap) -> None:
    client: ImapClient = await imap.login()
    await client.compress()
    await client.send(b"n NOOP\r\no NO")
    client.say_no_more()
    await client.expect("n OK ...")
    await client.expect_end()
