"""USER and PASS, AUTH, STLS, implicit TLS, PROXY (RFC 1939, RFC 5034, RFC 2595)."""

from __future__ import annotations

import binascii

from tests.protocol.pop3.system import Person, System

OUTSIDE = "192.0.2.7"  # RFC 5737: an address that is not on loopback


def base64(text: str) -> str:
    return binascii.b2a_base64(text.encode(), newline=False).decode()


def plain(person: Person) -> str:
    return base64(f"\0{person.name}\0{person.password}")


async def test_a_wrong_password_is_refused_as_an_unknown_name_is(system: System) -> None:
    person = await system.person()
    wire = await system.connect()
    await wire.play(f"S: +OK ...\nC: USER {person.name}\nS: +OK ...\nC: PASS wrong")
    first = await wire.hear()
    await wire.play("C: USER nobody@example.org\nS: +OK ...\nC: PASS wrong")
    second = await wire.hear()
    assert first == second
    assert first.startswith("-ERR [AUTH] ")
    await wire.play("C: STAT\nS: -ERR not now")


async def test_failures_end_the_connection(system: System) -> None:
    wire = await system.connect()
    await wire.expect("+OK ...")
    for _ in range(50):
        await wire.say("USER nobody@example.org")
        if await wire.hear() == "(closed)":
            return
        await wire.say("PASS wrong")
        await wire.expect("-ERR ...")
    raise AssertionError("it goes on for ever")


async def test_auth_plain_with_an_initial_response(system: System) -> None:
    person = await system.person(b"1\r\n")
    wire = await system.connect()
    await wire.play(f"S: +OK ...\nC: AUTH PLAIN {plain(person)}\nS: +OK ...\nC: STAT\nS: +OK 1 3")


async def test_auth_plain_with_a_challenge(system: System) -> None:
    person = await system.person(b"1\r\n")
    wire = await system.connect()
    await wire.play(f"S: +OK ...\nC: auth plain\nS: + \nC: {plain(person)}\nS: +OK ...")


async def test_auth_login(system: System) -> None:
    person = await system.person()
    wire = await system.connect()
    await wire.play(
        f"""
        S: +OK ...
        C: AUTH LOGIN
        S: + ...
        C: {base64(person.name)}
        S: + ...
        C: {base64(person.password)}
        S: +OK ...
        """
    )


async def test_auth_can_be_cancelled_and_goes_wrong_politely(system: System) -> None:
    person = await system.person()
    wire = await system.connect()
    await wire.play(
        f"""
        S: +OK ...
        C: AUTH PLAIN
        S: + ...
        C: *
        S: -ERR ...
        C: AUTH PLAIN
        S: + ...
        C: not base64!
        S: -ERR ...
        C: AUTH PLAIN {base64("nonsense")}
        S: -ERR ...
        C: AUTH X-UNKNOWN
        S: -ERR ...
        C: AUTH
        S: +OK ...
        S: PLAIN
        S: LOGIN
        S: .
        C: AUTH PLAIN {plain(person)}
        S: +OK ...
        """
    )


async def test_an_endless_response_is_refused(system: System) -> None:
    wire = await system.connect()
    await wire.play("S: +OK ...\nC: AUTH PLAIN\nS: + ...")
    await wire.send(b"A" * 1_000_000 + b"\r\n")
    await wire.play("S: -ERR that line is too long\nC: NOOP\nS: +OK")


async def test_stls_then_sign_in(system: System) -> None:
    person = await system.person(b"1\r\n")
    wire = await system.connect()
    await wire.play("S: +OK ...\nC: STLS\nS: +OK ...")
    await wire.start_tls(system.tls)
    await wire.play("C: CAPA\nS: +OK ...")
    assert b"STLS" not in await wire.hear_until(b"\r\n.\r\n")
    await wire.play(
        f"""
        C: STLS
        S: -ERR this connection has TLS already
        C: USER {person.name}
        S: +OK ...
        C: PASS {person.password}
        S: +OK ...
        C: RETR 1
        S: +OK 3 octets
        S: 1
        S: .
        C: QUIT
        S: +OK ...
        """
    )


async def test_what_follows_stls_in_clear_text_is_dropped(system: System) -> None:
    person = await system.person()
    wire = await system.connect()
    await wire.play(f"S: +OK ...\nC: USER {person.name}\nS: +OK ...")
    await wire.send(b"STLS\r\nQUIT\r\n")
    await wire.expect("+OK ...")
    await wire.start_tls(system.tls)
    # Neither the QUIT nor the USER of before counts (RFC 2595 section 4).
    await wire.play(f"C: NOOP\nS: +OK\nC: PASS {person.password}\nS: -ERR USER comes first")


async def test_garbage_instead_of_a_handshake_ends_that_connection_alone(system: System) -> None:
    wire = await system.connect()
    await wire.play("S: +OK ...\nC: STLS\nS: +OK ...")
    await wire.send(b"\x00garbage\r\n" * 10)
    await wire.hear_rest()
    await (await system.connect()).expect("+OK ...")


async def test_implicit_tls(system: System) -> None:
    person = await system.person()
    wire = await system.connect("pop3s")
    await wire.play(f"S: +OK ...\nC: AUTH PLAIN {plain(person)}\nS: +OK ...")


async def test_passwords_in_clear_text_are_refused_from_elsewhere(system: System) -> None:
    person = await system.person()
    wire = await system.connect("pop3-proxy")
    await wire.play(
        f"""
        C: PROXY TCP4 {OUTSIDE} 127.0.0.1 50000 110
        S: +OK ...
        C: USER {person.name}
        S: -ERR ...
        C: PASS {person.password}
        S: -ERR ...
        C: AUTH PLAIN {plain(person)}
        S: -ERR ...
        C: CAPA
        S: +OK ...
        """
    )
    lines = (await wire.hear_until(b"\r\n.\r\n")).split(b"\r\n")
    assert b"USER" not in lines
    assert not any(line.startswith(b"SASL") for line in lines)
    assert b"STLS" in lines
    await wire.play("C: STLS\nS: +OK ...")
    await wire.start_tls(system.tls)
    await wire.play(f"C: AUTH PLAIN {plain(person)}\nS: +OK ...")


async def test_a_proxy_that_says_nothing_proper_is_not_served(system: System) -> None:
    wire = await system.connect("pop3-proxy")
    await wire.play("C: USER nobody@example.org\nS: (closed)")
