"""SCRAM and EXTERNAL over every front, by a client of our own that knows the certificate it saw."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postroom_chassis.certificates import make_development_certificates

from deploy.local.provision import Account
from tests.harness.client_certificates import Certified, certified_system
from tests.harness.sasl import PROTOCOLS, SaslWire
from tests.harness.scram import ScramClient
from tests.harness.system import MailSystem, client_tls
from tests.harness.wire import Wire

LISTENERS = [name for name in PROTOCOLS if name != "smtp"]
IN_CLEAR = [name for name in LISTENERS if not name.endswith("s")]
MECHANISMS = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"]


def saw(wire: SaslWire) -> bytes:
    """The end point of the channel: development certificates are signed with SHA-256."""
    return hashlib.sha256(wire.wire.certificate()).digest()


def scram(wire: SaslWire, client: ScramClient, *, initial: bytes | None) -> bytes:
    """What an exchange ends with; the client believes nothing that it can't check."""

    def last(challenge: bytes) -> bytes:
        assert client.trusts(challenge)
        return b""

    first: list[Callable[[bytes], bytes]] = [] if initial is not None else [lambda _: client.first]
    return wire.converse(client.mechanism, initial, *first, client.final, last)


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("asked", [False, True], ids=["initial response", "none"])
def test_scram(certified: Certified, listener: str, mechanism: str, asked: bool) -> None:
    account = certified.system.new_account()
    with SaslWire(certified.system, listener, certified.tls()) as wire:
        assert wire.mechanisms()[:4] == MECHANISMS
        client = ScramClient(mechanism, account.address, account.password, saw(wire))
        told = scram(wire, client, initial=None if asked else client.first)
        assert told.startswith(wire.frame.succeeded)
        assert wire.is_signed_in()


@pytest.mark.parametrize("listener", IN_CLEAR)
def test_scram_without_tls(system: MailSystem, account: Account, listener: str) -> None:
    with SaslWire(system, listener) as wire:
        offered = [name for name in wire.mechanisms() if name.startswith("SCRAM")]
        assert offered == MECHANISMS[2:]
        client = ScramClient("SCRAM-SHA-256", account.address, account.password)
        assert scram(wire, client, initial=client.first).startswith(wire.frame.succeeded)


@pytest.mark.parametrize("listener", LISTENERS)
def test_a_man_in_the_middle_shows_another_certificate(certified: Certified, listener: str) -> None:
    account = certified.system.new_account()
    with SaslWire(certified.system, listener, certified.tls()) as wire:
        client = ScramClient("SCRAM-SHA-256-PLUS", account.address, account.password, bytes(32))
        heard: list[bytes] = []
        told = wire.converse(client.mechanism, client.first, client.final, keep(heard))
        assert heard == [b"e=channel-bindings-dont-match"]
        assert told.startswith(wire.frame.failed)
        assert not wire.is_signed_in()


def test_who_sees_a_new_certificate_binds_to_it(tmp_path: Path) -> None:
    make_development_certificates(tmp_path / "new")
    with certified_system(tmp_path / "own", haproxy=False) as certified:
        account = certified.system.new_account()
        context = certified.tls()
        context.load_verify_locations(tmp_path / "new/ca.pem")

        def bound() -> bytes:
            """The end point of a client that signs in."""
            with SaslWire(certified.system, "imap", context) as wire:
                client = ScramClient(MECHANISMS[0], account.address, account.password, saw(wire))
                told = scram(wire, client, initial=client.first)
                assert told.startswith(wire.frame.succeeded)
                return client.end_point

        old = bound()
        for name in ("tls.pem", "tls.key"):
            new = (tmp_path / "new" / name).read_bytes()
            (certified.system.state / "certs" / name).write_bytes(new)
        deadline = time.monotonic() + 60
        while bound() == old:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("listener", LISTENERS)
def test_somebody_took_channel_binding_out_of_the_list(certified: Certified, listener: str) -> None:
    account = certified.system.new_account()
    with SaslWire(certified.system, listener, certified.tls()) as wire:
        client = ScramClient("SCRAM-SHA-256", account.address, account.password, flag="y")
        heard: list[bytes] = []
        told = wire.converse(client.mechanism, client.first, keep(heard))
        assert heard == [b"e=server-does-support-channel-binding"]
        assert told.startswith(wire.frame.failed)


def keep(heard: list[bytes]) -> Callable[[bytes], bytes]:
    """Answers nothing to a challenge that is kept."""

    def answer(challenge: bytes) -> bytes:
        heard.append(challenge)
        return b""

    return answer


@pytest.mark.parametrize("listener", IN_CLEAR)
@pytest.mark.parametrize("known", [True, False])
def test_a_wrong_password_and_a_name_of_nobody(
    system: MailSystem, account: Account, listener: str, known: bool
) -> None:
    name = account.address if known else "nobody@example.test"
    with SaslWire(system, listener) as wire:
        client = ScramClient("SCRAM-SHA-256", name, "wrong horse")
        told = wire.converse(client.mechanism, client.first, client.final)
        assert told.startswith(wire.frame.failed)
        assert wire.is_open()


@pytest.mark.parametrize("listener", IN_CLEAR)
@pytest.mark.parametrize("answered", [0, 1, 2])
def test_a_client_that_cancels(
    system: MailSystem, account: Account, listener: str, answered: int
) -> None:
    client = ScramClient("SCRAM-SHA-256", account.address, account.password)
    answers = [lambda _: client.first, client.final]

    def respond(challenge: bytes) -> bytes:
        nonlocal answered
        if not answered:
            return b"*"
        answered -= 1
        return base64.b64encode(answers.pop(0)(base64.b64decode(challenge)))

    with SaslWire(system, listener) as wire:
        assert wire.exchange(client.mechanism, None, respond).startswith(wire.frame.cancelled)
        assert not wire.is_signed_in()
        assert scram(wire, client, initial=client.first).startswith(wire.frame.succeeded)


@pytest.mark.parametrize("listener", IN_CLEAR)
def test_a_client_that_stops_in_the_middle(
    system: MailSystem, account: Account, listener: str
) -> None:
    client = ScramClient("SCRAM-SHA-256", account.address, account.password)
    for _ in range(5):
        with SaslWire(system, listener) as wire:
            first = base64.b64encode(client.first)
            wire.wire.send(wire.frame.begin + b" SCRAM-SHA-256 " + first + b"\r\n")
            assert wire.wire.line().startswith(wire.frame.challenge)
    with SaslWire(system, listener) as wire:
        assert scram(wire, client, initial=client.first).startswith(wire.frame.succeeded)


@pytest.mark.parametrize("listener", IN_CLEAR)
def test_what_was_recorded_is_worth_nothing(
    system: MailSystem, account: Account, listener: str
) -> None:
    client = ScramClient("SCRAM-SHA-256", account.address, account.password)
    recorded: list[bytes] = []

    def record(challenge: bytes) -> bytes:
        recorded.append(client.final(challenge))
        return recorded[0]

    with SaslWire(system, listener) as wire:
        told = wire.converse(client.mechanism, client.first, record, lambda _: b"")
        assert told.startswith(wire.frame.succeeded)
    with SaslWire(system, listener) as wire:
        heard: list[bytes] = []
        told = wire.converse(client.mechanism, client.first, lambda _: recorded[0], keep(heard))
        assert heard == [b"e=other-error"]
        assert not told.startswith(wire.frame.succeeded)
        assert not wire.is_signed_in()


@pytest.mark.parametrize("listener", IN_CLEAR)
@pytest.mark.parametrize("junk", [b"?", b"Zg", b"Zg=", b"Zm9v Zm9v", b"\xff\xfe", b"====", b"="])
@pytest.mark.parametrize("after", [0, 1])
def test_what_is_no_base64(
    system: MailSystem, account: Account, listener: str, junk: bytes, after: int
) -> None:
    client = ScramClient("SCRAM-SHA-256", account.address, account.password)
    left = after

    def respond(_: bytes) -> bytes:
        nonlocal left
        left -= 1
        return base64.b64encode(client.first) if left == 0 else junk

    with SaslWire(system, listener) as wire:
        assert wire.exchange(client.mechanism, None, respond).startswith(wire.frame.broken)
        assert wire.is_open()


@pytest.mark.parametrize("listener", IN_CLEAR)
def test_a_response_without_an_end_is_refused_in_bounded_memory(
    system: MailSystem, listener: str
) -> None:
    told_why = b"ZT1"  # "e=", in base64
    for size in (8_000, 100_000, 2_000_000):
        with SaslWire(system, listener) as wire:
            wire.wire.send(wire.frame.begin + b" SCRAM-SHA-256\r\n")
            assert wire.wire.line().startswith(wire.frame.challenge.strip())
            wire.wire.send_until_refused(b"QUFB" * 250, size // 1000)
            wire.wire.send_until_refused(b"\r\n", 1)
            said = wire.wire.line()
            refused = (wire.frame.challenge + told_why, wire.frame.broken)
            assert not said or said.startswith((*refused, b"* BYE", b"500 5", b"421 4"))


@pytest.mark.parametrize("listener", IN_CLEAR)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=st.lists(st.binary(max_size=60), min_size=1, max_size=4))
def test_any_octets_in_the_right_frame(
    system: MailSystem, listener: str, said: list[bytes]
) -> None:
    left = list(said)

    def respond(_: bytes) -> bytes:
        return base64.b64encode(left.pop(0)) if left else b"*"

    with SaslWire(system, listener) as wire:
        told = wire.exchange("SCRAM-SHA-256", None, respond)
        assert not told.startswith(wire.frame.succeeded)
        assert wire.is_open()


# EXTERNAL.


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("how", ["nobody wanted", "themselves wanted", "no initial response"])
def test_a_certificate_names_the_account(certified: Certified, listener: str, how: str) -> None:
    account = certified.system.new_account()
    shown = certified.clients.issue(account.address)
    wanted = account.address.encode() if how == "themselves wanted" else b""
    with SaslWire(certified.system, listener, certified.tls(shown)) as wire:
        assert wire.mechanisms()[0] == "EXTERNAL"
        if how == "no initial response":
            told = wire.converse("EXTERNAL", None, lambda _: b"")
        else:
            told = wire.converse("EXTERNAL", wanted)
        assert told.startswith(wire.frame.succeeded)
        assert wire.is_signed_in()


@pytest.mark.parametrize("listener", LISTENERS)
def test_an_address_in_a_certificate_counts_more_than_its_common_name(
    certified: Certified, listener: str
) -> None:
    account = certified.system.new_account()
    shown = certified.clients.issue("somebody", [account.address])
    with SaslWire(certified.system, listener, certified.tls(shown)) as wire:
        told = wire.converse("EXTERNAL", account.address.encode())
        # HAProxy tells the common name alone.
        only_name = certified.sidecar and listener.endswith("s")
        assert told.startswith(wire.frame.failed if only_name else wire.frame.succeeded)


@pytest.mark.parametrize("listener", LISTENERS)
def test_a_certificate_of_somebody_else(certified: Certified, listener: str) -> None:
    account, other = certified.system.new_account(), certified.system.new_account()
    shown = certified.clients.issue(other.address)
    with SaslWire(certified.system, listener, certified.tls(shown)) as wire:
        told = wire.converse("EXTERNAL", account.address.encode())
        assert told.startswith(wire.frame.failed)
        assert not wire.is_signed_in()


@pytest.mark.parametrize("listener", LISTENERS)
def test_without_a_certificate_there_is_no_external(certified: Certified, listener: str) -> None:
    account = certified.system.new_account()
    with SaslWire(certified.system, listener, certified.tls()) as wire:
        assert "EXTERNAL" not in wire.mechanisms()
        told = wire.converse("EXTERNAL", account.address.encode())
        assert not told.startswith(wire.frame.succeeded)
        assert not wire.is_signed_in()


@pytest.mark.parametrize("listener", ["imaps", "pop3s", "submissions"])
@pytest.mark.parametrize("why", ["foreign", "expired"])
def test_a_certificate_that_nobody_vouches_for_proves_nothing(
    certified: Certified, listener: str, why: str
) -> None:
    account = certified.system.new_account()
    authority = certified.foreign if why == "foreign" else certified.clients
    shown = authority.issue(account.address, [account.address], expired=why == "expired")
    if not certified.sidecar:
        # The front turns it away; in TLS 1.3 the client hears so when it reads.
        port = certified.system.port(listener)
        with Wire(certified.system.host, port, certified.tls(shown)) as silent:
            assert silent.rest() == b""
        return
    with SaslWire(certified.system, listener, certified.tls(shown)) as wire:
        assert "EXTERNAL" not in wire.mechanisms()
        told = wire.converse("EXTERNAL", account.address.encode())
        assert not told.startswith(wire.frame.succeeded)


def test_other_servers_may_show_any_certificate(certified: Certified) -> None:
    shown = certified.foreign.issue("mx.example.org")
    with SaslWire(certified.system, "smtp", certified.tls(shown)) as wire:
        assert wire.is_open()


def test_where_clients_are_asked_for_nothing_a_certificate_proves_nothing(
    system: MailSystem, account: Account, certified: Certified
) -> None:
    context = client_tls(system)
    certified.clients.issue(account.address).show_in(context)
    with SaslWire(system, "imaps", context) as wire:
        assert "EXTERNAL" not in wire.mechanisms()
