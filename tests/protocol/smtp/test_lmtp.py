"""LMTP (RFC 2033): a reply and a delivery for each recipient."""

from __future__ import annotations

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_smtp import transaction
from postroom_smtp.ports import Account, Delivery

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import (
    OUTSIDE,
    System,
    hear_reply,
    stuffed,
    told,
    without_trace,
)
from tests.protocol.wire import Wire

# RFC 2033 section 5: these must be there.
MUST = {"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME"}


async def lhlo(system: System) -> Wire:
    wire = await system.connect("lmtp")
    await wire.play("S: 220 mx.example.org LMTP ...\nC: LHLO foo.edu")
    await hear_reply(wire)
    return wire


async def test_what_is_offered(system: System) -> None:
    lines = set(await told(system, "lmtp"))
    assert set(lines) >= MUST | {"CHUNKING", "BINARYMIME", "SMTPUTF8"}
    # There is no queue behind it, and nobody signs in.
    assert not {line.partition(" ")[0] for line in lines} & {"DSN", "AUTH", "ETRN", "DELIVERBY"}


async def test_the_example_of_rfc_2033_section_4_2(system: FrontAlone) -> None:
    """One is unknown, one gets it, one can't have it now: all of that is said after the dot."""
    pat, jones, green = [await system.person() for _ in range(3)]
    full = system.authenticator.accounts[green.name][0]
    deliver = system.store.deliver

    async def deliver_to_some(delivery: Delivery) -> None:
        if any(one.account_id == full for one in delivery.local):
            raise PostroomError(Kind.OVER_QUOTA, "no room")
        await deliver(delivery)

    system.store.deliver = deliver_to_some  # type: ignore[method-assign]
    wire = await lhlo(system)
    await wire.play(
        f"""
        C: MAIL FROM:<chris@bar.com>
        S: 250 2.1.0 ...
        C: RCPT TO:<{pat.name}>
        S: 250 2.1.5 ...
        C: RCPT TO:<nobody@{system.domain}>
        S: 550 5.1.1 ...
        C: RCPT TO:<{green.name}>
        S: 250 2.1.5 ...
        C: RCPT TO:<{jones.name}>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: Blah blah blah...
        C: ...etc. etc. etc.
        C: .
        S: 250 2.0.0 ...
        S: 452 4.2.2 ...
        S: 250 2.0.0 ...
        C: QUIT
        S: 221 2.0.0 ...
        """
    )
    one, two = system.store.messages
    assert [len(one.local), len(two.local)] == [1, 1]
    assert one.key != two.key
    (stored,) = await system.inbox(jones)
    assert without_trace(stored) == b"Blah blah blah...\r\n..etc. etc. etc.\r\n"
    assert b" with LMTP\r\n" in stored


async def test_smtps_greetings_are_not_lmtps(system: System) -> None:
    """RFC 2033 section 4.1."""
    wire = await system.connect("lmtp")
    await wire.play(
        """
        S: 220 ...
        C: HELO foo.edu
        S: 500 5.5.1 ...
        C: EHLO foo.edu
        S: 500 5.5.1 ...
        C: MAIL FROM:<chris@bar.com>
        S: 503 5.5.1 ...
        C: LHLO
        S: 501 5.5.4 ...
        """
    )
    wire = await system.connect("mx")
    await wire.play("S: 220 ...\nC: LHLO foo.edu\nS: 500 5.5.1 ...")


async def test_nothing_is_sent_elsewhere(system: System) -> None:
    wire = await lhlo(system)
    await wire.play(
        """
        C: MAIL FROM:<chris@bar.com>
        S: 250 ...
        C: RCPT TO:<b@elsewhere.example>
        S: 554 5.7.1 ...
        C: DATA
        S: 503 5.5.1 ...
        """
    )


@pytest.mark.parametrize("settings", [{"lmtp_networks": "192.0.2.9"}, {}])
async def test_strangers_may_not_connect(system: FrontAlone) -> None:
    wire = await system.connect("lmtp-proxy")
    await wire.play(f"C: PROXY TCP4 {OUTSIDE} 127.0.0.1 50000 24\nS: 554 5.7.1 ...\nS: (closed)")


@pytest.mark.parametrize("settings", [{"lmtp_networks": "192.0.2.9"}])
async def test_who_may_connect_is_said(system: FrontAlone) -> None:
    wire = await system.connect("lmtp-proxy")
    await wire.play("C: PROXY TCP4 192.0.2.9 127.0.0.1 50000 24\nS: 220 ...")


async def test_several_addresses_of_one_person(system: FrontAlone) -> None:
    """They have one copy, and each address the reply of that."""
    ann = await system.person()
    account = system.directory.addresses[ann.name].accounts[0]
    system.directory.add("alias@example.org", account)
    system.directory.add("both@example.org", account, Account(77, "b@example.org"))
    wire = await lhlo(system)
    begin = f"""
        C: MAIL FROM:<chris@bar.com>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: RCPT TO:<alias@example.org>
        S: 250 ...
        C: RCPT TO:<both@example.org>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    await wire.play(begin)
    await wire.play("C: .\nS: 250 2.0.0 ...\nS: 250 2.0.0 ...\nS: 250 2.0.0 ...")
    assert sorted(len(delivery.local) for delivery in system.store.messages) == [1, 1]
    assert len(await system.inbox(ann)) == 1
    await wire.play(begin)
    system.store.faults.append(PostroomError(Kind.OVER_QUOTA, "of the first one"))
    await wire.play("C: .\nS: 452 4.2.2 ...\nS: 452 4.2.2 ...\nS: 452 4.2.2 ...")


async def test_chunks_have_a_reply_for_each_at_the_last(system: FrontAlone) -> None:
    ann, bob = await system.person(), await system.person()
    wire = await lhlo(system)
    await wire.send(
        b"MAIL FROM:<chris@bar.com>\r\n"
        + f"RCPT TO:<{ann.name}>\r\nRCPT TO:<{bob.name}>\r\n".encode()
        + b"BDAT 5\r\none\r\nBDAT 5 LAST\r\ntwo\r\nNOOP\r\n"
    )
    await wire.play(
        """
        S: 250 2.1.0 ...
        S: 250 2.1.5 ...
        S: 250 2.1.5 ...
        S: 250 2.0.0 5 octets are here
        S: 250 2.0.0 taken as ...
        S: 250 2.0.0 taken as ...
        S: 250 2.0.0 OK
        """
    )


async def test_what_is_refused_is_refused_for_each(system: FrontAlone) -> None:
    ann, bob = await system.person(), await system.person()
    wire = await lhlo(system)
    begin = f"""
        C: MAIL FROM:<chris@bar.com>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: RCPT TO:<{bob.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    await wire.play(begin)
    await wire.send(b"a\nb\r\n.\r\n")
    await wire.play("S: 550 5.6.0 ...\nS: 550 5.6.0 ...\nC: NOOP\nS: 250 2.0.0 OK")
    await wire.play(begin)
    system.store.upload_fault = PostroomError(Kind.UNAVAILABLE, "away")
    await wire.send(stuffed(b"a line\r\n" * 200_000))
    await wire.play("S: 451 4.3.0 ...\nS: 451 4.3.0 ...\nC: NOOP\nS: 250 2.0.0 OK")


async def test_a_disk_that_fails_is_told_to_each(
    system: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("postroom_smtp.spool._read", broken)
    ann, bob = await system.person(), await system.person()
    wire = await lhlo(system)
    await wire.play(
        f"""
        C: MAIL FROM:<chris@bar.com>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: RCPT TO:<{bob.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    )
    await wire.send(stuffed(b"a line\r\n" * 200_000))
    await wire.play("S: 451 4.3.0 ...\nS: 451 4.3.0 ...\nC: NOOP\nS: 250 2.0.0 OK")


async def test_a_large_message_is_uploaded_once(system: FrontAlone) -> None:
    people = [await system.person() for _ in range(3)]
    wire = await lhlo(system)
    await wire.play("C: MAIL FROM:<chris@bar.com>\nS: 250 ...")
    for person in people:
        await wire.play(f"C: RCPT TO:<{person.name}>\nS: 250 ...")
    await wire.play("C: DATA\nS: 354 ...")
    await wire.send(stuffed(b"a line\r\n" * 200_000))
    await wire.play("S: 250 2.0.0 ...\n" * 3)
    assert len(system.store.uploads) == 1
    assert len({delivery.key for delivery in system.store.messages}) == 3


async def test_a_repeat_has_the_key_of_its_recipient(
    system: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "PAUSES", (0.0, 0.0, 0.0))
    ann, bob = await system.person(), await system.person()
    system.store.faults += [PostroomError(Kind.UNAVAILABLE, "lost")] * 3
    wire = await lhlo(system)
    await wire.play(
        f"""
        C: MAIL FROM:<>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: RCPT TO:<{bob.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        S: 250 2.0.0 ...
        """
    )
    assert len(system.store.tries) == 5
    assert len(set(system.store.tries)) == 2
