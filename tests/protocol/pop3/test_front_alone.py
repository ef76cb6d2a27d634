"""What needs a hand on the other side: faults behind the front, time limits, draining."""

from __future__ import annotations

import asyncio

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_pop3 import transaction

from tests.protocol.pop3.conftest import FrontAlone
from tests.protocol.pop3.system import sign_in

AWAY = PostroomError(Kind.UNAVAILABLE, "10.0.0.7:443 is away")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.UNAVAILABLE, "[SYS/TEMP]"),
        (Kind.DEADLINE, "[SYS/TEMP]"),
        (Kind.INTERNAL, "[SYS/TEMP]"),
        (Kind.RATE_LIMITED, "[SYS/TEMP]"),
        (Kind.UNAUTHENTICATED, "[AUTH]"),
    ],
)
async def test_what_auth_says_is_told_in_response_codes(
    system: FrontAlone, kind: Kind, code: str
) -> None:
    system.authenticator.fault = PostroomError(kind, "10.0.0.7:443 is away")
    wire = await system.connect()
    await wire.play("S: +OK ...\nC: USER a\nS: +OK ...\nC: PASS b")
    heard = await wire.hear()
    assert heard.startswith(f"-ERR {code} ")
    assert "10.0.0.7" not in heard


async def test_the_client_is_told_of_to_auth(system: FrontAlone) -> None:
    wire = await system.connect("pop3-proxy")
    await wire.play(
        """
        C: PROXY TCP6 2001:db8::7 ::1 50000 110
        S: +OK ...
        C: STLS
        S: +OK ...
        """
    )
    await wire.start_tls(system.tls)
    await wire.play("C: USER a\nS: +OK ...\nC: PASS b\nS: -ERR [AUTH] ...")
    (client,) = system.authenticator.clients
    assert (client.address, client.secure, client.tls_version) == ("2001:db8::7", True, "TLSv1.3")


async def test_a_fault_of_the_store_ends_a_command_and_not_the_session(system: FrontAlone) -> None:
    wire = await sign_in(system, await system.person(b"1\r\n"))
    system.maildrops.locked[0].faults.append(AWAY)
    await wire.play("C: RETR 1\nS: -ERR [SYS/TEMP] ...\nC: RETR 1\nS: +OK 3 octets\nS: 1\nS: .")


async def test_a_message_that_breaks_off_ends_the_connection(system: FrontAlone) -> None:
    wire = await sign_in(system, await system.person(b"x\r\n" * 1_000_000))
    system.maildrops.locked[0].breaks = AWAY
    await wire.say("RETR 1")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await wire.hear_until(b"\r\n.\r\n")


async def test_a_message_that_imap_removed_is_gone(system: FrontAlone) -> None:
    person = await system.person(b"1\r\n", b"2\r\n")
    wire = await sign_in(system, person)
    inbox = system.maildrops.inboxes[person.name]
    del inbox.messages[min(inbox.messages)]
    await wire.play("C: RETR 1\nS: -ERR that message is gone\nC: RETR 2\nS: +OK 3 octets")


async def test_quit_commits_again_until_the_store_is_back(
    system: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "COMMIT_PAUSE", (0.001, 0.01))
    wire = await sign_in(system, await system.person(b"1\r\n"))
    system.maildrops.locked[0].faults += [AWAY] * 9
    await wire.play("C: DELE 1\nS: +OK ...\nC: QUIT\nS: +OK ...\nS: (closed)")
    assert len(system.maildrops.locked[0].commits) == 10


async def test_quit_says_so_where_nothing_was_removed(
    system: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "COMMIT_PAUSE", (0.001, 0.01))
    monkeypatch.setattr(transaction, "COMMIT_SECONDS", 0)
    person = await system.person(b"1\r\n")
    wire = await sign_in(system, person)
    system.maildrops.locked[0].faults += [AWAY] * 3
    await wire.play("C: DELE 1\nS: +OK ...\nC: QUIT\nS: -ERR [SYS/TEMP] ...\nS: (closed)")
    assert len(system.maildrops.inboxes[person.name].messages) == 1


async def test_a_drain_ends_a_session_and_removes_nothing(system: FrontAlone) -> None:
    person = await system.person(b"1\r\n")
    wire = await sign_in(system, person)
    await wire.play("C: DELE 1\nS: +OK ...")
    await system.listeners["pop3"].drain(5)
    await wire.play("S: -ERR [SYS/TEMP] ...\nS: (closed)")
    inbox = system.maildrops.inboxes[person.name]
    assert (len(inbox.messages), inbox.holder) == (1, None)


@pytest.mark.parametrize("settings", [{"lease_renewal_seconds": 0.01}])
async def test_a_session_that_lost_its_lease_is_ended(system: FrontAlone) -> None:
    wire = await sign_in(system, await system.person(b"1\r\n"))
    lost = PostroomError(Kind.LEASE_LOST, "somebody else has it")
    system.maildrops.locked[0].faults += [AWAY, lost, lost]
    await wire.play("S: -ERR [IN-USE] ...\nS: (closed)")


@pytest.mark.parametrize("settings", [{"login_seconds": 0.01}])
async def test_a_client_that_says_nothing_is_left(system: FrontAlone) -> None:
    await (await system.connect()).play("S: +OK ...\nS: (closed)")


@pytest.mark.parametrize("settings", [{"idle_seconds": 0.01}])
async def test_time_runs_out_in_a_transaction_and_nothing_is_removed(system: FrontAlone) -> None:
    person = await system.person(b"1\r\n")
    wire = await system.connect()
    await wire.send(f"USER {person.name}\r\nPASS {person.password}\r\nDELE 1\r\n".encode())
    await wire.play("S: +OK ...\nS: +OK ...\nS: +OK ...\nS: +OK marked\nS: (closed)")
    assert len(system.maildrops.inboxes[person.name].messages) == 1


@pytest.mark.parametrize("settings", [{"connections_per_address": 2}])
async def test_an_address_has_so_many_connections(system: FrontAlone) -> None:
    first, second = await system.connect(), await system.connect()
    await first.expect("+OK ...")
    await second.expect("+OK ...")
    await (await system.connect()).play("S: -ERR [SYS/TEMP] too many connections...\nS: (closed)")
    await first.play("C: QUIT\nS: +OK ...\nS: (closed)")
