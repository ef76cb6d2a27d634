"""The sidecar before the real fronts: what they learn, and what clients see and don't notice."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from postroom_chassis.certificates import (
    FOLDERS,
    make_development_certificates,
    make_self_signed,
)

from deploy.local import ports
from deploy.local.provision import Account
from tests.harness.client_certificates import Certified, certified_system
from tests.harness.clients import require
from tests.harness.sasl import PROTOCOLS, SaslWire
from tests.harness.sidecar import PROGRAM, Sidecar, sidecar, told, until
from tests.harness.system import Processes
from tests.harness.wire import Wire

IMPLICIT = ["imaps", "pop3s", "submissions"]
IN_CLEAR = ["imap", "pop3", "submission"]
VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
CLIENT = "127.0.0.2"  # of loopback, and not the sidecar's own
WAIT_SECONDS = 30.0


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certified]:
    """A system behind HAProxy, which asks clients for certificates."""
    with certified_system(tmp_path_factory.mktemp("sidecar"), haproxy=True) as started:
        yield started


@pytest.fixture
def fronts(certified: Certified) -> dict[str, int]:
    """Where the fronts listen for whoever ends TLS."""
    assert isinstance(certified.system, Processes)
    internal = certified.system.system.ports.internal
    return {name: internal[f"{name}-proxied"] for name in IMPLICIT}


def only(version: str, context: ssl.SSLContext) -> ssl.SSLContext:
    """A client's context that speaks one version alone."""
    context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


def audited(certified: Certified, account: Account) -> dict[str, str]:
    """What auth noted of the only sign-in of an account."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        entries = json.loads(
            certified.system.postroom("audit", "--account", account.address, "--json")
        )
        if entries:
            (entry,) = entries
            return dict(entry)
        assert time.monotonic() < deadline


# What arrives at the front.


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("listener", IMPLICIT)
def test_the_front_learns_who_the_client_is(
    certified: Certified, listener: str, version: str
) -> None:
    account = certified.system.new_account()
    context = only(version, certified.tls(certified.clients.issue(account.address)))
    with SaslWire(certified.system, listener, context, source=CLIENT) as wire:
        assert wire.converse("EXTERNAL", b"").startswith(wire.frame.succeeded)

    entry = audited(certified, account)
    assert (entry["client"], entry["tls_version"], entry["mechanism"]) == (
        *(CLIENT, version),
        "EXTERNAL",
    )


@pytest.mark.parametrize("listener", IN_CLEAR)
def test_starttls_beside_it(certified: Certified, listener: str) -> None:
    account = certified.system.new_account()
    context = only("TLSv1.3", certified.tls(certified.clients.issue(account.address)))
    with SaslWire(certified.system, listener, context) as wire:
        assert wire.converse("EXTERNAL", b"").startswith(wire.frame.succeeded)
    assert audited(certified, account)["tls_version"] == "TLSv1.3"


# Versions and sessions.


def outdated(cafile: Path) -> ssl.SSLContext:
    """A client that speaks TLS 1.1 alone."""
    context = ssl.create_default_context(cafile=str(cafile))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1  # the order avoids an empty range
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("listener", [*IMPLICIT, *IN_CLEAR, "smtp", "https"])
def test_older_versions_are_refused(certified: Certified, listener: str) -> None:
    context = outdated(certified.system.authority)
    # A front closes, without the alert that HAProxy sends.
    closed = "PROTOCOL_VERSION" if listener.endswith("s") else "UNEXPECTED_EOF"
    with pytest.raises(ssl.SSLError, match=closed):
        begin_tls(certified, listener, context)


def begin_tls(certified: Certified, listener: str, context: ssl.SSLContext) -> None:
    if listener == "https":
        Wire(certified.system.host, certified.system.port(listener), context)
    else:
        SaslWire(certified.system, listener, context)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("listener", IMPLICIT)
def test_sessions_are_resumed(certified: Certified, listener: str, version: str) -> None:
    context = only(version, certified.tls())
    with greeted(certified, listener, context) as first:
        assert not first.session_reused
        session = first.session
    with greeted(certified, listener, context, session) as second:
        assert second.session_reused
        assert second.version() == version


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("believed", [True, False])
def test_a_session_goes_on_with_the_certificate_that_it_began_with(
    certified: Certified, version: str, believed: bool
) -> None:
    account = certified.system.new_account()
    authority = certified.clients if believed else certified.foreign
    context = only(version, certified.tls(authority.issue(account.address)))
    with greeted(certified, "imaps", context) as first:
        session = first.session
    with greeted(certified, "imaps", context, session) as second:
        assert second.session_reused
        second.sendall(b"a AUTHENTICATE EXTERNAL =\r\n")
        assert second.makefile("rb").readline().startswith(b"a OK" if believed else b"a NO")


@contextlib.contextmanager
def greeted(
    certified: Certified,
    listener: str,
    context: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
) -> Iterator[ssl.SSLSocket]:
    """A connection that has heard the greeting, behind which TLS 1.3 tells of its session."""
    at = (certified.system.host, certified.system.port(listener))
    host = certified.system.host
    with (
        socket.create_connection(at, WAIT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host, session=session) as connection,
    ):
        assert connection.recv(4096)
        yield connection


# Certificates that change.


def renew(certified: Certified) -> bytes:
    """Put another certificate, with another key, in the place of the one that clients see."""
    certs = certified.system.state / "certs"
    for name in ("tls.pem", "tls.key"):
        (certs / name).unlink()
    make_development_certificates(certs)
    return ssl.PEM_cert_to_DER_cert((certs / "tls.pem").read_text())


def shown(certified: Certified, listener: str = "imaps") -> bytes:
    """What a client sees that comes now."""
    with Wire(certified.system.host, certified.system.port(listener), certified.tls()) as wire:
        return wire.certificate()


def test_who_is_there_stays_while_the_certificate_changes(certified: Certified) -> None:
    account = certified.system.new_account()
    with Wire(certified.system.host, certified.system.port("imaps"), certified.tls()) as idle:
        idle.log_in(account)
        assert idle.command(b"select", b"SELECT INBOX")[-1].startswith(b"select OK")
        idle.send(b"idle IDLE\r\n")
        assert idle.line().startswith(b"+ ")
        before = idle.certificate()

        new = renew(certified)

        until(lambda: shown(certified) == new, "the new certificate")
        assert before != new
        with Wire(certified.system.host, certified.system.port("imaps"), certified.tls()) as late:
            late.log_in(account)
            appended = late.command(b"a", b"APPEND INBOX {14+}\r\nSubject: x\r\n\r\n")
            assert appended[-1].startswith(b"a OK"), appended
        assert idle.line() == b"* 1 EXISTS"
        assert idle.certificate() == before
        idle.send(b"DONE\r\n")
        assert idle.until(b"idle")[-1].startswith(b"idle OK")


def test_a_key_of_another_certificate_is_refused_and_told(
    certified: Certified, tmp_path: Path
) -> None:
    make_development_certificates(tmp_path)
    log, certs = certified.system.state / "logs/haproxy.log", certified.system.state / "certs"
    before, own = shown(certified), (certs / "tls.key").read_bytes()
    already = len(told(log, "tls.certificate_unusable"))
    try:
        (certs / "tls.key").write_bytes((tmp_path / "tls.key").read_bytes())
        until(lambda: len(told(log, "tls.certificate_unusable")) > already, "the line about it")
        line = told(log, "tls.certificate_unusable")[-1]
        assert line["level"] == "error"
        assert line["file"].endswith("tls.crt")
        assert "inconsistencies between private key and certificate" in line["error"]
        assert "put a chain and the key that belongs to it there" in line["advice"]
        assert shown(certified) == before
    finally:
        (certs / "tls.key").write_bytes(own)
    new = renew(certified)
    until(lambda: shown(certified) == new, "the new certificate")


def test_the_secret_of_a_pod_is_followed_as_kubernetes_changes_it(
    fronts: dict[str, int], tmp_path: Path
) -> None:
    """The kubelet writes all files of a secret anew, and renames one symbolic link."""
    mount = tmp_path / "tls"
    mount.mkdir()
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(Path("..data", name))

    def put(version: str) -> bytes:
        make_self_signed(mount / f"..{version}", ["localhost"])
        (mount / "..data_tmp").symlink_to(f"..{version}")
        (mount / "..data_tmp").replace(mount / "..data")
        return ssl.PEM_cert_to_DER_cert((mount / "tls.crt").read_text())

    first = put("2026_11_30_1")
    with sidecar(tmp_path, mount / "tls.crt", {"imaps": fronts["imaps"]}) as running:
        assert seen(running) == first
        second = put("2026_11_30_2")
        until(lambda: seen(running) == second, "the new certificate")
        assert running.told("tls.certificate_loaded")
        assert running.told("tls.certificate_unusable") == []


def seen(running: Sidecar, name: str = "localhost", listener: str = "imaps") -> bytes:
    """What a client sees that asks for a name and believes everything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    at = (ports.HOST, running.ports[listener])
    with (
        socket.create_connection(at, WAIT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        found = connection.getpeercert(binary_form=True)
    assert found
    return found


def test_clients_see_the_certificate_of_the_name_that_they_ask_for(
    fronts: dict[str, int], tmp_path: Path
) -> None:
    names = ("mail.example.org", "mail.example.net")
    expected = {}
    for name in names:
        make_self_signed(tmp_path / name, [name])
        expected[name] = ssl.PEM_cert_to_DER_cert((tmp_path / name / "tls.crt").read_text())
    (tmp_path / "list").write_text(f"{tmp_path / names[1]}/tls.crt\n")

    first = tmp_path / names[0] / "tls.crt"
    only_imaps = {"imaps": fronts["imaps"]}
    with sidecar(tmp_path, first, only_imaps, list=str(tmp_path / "list")) as running:
        for name in names:
            assert seen(running, name) == expected[name]
        assert seen(running, "other.example.com") == expected[names[0]]
        # Those of the list are followed, too.
        shutil.rmtree(tmp_path / names[1])
        make_self_signed(tmp_path / names[1], [names[1]])
        new = ssl.PEM_cert_to_DER_cert((tmp_path / names[1] / "tls.crt").read_text())
        until(lambda: seen(running, names[1]) == new, "the new certificate")


# Behind another proxy.


@pytest.mark.parametrize("header", [b"PROXY TCP4 203.0.113.7 203.0.113.1 4711 993\r\n", b""])
@pytest.mark.parametrize("source", [CLIENT, ports.HOST])
def test_a_balancer_before_it_tells_who_the_client_is(
    certified: Certified, fronts: dict[str, int], tmp_path: Path, source: str, header: bytes
) -> None:
    """The balancer is at CLIENT."""
    make_self_signed(tmp_path / "tls", ["localhost"])
    account = certified.system.new_account()
    context = ssl.create_default_context(cafile=str(tmp_path / "tls/tls.crt"))
    tls, only_imaps = tmp_path / "tls/tls.crt", {"imaps": fronts["imaps"]}
    with (
        sidecar(tmp_path, tls, only_imaps, proxy_networks=f"{CLIENT} 198.51.100.0/24") as running,
        Wire("localhost", running.ports["imaps"], source=source) as wire,
    ):
        wire.send(header)
        if (source == CLIENT) != bool(header):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                wire.start_tls(context)
            return
        wire.start_tls(context)
        wire.log_in(account)
    assert audited(certified, account)["client"] == ("203.0.113.7" if header else source)


# How it ends.


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1])
def test_it_ends_with_the_last_session(
    certified: Certified, fronts: dict[str, int], tmp_path: Path, signum: signal.Signals
) -> None:
    make_development_certificates(tmp_path, layout=FOLDERS)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca/ca.crt"))
    account, tls = certified.system.new_account(), tmp_path / "tls/tls.crt"
    with sidecar(tmp_path, tls, {"imaps": fronts["imaps"]}, grace="60s") as running:
        with Wire(ports.HOST, running.ports["imaps"], context) as wire:
            wire.log_in(account)
            psutil.Process(running.process.pid).send_signal(signum)
            until(lambda: ports.is_free(running.ports["imaps"]), "no more are let in")
            assert wire.command(b"noop", b"NOOP")[-1].startswith(b"noop OK")
            assert running.process.running
            assert wire.command(b"bye", b"LOGOUT")[-1].startswith(b"bye OK")
        until(lambda: not running.process.running, "its end")
        assert running.process.status == "exited with 0"
        (stopped,) = running.told("service.stopped")
        assert stopped["status"] == 0


def test_it_waits_for_the_last_session_for_so_long_alone(
    certified: Certified, fronts: dict[str, int], tmp_path: Path
) -> None:
    make_development_certificates(tmp_path, layout=FOLDERS)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca/ca.crt"))
    tls = tmp_path / "tls/tls.crt"
    with sidecar(tmp_path, tls, {"imaps": fronts["imaps"]}, grace="1s") as running:
        with Wire(ports.HOST, running.ports["imaps"], context) as wire:
            assert wire.line().startswith(b"* OK")
            haproxy = psutil.Process(running.process.pid).children()
            running.process.ask_to_stop()
            until(lambda: not running.process.running, "its end")
            assert wire.rest() == b""
        assert [process for process in haproxy if process.is_running()] == []


def test_a_second_signal_ends_it_at_once(fronts: dict[str, int], tmp_path: Path) -> None:
    make_development_certificates(tmp_path, layout=FOLDERS)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca/ca.crt"))
    tls = tmp_path / "tls/tls.crt"
    with sidecar(tmp_path, tls, {"imaps": fronts["imaps"]}, grace="1h") as running:
        with Wire(ports.HOST, running.ports["imaps"], context) as wire:
            assert wire.line().startswith(b"* OK")
            running.process.ask_to_stop()
            until(lambda: ports.is_free(running.ports["imaps"]), "no more are let in")
            running.process.ask_to_stop()
            until(lambda: not running.process.running, "its end")
            assert wire.rest() == b""


def test_what_haproxy_can_not_use_ends_it_with_its_status(tmp_path: Path) -> None:
    require("haproxy" if shutil.which("haproxy") is None else "")
    (tmp_path / "wrong.cfg").write_text("global\n    no such thing\n")
    ran = subprocess.run(
        [sys.executable, PROGRAM, tmp_path / "wrong.cfg"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert any(line["level"] == "error" and "wrong.cfg:2" in line["text"] for line in lines[:-1])
    assert lines[-1]["event"] == "service.stopped"


def test_it_tells_that_it_lives_and_how_many_come(fronts: dict[str, int], tmp_path: Path) -> None:
    make_development_certificates(tmp_path, layout=FOLDERS)
    tls = tmp_path / "tls/tls.crt"
    with sidecar(tmp_path, tls, {"imaps": fronts["imaps"]}) as running:
        http = f"http://{ports.HOST}:{running.ports['http']}"
        assert [httpx.get(f"{http}/{path}").status_code for path in ("livez", "readyz", "x")] == [
            *(200, 200),
            404,
        ]
        seen(running)
        counted = 'haproxy_frontend_connections_total{proxy="imaps"} '
        lines = httpx.get(f"{http}/metrics").text.splitlines()
        assert [line for line in lines if line.startswith(counted)] == [f"{counted}1"]


# HTTPS.


def test_the_api_learns_who_the_client_is(certified: Certified) -> None:
    api = f"https://{certified.system.host}:{certified.system.port('https')}"
    transport = httpx.HTTPTransport(verify=certified.tls(), local_address=CLIENT, http2=False)
    with httpx.Client(transport=transport) as client:
        # What a client says of itself isn't handed on.
        answer = client.get(f"{api}/v1/secure", headers={"X-Forwarded-For": "203.0.113.9"})
    assert answer.status_code == 404
    assert requested_from(certified, "/v1/secure") == CLIENT


def test_who_is_no_proxy_is_not_believed(certified: Certified) -> None:
    api = f"http://{certified.system.host}:{certified.system.port('admin')}"
    with httpx.Client(transport=httpx.HTTPTransport(local_address=CLIENT)) as client:
        client.get(f"{api}/v1/clear", headers={"X-Forwarded-For": "203.0.113.9"})
    assert requested_from(certified, "/v1/clear") == CLIENT


def requested_from(certified: Certified, path: str) -> str:
    """The address that the API's log has for a request, which is noted after the answer."""
    found: list[str] = []

    def noted() -> bool:
        lines = told(certified.system.state / "logs/admin.log", "api.request")
        found[:] = [line["address"] for line in lines if line["path"] == path]
        return bool(found)

    until(noted, f"a line about {path}")
    (address,) = found
    return address


def test_every_listener_is_tried() -> None:
    assert {*IMPLICIT, *IN_CLEAR, "smtp"} == set(PROTOCOLS)
