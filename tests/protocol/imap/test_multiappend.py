"""Many messages in one APPEND (RFC 3502), within the limit that is told (RFC 7889)."""

from __future__ import annotations

import pytest

from tests.protocol.imap.system import Imap, small

LIMIT = 64 * 1024 * 1024


def several(tag: str, mailbox: str, *messages: tuple[str, bytes]) -> bytes:
    """APPEND of several messages by non-synchronizing literals."""
    parts = [f"{tag} APPEND {mailbox}".encode()]
    for arguments, message in messages:
        parts.append(f" {arguments}{{{len(message)}+}}\r\n".encode() + message)
    return b"".join(parts) + b"\r\n"


async def test_the_example(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE saved-messages")
    first, second = small(1), small(2)
    await client.send(b"A003 APPEND saved-messages (\\Seen) {%d}\r\n" % len(first))
    await client.expect("+ ...")
    await client.send(first + b' () " 7-Feb-1994 22:43:04 -0800" {%d}\r\n' % len(second))
    await client.expect("+ ...")
    await client.send(second + b"\r\n")
    await client.expect("A003 OK [APPENDUID ... 1:2] ...")
    await client.ok("SELECT saved-messages")
    heard = await client.ok("FETCH 1:2 (FLAGS BODY.PEEK[])")
    assert [line.split(" BODY", 1)[0] for line in heard] == [
        "* 1 FETCH (FLAGS (\\Seen)",
        "* 2 FETCH (FLAGS ()",
    ]
    assert await client.ok("FETCH 2 INTERNALDATE") == [
        '* 2 FETCH (INTERNALDATE " 8-Feb-1994 06:43:04 +0000")'
    ]


async def test_small_ones_beyond_a_mebibyte(imap: Imap) -> None:
    client = await imap.select()
    messages = [(f"(mark{n % 5}) ", small(n) + b"x" * 9000) for n in range(300)]
    await client.send(several("a", "INBOX", *messages))
    heard, done = await client.finish("a")
    assert "* 300 EXISTS" in heard
    assert done.split(" ")[3].startswith("1:300")
    assert len(await client.ok("FETCH 1:300 RFC822.SIZE")) == 300
    (line,) = await client.ok("FETCH 299 (FLAGS BODY.PEEK[])")
    assert line.startswith("* 299 FETCH (FLAGS (\\Recent mark3) BODY[]")
    assert line.endswith((small(298) + b"x" * 9000).decode() + ")")


async def test_large_and_small_ones(imap: Imap) -> None:
    client = await imap.select()
    contents = [small(n) + b"y" * size for n, size in enumerate((10, 2_000_000, 900_000, 600_000))]
    await client.send(several("a", "INBOX", *(("", content) for content in contents)))
    await client.expect("* 4 EXISTS", "* 4 RECENT", "a OK [APPENDUID ... 1:4] ...")
    for number, content in enumerate(contents, 1):
        (line,) = await client.ok(f"FETCH {number} BODY.PEEK[]")
        assert line.encode().endswith(content + b")")


async def test_all_or_none(imap: Imap) -> None:
    client = await imap.login()
    await client.send(several("a", "INBOX", ("", small(1)), ("(\\Nonsense) ", small(2))))
    await client.expect("a BAD ...")
    await client.send(several("b", "nowhere", ("", small(1)), ("", small(2))))
    await client.expect("b NO [TRYCREATE] ...")
    # A message without octets takes back what was begun.
    await client.send(several("c", "INBOX", ("", small(1)), ("", b"")))
    await client.expect("c NO ...")
    await client.ok("SELECT INBOX")
    assert await client.ok("UID SEARCH ALL") == ["* SEARCH"]


async def test_too_many(imap: Imap) -> None:
    client = await imap.login()
    await client.send(several("a", "INBOX", *[("", b"x")] * 1001))
    await client.expect("a NO [LIMIT] ...")
    await client.send(several("b", "INBOX", *[("", b"x")] * 1002))
    await client.expect("b BAD ...")
    await client.ok("SELECT INBOX")
    assert await client.ok("UID SEARCH ALL") == ["* SEARCH"]


async def test_the_limit_is_told(imap: Imap) -> None:
    client = await imap.login()
    (told,) = await client.ok("CAPABILITY")
    assert f"APPENDLIMIT={LIMIT}" in told.split(" ")
    await client.send(b"a APPEND INBOX {%d}\r\n" % (LIMIT + 1))
    await client.expect("a NO [TOOBIG] ...")
    # The second of two messages is too large: its octets are not asked for.
    await client.send(b"b APPEND INBOX {3+}\r\nabc {%d}\r\n" % (LIMIT + 1))
    await client.expect("b NO [TOOBIG] ...")
    await client.ok("SELECT INBOX")
    assert await client.ok("UID SEARCH ALL") == ["* SEARCH"]


@pytest.mark.parametrize("size", [2_000_000, 5_000_000])
async def test_what_is_refused_is_read_past(imap: Imap, size: int) -> None:
    client = await imap.login()
    await client.send(several("a", "nowhere", ("", b"z" * size), ("", b"z" * size), ("", b"z")))
    await client.expect("a NO [TRYCREATE] ...")
    await client.ok("NOOP")
