"""ENHANCEDSTATUSCODES (RFC 2034): on every reply that may have one."""

from __future__ import annotations

import re

import pytest

from tests.protocol.smtp.system import System, greeted, hear_reply, told

# RFC 2034 section 4: not on the greeting, on HELO's and EHLO's, and on 3xx.
REPLY = re.compile(r"([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3} \S")

COMMANDS = [
    *("", "NONSENSE", "NOOP", "RSET", "RSET x", "HELP", "HELP MAIL", "HELP NONSENSE", "VRFY x"),
    *("EXPN x", "EHLO", "HELO", "EHLO a b", "MAIL", "MAIL FROM:<>", "MAIL FROM:<>", "RCPT"),
    *("RCPT TO:<x>", "RCPT TO:<nobody@example.org>", "DATA", "DATA x", "BDAT 0", "ETRN x"),
    *("BURL x", "XCLIENT ADDR=x", "AUTH", "AUTH PLAIN", "STARTTLS x", "TURN", "SEND", "LHLO x"),
    *("\u00fc", "QUIT x", "QUIT"),
]


async def test_it_is_offered(system: System) -> None:
    assert "ENHANCEDSTATUSCODES" in await told(system)


@pytest.mark.parametrize("listener", ["mx", "submission"])
async def test_every_reply_has_one(system: System, listener: str) -> None:
    wire = await greeted(system, listener)
    for command in COMMANDS:
        await wire.say(command)
        for line in await hear_reply(wire):
            assert REPLY.match(line) or line.startswith("334 "), (command, line)
        if command == "AUTH PLAIN" and line.startswith("334 "):
            await wire.play("C: *\nS: 501 5.7.0 ...")


async def test_before_ehlo(system: System) -> None:
    wire = await system.connect()
    await wire.expect("220 ...")
    for command in ("MAIL FROM:<>", "RCPT TO:<x>", "DATA", "AUTH PLAIN", "ETRN x", "NOOP", "RSET"):
        await wire.say(command)
        (line,) = await hear_reply(wire)
        assert REPLY.match(line), (command, line)
