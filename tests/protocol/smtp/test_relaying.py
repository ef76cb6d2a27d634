"""Who may send to addresses elsewhere: nobody, but for those who are named."""

from __future__ import annotations

from typing import Any

import pytest
from postroom_smtp.protocol.envelope import Recipient
from postroom_smtp.protocol.srs import Rewriting

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, elsewhere, greeted
from tests.protocol.smtp.test_submission import signed_in

FOREIGN = [
    "b@elsewhere.example",
    '"b@elsewhere.example"@{0}',
    "b%elsewhere.example@{0}",
    "@{0}:b@elsewhere.example",
    "@{0},@relay.example:b@elsewhere.example",
    "elsewhere.example!b@{0}",
    "b@[192.0.2.1]",
    "b@[IPv6:2001:db8::1]",
    "b@elsewhere.example.",
    "b@sub.relay.example",
    "b@relay.example.elsewhere.example",
    "b@xrelay.example",
    "postmaster@elsewhere.example",
]
ALL_SETTINGS: list[dict[str, Any]] = [
    {},
    {"relay_domains": "relay.example"},
    {"postmaster": "person1@example.org"},
    {"trusted_networks": "192.0.2.0/24, 2001:db8::/32"},
    {"xclient_networks": "192.0.2.0/24"},
    {"clear_text_login": True},
    {"vrfy": True, "expn": True},
    {"bare_newlines": "keep"},
]


@pytest.mark.parametrize("settings", ALL_SETTINGS)
async def test_strangers_do_not_relay_whatever_the_settings(system: FrontAlone) -> None:
    await system.person()
    for wire in (
        await greeted(system),
        await elsewhere(system, address="198.51.100.9"),
        await greeted(system, "submission"),
    ):
        for sender in ("a@client.example", "person1@example.org", ""):
            await wire.say(f"MAIL FROM:<{sender}> SMTPUTF8")
            await wire.hear()
            for address in FOREIGN:
                await wire.say(f"RCPT TO:<{address.format(system.domain)}>")
                assert (await wire.hear())[0] == "5", address
            await wire.play("C: DATA\nS: 503 5.5.1 ...\nC: RSET\nS: 250 2.0.0 ...")
    assert await system.queue() == []


@pytest.mark.parametrize("settings", [{"relay_domains": "Relay.example other.example"}])
async def test_domains_are_relayed_to_where_that_is_configured(system: FrontAlone) -> None:
    wire = await elsewhere(system)
    await wire.play(
        """
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<b@relay.example>
        S: 250 2.1.5 ...
        C: RCPT TO:<postmaster@RELAY.example>
        S: 250 2.1.5 ...
        C: RCPT TO:<b@elsewhere.example>
        S: 554 5.7.1 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    assert await system.queue() == [
        ("a@client.example", "b@relay.example"),
        ("a@client.example", "postmaster@RELAY.example"),
    ]
    (delivery,) = system.store.messages
    assert delivery.submitter == ""


@pytest.mark.parametrize("settings", [{"relay_domains": "relay.example"}])
async def test_that_is_not_for_submission(system: FrontAlone) -> None:
    wire = await greeted(system, "submission")
    await wire.play("C: MAIL FROM:<a@client.example>\nS: 530 5.7.0 ...")


async def test_who_signed_in_sends_to_everybody(system: System) -> None:
    ann = await system.person()
    wire = await signed_in(system, ann)
    await wire.play(
        f"C: MAIL FROM:<{ann.name}>\nS: 250 ...\nC: RCPT TO:<b@elsewhere.example>\nS: 250 ..."
    )


async def forwarding(system: FrontAlone) -> Rewriting:
    rewriting = system.house.rewriting = Rewriting("example.org", [b"secret"])
    system.directory.add("list@example.org", forwards=("carol@elsewhere.example",))
    return rewriting


async def test_what_is_forwarded_has_a_sender_of_ours(system: FrontAlone) -> None:
    """SRS: so that SPF holds where it goes, and its bounces come back the same way."""
    await forwarding(system)
    wire = await greeted(system)
    await wire.play(
        """
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<list@example.org>
        S: 250 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 ...
        """
    )
    (delivery,) = system.store.messages
    (recipient,) = delivery.queue
    assert recipient.sender is not None
    assert recipient.sender.startswith("SRS0=")
    assert recipient.sender.endswith("=client.example=a@example.org")
    await wire.play(
        f"""
        C: MAIL FROM:<>
        S: 250 ...
        C: RCPT TO:<{recipient.sender}>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 ...
        """
    )
    assert system.store.messages[1].queue == (Recipient("a@client.example"),)


async def test_such_an_address_is_no_way_out(system: FrontAlone) -> None:
    """It takes bounces alone, and those made here alone."""
    rewriting = await forwarding(system)
    address = rewriting.forward("a@client.example", 1e9)  # long ago
    wire = await greeted(system)
    forged = "SRS0=AAAAAAAA=AA=client.example=a@example.org"
    for sender, recipient in (("", address), ("", forged), ("b@client.example", forged)):
        await wire.play(
            f"""
            C: MAIL FROM:<{sender}>
            S: 250 ...
            C: RCPT TO:<{recipient}>
            S: 550 5.1.1 ...
            C: RSET
            S: 250 ...
            """
        )
