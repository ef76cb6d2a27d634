"""REQUIRETLS (RFC 8689)."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, greeted, hear_reply, told
from tests.protocol.smtp.test_submission import plain


async def test_it_is_offered_within_tls_alone(system: System) -> None:
    """RFC 8689 section 2, and its example in appendix A."""
    assert "REQUIRETLS" not in await told(system)
    wire = await greeted(system)
    await wire.play(
        """
        C: MAIL FROM:<a@client.example> REQUIRETLS
        S: 555 5.5.4 ...
        C: STARTTLS
        S: 220 ...
        """
    )
    await wire.start_tls(system.tls)
    await wire.say("EHLO client.example")
    assert "REQUIRETLS" in [line[4:] for line in await hear_reply(wire)]
    await wire.play(
        """
        C: MAIL FROM:<a@client.example> REQUIRETLS=1
        S: 501 5.5.4 ...
        C: MAIL FROM:<a@client.example> REQUIRETLS
        S: 250 2.1.0 ...
        """
    )


async def test_it_is_kept_along_the_way(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system, "submissions")
    await wire.play(
        f"""
        C: AUTH PLAIN {plain(ann)}
        S: 235 ...
        C: MAIL FROM:<{ann.name}> REQUIRETLS
        S: 250 2.1.0 ...
        C: RCPT TO:<b@elsewhere.example>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 ...
        """
    )
    (delivery,) = system.store.messages
    assert delivery.request.require_tls


@pytest.mark.parametrize(
    ("parameters", "field", "optional"),
    [
        ("", "TLS-Required: No", True),
        ("", "tls-required:\tno", True),
        ("", "TLS-Required: Yes", False),
        ("", "X-TLS-Required: No", False),
        ("", "Subject: TLS-Required: No", False),
        (" REQUIRETLS", "TLS-Required: No", False),
    ],
)
async def test_a_message_may_need_none(
    system: FrontAlone, parameters: str, field: str, optional: bool
) -> None:
    """RFC 8689 section 5; who asks for REQUIRETLS isn't overruled by it."""
    ann = await system.person()
    wire = await greeted(system, "submissions")
    await wire.play(
        f"""
        C: AUTH PLAIN {plain(ann)}
        S: 235 ...
        C: MAIL FROM:<{ann.name}>{parameters}
        S: 250 2.1.0 ...
        C: RCPT TO:<b@elsewhere.example>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: {field}
        C: .
        S: 250 ...
        """
    )
    (delivery,) = system.store.messages
    assert delivery.request.tls_optional is optional
    assert delivery.request.require_tls is bool(parameters)
