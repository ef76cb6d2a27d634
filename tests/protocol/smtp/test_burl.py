"""BURL (RFC 4468): a message that is submitted from where it lies."""

from __future__ import annotations

import pytest
from postroom_chassis.errors import Kind, PostroomError

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, elsewhere, greeted, told
from tests.protocol.smtp.test_submission import plain, signed_in

URL = (
    "imap://harry@gryffindor.example.com/outbox;uidvalidity=1078863300/;uid=25;urlauth=submit+harry"
)
SIGNED = f"{URL}:internal:91354a473744909de610943775f92038"


async def test_it_is_offered_to_those_who_submit(system: System) -> None:
    assert "BURL imap" in await told(system, "submission")
    assert not any("BURL" in line for line in await told(system))
    await (await greeted(system)).play(f"C: BURL {SIGNED} LAST\nS: 502 5.5.1 ...")


async def test_not_where_nobody_may_sign_in(system: FrontAlone) -> None:
    wire = await elsewhere(system, "submission")
    await wire.play(f"C: BURL {SIGNED} LAST\nS: 502 5.5.1 ...")


async def test_the_examples_of_rfc_4468_section_3_2(system: FrontAlone) -> None:
    """A message as a whole, and one with a piece of its own before it and one behind."""
    ann = await system.person()
    system.urls.contents[SIGNED] = b"From: %b\r\nSubject: x\r\n\r\nHello.\r\n" % ann.name.encode()
    system.urls.contents[SIGNED + "/;section=1.2"] = b"attached\r\n"
    wire = await signed_in(system, ann)
    begin = f"C: MAIL FROM:<{ann.name}>\nS: 250 ...\nC: RCPT TO:<{ann.name}>\nS: 250 ..."
    await wire.play(f"{begin}\nC: BURL {SIGNED} LAST\nS: 250 2.0.0 taken as ...")
    await wire.play(begin)
    await wire.send(b"BDAT 14\r\nSubject: y\r\n\r\n")
    await wire.play(
        f"""
        S: 250 2.0.0 14 octets are here
        C: BURL {SIGNED}/;section=1.2
        S: 250 2.0.0 24 octets are here
        C: DATA
        S: 503 5.5.1 ...
        """
    )
    await wire.send(b"BDAT 5 LAST\r\nend\r\n")
    await wire.expect("250 2.0.0 taken as ...")
    whole, pieces = (system.store.content(delivery) for delivery in system.store.messages)
    assert whole.endswith(b"\r\nSubject: x\r\n\r\nHello.\r\n")
    assert pieces.endswith(b"\r\nSubject: y\r\n\r\nattached\r\nend\r\n")


async def test_refusals(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    begin = f"C: MAIL FROM:<{ann.name}>\nS: 250 ...\nC: RCPT TO:<{ann.name}>\nS: 250 ..."
    await wire.play(
        f"""
        C: BURL {SIGNED} LAST
        S: 503 5.5.1 ...
        C: BURL
        S: 501 5.5.4 ...
        C: BURL http://client.example/ LAST
        S: 501 5.5.4 ...
        C: BURL {SIGNED} FIRST
        S: 501 5.5.4 ...
        """
    )
    await wire.play(
        f"{begin}\nC: BURL {SIGNED} LAST\nS: 554 5.6.6 ...\nC: BDAT 0 LAST\nS: 503 5.5.1 ..."
    )
    system.urls.fault = PostroomError(Kind.UNAVAILABLE, "away")
    await wire.play(f"{begin}\nC: BURL {SIGNED} LAST\nS: 451 4.3.0 ...")
    assert system.store.messages == []


@pytest.mark.parametrize("settings", [{"message_bytes": 1024}])
async def test_too_large(system: FrontAlone) -> None:
    ann = await system.person()
    system.urls.contents[SIGNED] = b"x" * 2000
    wire = await signed_in(system, ann)
    begin = f"C: MAIL FROM:<{ann.name}>\nS: 250 ...\nC: RCPT TO:<{ann.name}>\nS: 250 ..."
    for last in ("", " LAST"):
        await wire.play(f"{begin}\nC: BURL {SIGNED}{last}\nS: 552 5.3.4 ...")


@pytest.mark.parametrize("settings", [{"trusted_networks": "127.0.0.0/8"}])
async def test_urls_are_read_in_somebodys_name(system: FrontAlone) -> None:
    """RFC 4468 section 3.3: 5.7.14, a trust relationship is needed."""
    ann = await system.person()
    wire = await greeted(system, "submission")
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: BURL {SIGNED} LAST
        S: 554 5.7.14 ...
        C: RSET
        S: 250 ...
        C: AUTH PLAIN {plain(ann)}
        S: 235 ...
        """
    )


@pytest.mark.parametrize("settings", [{"message_seconds": 0.05}])
async def test_a_store_that_says_nothing_is_not_waited_for(system: FrontAlone) -> None:
    ann = await system.person()
    system.urls.stalls = SIGNED
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: BURL {SIGNED} LAST
        S: 451 4.3.0 ...
        C: NOOP
        S: 250 2.0.0 OK
        """
    )
