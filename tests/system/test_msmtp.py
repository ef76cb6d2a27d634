"""msmtp sends and mpop fetches, by password and by certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.provision import Account
from tests.harness.client_certificates import Certified, ClientCertificate
from tests.harness.clients import run_client
from tests.harness.mail import contents, deliver, message
from tests.harness.system import MailSystem

BY_PASSWORD = ["scram-sha-256", "scram-sha-1", "plain", "login"]
TLS = {"submission": "on", "submissions": "off", "pop3": "on", "pop3s": "off"}


def options(
    system: MailSystem,
    port: str,
    account: Account,
    method: str,
    shown: ClientCertificate | None = None,
) -> tuple[str, ...]:
    """What both programs are told alike."""
    own = (f"--tls-cert-file={shown.certificate}", f"--tls-key-file={shown.key}") if shown else ()
    return (
        *("--file=/dev/null", "--host=localhost", f"--port={system.port(port)}"),
        *("--tls=on", f"--tls-starttls={TLS[port]}", f"--tls-trust-file={system.authority}"),
        *(f"--auth={method}", f"--user={account.address}"),
        *(f"--passwordeval=echo '{account.password}'", *own),
    )


def send(account: Account, *told: str, status: int = 0) -> None:
    text = message("Hello", to=account.address)
    run_client(
        *("msmtp", *told, f"--from={account.address}", account.address), stdin=text, status=status
    )


def fetch(folder: Path, *told: str, status: int = 0) -> bytes:
    """What mpop puts into a mailbox."""
    box = folder / "box"
    box.touch(0o600)
    where = (f"--delivery=mbox,{box}", f"--uidls-file={folder / 'uidls'}", "--keep=off")
    run_client("mpop", *told, *where, status=status)
    return box.read_bytes()


@pytest.mark.clients("msmtp")
@pytest.mark.parametrize("port", ["submission", "submissions"])
@pytest.mark.parametrize("method", BY_PASSWORD)
def test_sends(system: MailSystem, account: Account, port: str, method: str) -> None:
    send(account, *options(system, port, account, method))

    assert len(contents(system, account)) == 1


@pytest.mark.clients("msmtp")
@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_sends_by_certificate(certified: Certified, port: str) -> None:
    system = certified.system
    account = system.new_account()
    shown = certified.clients.issue(account.address)

    send(account, *options(system, port, account, "external", shown))

    assert len(contents(system, account)) == 1


# 77: EX_NOPERM of sysexits.h.


@pytest.mark.clients("msmtp")
@pytest.mark.parametrize("method", BY_PASSWORD)
def test_sends_nothing_with_a_wrong_password(
    system: MailSystem, account: Account, method: str
) -> None:
    wrong = Account(account.address, "wrong horse")

    send(account, *options(system, "submission", wrong, method), status=77)

    assert contents(system, account) == []


@pytest.mark.clients("mpop")
@pytest.mark.parametrize("port", ["pop3", "pop3s"])
@pytest.mark.parametrize("method", [*BY_PASSWORD, "user"])
def test_fetches(
    system: MailSystem, account: Account, port: str, method: str, tmp_path: Path
) -> None:
    deliver(system, account, message("one"), message("two"))

    fetched = fetch(tmp_path, *options(system, port, account, method))

    assert fetched.count(b"\nSubject: one\n") == fetched.count(b"\nSubject: two\n") == 1
    assert contents(system, account) == []


@pytest.mark.clients("mpop")
@pytest.mark.parametrize("port", ["pop3", "pop3s"])
def test_fetches_by_certificate(certified: Certified, port: str, tmp_path: Path) -> None:
    system = certified.system
    account = system.new_account()
    shown = certified.clients.issue(account.address)
    deliver(system, account, message("one"))

    fetched = fetch(tmp_path, *options(system, port, account, "external", shown))

    assert fetched.count(b"\nSubject: one\n") == 1


@pytest.mark.clients("mpop")
@pytest.mark.parametrize("method", BY_PASSWORD)
def test_fetches_nothing_with_a_wrong_password(
    system: MailSystem, account: Account, method: str, tmp_path: Path
) -> None:
    deliver(system, account, message("one"))
    wrong = Account(account.address, "wrong horse")

    assert fetch(tmp_path, *options(system, "pop3", wrong, method), status=77) == b""

    assert len(contents(system, account)) == 1
