"""One message is one message: what ends the data (RFC 5321 sections 2.3.8 and 4.1.1.4).

Servers that disagree on the end of a message let one message carry another past checks, so the end
here is CRLF.CRLF alone, and a message that might end elsewhere for others is refused.
"""

from __future__ import annotations

import itertools

import pytest

from tests.protocol.smtp.system import System, greeted, without_trace

NEWLINES = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\0\n")
ENDS = [
    before + b"." + after
    for before, after in itertools.product(NEWLINES, repeat=2)
    # CRLF.CRLF and what begins with it are the end.
    if not (before.endswith(b"\r\n") and after.startswith(b"\r\n"))
]
SMUGGLED = b"MAIL FROM:<forged@client.example>\r\nRCPT TO:<%b>\r\nDATA\r\nforged\r\n"


@pytest.mark.parametrize("end", ENDS, ids=repr)
async def test_nothing_else_ends_the_data(system: System, end: bytes) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    )
    await wire.send(b"first" + end + SMUGGLED % ann.name.encode() + b"\r\n.\r\n")
    await wire.play("S: 550 5.6.0 ...\nC: NOOP\nS: 250 2.0.0 OK")
    assert await system.inbox(ann) == []


@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 5])
async def test_the_end_may_come_in_pieces(system: System, pieces: int) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    )
    message = b"..dots\r\n..\r\nend\r\n.\r\nNOOP\r\n"
    for start in range(0, len(message), pieces):
        await wire.send(message[start : start + pieces])
    await wire.play("S: 250 2.0.0 ...\nS: 250 2.0.0 OK")
    (stored,) = await system.inbox(ann)
    assert without_trace(stored) == b".dots\r\n.\r\nend\r\n"
