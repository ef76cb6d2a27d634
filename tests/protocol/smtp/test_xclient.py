"""XCLIENT (Postfix's XCLIENT_README): who a proxy says its client is."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import System, elsewhere, greeted, hear_reply, told
from tests.protocol.smtp.test_submission import plain

PROXIES = {"xclient_networks": "127.0.0.0/8"}


async def test_it_is_for_trusted_proxies_alone(system: System) -> None:
    assert not any("XCLIENT" in line for line in await told(system))
    wire = await greeted(system)
    await wire.play("C: XCLIENT ADDR=192.0.2.9\nS: 502 5.5.1 ...")


@pytest.mark.parametrize("settings", [PROXIES])
async def test_a_stranger_elsewhere_says_nothing(system: FrontAlone) -> None:
    wire = await elsewhere(system)
    await wire.play("C: XCLIENT ADDR=192.0.2.9\nS: 502 5.5.1 ...")


@pytest.mark.parametrize("settings", [PROXIES])
async def test_the_example_of_the_readme(system: FrontAlone) -> None:
    assert "XCLIENT NAME ADDR PORT PROTO HELO" in await told(system)
    ann = await system.person()
    wire = await greeted(system)
    await wire.play(
        """
        C: XCLIENT NAME=spike.example ADDR=168.100.189.2 PORT=4711
        S: 220 mx.example.org ESMTP ...
        C: MAIL FROM:<a@client.example>
        S: 503 5.5.1 ...
        C: EHLO spike.example
        """
    )
    lines = await hear_reply(wire)
    assert not any("XCLIENT" in line for line in lines)
    await wire.play(
        f"""
        C: XCLIENT ADDR=127.0.0.1
        S: 502 5.5.1 ...
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 ...
        C: RCPT TO:<{ann.name}>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: .
        S: 250 2.0.0 ...
        """
    )
    (delivery,) = system.store.messages
    assert b"Received: from spike.example ([168.100.189.2])\r\n" in system.store.content(delivery)
    assert delivery.arrival.client == "168.100.189.2"


@pytest.mark.parametrize("settings", [PROXIES])
async def test_filters_hear_of_another_client(system: FrontAlone) -> None:
    """As if the proxy had gone and the client had come."""
    policy = system.ask()
    wire = await greeted(system)
    assert policy.over == []
    await wire.play("C: XCLIENT ADDR=192.0.2.9\nS: 220 ...")
    (_, proxy), (moment, client) = policy.asked
    assert (proxy.client.address, proxy.proxy) == ("127.0.0.1", True)
    assert (moment, client.client.address, client.proxy) == ("connected", "192.0.2.9", False)
    assert policy.over == [client.connection]


@pytest.mark.parametrize("settings", [PROXIES])
async def test_certificates_are_the_proxys(system: FrontAlone) -> None:
    ann = await system.person()
    for substitutes in (False, True):
        wire = await greeted(system, "submissions")
        if substitutes:
            await wire.play("C: XCLIENT NAME=spike.example\nS: 220 ...\nC: EHLO x")
            await hear_reply(wire)
        await wire.play(f"C: AUTH PLAIN {plain(ann)}\nS: 235 ...")
        client = system.authenticator.clients[-1]
        assert client.secure
        assert bool(client.tls_server_end_point) is not substitutes
        assert client.certificate_names == ()


@pytest.mark.parametrize("settings", [PROXIES])
async def test_what_was_before_is_forgotten(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system, "submission")
    await wire.play(
        f"""
        C: AUTH PLAIN {plain(ann)}
        S: 235 ...
        C: MAIL FROM:<{ann.name}>
        S: 250 ...
        C: XCLIENT ADDR=192.0.2.9
        S: 503 5.5.1 ...
        C: RSET
        S: 250 ...
        C: XCLIENT ADDR=192.0.2.9
        S: 220 ...
        C: EHLO x
        """
    )
    await hear_reply(wire)
    # In clear text, from elsewhere, nobody signs in.
    await wire.play(
        f"C: MAIL FROM:<{ann.name}>\nS: 530 5.7.0 ...\nC: AUTH PLAIN {plain(ann)}\nS: 538 ..."
    )


@pytest.mark.parametrize(
    "settings", [PROXIES | {"trusted_networks": "192.0.2.0/24, 127.0.0.1", "relay_domains": ""}]
)
async def test_trust_goes_with_the_address(system: FrontAlone) -> None:
    for address, reply in (("192.0.2.9", "250 2.1.5 ..."), ("IPV6:2001:db8::1", "554 5.7.1 ...")):
        wire = await greeted(system)
        await wire.play(
            f"""
            C: XCLIENT ADDR={address} HELO=there.example PROTO=ESMTP
            S: 220 ...
            C: MAIL FROM:<a@client.example>
            S: 250 ...
            C: RCPT TO:<b@elsewhere.example>
            S: {reply}
            """
        )


@pytest.mark.parametrize("settings", [PROXIES | {"trusted_networks": "127.0.0.0/8"}])
async def test_nobody_is_trusted_because_the_proxy_is(system: FrontAlone) -> None:
    """Where it doesn't know whom it acts for."""
    wire = await greeted(system)
    await wire.play(
        """
        C: XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]
        S: 220 ...
        C: XCLIENT ADDR=127.0.0.1
        S: 502 5.5.1 ...
        C: HELO x
        S: 250 ...
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<b@elsewhere.example>
        S: 554 5.7.1 ...
        """
    )


@pytest.mark.parametrize("settings", [PROXIES])
@pytest.mark.parametrize(
    "said",
    [
        *("", "ADDR", "ADDR=", "ADDR=1.2.3", "ADDR=IPV6:1.2.3.4", "ADDR=x", "PORT=x", "PROTO=LMTP"),
        *("LOGIN=ann", "DESTADDR=192.0.2.1", "HELO=a+0D+0AMAIL", "HELO=a+20b", "HELO=+FF", "ODD=1"),
    ],
)
async def test_what_can_not_be_said(system: FrontAlone, said: str) -> None:
    wire = await greeted(system)
    await wire.play(f"C: XCLIENT {said}\nS: 501 5.5.4 ...\nC: NOOP\nS: 250 2.0.0 OK")


@pytest.mark.parametrize("settings", [PROXIES])
@pytest.mark.parametrize("said", ["NAME=[UNAVAILABLE]", "addr=[tempunavail] name=x", "PORT=25"])
async def test_what_is_unknown_stays_as_it_was(system: FrontAlone, said: str) -> None:
    wire = await greeted(system)
    await wire.play(f"C: XCLIENT {said}\nS: 220 ...\nC: NOOP\nS: 250 2.0.0 OK")
