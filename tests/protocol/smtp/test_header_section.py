"""The header section as it comes: nothing of it goes on with a field of ours, or is another for
some readers (RFC 5322 section 2.2).
"""

from __future__ import annotations

import pytest
from postroom_smtp.ports import Judgement

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


async def test_what_is_dotted_and_blank_further_down_is_taken(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann.name, ann)
    await wire.play("C: DATA\nS: 354 ...")
    await wire.send(stuffed(b"Subject: x\r\n y\r\n\r\n z\r\n"))
    await wire.expect("250 2.0.0 ...")
