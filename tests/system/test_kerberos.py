"""Clients that show a ticket of Kerberos, against a real KDC: Cyrus's, GNU's, curl, mutt, mpop and
msmtp."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from deploy.local.provision import DOMAIN, Account
from tests.harness import msmtp
from tests.harness.clients import require, run_client, run_on_terminal
from tests.harness.kdc import REALM, Kdc, missing, running_kdc
from tests.harness.mail import contents, deliver, message, without_trace
from tests.harness.system import MailSystem, running
from tests.system.test_imtest import IMTEST, POP3TEST, SMTPTEST, TLS, in_order
from tests.system.test_mutt import configure

SECRET = "a password of the KDC's"
SERVICES = ("imap/localhost", "pop/localhost", "smtp/localhost")


@pytest.fixture(scope="module")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    require(missing())
    with running_kdc(tmp_path_factory.mktemp("kdc")) as started:
        started.add(*SERVICES)
        yield started


@pytest.fixture(scope="module")
def kpop_host() -> str:
    """An address of loopback's, as fetchmail speaks KPOP to one port alone."""
    return f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"


@pytest.fixture(scope="module")
def kerberos_system(
    tmp_path_factory: pytest.TempPathFactory, kdc: Kdc, kpop_host: str
) -> Iterator[MailSystem]:
    kdc.add(f"pop/{kpop_host}")
    keytab = kdc.keytab("mail.keytab", *SERVICES, f"pop/{kpop_host}")
    settings = {
        **kdc.environment,
        "POSTROOM_AUTH_KEYTAB": str(keytab),
        "POSTROOM_AUTH_KERBEROS_REALMS": f"{REALM}={DOMAIN}",
        "POSTROOM_AUTH_MECHANISMS_POP3": "GSSAPI,PLAIN,X-KPOP",
        "POSTROOM_POP3_KPOP_LISTENERS": f"kpop={kpop_host}:1109",
    }
    with running(tmp_path_factory.mktemp("kerberos"), settings=settings) as started:
        yield started


@pytest.fixture
def ann(kerberos_system: MailSystem, kdc: Kdc) -> Account:
    account = kerberos_system.new_account()
    kdc.add(account.address.partition("@")[0], password=SECRET)
    return account


@pytest.fixture
def tickets(kdc: Kdc, ann: Account) -> Mapping[str, str]:
    return kdc.sign_in(ann.address.partition("@")[0], SECRET)


def speak(
    program: str,
    system: MailSystem,
    tickets: Mapping[str, str],
    port: str,
    tls: str,
    said: str,
    *options: str,
) -> str:
    """The transcript of a session of Cyrus's test clients."""
    command = (program, "-p", str(system.port(port)), *TLS[tls], "-m", "GSSAPI", *options)
    told = run_client(
        *command,
        "localhost",
        stdin=said.replace("\n", "\r\n").encode(),
        environment=tickets,
    ).decode()
    return told.replace("\r\n", "\n")


@pytest.mark.clients(IMTEST)
@pytest.mark.parametrize(("port", "tls"), [("imap", ""), ("imap", "starttls"), ("imaps", "tls")])
@pytest.mark.parametrize("named", [True, False])
def test_imtest(
    kerberos_system: MailSystem,
    ann: Account,
    tickets: Mapping[str, str],
    port: str,
    tls: str,
    named: bool,
) -> None:
    deliver(kerberos_system, ann, message("one"))
    name = ann.address if named else ann.address.partition("@")[0]
    who = ("-a", name, "-u", name)
    said = "a SELECT INBOX\nb LOGOUT\n"
    told = speak(IMTEST, kerberos_system, tickets, port, tls, said, *who)
    assert in_order(told, "AUTHENTICATE GSSAPI", "Authenticated.", "* 1 EXISTS", "a OK", "b OK")


@pytest.mark.clients(POP3TEST)
@pytest.mark.parametrize(("port", "tls"), [("pop3", ""), ("pop3", "starttls"), ("pop3s", "tls")])
def test_pop3test(
    kerberos_system: MailSystem, ann: Account, tickets: Mapping[str, str], port: str, tls: str
) -> None:
    deliver(kerberos_system, ann, message("one"))
    who = ("-a", ann.address, "-u", ann.address)
    told = speak(POP3TEST, kerberos_system, tickets, port, tls, "RETR 1\nQUIT\n", *who)
    assert in_order(told, "AUTH GSSAPI", "Authenticated.", "Subject: one", "+OK")


@pytest.mark.clients(SMTPTEST)
@pytest.mark.parametrize(("port", "tls"), [("submission", "starttls"), ("submissions", "tls")])
def test_smtptest(
    kerberos_system: MailSystem, ann: Account, tickets: Mapping[str, str], port: str, tls: str
) -> None:
    said = (
        f"MAIL FROM:<{ann.address}>\nRCPT TO:<{ann.address}>\nDATA\nSubject: one\n\ntext\n.\nQUIT\n"
    )
    who = ("-a", ann.address, "-u", ann.address)
    told = speak(SMTPTEST, kerberos_system, tickets, port, tls, said, *who)
    assert in_order(told, "AUTH GSSAPI", "Authenticated.", "354", "250", "221")
    (received,) = contents(kerberos_system, ann)
    assert b"Subject: one" in received


@pytest.mark.clients(IMTEST)
def test_imtest_is_refused_as_somebody_else_and_without_a_ticket(
    kerberos_system: MailSystem, ann: Account, tickets: Mapping[str, str], kdc: Kdc
) -> None:
    bob = kerberos_system.new_account()
    said = "a SELECT INBOX\nb LOGOUT\n"
    who = ("-a", ann.address, "-u", bob.address)
    told = speak(IMTEST, kerberos_system, tickets, "imap", "", said, *who)
    assert in_order(told, "NO [AUTHENTICATIONFAILED]", "a BAD")
    told = speak(IMTEST, kerberos_system, kdc.environment, "imap", "", said, *who)
    assert in_order(told, "Authentication failed", "a BAD")


@pytest.mark.clients("gsasl")
@pytest.mark.parametrize(("port", "options"), [("imap", ("--imap",)), ("submission", ("--smtp",))])
def test_gsasl(
    kerberos_system: MailSystem,
    ann: Account,
    tickets: Mapping[str, str],
    port: str,
    options: tuple[str, ...],
) -> None:
    where = ("--connect", f"localhost:{kerberos_system.port(port)}", "--hostname", "localhost")
    trust = ("--x509-ca-file", str(kerberos_system.authority), "--no-cb")
    told = run_client(
        *("gsasl", "--client", "--mechanism", "GSSAPI", *options, *where, *trust),
        *("--authorization-id", ann.address, "--authentication-id", ann.address),
        environment=tickets,
    )
    assert b"OK" in told or b"235" in told


@pytest.mark.clients("curl")
@pytest.mark.parametrize(
    ("scheme", "port", "path"),
    [("imap", "imap", "/INBOX;UID=1"), ("imaps", "imaps", "/INBOX;UID=1"), ("pop3", "pop3", "/1")],
)
def test_curl(
    kerberos_system: MailSystem,
    ann: Account,
    tickets: Mapping[str, str],
    scheme: str,
    port: str,
    path: str,
) -> None:
    sent = message("for curl")
    deliver(kerberos_system, ann, sent)
    url = f"{scheme}://localhost:{kerberos_system.port(port)}{path}"
    trust = ("-sS", "--max-time", "60", "--cacert", kerberos_system.authority)
    who = ("--user", f"{ann.address}:", "--login-options", "AUTH=GSSAPI", "--ssl-reqd")
    read = run_client("curl", *trust, *who, url, environment=tickets)
    assert without_trace(read) == sent


@pytest.mark.clients("mutt")
def test_mutt(
    kerberos_system: MailSystem, ann: Account, tickets: Mapping[str, str], tmp_path: Path
) -> None:
    deliver(kerberos_system, ann, message("for mutt"))
    configuration, saved = configure(kerberos_system, ann, tmp_path), tmp_path / "saved"
    # The password is the account's own, and never asked for.
    with configuration.open("a") as rest:
        rest.write('set imap_authenticators="gssapi"\nunset imap_pass\n')
    keys = f"<first-entry><pipe-message>cat >{saved}<enter><quit>"

    run_on_terminal(
        *("mutt", "-n", "-F", configuration, "-e", f"push '{keys}'"),
        environment={**tickets, "HOME": str(tmp_path)},
    )

    assert b"Subject: for mutt" in saved.read_bytes()


@pytest.mark.clients("mpop", "msmtp")
def test_msmtp_and_mpop(
    kerberos_system: MailSystem, ann: Account, tickets: Mapping[str, str], tmp_path: Path
) -> None:
    nameless = Account(ann.address, "")
    by_ticket = msmtp.options(kerberos_system, "submission", nameless, "gssapi")
    msmtp.send(ann, *by_ticket, environment=tickets)
    by_ticket = msmtp.options(kerberos_system, "pop3s", nameless, "gssapi")
    assert b"Subject: by msmtp" in msmtp.fetch(tmp_path, *by_ticket, environment=tickets)


FETCHMAIL = """\
poll {host} protocol KPOP auth kerberos_v5 timeout 20
  user "{name}" password "anything" is "nobody" here
  {tls}
  fetchall nokeep
  mda "cat >>{folder}/all"
"""


IN_CLEAR_TEXT = 'sslproto ""'


def fetch(
    host: str,
    name: str,
    folder: Path,
    environment: Mapping[str, str],
    *,
    tls: str = IN_CLEAR_TEXT,
    status: int = 0,
) -> tuple[str, bytes]:
    """Run fetchmail by KPOP; what it has said, and what it has taken."""
    configuration = folder / "fetchmailrc"
    configuration.write_text(FETCHMAIL.format(host=host, name=name, folder=folder, tls=tls))
    configuration.chmod(0o600)
    # It speaks KPOP to a port of that name alone, which Debian's list has no more: so it is shown
    # another list, in a namespace of its own.
    services = folder / "services"
    services.write_text(Path("/etc/services").read_text() + "kpop 1109/tcp\n")
    command = ("fetchmail", "-v", "--fetchmailrc", configuration, "--pidfile", folder / "pid")
    told = run_client(
        *("unshare", "--mount", *(() if os.getuid() == 0 else ("--map-root-user",)), "sh", "-c"),
        *('mount --bind "$0" /etc/services && exec "$@"', services, *command, "--nosyslog"),
        environment={**environment, "FETCHMAILHOME": str(folder), "HOME": str(folder)},
        status=status,
    )
    taken = folder / "all"
    return told.decode(), taken.read_bytes() if taken.exists() else b""


@pytest.mark.clients("fetchmail", "unshare")
@pytest.mark.parametrize("whole", [True, False], ids=["the address", "the name alone"])
@pytest.mark.parametrize("tls", [True, False], ids=["STLS after it", "clear text"])
def test_fetchmail_by_kpop(
    kerberos_system: MailSystem,
    ann: Account,
    tickets: Mapping[str, str],
    kpop_host: str,
    tmp_path: Path,
    whole: bool,
    tls: bool,
) -> None:
    deliver(kerberos_system, ann, *(message(f"number {number}") for number in range(5)))
    name = ann.address if whole else ann.address.partition("@")[0]
    authority = kerberos_system.authority
    trust = f'sslproto "TLS1.2+" sslcertck sslcommonname localhost sslcertfile "{authority}"'
    told, got = fetch(kpop_host, name, tmp_path, tickets, tls=trust if tls else IN_CLEAR_TEXT)
    assert in_order(
        told, "POP3< +OK Postroom KPOP is ready", f"POP3> USER {name}", "POP3> PASS", "POP3> DELE 5"
    )
    assert ("POP3> STLS" in told) == tls
    assert [got.count(b"Subject: number %d\n" % number) for number in range(5)] == [1] * 5
    assert contents(kerberos_system, ann) == []


@pytest.mark.clients("fetchmail", "unshare")
def test_fetchmail_gets_nobody_elses_mail_by_kpop(
    kerberos_system: MailSystem,
    ann: Account,
    tickets: Mapping[str, str],
    kdc: Kdc,
    kpop_host: str,
    tmp_path: Path,
) -> None:
    bob = kerberos_system.new_account()
    deliver(kerberos_system, bob, message("for bob alone"))
    told, got = fetch(kpop_host, bob.address, tmp_path, tickets, status=3)
    assert in_order(told, f"POP3> USER {bob.address}", "POP3> PASS", "POP3< -ERR [AUTH]")
    assert got == b""
    # Without a ticket there is no exchange at all, and so no greeting.
    told, got = fetch(kpop_host, bob.address, tmp_path, kdc.environment, status=7)
    assert "POP3< " not in told
    assert len(contents(kerberos_system, bob)) == 1
