"""8BITMIME (RFC 6152)."""

from __future__ import annotations

import pytest
from postroom_smtp.protocol.envelope import Body

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, told, without_trace
from tests.protocol.smtp.test_submission import signed_in


async def test_it_is_offered(system: System) -> None:
    assert "8BITMIME" in await told(system)


async def test_the_example_of_rfc_6152_section_3(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        f"""
        C: MAIL FROM:<ned@ymir.claremont.example> BODY=8BITMIME
        S: 250 2.1.0 ...
        C: RCPT TO:<{ann.name}>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        """
    )
    content = b"Subject: Gr\xfc\xdfe\r\n\r\nGr\xc3\xbc\xc3\x9fe, \xff\r\n"
    await wire.send(content + b".\r\n")
    await wire.expect("250 2.0.0 ...")
    (stored,) = await system.inbox(ann)
    assert without_trace(stored) == content


@pytest.mark.parametrize("value", ["", "=", "=9BIT", "=8BIT", "=8BITMIME=1"])
async def test_what_is_no_body(system: System, value: str) -> None:
    wire = await greeted(system)
    await wire.play(f"C: MAIL FROM:<a@client.example> BODY{value}\nS: 501 5.5.4 ...")


@pytest.mark.parametrize(
    ("value", "body"),
    [("7bit", Body.SEVEN_BIT), ("8bitmime", Body.EIGHT_BIT), ("BINARYMIME", Body.BINARY)],
)
async def test_what_was_declared_goes_on(system: FrontAlone, value: str, body: Body) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"""
        C: MAIL FROM:<{ann.name}> BODY={value}
        S: 250 ...
        C: RCPT TO:<b@elsewhere.example>
        S: 250 ...
        C: BDAT 0 LAST
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    assert delivery.request.body is body
