"""The header section as it comes: nothing of it goes on with a field of ours, or is another for
some readers (RFC 5322 section 2.2).
"""

from __future__ import annotations

import pytest
from postroom_smtp.ports import Judgement
from postroom_smtp.spool import HEADER_BYTES

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import Person, System, greeted, hear_reply, stuffed
from tests.protocol.smtp.test_submission import signed_in
from tests.protocol.wire import Wire


async def begin(wire: Wire, sender: str, person: Person, parameters: str = "") -> None:
    await wire.play(
        f"""
        C: MAIL FROM:<{sender}>{parameters}
        S: 250 ...
        C: RCPT TO:<{person.name}>
        S: 250 ...
        """
    )


async def session(system: System, listener: str, person: Person) -> Wire:
    if listener == "submission":
        return await signed_in(system, person)
    if listener == "mx":
        return await greeted(system)
    wire = await system.connect(listener)
    await wire.play("S: 220 ...\nC: LHLO x")
    await hear_reply(wire)
    return wire


@pytest.mark.parametrize("listener", ["mx", "submission", "lmtp"])
@pytest.mark.parametrize("blank", [b" ", b"\t", b". ", b" \r\n"])
async def test_what_comes_first_is_no_continuation(
    system: FrontAlone, listener: str, blank: bytes
) -> None:
    """Of the field that is put before it: a From, or what we found out."""
    system.ask().judgement = Judgement(fields=b"Authentication-Results: mx.example.org; none\r\n")
    ann = await system.person()
    wire = await session(system, listener, ann)
    await begin(wire, ann.name, ann)
    await wire.play("C: DATA\nS: 354 ...")
    await wire.send(blank + b"; dkim=pass header.d=bank.example\r\nSubject: x\r\n\r\n.\r\n")
    await wire.play("S: 550 5.6.0 ...\nC: NOOP\nS: 250 2.0.0 OK")
    await begin(wire, ann.name, ann)
    await wire.send(b"BDAT 0\r\nBDAT 1\r\n\tBDAT 12 LAST\r\nSubject: x\r\n")
    await wire.play("S: 250 2.0.0 ...\nS: 550 5.6.0 ...")
    assert system.store.messages == []


@pytest.mark.parametrize("listener", ["mx", "submission", "lmtp"])
@pytest.mark.parametrize(
    "header",
    [
        b"X: y\rFrom: eve@bank.example\r\n\r\n",
        b"X: y\nFrom: eve@bank.example\r\n\r\n",
        b"X: y\n\n\r\n",
        b"X: y\r",
        b"X: \0y\r\n\r\n",
        b"\nX: y",
    ],
)
async def test_a_header_section_has_lines_whatever_the_body_is(
    system: FrontAlone, listener: str, header: bytes
) -> None:
    """RFC 3030 section 3, RFC 5322 section 2.2."""
    ann = await system.person()
    wire = await session(system, listener, ann)
    await begin(wire, ann.name, ann, " BODY=BINARYMIME")
    await wire.send(b"BDAT %d LAST\r\n" % len(header) + header)
    await wire.play("S: 550 5.6.0 ...\nC: NOOP\nS: 250 2.0.0 OK")
    assert system.store.messages == []


@pytest.mark.parametrize("settings", [{}, {"bare_newlines": "keep"}])
async def test_no_header_section_has_a_nul(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann.name, ann)
    await wire.play("C: DATA\nS: 354 ...")
    await wire.send(b"Subject: \0\r\n\r\n.\r\n")
    await wire.expect("550 5.6.0 ...")
    await begin(wire, ann.name, ann)
    await wire.play("C: DATA\nS: 354 ...")
    await wire.send(b"Subject: x\r\n\r\n\0\r\n.\r\n")
    await wire.expect("250 2.0.0 ...")


async def test_a_giant_header_section_is_no_worse_for_where_it_is_cut(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann.name, ann)
    await wire.play("C: DATA\nS: 354 ...")
    giant = b"X: " + b"x" * (HEADER_BYTES - 4) + b"\r\n"
    assert giant[:HEADER_BYTES].endswith(b"\r")
    await wire.send(stuffed(giant + b"\r\nHello.\r\n"))
    await wire.expect("250 2.0.0 ...")


async def test_what_is_dotted_and_blank_further_down_is_taken(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann.name, ann)
    await wire.play("C: DATA\nS: 354 ...")
    await wire.send(stuffed(b"Subject: x\r\n y\r\n\r\n z\r\n"))
    await wire.expect("250 2.0.0 ...")
