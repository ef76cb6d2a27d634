"""msmtp and mpop, which are told alike where to sign in and how."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.local.provision import Account
from tests.harness.client_certificates import ClientCertificate
from tests.harness.clients import run_client
from tests.harness.mail import message
from tests.harness.system import MailSystem

NO_PERMISSION = 77  # EX_NOPERM of sysexits.h: the password is wrong
TLS = {"submission": "on", "submissions": "off", "pop3": "on", "pop3s": "off"}


def options(
    system: MailSystem,
    port: str,
    account: Account,
    method: str,
    shown: ClientCertificate | None = None,
) -> tuple[str, ...]:
    """What both programs are told; the account's password is what they are given."""
    own = (f"--tls-cert-file={shown.certificate}", f"--tls-key-file={shown.key}") if shown else ()
    return (
        *("--file=/dev/null", "--host=localhost", f"--port={system.port(port)}"),
        *("--tls=on", f"--tls-starttls={TLS[port]}", f"--tls-trust-file={system.authority}"),
        *(f"--auth={method}", f"--user={account.address}"),
        *(f"--passwordeval=echo '{account.password}'", *own),
    )


def send(
    account: Account,
    *told: str,
    environment: Mapping[str, str] | None = None,
    status: int = 0,
) -> None:
    """Have msmtp send a message from an account to itself."""
    run_client(
        *("msmtp", *told, f"--from={account.address}", account.address),
        stdin=message("by msmtp", to=account.address, author=account.address),
        environment=environment,
        status=status,
    )


def fetch(
    folder: Path,
    *told: str,
    environment: Mapping[str, str] | None = None,
    status: int = 0,
) -> bytes:
    """What mpop puts into a mailbox."""
    box = folder / "box"
    box.touch(0o600)
    where = (f"--delivery=mbox,{box}", f"--uidls-file={folder / 'uidls'}", "--keep=off")
    run_client("mpop", *told, *where, environment=environment, status=status)
    return box.read_bytes()
