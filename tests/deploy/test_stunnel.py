"""stunnel in the place of HAProxy, by the configuration that we show."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from postroom_chassis.certificates import make_development_certificates

from deploy.local import ports
from deploy.local.child import Child
from deploy.local.children import FRONTS, IMPLICIT_TLS, listeners_of
from deploy.local.provision import Account
from tests.harness.clients import require
from tests.harness.sidecar import until
from tests.harness.system import Processes, client_tls
from tests.harness.wire import Wire, plain

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy/tls/stunnel.conf"
CLIENT = "127.0.0.2"
WELL_KNOWN = {"submissions": 465, "imaps": 993, "pop3s": 995}


@dataclass(frozen=True)
class Tunnelled:
    """A system behind stunnel."""

    system: Processes
    stunnel: Child

    def wire(self, listener: str) -> Wire:
        port, tls = self.system.port(listener), client_tls(self.system)
        return Wire(self.system.host, port, tls, source=CLIENT)


@pytest.fixture(scope="module")
def tunnelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tunnelled]:
    require("stunnel" if shutil.which("stunnel") is None else "")
    known, settings = ports.free(), {}
    for front in FRONTS:
        listeners = listeners_of(front, known, haproxy=True)
        settings[f"POSTROOM_{front.upper()}_LISTENERS"] = f"{listeners};secure"
        settings[f"POSTROOM_{front.upper()}_PROXY_NETWORKS"] = f"{ports.HOST}/32"
    folder = tmp_path_factory.mktemp("stunnel")
    system = Processes(folder, haproxy=False, settings=settings, chosen=known)
    with system.system:
        (folder / "stunnel.conf").write_text(adapted(system))
        configuration = folder / "stunnel.conf"
        stunnel = Child("stunnel", ["stunnel", configuration], {}, folder / "stunnel.log")
        stunnel.start()
        try:
            public = [known.public[listener] for listener in WELL_KNOWN]
            until(lambda: not any(map(ports.is_free, public)), "stunnel listens")
            yield Tunnelled(system, stunnel)
        finally:
            stunnel.ask_to_stop()
            stunnel.await_stop(30)


def adapted(system: Processes) -> str:
    """The configuration, for our ports and certificates."""
    known, certs = system.system.ports, system.system.certificates
    text = CONFIGURATION.read_text()
    changes = {
        "/etc/postroom/tls/tls.crt": str(certs / "tls.pem"),
        "/etc/postroom/tls/tls.key": str(certs / "tls.key"),
    }
    for name, port in WELL_KNOWN.items():
        changes[f"accept = :::{port}\n"] = f"accept = {known.address(name)}\n"
        behind = known.address(f"{name}-proxied")
        changes[f"connect = 127.0.0.1:2{port}\n"] = f"connect = {behind}\n"
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture
def account(tunnelled: Tunnelled) -> Account:
    return tunnelled.system.new_account()


def test_people_sign_in_over_imap(tunnelled: Tunnelled, account: Account) -> None:
    with tunnelled.wire("imaps") as wire:
        wire.log_in(account)
    noted(tunnelled, account)


def test_people_sign_in_over_pop3(tunnelled: Tunnelled, account: Account) -> None:
    with tunnelled.wire("pop3s") as wire:
        assert wire.line().startswith(b"+OK")
        assert wire.say(b"AUTH PLAIN " + plain(account)).startswith(b"+OK")
    noted(tunnelled, account)


def test_people_sign_in_to_send(tunnelled: Tunnelled, account: Account) -> None:
    with tunnelled.wire("submissions") as wire:
        assert wire.reply().startswith(b"220")
        assert b"STARTTLS" not in wire.say(b"EHLO there")
        assert wire.say(b"AUTH PLAIN " + plain(account)).startswith(b"235 ")
    noted(tunnelled, account)


def noted(tunnelled: Tunnelled, account: Account) -> None:
    """The front knows the client's address, and that there is TLS; not more."""
    found: list[dict[str, str]] = []

    def look() -> bool:
        told = tunnelled.system.postroom("audit", "--account", account.address, "--json")
        found[:] = json.loads(told)
        return bool(found)

    until(look, "an entry of the audit")
    assert [(entry["client"], entry["tls_version"]) for entry in found] == [(CLIENT, "TLS")]


def test_nobody_is_dropped_for_a_new_certificate(tunnelled: Tunnelled, account: Account) -> None:
    certs = tunnelled.system.system.certificates
    with tunnelled.wire("imaps") as early:
        early.log_in(account)
        for name in ("tls.pem", "tls.key"):
            (certs / name).unlink()
        make_development_certificates(certs)
        new = ssl.PEM_cert_to_DER_cert((certs / "tls.pem").read_text())

        psutil.Process(tunnelled.stunnel.pid).send_signal(signal.SIGHUP)

        def is_shown() -> bool:
            try:
                with tunnelled.wire("imaps") as late:
                    return late.certificate() == new
            except ConnectionError:  # it binds its ports anew
                return False

        until(is_shown, "the new certificate")
        assert early.command(b"a", b"NOOP")[-1].startswith(b"a OK")


def test_the_fronts_have_a_listener_for_each_of_its_services() -> None:
    assert set(WELL_KNOWN) == set(IMPLICIT_TLS.values())
