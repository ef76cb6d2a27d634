"""Greeting, CAPABILITY, LOGIN, AUTHENTICATE, LOGOUT, STARTTLS, and what is refused before login."""

from __future__ import annotations

import base64

import pytest

from tests.protocol.imap.client import matches
from tests.protocol.imap.system import Imap


def plain(name: str, password: str) -> str:
    return base64.b64encode(f"\0{name}\0{password}".encode()).decode()


async def test_the_greeting_tells_capabilities(imap: Imap) -> None:
    client = await imap.system.connect()
    greeting = (await client.hear()).decode()
    words = greeting.partition("]")[0].removeprefix("* OK [").split()
    assert {"CAPABILITY", "IMAP4rev1", "STARTTLS", "AUTH=PLAIN", "SASL-IR", "LITERAL+"} <= set(
        words
    )
    assert "LOGINDISABLED" not in words  # loopback


async def test_more_can_be_done_after_login(imap: Imap) -> None:
    client = await imap.login()
    (line,) = await client.ok("CAPABILITY")
    words = set(line.removeprefix("* CAPABILITY ").split())
    assert {"IDLE", "NAMESPACE", "UIDPLUS", "UNSELECT", "CHILDREN", "SPECIAL-USE", "MOVE"} <= words
    assert "STARTTLS" not in words
    assert not any(word.startswith("AUTH=") for word in words)


async def test_login(imap: Imap) -> None:
    client = await imap.connect()
    _, done = await client.transact(f'LOGIN {imap.person.name} "{imap.person.password}"')
    assert matches(done, "OK [CAPABILITY IMAP4rev1 IMAP4rev2 ...] ...")
    await client.ok("SELECT INBOX")
    await client.bad(f'LOGIN {imap.person.name} "{imap.person.password}"')


async def test_login_by_literals(imap: Imap) -> None:
    client = await imap.connect()
    name, password = imap.person.name.encode(), imap.person.password.encode()
    await client.send(b"l LOGIN {%d}\r\n" % len(name))
    await client.expect("+ ...")
    await client.send(name + b" {%d+}\r\n" % len(password) + password + b"\r\n")
    await client.expect("l OK ...")


@pytest.mark.parametrize("password", ["wrong", "", "a\\\\b"])
async def test_a_wrong_password(imap: Imap, password: str) -> None:
    client = await imap.connect()
    await client.no(f'LOGIN {imap.person.name} "{password}"', "NO [AUTHENTICATIONFAILED] ...")
    await client.bad("SELECT INBOX")


async def test_nobody_by_that_name(imap: Imap) -> None:
    client = await imap.connect()
    await client.no("LOGIN nobody@example.org x", "NO [AUTHENTICATIONFAILED] ...")


async def test_plain_with_an_initial_response(imap: Imap) -> None:
    client = await imap.connect()
    await client.ok(f"AUTHENTICATE PLAIN {plain(imap.person.name, imap.person.password)}")
    await client.ok("SELECT INBOX")


async def test_plain_with_a_challenge(imap: Imap) -> None:
    client = await imap.connect()
    await client.send(b"p AUTHENTICATE plain\r\n")
    await client.expect("+ ")
    await client.send(plain(imap.person.name, imap.person.password).encode() + b"\r\n")
    await client.expect("p OK [CAPABILITY ...] ...")


async def test_an_exchange_that_the_client_gives_up(imap: Imap) -> None:
    client = await imap.connect()
    await client.send(b"p AUTHENTICATE PLAIN\r\n")
    await client.expect("+ ")
    await client.send(b"*\r\n")
    await client.expect("p BAD ...")
    await client.ok("NOOP")


async def test_an_exchange_that_is_no_base64(imap: Imap) -> None:
    client = await imap.connect()
    await client.send(b"p AUTHENTICATE PLAIN\r\n")
    await client.expect("+ ")
    await client.send(b"not base64!\r\n")
    await client.expect("p BAD ...")


async def test_an_unknown_mechanism(imap: Imap) -> None:
    client = await imap.connect()
    await client.no("AUTHENTICATE X-MAGIC")


async def test_too_many_failures_end_the_session(imap: Imap) -> None:
    client = await imap.connect()
    for _ in range(4):
        await client.no(f"LOGIN {imap.person.name} wrong")
    await client.send(f"l LOGIN {imap.person.name} wrong\r\n".encode())
    await client.expect("l NO [AUTHENTICATIONFAILED] ...", "* BYE ...")
    await client.expect_end()


async def test_starttls(imap: Imap) -> None:
    client = await imap.connect()
    await client.send(b"s STARTTLS\r\n")
    await client.expect("s OK ...")
    await client.start_tls(imap.system.tls)
    (line,) = await client.ok("CAPABILITY")
    assert "STARTTLS" not in line.split()
    await client.ok(f'LOGIN {imap.person.name} "{imap.person.password}"')
    await client.bad("STARTTLS")


async def test_what_came_in_clear_text_behind_starttls_is_dropped(imap: Imap) -> None:
    client = await imap.connect()
    await client.send(b"s STARTTLS\r\nx LOGOUT\r\n")
    await client.expect("s OK ...")
    await client.start_tls(imap.system.tls)
    assert await client.ok("NOOP") == []


async def test_implicit_tls(imap: Imap) -> None:
    client = await imap.system.connect("imaps")
    greeting = (await client.hear()).decode()
    assert "STARTTLS" not in greeting
    await client.ok(f'LOGIN {imap.person.name} "{imap.person.password}"')


async def test_logout(imap: Imap) -> None:
    client = await imap.login()
    await client.send(b"l LOGOUT\r\n")
    await client.expect("* BYE ...", "l OK ...")
    await client.expect_end()


@pytest.mark.parametrize("command", ["SELECT INBOX", 'LIST "" *', "FETCH 1 FLAGS", "IDLE"])
async def test_nothing_else_before_login(imap: Imap, command: str) -> None:
    client = await imap.connect()
    await client.bad(command)


async def test_id(imap: Imap) -> None:
    client = await imap.connect()
    assert await client.ok('ID ("name" "test" "version" NIL)') == ['* ID ("name" "Postroom")']
    assert await client.ok("ID NIL") == ['* ID ("name" "Postroom")']


async def test_enable_has_nothing_to_enable(imap: Imap) -> None:
    client = await imap.login()
    assert await client.ok("ENABLE X-NOTHING") == ["* ENABLED"]


async def test_namespace(imap: Imap) -> None:
    client = await imap.login()
    assert await client.ok("NAMESPACE") == ['* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']
