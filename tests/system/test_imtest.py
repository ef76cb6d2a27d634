"""Cyrus's test clients sign in by every SASL mechanism that they share with auth, then speak.

Each is told at its input what to say once it has signed in, and shows what it hears.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from postroom_auth.domain.sasl import MECHANISMS

from deploy.local.provision import Account
from tests.harness.client_certificates import Certified
from tests.harness.clients import run_client
from tests.harness.mail import contents, deliver, message, without_trace
from tests.harness.system import MailSystem

FOLDER = "/usr/lib/cyrus/bin"
IMTEST, POP3TEST, SMTPTEST = (f"{FOLDER}/{name}" for name in ("imtest", "pop3test", "smtptest"))

# What Debian's libsasl2-modules bring to a client with a password.
THEIRS = {"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"} | {
    f"SCRAM-SHA-{size}" for size in (1, 224, 256, 384, 512)
}
SHARED = [name for name, row in MECHANISMS.items() if row.by_default and name in THEIRS]
# imtest takes this name for that of the command, however it is written.
SHARED_IN_IMAP = [name for name in SHARED if name != "LOGIN"]

# How TLS begins on each listener, and the bits that SASL may count on.
IMAP = [("imap", "", 0), ("imap", "starttls", 128), ("imaps", "tls", 128)]
POP3 = [("pop3", "", 0), ("pop3", "starttls", 128), ("pop3s", "tls", 128)]
SUBMISSION = [("submission", "", 0), ("submission", "starttls", 128), ("submissions", "tls", 128)]
TLS = {"": (), "starttls": ("-t", ""), "tls": ("-s",)}

_AUTHENTICATED = re.compile(r"^Authenticated.\nSecurity strength factor: (\d+)$", re.MULTILINE)


def speak(
    program: str,
    system: MailSystem,
    account: Account,
    listener: tuple[str, str, int],
    said: str,
    *options: str,
) -> str:
    """The transcript of a session in which something is said after the client has signed in."""
    port, tls, strength = listener
    person = ("-a", account.address, "-u", account.address, "-w", account.password)
    told = run_client(
        *(program, "-p", str(system.port(port)), *TLS[tls], *options, *person, "localhost"),
        stdin=said.replace("\n", "\r\n").encode(),
    ).decode()
    told = told.replace("\r\n", "\n")
    found = _AUTHENTICATED.search(told)
    assert found, told
    assert int(found[1]) >= strength
    return told


def in_order(told: str, *parts: str) -> bool:
    """Whether a transcript has these, one behind the other."""
    return re.search(".*".join(map(re.escape, parts)), told, re.DOTALL) is not None


@pytest.mark.clients(IMTEST)
@pytest.mark.parametrize("listener", IMAP)
@pytest.mark.parametrize("mechanism", SHARED_IN_IMAP)
@pytest.mark.parametrize("initial", [(), ("-i",)], ids=["initial response", "none at first"])
def test_imap_by_sasl(
    system: MailSystem,
    account: Account,
    listener: tuple[str, str, int],
    mechanism: str,
    initial: tuple[str, ...],
) -> None:
    deliver(system, account, message("one"))

    said = "a SELECT INBOX\nb FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS (Subject)])\nc LOGOUT\n"
    told = speak(IMTEST, system, account, listener, said, "-m", mechanism, *initial)

    assert f"AUTHENTICATE {mechanism}" in told
    assert not initial or f"AUTHENTICATE {mechanism}\n" in told
    assert in_order(told, "* 1 EXISTS", "a OK", "Subject: one", "b OK", "* BYE", "c OK")


@pytest.mark.clients(IMTEST)
@pytest.mark.parametrize("listener", IMAP)
def test_imap_by_login(
    system: MailSystem, account: Account, listener: tuple[str, str, int]
) -> None:
    told = speak(IMTEST, system, account, listener, "a NOOP\nb LOGOUT\n", "-m", "login")

    assert in_order(told, "L01 OK", "a OK", "* BYE", "b OK")


@pytest.mark.clients(IMTEST)
def test_imap_refuses_a_wrong_password(system: MailSystem, account: Account) -> None:
    person = ("-a", account.address, "-u", account.address, "-w", "wrong horse")
    for mechanism in (*SHARED_IN_IMAP, "login"):
        told = run_client(
            *(IMTEST, "-p", str(system.port("imap")), "-m", mechanism, *person, "localhost"),
            stdin=b"a SELECT INBOX\r\nb LOGOUT\r\n",
        ).decode()
        assert "NO [AUTHENTICATIONFAILED]" in told
        assert in_order(told, "a BAD", "b OK")


@pytest.mark.clients(POP3TEST)
@pytest.mark.parametrize("listener", POP3)
@pytest.mark.parametrize("mechanism", SHARED)
def test_pop3(
    system: MailSystem, account: Account, listener: tuple[str, str, int], mechanism: str
) -> None:
    deliver(system, account, message("one"))

    said = "STAT\nRETR 1\nDELE 1\nQUIT\n"
    told = speak(POP3TEST, system, account, listener, said, "-m", mechanism)

    assert f"AUTH {mechanism}" in told
    assert in_order(told, "+OK 1 ", "Subject: one", "+OK", "+OK")
    assert contents(system, account) == []


@pytest.mark.clients(SMTPTEST)
@pytest.mark.parametrize("listener", SUBMISSION)
@pytest.mark.parametrize("mechanism", SHARED)
def test_submission(
    system: MailSystem, account: Account, listener: tuple[str, str, int], mechanism: str
) -> None:
    said = (
        f"MAIL FROM:<{account.address}>\nRCPT TO:<{account.address}>\nDATA\n"
        f"From: <{account.address}>\nSubject: one\n\nHello.\n.\nQUIT\n"
    )
    told = speak(SMTPTEST, system, account, listener, said, "-m", mechanism)

    assert f"AUTH {mechanism}" in told
    assert in_order(told, "250 2.1.0", "250 2.1.5", "354 ", "250 2.0.0", "221 2.0.0")
    (received,) = contents(system, account)
    assert b"Subject: one\r\n" in without_trace(received)


BY_CERTIFICATE = [
    (IMTEST, "imap", "AUTHENTICATE EXTERNAL", "a SELECT INBOX\nb LOGOUT\n", "a OK"),
    (POP3TEST, "pop3", "AUTH EXTERNAL", "STAT\nQUIT\n", "+OK 0 "),
    (SMTPTEST, "submission", "AUTH EXTERNAL", "NOOP\nQUIT\n", "250 "),
]


@pytest.mark.clients(IMTEST, POP3TEST, SMTPTEST)
@pytest.mark.parametrize(
    ("program", "listener", "asked", "said", "answered"),
    BY_CERTIFICATE,
    ids=["imap", "pop3", "smtp"],
)
def test_by_certificate(
    certified: Certified,
    tmp_path: Path,
    program: str,
    listener: str,
    asked: str,
    said: str,
    answered: str,
) -> None:
    system = certified.system
    account = system.new_account()
    shown = certified.clients.issue(account.address)
    both = tmp_path / "client.pem"
    both.write_bytes(shown.certificate.read_bytes() + shown.key.read_bytes())

    person = ("-a", account.address, "-u", account.address, "-m", "EXTERNAL")
    told = run_client(
        *(program, "-p", str(system.port(listener)), "-t", both, *person, "localhost"),
        stdin=said.replace("\n", "\r\n").encode(),
    ).decode()

    assert asked in told
    assert in_order(told, "Authenticated.", answered)
