"""How mail is kept and how often it may be asked for: EXPIRE and LOGIN-DELAY (RFC 2449 sections
6.5 and 6.7), and the mailbox that a name asks for.
"""

from __future__ import annotations

import time

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_pop3.protocol.capabilities import Policy

from tests.protocol.pop3.conftest import FrontAlone
from tests.protocol.pop3.system import sign_in
from tests.protocol.wire import Wire

DAY = 86_400


async def capabilities(wire: Wire) -> list[str]:
    await wire.play("C: CAPA\nS: +OK ...")
    return (await wire.hear_until(b"\r\n.\r\n")).decode().split("\r\n")[:-2]


async def told(wire: Wire) -> list[str]:
    return [one for one in await capabilities(wire) if one.startswith(("EXPIRE", "LOGIN-DELAY"))]


@pytest.mark.parametrize(
    ("strictest", "before", "policy", "after"),
    [
        (Policy(), ["EXPIRE NEVER", "LOGIN-DELAY 0"], Policy(), ["EXPIRE NEVER", "LOGIN-DELAY 0"]),
        (
            Policy(0, 900),
            ["EXPIRE 0 USER", "LOGIN-DELAY 900 USER"],
            Policy(30, 60),
            ["EXPIRE 30", "LOGIN-DELAY 60"],
        ),
        (
            Policy(7, 0),
            ["EXPIRE 7 USER", "LOGIN-DELAY 0"],
            Policy(),
            ["EXPIRE NEVER", "LOGIN-DELAY 0"],
        ),
    ],
)
async def test_the_policy_is_the_strictest_before_sign_in_and_the_account_s_after(
    system: FrontAlone, strictest: Policy, before: list[str], policy: Policy, after: list[str]
) -> None:
    system.authenticator.strictest, system.authenticator.policy = strictest, policy
    person = await system.person()
    wire = await system.connect()
    await wire.expect("+OK ...")
    assert await told(wire) == before
    await wire.play(f"C: USER {person.name}\nS: +OK ...\nC: PASS {person.password}\nS: +OK ...")
    assert await told(wire) == after


async def test_all_capabilities(system: FrontAlone) -> None:
    wire = await system.connect()
    await wire.expect("+OK ...")
    assert [one.split()[0] for one in await capabilities(wire)] == [
        *("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8", "LANG"),
        *("EXPIRE", "LOGIN-DELAY", "USER", "SASL", "STLS", "IMPLEMENTATION"),
    ]


async def test_user_is_told_where_passwords_are_taken_alone(system: FrontAlone) -> None:
    system.authenticator.offered = ("CRAM-MD5",)
    wire = await system.connect()
    await wire.expect("+OK ...")
    lines = await capabilities(wire)
    assert "USER" not in lines
    assert "SASL CRAM-MD5" in lines
    # While auth can't be asked, what is usual is told.
    system.authenticator.fault = PostroomError(Kind.UNAVAILABLE, "away")
    assert "USER" in await capabilities(wire)


async def test_mail_is_kept_where_nothing_is_said(system: FrontAlone) -> None:
    wire = await sign_in(system, await system.person(b"1\r\n", b"2\r\n"))
    await wire.play(
        "C: RETR 1\nS: +OK ...\nS: 1\nS: .\nC: QUIT\nS: +OK good-bye, 0 messages removed"
    )
    (locked,) = system.maildrops.locked
    assert (locked.commits, locked.left) == ([[]], [([], 0)])


async def test_what_was_retrieved_goes_at_quit(system: FrontAlone) -> None:
    system.authenticator.policy = Policy(0)
    person = await system.person(b"1\r\n", b"2\r\n", b"3\r\n", b"4\r\n")
    wire = await sign_in(system, person)
    # TOP takes nothing away, and RSET unmarks what the client has marked.
    await wire.play(
        """
        C: TOP 1 0
        S: +OK
        S: 1
        S: .
        C: RETR 2
        S: +OK ...
        S: 2
        S: .
        C: DELE 3
        S: +OK ...
        C: RSET
        S: +OK 4 messages (12 octets)
        C: DELE 4
        S: +OK ...
        C: QUIT
        S: +OK good-bye, 2 messages removed
        """
    )
    assert list(system.maildrops.inboxes[person.name].messages.values()) == [b"1\r\n", b"3\r\n"]


async def test_a_session_that_breaks_off_takes_nothing_away(system: FrontAlone) -> None:
    system.authenticator.policy = Policy(0)
    person = await system.person(b"1\r\n")
    wire = await sign_in(system, person)
    await wire.play("C: RETR 1\nS: +OK ...\nS: 1\nS: .")
    wire.say_no_more()
    await wire.hear_rest()
    assert len(system.maildrops.inboxes[person.name].messages) == 1
    (locked,) = system.maildrops.locked
    assert (locked.commits, locked.left) == ([[]], [([], 0)])


async def test_read_mail_goes_after_days(system: FrontAlone) -> None:
    system.authenticator.policy = Policy(30)
    wire = await sign_in(system, await system.person(b"1\r\n", b"2\r\n"))
    await wire.play("C: RETR 2\nS: +OK ...\nS: 2\nS: .\nC: QUIT\nS: +OK ...")
    (locked,) = system.maildrops.locked
    ((read, before),) = locked.left
    assert (locked.commits, read) == ([[]], [14])
    assert abs(before - (time.time() - 30 * DAY)) < 60


async def test_who_comes_too_soon_is_told_so(system: FrontAlone) -> None:
    system.authenticator.fault = PostroomError(Kind.TOO_SOON, "wait 900 seconds")
    wire = await system.connect()
    await wire.play("S: +OK ...\nC: USER a\nS: +OK ...\nC: PASS b\nS: -ERR [LOGIN-DELAY] ...")
    # It is no failure: nobody is sent away for it.
    for _ in range(10):
        await wire.play("C: USER a\nS: +OK ...\nC: PASS b\nS: -ERR [LOGIN-DELAY] ...")


async def test_a_mailbox_that_is_not_there_is_no_matter_of_passwords(system: FrontAlone) -> None:
    person = await system.person()
    wire = await system.connect()
    await wire.play(
        f"""
        S: +OK ...
        C: USER {person.name}//Nothing
        S: +OK ...
        C: PASS {person.password}
        S: -ERR [SYS/PERM] there is no such mailbox
        C: USER {person.name}
        S: +OK ...
        C: PASS {person.password}
        S: +OK ...
        """
    )


async def test_a_long_listing_holds_nobody_up(system: FrontAlone) -> None:
    many = await system.person(*[b"x\r\n"] * 20_000)
    wire = await sign_in(system, many)
    other = await sign_in(system, await system.person())
    for verb in ("LIST", "UIDL"):
        await wire.send(f"{verb}\r\n".encode() * 20)
        await other.play("C: NOOP\nS: +OK")
        for _ in range(20):
            lines = (await wire.hear_until(b"\r\n.\r\n")).splitlines()
            assert len(lines) == 20_002
