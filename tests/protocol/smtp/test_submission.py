"""Mail from our people: TLS, signing in, who may send as whom (RFC 6409, RFC 4954, RFC 3207)."""

from __future__ import annotations

import binascii

import pytest

from tests.protocol.smtp.system import OUTSIDE, Person, System, greeted, hear_reply
from tests.protocol.wire import Wire


def base64(text: str) -> str:
    return binascii.b2a_base64(text.encode(), newline=False).decode()


def plain(person: Person) -> str:
    return base64(f"\0{person.name}\0{person.password}")


async def signed_in(system: System, person: Person) -> Wire:
    wire = await greeted(system, "submission")
    await wire.play(f"C: AUTH PLAIN {plain(person)}\nS: 235 2.7.0 ...")
    return wire


async def test_mail_goes_to_people_here_and_elsewhere(system: System) -> None:
    ann, bob = await system.person(), await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}>
        S: 250 2.1.0 ...
        C: RCPT TO:<{bob.name}>
        S: 250 2.1.5 ...
        C: RCPT TO:<somebody@elsewhere.example>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: Subject: both
        C: .
        S: 250 2.0.0 ...
        """
    )
    (stored,) = await system.inbox(bob)
    assert b" with ESMTPA\r\n" in stored
    assert await system.queue() == [(ann.name, "somebody@elsewhere.example")]


async def test_without_signing_in_nothing_is_taken(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system, "submission")
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}>
        S: 530 5.7.0 ...
        C: RCPT TO:<{ann.name}>
        S: 503 5.5.1 ...
        """
    )


async def test_nobody_sends_as_another(system: System) -> None:
    ann, bob = await system.person(), await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{bob.name}>
        S: 553 5.7.1 ...
        C: MAIL FROM:<somebody@elsewhere.example>
        S: 553 5.7.1 ...
        C: MAIL FROM:<>
        S: 250 2.1.0 ...
        C: RSET
        S: 250 ...
        C: MAIL FROM:<{ann.name}> AUTH=<>
        S: 250 2.1.0 ...
        """
    )


async def test_auth_by_all_ways(system: System) -> None:
    ann = await system.person()
    for exchange in (
        f"C: AUTH PLAIN {plain(ann)}",
        f"C: auth plain\nS: 334 \nC: {plain(ann)}",
        f"C: AUTH LOGIN\nS: 334 ...\nC: {base64(ann.name)}\nS: 334 ...\nC: {base64(ann.password)}",
        f"C: AUTH LOGIN {base64(ann.name)}\nS: 334 ...\nC: {base64(ann.password)}",
    ):
        wire = await greeted(system, "submission")
        await wire.play(
            f"{exchange}\nS: 235 2.7.0 ...\nC: AUTH PLAIN {plain(ann)}\nS: 503 5.5.1 ..."
        )


async def test_auth_goes_wrong_politely(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system, "submission")
    await wire.play(
        f"""
        C: AUTH
        S: 501 5.5.4 ...
        C: AUTH PLAIN a b
        S: 501 5.5.4 ...
        C: AUTH X-UNKNOWN
        S: 504 5.5.4 ...
        C: AUTH PLAIN !!!
        S: 501 5.5.2 ...
        C: AUTH PLAIN {base64("nonsense")}
        S: 501 5.5.2 ...
        C: AUTH PLAIN
        S: 334 ...
        C: *
        S: 501 5.7.0 ...
        C: AUTH PLAIN
        S: 334 ...
        C: not base64!
        S: 501 5.5.2 ...
        C: AUTH PLAIN =
        S: 501 5.5.2 ...
        C: AUTH PLAIN {plain(ann)}
        S: 235 2.7.0 ...
        """
    )


async def test_an_endless_response_is_refused(system: System) -> None:
    wire = await greeted(system, "submission")
    await wire.play("C: AUTH PLAIN\nS: 334 ...")
    await wire.send(b"A" * 1_000_000 + b"\r\n")
    await wire.play("S: 500 5.5.2 ...\nC: NOOP\nS: 250 2.0.0 OK")


async def test_wrong_passwords_are_as_unknown_names_and_end_the_connection(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system, "submission")
    wrong = plain(Person(ann.name, "wrong"))
    unknown = plain(Person(f"nobody@{system.domain}", "wrong"))
    await wire.say(f"AUTH PLAIN {wrong}")
    first = await wire.hear()
    await wire.say(f"AUTH PLAIN {unknown}")
    assert await wire.hear() == first
    assert first.startswith("535 5.7.8 ")
    for _ in range(50):
        await wire.say(f"AUTH PLAIN {wrong}")
        if await wire.hear() == "(closed)":
            return
    raise AssertionError("it goes on for ever")


@pytest.mark.parametrize("listener", ["mx", "submission"])
async def test_starttls(system: System, listener: str) -> None:
    ann = await system.person()
    wire = await greeted(system, listener)
    await wire.play("C: STARTTLS\nS: 220 2.0.0 ...")
    await wire.start_tls(system.tls)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}>
        S: 503 5.5.1 ...
        C: EHLO client.example
        """
    )
    assert not any("STARTTLS" in line for line in await hear_reply(wire))
    await wire.play("C: STARTTLS\nS: 503 5.5.1 ...")
    protocol = "ESMTPS"
    if listener == "submission":
        protocol = "ESMTPSA"
        await wire.play(f"C: AUTH PLAIN {plain(ann)}\nS: 235 ...")
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 ...
        """
    )
    (stored,) = await system.inbox(ann)
    assert f" with {protocol}\r\n\t(TLSv1.3 ".encode() in stored


async def test_what_follows_starttls_in_clear_text_is_dropped(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await wire.play("C: MAIL FROM:<a@client.example>\nS: 250 ...")
    await wire.send(f"STARTTLS\r\nRCPT TO:<{ann.name}>\r\nNOOP\r\n".encode())
    await wire.expect("220 2.0.0 ...")
    await wire.start_tls(system.tls)
    # Neither the transaction of before nor what was sent too early counts (RFC 3207 section 4.2).
    await wire.play("C: EHLO client.example")
    assert (await hear_reply(wire))[0].startswith("250-")
    await wire.play("C: DATA\nS: 503 5.5.1 ...")


async def test_signing_in_is_forgotten_by_starttls(system: System) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play("C: STARTTLS\nS: 220 ...")
    await wire.start_tls(system.tls)
    await wire.play("C: EHLO client.example")
    await hear_reply(wire)
    await wire.play(f"C: MAIL FROM:<{ann.name}>\nS: 530 5.7.0 ...")


async def test_garbage_instead_of_a_handshake_ends_that_connection_alone(system: System) -> None:
    wire = await greeted(system)
    await wire.play("C: STARTTLS\nS: 220 ...")
    await wire.send(b"\x00garbage\r\n" * 10)
    await wire.hear_rest()
    await greeted(system)


async def test_implicit_tls(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system, "submissions")
    await wire.play(f"C: AUTH PLAIN {plain(ann)}\nS: 235 ...")


async def test_passwords_in_clear_text_are_refused_from_elsewhere(system: System) -> None:
    ann = await system.person()
    wire = await system.connect("submission-proxy")
    await wire.play(
        f"C: PROXY TCP4 {OUTSIDE} 127.0.0.1 50000 587\nS: 220 ...\nC: EHLO client.example"
    )
    assert not any(line[4:].startswith("AUTH") for line in await hear_reply(wire))
    await wire.play(f"C: AUTH PLAIN {plain(ann)}\nS: 538 5.7.11 ...\nC: STARTTLS\nS: 220 ...")
    await wire.start_tls(system.tls)
    await wire.play("C: EHLO client.example")
    assert any(line[4:].startswith("AUTH") for line in await hear_reply(wire))
    await wire.play(f"C: AUTH PLAIN {plain(ann)}\nS: 235 ...")
