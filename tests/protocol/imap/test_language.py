"""LANGUAGE (RFC 5255 section 3)."""

from __future__ import annotations

import pytest

from tests.protocol.imap.system import Imap


async def test_the_examples(imap: Imap) -> None:
    client = await imap.login()
    assert await client.no("LANGUAGE MUL") == []
    assert await client.ok("LANGUAGE") == ["* LANGUAGE (en de fr i-default)"]
    told, done = await client.transact("LANGUAGE DE")
    assert (told, done) == (["* LANGUAGE (de)"], "OK Es wird jetzt Deutsch gesprochen")
    assert await client.transact("NOOP") == ([], "OK NOOP ist erledigt")
    await client.no("LANGUAGE RU", "NO Diese Sprache wird hier nicht gesprochen")
    assert await client.ok("LANGUAGE DE-IT") == ["* LANGUAGE (de)"]
    told, done = await client.transact('LANGUAGE "default"')
    assert (told, done) == (["* LANGUAGE (i-default)"], "OK English is spoken now")
    told, done = await client.transact("LANGUAGE RU-UA EN-CA")
    assert (told, done) == (["* LANGUAGE (en)"], "OK English is spoken now")
    assert await client.ok("LANGUAGE ru fr") == ["* LANGUAGE (fr)"]
    assert await client.transact("NOOP") == ([], "OK NOOP terminé")


async def test_it_is_told_before_and_after_login(imap: Imap) -> None:
    client = await imap.connect()
    for _ in range(2):
        (line,) = await client.ok("CAPABILITY")
        assert "LANGUAGE" in line.split()
        await client.transact(f'LOGIN "{imap.person.name}" "{imap.person.password}"')


async def test_a_language_is_spoken_before_login_and_on(imap: Imap) -> None:
    client = await imap.connect()
    await client.ok("LANGUAGE de")
    await client.no(
        f"LOGIN {imap.person.name} wrong",
        "NO [AUTHENTICATIONFAILED] Name oder Passwort ist falsch",
    )
    await client.ok(f'LOGIN "{imap.person.name}" "{imap.person.password}"')
    await client.no("SELECT nowhere", "NO [NONEXISTENT] Dieses Postfach gibt es nicht")
    _, done = await client.transact("FETCH 1 (UID)")
    assert done.startswith("BAD Nicht erlaubt: kein Postfach ist ausgewählt")
    await client.send(b"l LOGOUT\r\n")
    await client.expect("* BYE Auf Wiedersehen", "l OK LOGOUT ist erledigt")


async def test_others_are_spoken_to_in_their_own(imap: Imap) -> None:
    german, other = await imap.login(), await imap.login()
    await german.ok("LANGUAGE de")
    assert await other.transact("NOOP") == ([], "OK NOOP completed")


async def test_who_leaves_an_account_leaves_its_language(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("LANGUAGE fr")
    await client.ok("UNAUTHENTICATE")
    assert await client.transact("NOOP") == ([], "OK NOOP completed")


@pytest.mark.parametrize("ranges", ["de_DE", '""', "x" * 9, "de-", "de  fr", "de "])
async def test_what_is_no_range(imap: Imap, ranges: str) -> None:
    client = await imap.connect()
    await client.bad(f"LANGUAGE {ranges}")
