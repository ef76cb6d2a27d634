"""POP3 as clients see it (RFC 1939, RFC 2449): transcripts against any system."""

from __future__ import annotations

import pytest

from tests.protocol.pop3.system import System, sign_in

FIRST = b"Subject: one\r\n\r\nHello.\r\n.\r\n..two dots\r\nend\r\n"
SECOND = b"Subject: two\r\n\r\n\xff\xfe 8-bit, and no end of line"


async def test_a_whole_session(system: System) -> None:
    person = await system.person(FIRST, SECOND)
    wire = await system.connect()
    await wire.play(
        f"""
        S: +OK ...
        C: USER {person.name}
        S: +OK ...
        C: PASS {person.password}
        S: +OK 2 messages ({len(FIRST) + len(SECOND)} octets)
        C: STAT
        S: +OK 2 {len(FIRST) + len(SECOND)}
        C: LIST
        S: +OK 2 messages
        S: 1 {len(FIRST)}
        S: 2 {len(SECOND)}
        S: .
        C: LIST 2
        S: +OK 2 {len(SECOND)}
        C: RETR 1
        S: +OK {len(FIRST)} octets
        S: Subject: one
        S:{" "}
        S: Hello.
        S: ..
        S: ...two dots
        S: end
        S: .
        C: TOP 1 1
        S: +OK
        S: Subject: one
        S:{" "}
        S: Hello.
        S: .
        C: DELE 1
        S: +OK ...
        C: NOOP
        S: +OK
        C: QUIT
        S: +OK ...
        S: (closed)
        """
    )
    wire = await sign_in(system, person)
    await wire.play(
        f"""
        C: LIST
        S: +OK 1 messages
        S: 1 {len(SECOND)}
        S: .
        C: QUIT
        S: +OK ...
        """
    )


async def test_bytes_arrive_as_they_are(system: System) -> None:
    person = await system.person(FIRST, SECOND)
    wire = await sign_in(system, person)
    for number, message in ((1, FIRST), (2, SECOND + b"\r\n")):
        await wire.say(f"RETR {number}")
        heard = await wire.hear_until(b"\r\n.\r\n")
        opening, _, body = heard.partition(b"\r\n")
        assert opening.startswith(b"+OK")
        assert (b"\r\n" + body).replace(b"\r\n..", b"\r\n.")[2:-3] == message


async def test_marked_messages_are_out_of_reach_until_reset(system: System) -> None:
    person = await system.person(b"1\r\n", b"22\r\n", b"333\r\n")
    wire = await sign_in(system, person)
    await wire.play(
        """
        C: DELE 2
        S: +OK ...
        C: DELE 2
        S: -ERR no such message
        C: RETR 2
        S: -ERR no such message
        C: TOP 2 0
        S: -ERR no such message
        C: LIST 2
        S: -ERR no such message
        C: UIDL 2
        S: -ERR no such message
        C: STAT
        S: +OK 2 8
        C: LIST
        S: +OK 2 messages
        S: 1 3
        S: 3 5
        S: .
        C: RSET
        S: +OK 3 messages (12 octets)
        C: LIST 2
        S: +OK 2 4
        C: DELE 0
        S: -ERR no such message
        C: DELE 4
        S: -ERR no such message
        """
    )


async def test_unique_ids_last_over_sessions(system: System) -> None:
    person = await system.person(b"1\r\n", b"2\r\n", b"3\r\n")
    wire = await sign_in(system, person)
    await wire.play("C: UIDL\nS: +OK...")
    lines = [await wire.hear() for _ in range(4)]
    ids = [line.split(" ")[1] for line in lines[:3]]
    assert [line.split(" ")[0] for line in lines] == ["1", "2", "3", "."]
    assert len(set(ids)) == 3
    await wire.play(f"C: UIDL 2\nS: +OK 2 {ids[1]}\nC: DELE 1\nS: +OK ...\nC: QUIT\nS: +OK ...")
    wire = await sign_in(system, person)
    await wire.play(f"C: UIDL\nS: +OK...\nS: 1 {ids[1]}\nS: 2 {ids[2]}\nS: .")


async def test_a_connection_that_is_lost_removes_nothing(system: System) -> None:
    person = await system.person(b"1\r\n", b"2\r\n")
    async with await sign_in(system, person) as wire:
        await wire.play("C: DELE 1\nS: +OK ...")
        wire.say_no_more()
        await wire.expect("(closed)")
    wire = await sign_in(system, person)
    await wire.play("C: STAT\nS: +OK 2 6")


async def test_one_session_at_a_time(system: System) -> None:
    person = await system.person(b"1\r\n")
    first = await sign_in(system, person)
    second = await system.connect()
    sign_in_again = f"C: USER {person.name}\nS: +OK ...\nC: PASS {person.password}\n"
    await second.play(f"S: +OK ...\n{sign_in_again}S: -ERR [IN-USE] ...")
    await first.play("C: QUIT\nS: +OK ...\nS: (closed)")
    await second.play(f"{sign_in_again}S: +OK 1 messages (3 octets)")


async def test_commands_may_be_pipelined(system: System) -> None:
    person = await system.person(b"1\r\n", b"2\r\n")
    wire = await system.connect()
    await wire.send(
        f"USER {person.name}\r\nPASS {person.password}\r\nSTAT\r\nRETR 1\r\nRETR 2\r\n"
        "DELE 1\r\nQUIT\r\n".encode()
    )
    wire.say_no_more()
    heard = await wire.hear_rest()
    replies = [line for line in heard.split(b"\r\n") if line[:1] in (b"+", b"-")]
    assert len(replies) == 8
    assert all(reply.startswith(b"+OK") for reply in replies)
    assert b"+OK 2 6\r\n+OK 3 octets\r\n1\r\n.\r\n+OK 3 octets\r\n2\r\n.\r\n" in heard


async def test_an_empty_maildrop(system: System) -> None:
    wire = await sign_in(system, await system.person())
    await wire.play(
        """
        C: STAT
        S: +OK 0 0
        C: LIST
        S: +OK 0 messages
        S: .
        C: UIDL
        S: +OK
        S: .
        C: RETR 1
        S: -ERR no such message
        C: QUIT
        S: +OK ...
        """
    )


async def test_capabilities(system: System) -> None:
    person = await system.person()
    wire = await system.connect()
    await wire.play("S: +OK ...\nC: CAPA\nS: +OK ...")
    before = (await wire.hear_until(b"\r\n.\r\n")).decode().split("\r\n")
    assert {
        "TOP",
        "UIDL",
        "USER",
        "PIPELINING",
        "RESP-CODES",
        "AUTH-RESP-CODE",
        "STLS",
        "EXPIRE NEVER",
        "LOGIN-DELAY 0",
        "UTF8 USER",
        "LANG",
    } <= set(before)
    sasl = next(line for line in before if line.startswith("SASL "))
    assert {"PLAIN", "LOGIN"} <= set(sasl.split()[1:])
    assert any(line.startswith("IMPLEMENTATION ") for line in before)
    # RFC 2449 section 5: what can be had in one state is told in both.
    wire = await sign_in(system, person)
    await wire.play("C: CAPA\nS: +OK ...")
    assert (await wire.hear_until(b"\r\n.\r\n")).decode().split("\r\n") == before


async def test_commands_belong_to_states(system: System) -> None:
    person = await system.person()
    wire = await system.connect()
    await wire.play(
        """
        S: +OK ...
        C: STAT
        S: -ERR not now
        C: RETR 1
        S: -ERR not now
        C: PASS secret
        S: -ERR USER comes first
        C: QUIT
        S: +OK ...
        S: (closed)
        """
    )
    wire = await sign_in(system, person)
    await wire.play(
        "C: USER x\nS: -ERR not now\nC: STLS\nS: -ERR not now\nC: UTF8\nS: -ERR not now"
    )


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\x01\x02\xff\xfe\r\n",
        b"\r\n",
        b"GET / HTTP/1.1\r\n",
        b"RETR\r\n",
        b"RETR 1 2\r\n",
        b"RETR -1\r\n",
        b"RETR 99999999999999999999999999\r\n",
        b"TOP 1\r\n",
        b"LIST \xd9\xa1\r\n",
        b"STAT now\r\n",
        b"X" * 100_000 + b"\r\n",
    ],
)
async def test_junk_is_refused_and_the_session_goes_on(system: System, junk: bytes) -> None:
    wire = await sign_in(system, await system.person(b"1\r\n"))
    await wire.send(junk)
    await wire.play("S: -ERR ...\nC: STAT\nS: +OK 1 3")


async def test_too_much_junk_ends_the_connection(system: System) -> None:
    wire = await system.connect()
    await wire.expect("+OK ...")
    for _ in range(1000):
        await wire.say("JUNK")
        if "too many" in (heard := await wire.hear()):
            break
        assert heard.startswith("-ERR")
    await wire.expect("(closed)")


async def test_ten_thousand_messages_are_listed(system: System) -> None:
    person = await system.person(*[b"x\r\n"] * 10_000)
    wire = await sign_in(system, person)
    await wire.say("LIST")
    listing = (await wire.hear_until(b"\r\n.\r\n")).split(b"\r\n")
    assert listing[1] == b"1 3"
    assert listing[10_000] == b"10000 3"
    await wire.say("UIDL")
    assert len((await wire.hear_until(b"\r\n.\r\n")).split(b"\r\n")) == 10_003


async def test_a_large_message_arrives_whole(system: System) -> None:
    line = b".a line of a large message\r\n"
    message = b"Subject: large\r\n\r\n" + line * 400_000
    wire = await sign_in(system, await system.person(message, b"after\r\n"))
    await wire.play(
        "C: TOP 1 1\nS: +OK\nS: Subject: large\nS: \nS: ..a line of a large message\nS: ."
    )
    await wire.say("RETR 1")
    heard = await wire.hear_until(b"\r\n.\r\n")
    assert heard.partition(b"\r\n")[2] == message.replace(line, b"." + line) + b".\r\n"
    await wire.play("C: RETR 2\nS: +OK 7 octets\nS: after\nS: .")
