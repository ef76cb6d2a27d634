"""UNAUTHENTICATE (RFC 8437): one connection, several accounts."""

from __future__ import annotations

import base64
import zlib

import pytest
from postroom_chassis import tickets
from postroom_imap import session as session_module

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.system import Imap, Person


def login(person: Person) -> str:
    return f'LOGIN "{person.name}" "{person.password}"'


def plain(person: Person) -> str:
    return base64.b64encode(f"\0{person.name}\0{person.password}".encode()).decode()


async def test_it_is_offered_to_those_who_have_signed_in(imap: Imap) -> None:
    client = await imap.connect()
    (line,) = await client.ok("CAPABILITY")
    assert "UNAUTHENTICATE" not in line.split()
    await client.bad("UNAUTHENTICATE")
    await client.ok(login(imap.person))
    (line,) = await client.ok("CAPABILITY")
    assert "UNAUTHENTICATE" in line.split()
    await client.bad("UNAUTHENTICATE now")


async def test_nobody_is_signed_in_then(imap: Imap) -> None:
    client = await imap.select(messages=2)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await client.ok("UNAUTHENTICATE") == []  # no EXPUNGE: nothing is closed
    await client.bad("SELECT INBOX")
    await client.bad("FETCH 1 (UID)")
    (line,) = await client.ok("CAPABILITY")
    assert {"AUTH=PLAIN", "STARTTLS"} <= set(line.split())
    await client.ok(login(imap.person))
    assert "* 2 EXISTS" in await client.ok("SELECT INBOX")


async def test_somebody_else_signs_in(imap: Imap) -> None:
    other = await imap.system.person()
    client = await imap.select(messages=1)
    await client.ok("FETCH 1 (ENVELOPE)")
    await client.ok("UNAUTHENTICATE")
    await client.ok(login(other))
    await client.bad("FETCH 1 (ENVELOPE)")  # nothing is selected
    assert "* 0 EXISTS" in await client.ok("SELECT INBOX")
    await client.ok("UNAUTHENTICATE")
    await client.ok(f"AUTHENTICATE PLAIN {plain(imap.person)}")
    assert "* 1 EXISTS" in await client.ok("SELECT INBOX")


async def test_it_is_pipelined_with_the_next_authentication(imap: Imap) -> None:
    other = await imap.system.person()
    client = await imap.login()
    await client.send(
        f"u UNAUTHENTICATE\r\na AUTHENTICATE PLAIN {plain(other)}\r\ns SELECT INBOX\r\n".encode()
    )
    await client.expect("u OK ...", "a OK [CAPABILITY ...] ...")
    _, done = await client.finish("s")
    assert done.startswith("OK")


async def test_what_was_enabled_is_not_any_more(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("ENABLE IMAP4rev2 CONDSTORE")
    await client.ok('CREATE "Ärger"')
    await client.ok("UNAUTHENTICATE")
    await client.ok(login(imap.person))
    assert await client.ok('LIST "" %rger') == [
        '* LIST (\\HasNoChildren) "/" &AMQ-rger',
    ]
    # What IMAP4rev1 alone is told.
    assert "* 0 RECENT" in await client.ok("SELECT INBOX")


async def test_tls_stays(imap: Imap) -> None:
    client = await imap.connect()
    await client.send(b"s STARTTLS\r\n")
    await client.expect("s OK ...")
    await client.start_tls(imap.system.tls)
    await client.ok(login(imap.person))
    await client.ok("UNAUTHENTICATE")
    (line,) = await client.ok("CAPABILITY")
    assert "STARTTLS" not in line.split()
    await client.ok(login(imap.person))


async def compressed(imap: Imap) -> ImapClient:
    client = await imap.login()
    await client.compress()
    return client


async def test_compression_ends_behind_the_ok(imap: Imap) -> None:
    client = await compressed(imap)
    await client.ok("UNAUTHENTICATE")
    client.stop_compressing()
    await client.ok(login(imap.person))
    (line,) = await client.ok("CAPABILITY")
    assert "COMPRESS=DEFLATE" in line.split()
    await client.compress()
    await client.ok("SELECT INBOX")


@pytest.mark.parametrize("end", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH])
async def test_compression_ends_in_a_pipeline(imap: Imap, end: int) -> None:
    # The client's own stream ends behind the command; what follows is plain.
    client = await imap.login()
    reader = await client.compress()
    peer = zlib.compressobj(wbits=-15)
    sent = peer.compress(b"u UNAUTHENTICATE\r\n") + peer.flush(end)
    await client.send_as_it_is(sent + f"a {login(imap.person)}\r\n".encode())
    await client.expect("u OK ...")
    plain = reader.left
    while not plain.endswith(b"\r\n"):
        plain += await reader.reader.read(1000)
    assert plain.startswith(b"a OK [CAPABILITY ")


async def test_failed_logins_are_counted_on(imap: Imap) -> None:
    client = await imap.connect()
    for _ in range(4):
        await client.no(f"LOGIN {imap.person.name} wrong")
    await client.ok(login(imap.person))
    await client.ok("UNAUTHENTICATE")
    await client.send(f"l LOGIN {imap.person.name} wrong\r\n".encode())
    await client.expect("l NO [AUTHENTICATIONFAILED] ...", "* BYE ...")


@pytest.mark.parametrize("bounds", [{"login_seconds": 0.3}])
async def test_who_has_left_must_sign_in_soon(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("UNAUTHENTICATE")
    await client.expect("* BYE ...")


async def test_the_ticket_is_not_renewed_any_more(
    imap: Imap, alone: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals: list[object] = []
    start = session_module.Session._start_renewal

    def watched(session: session_module.Session) -> None:
        renewals.append(session)
        start(session)

    monkeypatch.setattr(tickets, "RENEW_AT", (0.0, 0.0))
    monkeypatch.setattr(session_module.Session, "_start_renewal", watched)
    client = await imap.connect()
    await client.send(f"l {login(imap.person)}\r\nu UNAUTHENTICATE\r\n".encode())
    await client.expect("l OK ...", "u OK ...")
    before = len(renewals)
    await client.ok("NOOP")
    await client.ok("NOOP")
    assert len(renewals) == before
