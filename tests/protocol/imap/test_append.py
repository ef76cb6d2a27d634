"""APPEND: literals of both kinds, dates, flags, limits, and what is told."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import matches
from tests.protocol.imap.system import Imap, small


async def test_a_synchronizing_literal(imap: Imap) -> None:
    client = await imap.login()
    message = small(1)
    await client.send(b"a APPEND INBOX {%d}\r\n" % len(message))
    await client.expect("+ ...")
    await client.send(message + b"\r\n")
    await client.expect("a OK [APPENDUID ... 1] ...")


async def test_flags_and_date_are_kept(imap: Imap) -> None:
    client = await imap.login()
    await client.append("INBOX", small(1), '(\\Seen $Work) "25-Dec-2020 23:00:00 -0200"')
    await client.ok("SELECT INBOX")
    assert await client.ok("FETCH 1 (FLAGS INTERNALDATE)") == [
        '* 1 FETCH (FLAGS (\\Seen $Work) INTERNALDATE "26-Dec-2020 01:00:00 +0000")'
    ]


async def test_dates_at_the_ends_of_time(imap: Imap) -> None:
    client = await imap.login()
    await client.append("INBOX", small(1), '"31-Dec-9999 23:59:59 -1200"')
    await client.append("INBOX", small(1), '" 1-Jan-0001 00:00:00 +1200"')
    await client.ok("SELECT INBOX")
    assert len(await client.ok("FETCH 1:2 INTERNALDATE")) == 2


async def test_the_selected_mailbox_is_told_of(imap: Imap) -> None:
    client = await imap.select()
    other = await imap.select()
    message = small(1)
    await client.send(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
    assert (await client.finish("a"))[0] == ["* 1 EXISTS", "* 1 RECENT"]
    assert await other.ok("NOOP") == ["* 1 EXISTS"]


@pytest.mark.parametrize("size", [100, 2_000_000])
async def test_the_mailbox_is_missing(imap: Imap, size: int) -> None:
    client = await imap.login()
    message = b"x" * size
    await client.send(b"a APPEND nowhere {%d+}\r\n%b\r\nb NOOP\r\n" % (size, message))
    await client.expect("a NO [TRYCREATE] ...", "b OK ...")


async def test_a_large_message_for_a_missing_mailbox_need_not_be_sent(imap: Imap) -> None:
    client = await imap.login()
    await client.send(b"a APPEND nowhere {2000000}\r\n")
    await client.expect("a NO [TRYCREATE] ...")
    await client.ok("NOOP")


@pytest.mark.parametrize("size", [1024 * 1024, 1024 * 1024 + 1, 5_000_000])
async def test_a_large_message(imap: Imap, size: int) -> None:
    client = await imap.login()
    message = small(1) + b"y" * (size - len(small(1)))
    await client.append("INBOX", message, "(\\Draft)")
    await client.ok("SELECT INBOX")
    (line,) = await client.ok("FETCH 1 (RFC822.SIZE FLAGS BODY.PEEK[])")
    assert f"RFC822.SIZE {size} " in line
    assert line.endswith(message.decode() + ")")


async def test_text_behind_the_message(imap: Imap) -> None:
    client = await imap.login()
    await client.send(b"a APPEND INBOX {3+}\r\nabc more\r\n")
    await client.expect("a BAD ...")
    await client.ok("SELECT INBOX")
    assert await client.ok("SEARCH ALL") == ["* SEARCH"]


async def test_an_empty_message(imap: Imap) -> None:
    client = await imap.login()
    await client.send(b"a APPEND INBOX {0+}\r\n\r\n")
    await client.expect("a NO ...")
    await client.ok("NOOP")


async def test_bad_arguments_leave_the_stream_in_step(imap: Imap) -> None:
    client = await imap.login()
    await client.send(b"a APPEND INBOX (\\Nonsense) {3+}\r\nabc\r\nb NOOP\r\n")
    await client.expect("a BAD ...", "b OK ...")
    await client.send(b'a APPEND INBOX "yesterday" {3}\r\n')
    await client.expect("a BAD ...")
    await client.ok("NOOP")


async def test_names_beyond_ascii(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE Entw&APw-rfe")
    uid = await client.append("Entw&APw-rfe", small(1))
    assert uid == 1
    heard = await client.ok("SELECT Entw&APw-rfe")
    assert any(matches(line, "* 1 EXISTS") for line in heard)
