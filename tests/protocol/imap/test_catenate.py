"""CATENATE (RFC 4469): messages put together of literals and of what is there already."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap, small

BOUNDARY = b"------------030308070208000400050907"
HEADER = (
    b"Message-ID: <419399E1.6000505@example.org>\r\n"
    b"From: Bob Ar <bar@example.org>\r\n"
    b"Subject: About our holiday trip\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n' % BOUNDARY
)
TEXT_MIME = b"Content-Type: text/plain; charset=us-ascii\r\n\r\n"
TEXT = b"Our travel agent has sent the updated schedule.\r\n"
ZIP_MIME = (
    b"Content-Type: application/x-zip-compressed\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)
ZIP = b"UEsDBBQAAAAIAA==\r\n"
OPEN = b"--" + BOUNDARY + b"\r\n"
BETWEEN = b"\r\n" + OPEN
CLOSE = b"\r\n--" + BOUNDARY + b"--\r\n"
DRAFT = HEADER + OPEN + TEXT_MIME + TEXT + BETWEEN + ZIP_MIME + ZIP + CLOSE


async def drafts(imap: Imap) -> tuple[ImapClient, int]:
    """A client, and the UIDVALIDITY of Drafts, where UID 1 is a draft."""
    client = await imap.login()
    await client.append("Drafts", DRAFT)
    (told,) = await client.ok("STATUS Drafts (UIDVALIDITY)")
    return client, int(told.rstrip(")").rpartition(" ")[2])


async def content(client: ImapClient, mailbox: str, uid: int) -> bytes:
    await client.ok(f"EXAMINE {mailbox}")
    (line,) = await client.ok(f"UID FETCH {uid} BODY.PEEK[]")
    await client.ok("UNSELECT")
    found = line.encode("utf-8", "surrogateescape").partition(b"}\r\n")[2]
    return found.removesuffix(b")")


async def test_an_attachment_is_replaced(imap: Imap) -> None:
    client, validity = await drafts(imap)
    other = b"Content-Type: text/html\r\n\r\n<p>other</p>\r\n"
    await client.append("Drafts", other)
    url = f"/Drafts;UIDVALIDITY={validity}/;UID=1/;section"
    await client.send(
        f'A003 APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (URL "{url}=HEADER" '
        f"TEXT {{{len(OPEN)}}}\r\n".encode()
    )
    await client.expect("+ ...")
    await client.send(
        OPEN + f' URL "{url}=1.MIME" URL "{url}=1" TEXT {{{len(BETWEEN)}}}\r\n'.encode()
    )
    await client.expect("+ ...")
    await client.send(
        BETWEEN + f' URL "/Drafts;UIDVALIDITY={validity}/;UID=2" TEXT {{{len(CLOSE)}}}\r\n'.encode()
    )
    await client.expect("+ ...")
    await client.send(CLOSE + b")\r\n")
    await client.expect("A003 OK [APPENDUID ... 3] ...")
    assert await content(client, "Drafts", 3) == (
        HEADER + OPEN + TEXT_MIME + TEXT + BETWEEN + other + CLOSE
    )
    await client.ok("EXAMINE Drafts")
    assert await client.ok("UID FETCH 3 (FLAGS)") == [
        "* 3 FETCH (UID 3 FLAGS (\\Seen \\Draft $MDNSent))"
    ]
    # What was read from is not marked as read.
    assert await client.ok("UID FETCH 1 (FLAGS)") == ["* 1 FETCH (UID 1 FLAGS ())"]


async def test_of_urls_alone(imap: Imap) -> None:
    client, _ = await drafts(imap)
    await client.ok('APPEND Sent CATENATE (URL "/Drafts/;UID=1")')
    assert await content(client, "Sent", 1) == DRAFT


async def test_header_fields_and_ranges(imap: Imap) -> None:
    client, _ = await drafts(imap)
    await client.ok(
        'APPEND Sent CATENATE (URL "/Drafts/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT%20FROM)" '
        'URL "/Drafts/;UID=1/;SECTION=1/;PARTIAL=4.6" URL "/Drafts/;UID=1/;SECTION=1/;PARTIAL=10")'
    )
    assert await content(client, "Sent", 1) == (
        b"From: Bob Ar <bar@example.org>\r\nSubject: About our holiday trip\r\n\r\n" + TEXT[4:]
    )


async def test_relative_to_the_selected_mailbox(imap: Imap) -> None:
    client, _ = await drafts(imap)
    await client.no(
        'APPEND Sent CATENATE (URL ";UID=1/;SECTION=1")', "NO [BADURL ;UID=1/;SECTION=1] ..."
    )
    await client.ok("EXAMINE Drafts")
    await client.ok('APPEND Sent CATENATE (URL ";UID=1/;SECTION=1")')
    assert await content(client, "Sent", 1) == TEXT


async def test_names_beyond_ascii(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE Entw&APw-rfe/a&AOk-b")
    await client.append("Entw&APw-rfe/a&AOk-b", small(1))
    await client.ok('APPEND INBOX CATENATE (URL "/Entw%C3%BCrfe/a%C3%A9b/;UID=1")')
    assert await content(client, "INBOX", 1) == small(1)


async def test_with_many_messages(imap: Imap) -> None:
    client, _ = await drafts(imap)
    large = b"z" * 1_200_000
    await client.send(
        b"a APPEND Sent (\\Seen) CATENATE (TEXT {7+}\r\nX: y\r\n\r URL /Drafts/;UID=1/;SECTION=1)"
        b" {%d+}\r\n%b"
        % (len(large), large)
        + b" CATENATE (URL /Drafts/;UID=1/;SECTION=2 TEXT {%d+}\r\n%b TEXT ~{3+}\r\na\0b)\r\n"
        % (len(large), large)
    )
    await client.expect("a OK [APPENDUID ... 1:3] ...")
    assert await content(client, "Sent", 1) == b"X: y\r\n\r" + TEXT
    assert await content(client, "Sent", 2) == large
    assert await content(client, "Sent", 3) == ZIP + large + b"a\0b"


@pytest.mark.parametrize(
    "url",
    [
        "/Drafts/;UID=2",
        "/Drafts/;UID=1/;SECTION=3",
        "/Drafts;UIDVALIDITY=1/;UID=1",
        "/nowhere/;UID=1",
        "/Drafts",
        "/Drafts/;UID=0",
        "imap://other.example.org/Drafts/;UID=1",
        "http://example.org/",
    ],
)
async def test_a_bad_url_is_named(imap: Imap, url: str) -> None:
    client, _ = await drafts(imap)
    good = '"/Drafts/;UID=1"'
    await client.no(
        f'APPEND Sent CATENATE (URL {good} URL "{url}" URL "/also/;UID=99")',
        f"NO [BADURL {url}] ...",
    )
    await client.ok("EXAMINE Sent")
    assert await client.ok("UID SEARCH ALL") == ["* SEARCH"]


async def test_a_bad_url_among_literals(imap: Imap) -> None:
    client, _ = await drafts(imap)
    await client.send(
        b'a APPEND Sent CATENATE (TEXT {3+}\r\nabc URL {5+}\r\n]\x01\xffx" TEXT {3+}\r\ndef)\r\n'
    )
    await client.expect('a NO [BADURL %5D%01%FFx"] ...')
    await client.send(b"b APPEND Sent CATENATE (URL nonsense TEXT {3}\r\n")
    await client.expect("b NO [BADURL nonsense] ...")
    await client.ok("NOOP")


async def test_too_large_together(imap: Imap) -> None:
    client = await imap.login()
    await client.append("Drafts", b"z" * 30_000_000)
    urls = " ".join(["URL /Drafts/;UID=1"] * 3)
    await client.no(f"APPEND Sent CATENATE ({urls})", "NO [TOOBIG] ...")
    urls = " ".join(["URL /Drafts/;UID=1/;PARTIAL=0.1"] * 1001)
    await client.no(f"APPEND Sent CATENATE ({urls})", "NO [LIMIT] ...")


async def test_nothing_but_nothing(imap: Imap) -> None:
    client, _ = await drafts(imap)
    await client.send(b"a APPEND Sent CATENATE (TEXT {0+}\r\n)\r\n")
    await client.expect("a NO ...")
    await client.no('APPEND Sent CATENATE (URL "/Drafts/;UID=1/;PARTIAL=999999")')
