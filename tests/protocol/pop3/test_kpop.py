"""KPOP over real sockets: what comes before the greeting, and what may come after it.

Tickets are auth's business (tests/protocol/auth/test_kpop.py): what stands for it here takes
b"ticket of ann" for one.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_chassis.net.listener import Limits, Listener
from postroom_pop3.front import Front
from postroom_pop3.ports import Answer, Identity

from tests.protocol.pop3.conftest import FrontAlone
from tests.protocol.wire import Wire
from tests.unit.pop3.fakes import FakeAuthenticator, Inbox

ANN = "ann@example.org"
REPLY = b"\x6freply"
ERROR = b"\x7eerror"
HELLO = b"\0\0\0\x13KRB5_SENDAUTH_V1.0\0" + b"\0\0\0\x09KPOPV1.0\0"


class Kerberos(FakeAuthenticator):
    """Takes b"ticket of <name>", and then that name."""

    async def authenticate(
        self, client: Client, mechanism: str, initial: bytes | None, answer: Answer
    ) -> Identity:
        if self.fault:
            raise self.fault
        assert mechanism == "X-KPOP"
        assert initial is not None
        said = await answer(REPLY if initial.startswith(b"ticket of ") else ERROR)
        if said is None:
            raise PostroomError(Kind.INVALID, "cancelled")
        if initial != b"ticket of " + said.partition(b"@")[0]:
            raise PostroomError(Kind.UNAUTHENTICATED, "no")
        return Identity(1, ANN, "ticket", 4_000_000_000)


class Kpop:
    """A listener of that flavour."""

    def __init__(
        self, alone: FrontAlone, authenticator: Kerberos, listener: Listener, port: int
    ) -> None:
        self.alone = alone
        self.authenticator = authenticator
        self.listener = listener
        self._port = port
        self._wires: list[Wire] = []

    async def connect(self) -> Wire:
        wire = await Wire.connect("127.0.0.1", self._port)
        self._wires.append(wire)
        return wire

    async def introduced(self, ticket: bytes = b"ticket of ann") -> Wire:
        """A session that has come to its greeting."""
        wire = await self.connect()
        await wire.send(HELLO)
        assert await wire.hear_exactly(1) == b"\0"
        await wire.send(frame(ticket))
        assert await wire.hear_exactly(4 + 4 + len(REPLY)) == b"\0\0\0\0" + frame(REPLY)
        await wire.expect("+OK Postroom KPOP is ready")
        return wire

    async def close(self) -> None:
        for wire in self._wires:
            await wire.__aexit__(None, None, None)


def frame(message: bytes) -> bytes:
    return struct.pack(">I", len(message)) + message


@pytest.fixture
async def kpop(certificates: Path, settings: dict[str, Any]) -> AsyncIterator[Kpop]:
    alone = FrontAlone(certificates, **settings)
    alone.maildrops.inboxes[ANN] = Inbox.of(b"1\r\n", b"2\r\n")
    authenticator = Kerberos()
    tls = alone._server_tls
    front = Front(authenticator, alone.maildrops, tls, alone.settings)
    listener = Listener("kpop", front.serve_kpop, limits=Limits(10, 10))
    port = await listener.start("127.0.0.1", 0)
    running = Kpop(alone, authenticator, listener, port)
    yield running
    await running.close()
    await listener.drain(5)


async def test_a_session(kpop: Kpop) -> None:
    wire = await kpop.introduced()
    await wire.play(
        """
        C: USER ann@example.org
        S: +OK ...
        C: PASS krb_ticket
        S: +OK 2 messages (6 octets)
        C: STAT
        S: +OK 2 6
        C: DELE 1
        S: +OK ...
        C: QUIT
        S: +OK ...
        S: (closed)
        """
    )
    assert list(kpop.alone.maildrops.inboxes[ANN].messages.values()) == [b"2\r\n"]


async def test_another_name_is_refused_and_there_is_no_second_try(kpop: Kpop) -> None:
    wire = await kpop.introduced()
    await wire.play(
        """
        C: USER bob@example.org
        S: +OK ...
        C: PASS the right password of bob's
        S: -ERR [AUTH] the name or the password is wrong
        S: (closed)
        """
    )


async def test_what_is_not_kpops_is_not_there(kpop: Kpop) -> None:
    wire = await kpop.introduced()
    await wire.play("C: CAPA\nS: +OK ...")
    lines = (await wire.hear_until(b"\r\n.\r\n")).split(b"\r\n")
    assert b"STLS" in lines
    assert b"USER" not in lines
    assert not any(line.startswith(b"SASL") for line in lines)
    await wire.play(
        """
        C: PASS first
        S: -ERR USER comes first
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: -ERR no such command
        C: STAT
        S: -ERR not now
        C: NOOP
        S: +OK
        C: QUIT
        S: +OK ...
        S: (closed)
        """
    )


async def test_tls_may_begin_after_kerberos(kpop: Kpop) -> None:
    wire = await kpop.introduced()
    await wire.play("C: USER bob\nS: +OK ...\nC: STLS\nS: +OK ...")
    await wire.start_tls(kpop.alone.tls)
    # What was said in clear text is forgotten (RFC 2595 section 4).
    await wire.play(
        """
        C: PASS x
        S: -ERR USER comes first
        C: USER ann
        S: +OK ...
        C: PASS x
        S: +OK 2 messages (6 octets)
        """
    )


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"CAPA\r\n", b"\1"),
        (b"\0\0\0\x13KRB5_SENDAUTH_V9.0\0", b"\1"),
        (HELLO.replace(b"KPOPV1.0", b"KPOPV2.0"), b"\2"),
        (b"\x7f" + b"\xff" * 1_000, b"\1"),
    ],
)
async def test_other_versions_are_refused(kpop: Kpop, said: bytes, answer: bytes) -> None:
    wire = await kpop.connect()
    await wire.send(said)
    assert await wire.hear_exactly(1) == answer
    assert await rest(wire) == b""


async def test_a_bad_ticket_is_answered_by_kerberos_and_not_by_pop3(kpop: Kpop) -> None:
    wire = await kpop.connect()
    await wire.send(HELLO + frame(b"garbage"))
    assert await rest(wire) == b"\0" + frame(ERROR)


async def test_a_request_that_is_too_long_is_not_read(kpop: Kpop) -> None:
    wire = await kpop.connect()
    await wire.send(HELLO + struct.pack(">I", 65_537))
    assert await rest(wire) == b"\0"


async def test_auth_that_is_away_ends_it_without_a_word(kpop: Kpop) -> None:
    kpop.authenticator.fault = PostroomError(Kind.UNAVAILABLE, "away")
    wire = await kpop.connect()
    await wire.send(HELLO + frame(b"ticket of ann"))
    assert await rest(wire) == b"\0"


@pytest.mark.parametrize("settings", [{"login_seconds": 0.2}])
@pytest.mark.parametrize("said", [b"", b"\0\0", HELLO, HELLO + b"\0\0\0\x10half"])
async def test_a_client_that_says_no_more_is_let_go(kpop: Kpop, said: bytes) -> None:
    wire = await kpop.connect()
    await wire.send(said)
    assert await rest(wire) in (b"", b"\0")


async def rest(wire: Wire) -> bytes:
    """All that is still said, to the end; a reset, where something was left unread, ends it too."""
    try:
        return await wire.hear_rest()
    except ConnectionResetError:
        return b""


async def test_a_drain_ends_it_between_two_commands(kpop: Kpop) -> None:
    wire = await kpop.introduced()
    await wire.play("C: NOOP\nS: +OK")
    await kpop.listener.drain(5)
    await wire.play("S: -ERR [SYS/TEMP] this server is going down, come back\nS: (closed)")
