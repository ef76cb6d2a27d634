"""UTF8 and LANG (RFC 6856)."""

from __future__ import annotations

import pytest

from tests.protocol.pop3.system import System, sign_in

MESSAGE = "From: jörg@example.org\r\nSubject: Grüße\r\n\r\nein schöner Tag\r\n".encode()
SURROGATE = (
    b"From: =?utf-8?b?PGrDtnJnQGV4YW1wbGUub3JnPg==?= :;\r\n"
    b"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n\r\n" + "ein schöner Tag\r\n".encode()
)
surrogates = pytest.mark.parametrize("settings", [{"surrogates": True}])
LARGE = b"x" * 76 + b"\r\n"


async def test_a_client_that_knows_utf8_sees_a_message_as_it_is(system: System) -> None:
    person = await system.person(MESSAGE)
    wire = await system.connect()
    await wire.play(
        f"""
        S: +OK ...
        C: UTF8
        S: +OK ...
        C: USER {person.name}
        S: +OK ...
        C: PASS {person.password}
        S: +OK ...
        C: RETR 1
        S: +OK {len(MESSAGE)} octets
        S: From: jörg@example.org
        S: Subject: Grüße
        S: 
        S: ein schöner Tag
        S: .
        C: TOP 1 0
        S: +OK
        S: From: jörg@example.org
        S: Subject: Grüße
        S: 
        S: .
        """  # noqa: W291
    )


async def test_another_client_sees_it_byte_by_byte_too(system: System) -> None:
    wire = await sign_in(system, await system.person(MESSAGE))
    await wire.play(f"C: RETR 1\nS: +OK {len(MESSAGE)} octets")
    assert await wire.hear_until(b"\r\n.\r\n") == MESSAGE + b".\r\n"


@surrogates
async def test_a_client_that_knows_utf8_needs_no_surrogate(system: System) -> None:
    person = await system.person(MESSAGE)
    wire = await system.connect()
    await wire.play("S: +OK ...\nC: UTF8\nS: +OK ...")
    await wire.play(f"C: USER {person.name}\nS: +OK ...\nC: PASS {person.password}\nS: +OK ...")
    await wire.play(f"C: RETR 1\nS: +OK {len(MESSAGE)} octets")
    assert await wire.hear_until(b"\r\n.\r\n") == MESSAGE + b".\r\n"


@surrogates
async def test_another_client_sees_a_surrogate(system: System) -> None:
    wire = await sign_in(system, await system.person(MESSAGE))
    await wire.play(
        f"C: LIST 1\nS: +OK 1 {len(MESSAGE)}\nC: RETR 1\nS: +OK {len(SURROGATE)} octets"
    )
    assert await wire.hear_until(b"\r\n.\r\n") == SURROGATE + b".\r\n"
    await wire.play("C: TOP 1 0\nS: +OK")
    assert await wire.hear_until(b"\r\n.\r\n") == SURROGATE[: SURROGATE.index(b"ein")] + b".\r\n"


@surrogates
async def test_a_large_message_has_a_surrogate_too(system: System) -> None:
    person = await system.person(MESSAGE + LARGE * 20_000)
    wire = await sign_in(system, person)
    await wire.play("C: RETR 1\nS: +OK ...")
    assert await wire.hear_until(b"\r\n.\r\n") == SURROGATE + LARGE * 20_000 + b".\r\n"
    await wire.play("C: TOP 1 1\nS: +OK")
    assert await wire.hear_until(b"\r\n.\r\n") == SURROGATE + b".\r\n"
    await wire.play("C: QUIT\nS: +OK ...")
    wire = await system.connect()
    await wire.play("S: +OK ...\nC: UTF8\nS: +OK ...")
    await wire.play(f"C: USER {person.name}\nS: +OK ...\nC: PASS {person.password}\nS: +OK ...")
    await wire.play("C: RETR 1\nS: +OK ...")
    assert await wire.hear_until(b"\r\n.\r\n") == MESSAGE + LARGE * 20_000 + b".\r\n"


@surrogates
async def test_octets_that_are_no_utf_8_pass(system: System) -> None:
    message = b"Subject: caf\xe9\r\n\r\nau lait\r\n"
    wire = await sign_in(system, await system.person(message))
    await wire.play("C: RETR 1\nS: +OK ...")
    assert await wire.hear_until(b"\r\n.\r\n") == message + b".\r\n"


async def test_stls_comes_before_utf8(system: System) -> None:
    wire = await system.connect()
    await wire.play("S: +OK ...\nC: UTF8 now\nS: -ERR ...\nC: UTF8\nS: +OK ...")
    await wire.play("C: STLS\nS: -ERR ...\nC: NOOP\nS: +OK")


async def test_names_and_passwords_are_utf_8(system: System) -> None:
    wire = await system.connect()
    await wire.play(
        "S: +OK ...\nC: USER jörg@example.org\nS: +OK ...\nC: PASS schön\nS: -ERR [AUTH]..."
    )
    await wire.send(b"USER j\xf6rg@example.org\r\n")
    await wire.play("S: -ERR that is not UTF-8")


async def test_languages(system: System) -> None:
    wire = await sign_in(system, await system.person(b"1\r\n"))
    await wire.play(
        """
        C: LANG
        S: +OK ...
        S: en English
        S: de Deutsch
        S: fr Français
        S: i-default English
        S: .
        C: LANG mul
        S: -ERR no such language is spoken here
        C: LANG de-AT
        S: +OK de Es wird jetzt Deutsch gesprochen
        C: RETR 2
        S: -ERR diese Nachricht gibt es nicht
        C: LIST
        S: +OK 1 Nachrichten
        S: 1 3
        S: .
        C: LANG uga
        S: -ERR diese Sprache wird hier nicht gesprochen
        C: LANG fr
        S: +OK fr Le français est utilisé
        C: RSET
        S: +OK 1 messages (3 octets)
        C: LANG de;at
        S: -ERR il faut une langue
        C: LANG *
        S: +OK i-default English is spoken now
        C: RETR 2
        S: -ERR no such message
        """
    )


async def test_a_language_lasts_from_sign_in_to_the_end_and_is_one_sessions(system: System) -> None:
    person = await system.person()
    wire = await system.connect()
    await wire.play(
        f"""
        S: +OK ...
        C: LANG DE
        S: +OK de ...
        C: USER {person.name}
        S: +OK jetzt das Passwort
        C: PASS wrong
        S: -ERR [AUTH] Name oder Passwort ist falsch
        C: USER {person.name}
        S: +OK jetzt das Passwort
        C: PASS {person.password}
        S: +OK 0 Nachrichten (0 Bytes)
        C: QUIT
        S: +OK auf Wiedersehen, 0 Nachrichten gelöscht
        """
    )
    other = await sign_in(system, person)
    await other.play("C: RETR 1\nS: -ERR no such message")
