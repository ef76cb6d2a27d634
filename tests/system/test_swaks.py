"""swaks, which shows every reply, sends from outside and from our people."""

from __future__ import annotations

import pytest

from deploy.local.provision import Account
from tests.harness.clients import run_client
from tests.harness.mail import contents
from tests.harness.system import MailSystem

pytestmark = pytest.mark.clients("swaks")


def swaks(
    system: MailSystem, port: str, to: str, *options: str, sender: str, status: int = 0
) -> str:
    server = ("--server", system.host, "--port", str(system.port(port)), "--timeout", "60")
    envelope = ("--helo", "client.example.org", "--from", sender, "--to", to)
    return run_client("swaks", *server, *envelope, *options, status=status).decode()


def as_user(account: Account, mechanism: str) -> tuple[str, ...]:
    return (
        *("--auth", mechanism, "--auth-user", account.address),
        *("--auth-password", account.password),
    )


def test_delivers_from_outside(system: MailSystem, account: Account) -> None:
    transcript = swaks(system, "smtp", account.address, sender="me@example.org")

    assert "250 2.0.0" in transcript
    (received,) = contents(system, account)
    assert received.startswith(b"Return-Path: <me@example.org>\r\n") or b"Received: " in received


def test_delivers_over_starttls(system: MailSystem, account: Account) -> None:
    verify = ("--tls", "--tls-verify", "--tls-ca-path", str(system.authority))

    transcript = swaks(system, "smtp", account.address, *verify, sender="me@example.org")

    assert "TLS started" in transcript
    assert len(contents(system, account)) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize(("port", "tls"), [("submission", "--tls"), ("submissions", "--tlsc")])
def test_submits(
    system: MailSystem, sender: Account, account: Account, mechanism: str, port: str, tls: str
) -> None:
    options = (tls, *as_user(sender, mechanism))

    swaks(system, port, account.address, *options, sender=sender.address)

    assert len(contents(system, account)) == 1


# swaks: 24 = no recipient was accepted, 23 = MAIL was refused, 28 = authentication failed.


def test_unknown_recipients_are_refused(system: MailSystem) -> None:
    transcript = swaks(system, "smtp", "nobody@example.test", sender="me@example.org", status=24)

    assert "550 5.1.1" in transcript


def test_relaying_is_refused(system: MailSystem) -> None:
    transcript = swaks(system, "smtp", "you@example.net", sender="me@example.org", status=24)

    assert "554 5.7.1" in transcript


def test_wrong_passwords_are_refused(system: MailSystem, account: Account) -> None:
    wrong = Account(account.address, "wrong horse")

    transcript = swaks(
        system,
        "submission",
        account.address,
        "--tls",
        *as_user(wrong, "PLAIN"),
        sender=account.address,
        status=28,
    )

    assert "535 5.7.8" in transcript


def test_mail_elsewhere_waits_in_the_queue(system: MailSystem, sender: Account) -> None:
    options = ("--tls", *as_user(sender, "PLAIN"))

    swaks(system, "submission", "far@example.net", *options, sender=sender.address)

    assert "far@example.net" in system.postroom("queue", "list")
