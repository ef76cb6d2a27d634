"""curl sends and reads, with STARTTLS and with implicit TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.provision import Account
from tests.harness.client_certificates import Certified
from tests.harness.clients import run_client
from tests.harness.mail import contents, deliver, message, submitted, without_trace
from tests.harness.system import MailSystem

pytestmark = pytest.mark.clients("curl")

STARTTLS = ("--ssl-reqd",)
IMPLICIT: tuple[str, ...] = ()


def curl(system: MailSystem, account: Account, *arguments: str | Path, stdin: bytes = b"") -> bytes:
    user = f"{account.address}:{account.password}"
    trust = ("--cacert", system.authority, "--user", user)
    return run_client("curl", "-sS", "--max-time", "60", *trust, *arguments, stdin=stdin)


@pytest.mark.parametrize(
    ("scheme", "port", "options"),
    [("smtp", "submission", STARTTLS), ("smtps", "submissions", IMPLICIT)],
)
def test_sends(
    system: MailSystem,
    sender: Account,
    account: Account,
    scheme: str,
    port: str,
    options: tuple[str, ...],
) -> None:
    sent = submitted(f"by {scheme}", to=account.address, author=sender.address)

    envelope = ("--mail-from", sender.address, "--mail-rcpt", account.address)
    url = f"{scheme}://{system.host}:{system.port(port)}"
    curl(system, sender, *options, *envelope, "--upload-file", "-", url, stdin=sent)

    (received,) = contents(system, account)
    assert without_trace(received) == sent


@pytest.mark.parametrize(
    ("scheme", "port", "options", "path"),
    [
        ("imap", "imap", STARTTLS, "/INBOX;MAILINDEX=1"),
        ("imaps", "imaps", IMPLICIT, "/INBOX;UID=1"),
        ("pop3", "pop3", STARTTLS, "/1"),
        ("pop3s", "pop3s", IMPLICIT, "/1"),
    ],
)
def test_reads(
    system: MailSystem,
    account: Account,
    scheme: str,
    port: str,
    options: tuple[str, ...],
    path: str,
) -> None:
    sent = message("for curl", "one\n.two\n..three\n")
    deliver(system, account, sent)

    read = curl(system, account, *options, f"{scheme}://{system.host}:{system.port(port)}{path}")

    assert without_trace(read) == sent


def test_lists_and_searches(system: MailSystem, account: Account) -> None:
    deliver(system, account, message("first"), message("second"))
    imap = f"imap://{system.host}:{system.port('imap')}"
    pop3 = f"pop3://{system.host}:{system.port('pop3')}"

    assert b"INBOX" in curl(system, account, f"{imap}/")
    assert curl(system, account, f"{imap}/INBOX?SUBJECT%20second").strip() == b"* SEARCH 2"
    assert [line.split()[0] for line in curl(system, account, f"{pop3}/").splitlines()] == [
        b"1",
        b"2",
    ]


def test_appends(system: MailSystem, account: Account, tmp_path: Path) -> None:
    file = tmp_path / "message.eml"
    file.write_bytes(message("by APPEND"))

    url = f"imaps://{system.host}:{system.port('imaps')}/INBOX"
    curl(system, account, "--upload-file", file, url)

    assert contents(system, account) == [file.read_bytes()]


def test_refuses_a_wrong_password(system: MailSystem, account: Account) -> None:
    run_client(
        *("curl", "-sS", "--cacert", system.authority, "--user", f"{account.address}:wrong"),
        f"imaps://{system.host}:{system.port('imaps')}/INBOX",
        status=67,  # CURLE_LOGIN_DENIED
    )


@pytest.mark.parametrize(
    ("scheme", "port", "options"),
    [
        ("imap", "imap", STARTTLS),
        ("imaps", "imaps", IMPLICIT),
        ("pop3", "pop3", STARTTLS),
        ("pop3s", "pop3s", IMPLICIT),
        ("smtp", "submission", STARTTLS),
        ("smtps", "submissions", IMPLICIT),
    ],
)
def test_signs_in_by_certificate(
    certified: Certified, scheme: str, port: str, options: tuple[str, ...]
) -> None:
    system = certified.system
    account = system.new_account()
    shown = certified.clients.issue(account.address)
    deliver(system, account, message("one"))
    url = f"{scheme}://{system.host}:{system.port(port)}"
    own: tuple[str | Path, ...]
    own = ("--cert", shown.certificate, "--key", shown.key, "--login-options", "AUTH=EXTERNAL")
    without = Account(account.address, "")

    if scheme.startswith("smtp"):
        envelope = ("--mail-from", account.address, "--mail-rcpt", account.address)
        sent = message("two", to=account.address, author=account.address)
        told: tuple[str | Path, ...] = (*own, *options, *envelope, "--upload-file", "-", url)
        curl(system, without, *told, stdin=sent)
        assert len(contents(system, account)) == 2
    else:
        path = "/INBOX;MAILINDEX=1" if scheme.startswith("imap") else "/1"
        assert b"Subject: one\r\n" in curl(system, without, *own, *options, url + path)
