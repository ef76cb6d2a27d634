"""UTF8=ACCEPT (RFC 9755): names and strings in UTF-8 for those who enabled it, headers for all."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap

INTERNATIONAL = (
    "From: Grüße <grüße@例え.example>\r\n"
    "Subject: Entwürfe für später\r\n"
    'Content-Type: text/plain; charset=utf-8; name="é"\r\n'
    "\r\n"
    "Hallo\r\n"
).encode()


async def enabled(imap: Imap) -> ImapClient:
    client = await imap.login()
    assert await client.ok("ENABLE UTF8=ACCEPT") == ["* ENABLED UTF8=ACCEPT"]
    return client


async def test_it_is_told_and_enabled(imap: Imap) -> None:
    client = await imap.login()
    (told,) = await client.ok("CAPABILITY")
    assert "UTF8=ACCEPT" in told.split(" ")
    assert await client.ok("ENABLE UTF8=ACCEPT") == ["* ENABLED UTF8=ACCEPT"]
    assert await client.ok("ENABLE UTF8=ACCEPT") == ["* ENABLED"]


async def test_names(imap: Imap) -> None:
    client, legacy = await enabled(imap), await imap.login()
    await client.ok('CREATE "Entwürfe/für später"')
    assert await client.ok('LIST "" "Entw*"') == [
        '* LIST (\\HasChildren) "/" "Entwürfe"',
        '* LIST (\\HasNoChildren) "/" "Entwürfe/für später"',
    ]
    assert await legacy.ok('LIST "" "Entw&APw-rfe/*"') == [
        '* LIST (\\HasNoChildren) "/" "Entw&APw-rfe/f&APw-r sp&AOQ-ter"'
    ]
    await client.ok('RENAME "Entwürfe/für später" "Entwürfe/日本語 & co"')
    assert await client.ok('STATUS "Entwürfe/日本語 & co" (MESSAGES)') == [
        '* STATUS "Entwürfe/日本語 & co" (MESSAGES 0)'
    ]
    await client.ok('SUBSCRIBE "Entwürfe/日本語 & co"')
    assert await client.ok('LSUB "" "Entw*"') == ['* LSUB () "/" "Entwürfe/日本語 & co"']
    wire = "Entwürfe".encode()
    await client.send(b"a SELECT {%d}\r\n" % len(wire))
    await client.expect("+ ...")
    await client.send(wire + b"\r\n")
    _, done = await client.finish("a")
    assert done.startswith("OK ")
    # What was modified UTF-7 is a name like any other now.
    await client.no("SELECT Entw&APw-rfe")
    await legacy.ok("SELECT Entw&APw-rfe")


async def test_strings_that_are_no_utf8(imap: Imap) -> None:
    client = await enabled(imap)
    await client.send(b'a CREATE "x\xff"\r\nb CREATE {2+}\r\nx\xff\r\nc CREATE "\xc0\xaf"\r\n')
    await client.expect("a BAD ...", "b NO [CANNOT] ...", "c BAD ...")
    await client.send(b'd SELECT INBOX\r\ne SEARCH SUBJECT "\xff"\r\n')
    await client.finish("d")
    await client.expect("e BAD ...")


@pytest.mark.parametrize("name", ["a\u0085b", "a\u2028b", "a\u2029b", "a\u007fb"])
async def test_names_that_no_mailbox_has(imap: Imap, name: str) -> None:
    client = await enabled(imap)
    await client.no(f'CREATE "{name}"', "NO [CANNOT] ...")


async def test_messages_with_utf8_headers(imap: Imap) -> None:
    client = await enabled(imap)
    await client.append("INBOX", INTERNATIONAL)
    await client.send(b"a APPEND INBOX (\\Seen) UTF8 (~{%d}\r\n" % len(INTERNATIONAL))
    await client.expect("+ ...")
    await client.send(INTERNATIONAL + b")\r\n")
    await client.expect("a OK [APPENDUID ... 2] ...")
    await client.ok("SELECT INBOX")
    first, second = await client.ok("FETCH 1:2 BODY.PEEK[]")
    for line in (first, second):
        assert line.encode().endswith(INTERNATIONAL + b")")
    assert await client.ok('SEARCH SUBJECT "für später"') == ["* SEARCH 1 2"]
    assert await client.ok('SEARCH FROM "grüße@例え"') == ["* SEARCH 1 2"]
    await client.bad('SEARCH CHARSET UTF-8 SUBJECT "für"')


async def test_those_who_did_not_enable_it(imap: Imap) -> None:
    client = await imap.login()
    await client.append("INBOX", INTERNATIONAL)
    await client.ok("SELECT INBOX")
    # No quoted string holds an eighth bit: they come as literals, nothing is hidden or changed.
    (line,) = await client.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE)")
    subject = "Entwürfe für später"
    assert f"{{{len(subject.encode())}}}\r\n{subject}" in line
    assert not any(not piece.isascii() for piece in _quoted(line))
    (line,) = await client.ok("FETCH 1 BODY.PEEK[HEADER]")
    assert line.encode().endswith(INTERNATIONAL[: -len(b"Hallo\r\n")] + b")")


def _quoted(response: str) -> list[str]:
    """The quoted strings of a response; its literals are left out."""
    found: list[str] = []
    rest = response.encode()
    while rest:
        if rest.startswith(b"{"):
            size, _, rest = rest[1:].partition(b"}\r\n")
            rest = rest[int(size) :]
        elif rest.startswith(b'"'):
            text, _, rest = rest[1:].partition(b'"')
            found.append(text.decode())
        else:
            rest = rest[1:]
    return found


async def test_it_ends_with_the_session_of_the_person(imap: Imap) -> None:
    client = await enabled(imap)
    await client.ok('CREATE "é"')
    await client.ok("UNAUTHENTICATE")
    await client.ok(f'LOGIN "{imap.person.name}" "{imap.person.password}"')
    assert await client.ok('LIST "" "&AOk-"') == ['* LIST (\\HasNoChildren) "/" &AOk-']
