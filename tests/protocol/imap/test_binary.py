"""BINARY (RFC 3516): parts without their transfer encoding, and NUL both ways."""

from __future__ import annotations

import base64
import binascii

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap

IMAGE = bytes(range(256)) * 20
WORDS = "Grüße, und =\r\nmehr\r\n".encode()
MESSAGE = b"\r\n".join(
    [
        b"Subject: pictures",
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/mixed; boundary="b"',
        b"",
        b"--b",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding: quoted-printable",
        b"",
        binascii.b2a_qp(WORDS),
        b"--b",
        b"Content-Type: image/png",
        b"Content-Transfer-Encoding: base64",
        b"",
        base64.encodebytes(IMAGE).replace(b"\n", b"\r\n"),
        b"--b",
        b"Content-Type: text/plain",
        b"",
        b"plain",
        b"--b",
        b"Content-Type: application/octet-stream",
        b"Content-Transfer-Encoding: x-uuencode",
        b"",
        b"nobody knows",
        b"--b--",
        b"",
    ]
)


async def selected(imap: Imap, *messages: bytes) -> ImapClient:
    client = await imap.select()
    for message in messages:
        await client.append("INBOX", message)
    await client.ok("NOOP")
    return client


def literal(data: bytes) -> str:
    tilde = "~" if b"\0" in data else ""
    return f"{tilde}{{{len(data)}}}\r\n" + data.decode("utf-8", "surrogateescape")


async def test_parts_decoded(imap: Imap) -> None:
    client = await selected(imap, MESSAGE)
    assert await client.ok("FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2] BINARY.SIZE[3])") == [
        f"* 1 FETCH (BINARY.SIZE[1] {len(WORDS)} BINARY.SIZE[2] {len(IMAGE)} BINARY.SIZE[3] 5)"
    ]
    # A string where there is no NUL, else a literal8.
    assert await client.ok("FETCH 1 (BINARY.PEEK[1] BINARY.PEEK[2])") == [
        f"* 1 FETCH (BINARY[1] {literal(WORDS)} BINARY[2] {literal(IMAGE)})"
    ]
    assert await client.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS (\\Recent))"]
    assert await client.ok("FETCH 1 BINARY[3]") == [
        f"* 1 FETCH (FLAGS (\\Seen \\Recent) BINARY[3] {literal(b'plain')})"
    ]


async def test_ranges_are_of_decoded_octets(imap: Imap) -> None:
    client = await selected(imap, MESSAGE)
    for start, size in ((0, 4), (1, 300), (5000, 9999), (9999, 1)):
        part = IMAGE[start : start + size]
        assert await client.ok(f"FETCH 1 BINARY.PEEK[2]<{start}.{size}>") == [
            f"* 1 FETCH (BINARY[2]<{start}> {literal(part)})"
        ]


async def test_what_is_no_leaf(imap: Imap) -> None:
    client = await selected(imap, MESSAGE)
    assert await client.ok("FETCH 1 (BINARY.PEEK[] BINARY.SIZE[])") == [
        f"* 1 FETCH (BINARY[] {literal(MESSAGE)} BINARY.SIZE[] {len(MESSAGE)})"
    ]
    assert await client.ok("FETCH 1 (BINARY.PEEK[9] BINARY.SIZE[9])") == [
        "* 1 FETCH (BINARY[9] NIL BINARY.SIZE[9] 0)"
    ]


async def test_an_unknown_encoding(imap: Imap) -> None:
    client = await selected(imap, MESSAGE)
    await client.no("FETCH 1 BINARY.PEEK[4]", "NO [UNKNOWN-CTE] ...")
    await client.no("FETCH 1 BINARY.SIZE[4]", "NO [UNKNOWN-CTE] ...")
    (line,) = await client.ok("FETCH 1 BODY.PEEK[4]")
    assert line == f"* 1 FETCH (BODY[4] {literal(b'nobody knows')})"


async def test_a_walk_that_comes_to_an_unknown_encoding(imap: Imap) -> None:
    known = b"\r\n".join([b"Subject: x", b"Content-Transfer-Encoding: base64", b"", b"SGk="])
    client = await selected(imap, known, known, known, known.replace(b"base64", b"x-none"))
    for number in (1, 2, 3):
        assert await client.ok(f"FETCH {number} BINARY.PEEK[1]") == [
            f"* {number} FETCH (BINARY[1] {literal(b'Hi')})"
        ]
    await client.no("FETCH 4 BINARY.PEEK[1]", "NO [UNKNOWN-CTE] ...")


async def test_a_large_part(imap: Imap) -> None:
    data = bytes(range(256)) * 12_000
    head = b"Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    body = base64.encodebytes(data).replace(b"\n", b"\r\n")
    client = await selected(imap, head + body)
    assert await client.ok("FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])") == [
        f"* 1 FETCH (BINARY.SIZE[1] {len(data)} BINARY[1] {literal(data)})"
    ]
    # One decoded over and over is refused.
    again = " ".join(f"BINARY.PEEK[1]<{n}.1>" for n in range(20))
    await client.no(f"FETCH 1 ({again})", "NO [LIMIT] ...")


async def test_nul_is_kept(imap: Imap) -> None:
    client = await imap.select()
    message = b"Subject: x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\1\0\r\n\0"
    await client.send(b"a APPEND INBOX (\\Seen) ~{%d}\r\n" % len(message))
    await client.expect("+ ...")
    await client.send(message + b"\r\n")
    await client.expect("* 1 EXISTS", "* 1 RECENT", "a OK [APPENDUID ... 1] ...")
    await client.send(b"b APPEND INBOX ~{%d+}\r\n%b\r\n" % (len(message), message))
    await client.expect("* 2 EXISTS", "* 2 RECENT", "b OK [APPENDUID ... 2] ...")
    assert await client.ok("FETCH 2 (BINARY.PEEK[] BINARY.PEEK[1] BINARY.SIZE[1])") == [
        f"* 2 FETCH (BINARY[] {literal(message)} BINARY[1] {literal(message[-6:])}"
        " BINARY.SIZE[1] 6)"
    ]


async def test_bad_sections(imap: Imap) -> None:
    client = await selected(imap, MESSAGE)
    for item in ("BINARY", "BINARY[HEADER]", "BINARY[1.MIME]", "BINARY.SIZE[1]<0.1>", "BINARY[0]"):
        await client.bad(f"FETCH 1 {item}")
    await client.bad("SELECT ~{5+}\r\nINBOX")
