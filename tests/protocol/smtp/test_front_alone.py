"""What needs a hand on the other side: faults behind the front, time limits, draining."""

from __future__ import annotations

import asyncio

import pytest
from postroom_chassis import tickets
from postroom_chassis.errors import Kind, PostroomError
from postroom_smtp import transaction
from postroom_smtp.ports import Account
from postroom_smtp.protocol.envelope import Recipient

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import Person, greeted, hear_reply, stuffed, without_trace
from tests.protocol.smtp.test_submission import plain, signed_in
from tests.protocol.wire import Wire

AWAY = PostroomError(Kind.UNAVAILABLE, "10.0.0.7:443 is away")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "PAUSES", (0.0, 0.0, 0.0))


async def begin(wire: Wire, person: Person) -> None:
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{person.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    )


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.OVER_QUOTA, Kind.TOO_LARGE}))
async def test_no_mail_bounces_because_auth_is_away(system: FrontAlone, kind: Kind) -> None:
    wire = await greeted(system)
    await wire.play("C: MAIL FROM:<a@client.example>\nS: 250 ...")
    system.directory.fault = PostroomError(kind, "10.0.0.7:443")
    await wire.say("RCPT TO:<b@example.org>")
    heard = await wire.hear()
    assert heard.startswith("451 4.3.0 ")
    assert "10.0.0.7" not in heard


async def test_a_delivery_is_repeated_with_its_key(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    system.store.faults += [AWAY, PostroomError(Kind.DEADLINE, "late")]
    await wire.play("C: .\nS: 250 2.0.0 ...")
    assert len(system.store.tries) == 3
    assert len(set(system.store.tries)) == 1


@pytest.mark.parametrize(
    ("faults", "reply"),
    [
        ([AWAY] * 4, "451 4.3.0 ..."),
        ([PostroomError(Kind.INTERNAL, "x")], "451 4.3.0 ..."),
        ([PostroomError(Kind.DENIED, "x")], "451 4.3.0 ..."),
        ([PostroomError(Kind.TOO_LARGE, "x")], "552 5.3.4 ..."),
    ],
)
async def test_250_is_said_for_what_the_store_took_alone(
    system: FrontAlone, faults: list[PostroomError], reply: str
) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    system.store.faults += faults
    await wire.play(f"C: .\nS: {reply}")
    await begin(wire, ann)
    await wire.play("C: .\nS: 250 2.0.0 ...")
    assert len(system.store.taken) == 1


async def test_a_large_message_goes_by_upload(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system)
    message = b"Subject: x\r\n\r\n" + b".a line\r\n" * 500_000
    await begin(wire, ann)
    await wire.send(stuffed(message))
    await wire.expect("250 2.0.0 ...")
    (stored,) = system.store.uploads.values()
    assert without_trace(stored) == message


async def test_an_upload_that_fails_is_temporary_and_the_session_goes_on(
    system: FrontAlone,
) -> None:
    ann = await system.person()
    wire = await greeted(system)
    system.store.upload_fault = AWAY
    await begin(wire, ann)
    await wire.send(stuffed(b"a line\r\n" * 2_000_000))
    await wire.expect("451 4.3.0 ...")
    await begin(wire, ann)
    await wire.play("C: .\nS: 250 2.0.0 ...")


async def test_a_client_that_leaves_within_data_delivers_nothing(system: FrontAlone) -> None:
    ann = await system.person()
    for body in (b"half a message\r\n", b"a line\r\n" * 500_000):
        wire = await greeted(system)
        await begin(wire, ann)
        await wire.send(body)
        wire.say_no_more()
        assert await wire.hear_rest() == b""
    assert system.store.tries == []
    assert system.store.uploads == {}


async def test_groups_and_forwards(system: FrontAlone) -> None:
    ann, bob = await system.person(), await system.person()
    everybody = "everybody@example.org"
    accounts = [system.directory.addresses[one.name].accounts[0] for one in (ann, bob)]
    system.directory.add(everybody, *accounts, forwards=("carol@elsewhere.example",))
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example> SIZE=77
        S: 250 ...
        C: RCPT TO:<{everybody}>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 ...
        """
    )
    (delivery,) = system.store.messages
    assert [one.account_id for one in delivery.local] == [one.account_id for one in accounts]
    assert delivery.queue == (Recipient("carol@elsewhere.example"),)
    assert set(system.store.asked) == {77}


async def test_mail_for_elsewhere_alone_has_no_return_path(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}>
        S: 250 ...
        C: RCPT TO:<b@elsewhere.example>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 ...
        """
    )
    (delivery,) = system.store.messages
    assert system.store.content(delivery).startswith(b"Received: ")
    assert delivery.submitter
    assert len(delivery.trace_id) == 32


@pytest.mark.parametrize("settings", [{"postmaster": "admin@example.org"}])
@pytest.mark.parametrize("address", ["postmaster", "Postmaster", "POSTMASTER@example.org"])
async def test_postmaster_is_always_there(system: FrontAlone, address: str) -> None:
    system.directory.add("admin@example.org", Account(9, "admin@example.org"))
    wire = await greeted(system)
    await wire.play(f"C: MAIL FROM:<>\nS: 250 ...\nC: RCPT TO:<{address}>\nS: 250 2.1.5 ...")


@pytest.mark.parametrize("settings", [{"postmaster": "admin@elsewhere.example"}])
@pytest.mark.parametrize("address", ["postmaster", "postmaster@example.org"])
async def test_postmaster_may_be_somebody_elsewhere(system: FrontAlone, address: str) -> None:
    ann = await system.person()
    for wire, sender, held in (
        (await greeted(system), "", ""),
        (await signed_in(system, ann), ann.name, " HOLDFOR=60"),
    ):
        await wire.play(
            f"""
            C: MAIL FROM:<{sender}>{held}
            S: 250 ...
            C: RCPT TO:<{address}>
            S: 250 2.1.5 ...
            C: DATA
            S: 354 ...
            C: .
            S: 250 ...
            """
        )
        delivery = system.store.messages[-1]
        assert [one.address for one in delivery.queue] == ["admin@elsewhere.example"]
        assert delivery.local == ()


async def test_postmaster_elsewhere_is_not_ours(system: FrontAlone) -> None:
    wire = await greeted(system)
    await wire.play(
        """
        C: MAIL FROM:<>
        S: 250 ...
        C: RCPT TO:<postmaster@elsewhere.example>
        S: 554 5.7.1 ...
        C: RCPT TO:<postmaster>
        S: 550 5.1.1 ...
        """
    )


@pytest.mark.parametrize("settings", [{"trusted_networks": "192.0.2.0/24"}])
@pytest.mark.parametrize("listener", ["mx-proxy", "submission-proxy"])
async def test_trusted_networks_relay(system: FrontAlone, listener: str) -> None:
    for address, reply in (("192.0.2.9", "250 2.1.5 ..."), ("198.51.100.9", "5...")):
        wire = await system.connect(listener)
        await wire.play(
            f"C: PROXY TCP4 {address} 127.0.0.1 50000 25\nS: 220 ...\nC: HELO x\nS: 250 ..."
        )
        await wire.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@elsewhere.example>\r\n")
        await wire.hear()
        await wire.expect(reply)


async def test_a_session_ends_when_its_account_does(system: FrontAlone) -> None:
    ann = await system.person()
    system.authenticator.expires_at = 0
    wire = await signed_in(system, ann)
    await wire.play(f"C: MAIL FROM:<{ann.name}>\nS: 250 ...\nC: RSET\nS: 250 ...")
    system.authenticator.fault = AWAY
    await wire.play(f"C: MAIL FROM:<{ann.name}>\nS: 451 4.3.0 ...")
    system.authenticator.fault = PostroomError(Kind.UNAUTHENTICATED, "changed")
    await wire.play(f"C: MAIL FROM:<{ann.name}>\nS: 421 4.7.0 ...\nS: (closed)")


@pytest.fixture
def _renews_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "RENEW_AT", (0.05, 0.05))  # of a second


@pytest.mark.usefixtures("_renews_soon")
async def test_whom_starttls_forgot_does_not_come_back(system: FrontAlone) -> None:
    """RFC 3207 section 4.2: not even with a renewal that was under way."""
    ann, bob = await system.person(), await system.person()
    system.authenticator.renew_seconds = 1
    system.authenticator.answers.clear()
    wire = await signed_in(system, ann)
    async with asyncio.timeout(10):
        await system.authenticator.renewals.get()
    await wire.play("C: STARTTLS\nS: 220 ...")
    await wire.start_tls(system.tls)
    await wire.play("C: EHLO client.example")
    await hear_reply(wire)
    system.authenticator.answers.set()
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}>
        S: 530 5.7.0 ...
        C: AUTH PLAIN {plain(bob)}
        S: 235 2.7.0 ...
        C: MAIL FROM:<{ann.name}>
        S: 553 5.7.1 ...
        C: MAIL FROM:<{bob.name}>
        S: 250 2.1.0 ...
        """
    )


@pytest.mark.usefixtures("_renews_soon")
async def test_what_is_renewed_is_the_newest_ticket(system: FrontAlone) -> None:
    """Whoever renewed it last: MAIL, or the session by itself."""
    ann = await system.person()
    system.authenticator.expires_at = 0
    wire = await signed_in(system, ann)
    await wire.play(f"C: MAIL FROM:<{ann.name}>\nS: 250 ...")
    async with asyncio.timeout(10):
        asked = [await system.authenticator.renewals.get() for _ in range(4)]
    assert asked == ["ticket" + "+" * count for count in range(4)]


@pytest.mark.usefixtures("_renews_soon")
async def test_a_session_that_may_not_go_on_is_ended_within_the_time_that_auth_says(
    system: FrontAlone,
) -> None:
    ann = await system.person()
    system.authenticator.renew_seconds = 1
    wire = await signed_in(system, ann)
    async with asyncio.timeout(10):
        await system.authenticator.renewals.get()
    system.authenticator.fault = PostroomError(Kind.UNAUTHENTICATED, "changed")
    await wire.play("S: 421 4.7.0 ...\nS: (closed)")


async def test_a_drain_lets_the_transaction_in_hand_end(system: FrontAlone) -> None:
    ann = await system.person()
    idle, busy = await greeted(system), await greeted(system)
    await busy.play(
        f"C: MAIL FROM:<a@client.example>\nS: 250 ...\nC: RCPT TO:<{ann.name}>\nS: 250 ..."
    )
    draining = asyncio.create_task(system.listeners["mx"].drain(20))
    await idle.play("S: 421 4.3.2 ...\nS: (closed)")
    await busy.play("C: DATA\nS: 354 ...\nC: .\nS: 250 2.0.0 ...\nS: 421 4.3.2 ...\nS: (closed)")
    await draining


@pytest.mark.parametrize("settings", [{"command_seconds": 0.01}])
async def test_a_client_that_says_nothing_is_left(system: FrontAlone) -> None:
    await (await system.connect()).play("S: 220 ...\nS: 421 4.4.2 ...\nS: (closed)")


@pytest.mark.parametrize("settings", [{"data_seconds": 0.01}, {"message_seconds": 0.01}])
async def test_a_message_that_does_not_go_on_is_left(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    await wire.send(b"half a mess")
    await wire.play("S: 421 4.4.2 ...\nS: (closed)")
    assert system.store.tries == []


@pytest.mark.parametrize("settings", [{"connections_per_address": 2}])
async def test_an_address_has_so_many_connections(system: FrontAlone) -> None:
    first, second = await system.connect(), await system.connect()
    await first.expect("220 ...")
    await second.expect("220 ...")
    await (await system.connect()).play("S: 421 4.7.0 ...\nS: (closed)")
    await first.play("C: QUIT\nS: 221 ...\nS: (closed)")


async def test_a_fault_of_our_own_is_temporary(system: FrontAlone) -> None:
    ann = await system.person()
    system.store.full = None  # type: ignore[assignment]
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 451 4.3.0 ...
        C: NOOP
        S: 250 2.0.0 OK
        """
    )


async def test_a_fault_of_our_own_within_content_ends_the_session(system: FrontAlone) -> None:
    """What follows in it is no command, whoever wrote it."""
    ann = await system.person()
    senders = system.directory.senders
    begun = b"From: eve@example.org\r\n\r\nNOOP\r\n"
    for how in ("DATA", "BDAT", "BURL"):
        system.directory.senders = senders
        wire = await signed_in(system, ann)
        await wire.play(
            f"""
            C: MAIL FROM:<{ann.name}>
            S: 250 ...
            C: RCPT TO:<{ann.name}>
            S: 250 ...
            """
        )
        if how == "DATA":
            await wire.play("C: DATA\nS: 354 ...")
        system.directory.senders = None  # type: ignore[assignment]
        match how:
            case "DATA":
                await wire.send(begun)
            case "BDAT":
                await wire.send(b"BDAT 1000 LAST\r\n" + begun)
            case _:
                system.urls.contents["imap://x"] = begun
                await wire.say("BURL imap://x LAST")
        await wire.play("S: 421 4.3.0 ...\nS: (closed)")
    assert system.store.tries == []


@pytest.mark.parametrize("settings", [{"bare_newlines": "keep"}])
async def test_an_operator_may_keep_such_messages_and_they_are_one(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    await wire.send(b"first\n.\n\r.\r\n.\nQUIT\r\n.\r\n")
    await wire.expect("250 2.0.0 ...")
    (stored,) = await system.inbox(ann)
    assert without_trace(stored) == b"first\n.\n\r.\r\n\nQUIT\r\n"
