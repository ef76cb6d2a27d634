"""Clients sign in by APOP, RPOP and CRAM-MD5, each with a secret of its own, and never with the
account's password.
"""

from __future__ import annotations

import hmac
import os
import socket
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.provision import Account
from tests.harness import msmtp
from tests.harness.clients import run_client
from tests.harness.mail import contents, deliver, logged_in, message, without_trace
from tests.harness.network_namespace import network
from tests.harness.system import MailSystem, running
from tests.system.test_imtest import IMTEST, POP3TEST, SMTPTEST, speak

OFFERED = "PLAIN,LOGIN,CRAM-MD5,X-APOP,X-RPOP"
IN_CLEAR = 'sslproto ""'
TLS = (IN_CLEAR, 'sslproto "TLS1.2+" sslcertck')
REFUSED = 3  # fetchmail's PS_AUTHFAIL
PRIVILEGED = 110


@pytest.fixture(scope="module")
def offering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailSystem]:
    """A system whose operator offers what is off by default."""
    settings = {"POSTROOM_AUTH_MECHANISMS": OFFERED}
    with running(tmp_path_factory.mktemp("offering"), haproxy=False, settings=settings) as started:
        yield started


@pytest.fixture
def person(offering: MailSystem) -> Account:
    return offering.new_account()


def secret(system: MailSystem, account: Account, kind: str, *options: str) -> str:
    return system.postroom("secret", "add", account.address, kind, *options).strip()


def revoke_all(system: MailSystem, account: Account) -> None:
    lines = system.postroom("secret", "list", account.address).splitlines()[1:]
    for line in lines:
        system.postroom("secret", "revoke", account.address, line.split()[0])


def fetchmail(
    system: MailSystem,
    folder: Path,
    protocol: str,
    name: str,
    text: str,
    *,
    port: int,
    options: str = IN_CLEAR,
    inside: list[str] | None = None,
    status: int = 0,
) -> bytes:
    """What fetchmail takes."""
    configuration = folder / "fetchmailrc"
    configuration.write_text(
        f"poll localhost protocol {protocol} port {port}\n"
        f'  user "{name}" password "{text}" is "nobody" here\n'
        f'  {options} sslcertfile "{system.authority}"\n'
        f'  fetchall nokeep\n  mda "cat >>{folder}/all"\n'
    )
    configuration.chmod(0o600)
    (folder / "all").write_bytes(b"")
    run_client(
        *(inside or []),
        *("fetchmail", "--fetchmailrc", configuration, "--pidfile", folder / "pid", "--nosyslog"),
        environment={"FETCHMAILHOME": str(folder), "HOME": str(folder)},
        status=status,
    )
    return (folder / "all").read_bytes()


def curl(
    system: MailSystem, account: Account, text: str, *arguments: str, status: int = 0
) -> bytes:
    person = ("--user", f"{account.address}:{text}")
    quietly = ("-sS", "--max-time", "60", "--cacert", str(system.authority))
    return run_client("curl", *quietly, *person, *arguments, status=status)


@pytest.mark.clients("fetchmail")
@pytest.mark.parametrize("tls", TLS, ids=["in clear text", "STLS"])
def test_fetchmail_by_apop(offering: MailSystem, person: Account, tmp_path: Path, tls: str) -> None:
    deliver(offering, person, message("one"), message("two"))
    text = secret(offering, person, "apop")
    port = offering.port("pop3")

    took = fetchmail(offering, tmp_path, "apop", person.address, text, port=port, options=tls)

    assert took.count(b"Subject: ") == 2
    assert contents(offering, person) == []
    deliver(offering, person, message("three"))
    for wrong in (person.password, "wrong"):
        fetchmail(
            offering,
            tmp_path,
            "apop",
            person.address,
            wrong,
            port=port,
            options=tls,
            status=REFUSED,
        )
    revoke_all(offering, person)
    fetchmail(
        offering, tmp_path, "apop", person.address, text, port=port, options=tls, status=REFUSED
    )


@pytest.mark.clients("fetchmail")
def test_fetchmail_by_rpop(offering: MailSystem, person: Account, tmp_path: Path) -> None:
    deliver(offering, person, message("one"), message("two"))
    here = secret(offering, person, "rpop", "--network", "127.0.0.0/8")
    elsewhere = secret(offering, person, "rpop", "--network", "192.0.2.0/24")

    name = f"postroom-{os.getpid()}"
    with network(name, {PRIVILEGED: offering.port("pop3")}) as inside:

        def took(text: str, status: int = 0) -> bytes:
            return fetchmail(
                offering,
                tmp_path,
                "rpop",
                person.address,
                text,
                port=PRIVILEGED,
                inside=inside,
                status=status,
            )

        took(elsewhere, REFUSED)
        took(person.password, REFUSED)
        assert took(here).count(b"Subject: ") == 2

    assert contents(offering, person) == []


@pytest.mark.clients("fetchmail")
@pytest.mark.parametrize(("protocol", "port"), [("imap", "imap"), ("pop3", "pop3")])
def test_fetchmail_by_cram_md5(
    offering: MailSystem, person: Account, tmp_path: Path, protocol: str, port: str
) -> None:
    deliver(offering, person, message("one"))
    text = secret(offering, person, "cram-md5")

    wanted = f"{protocol} auth cram-md5"
    took = fetchmail(offering, tmp_path, wanted, person.address, text, port=offering.port(port))

    assert took.count(b"Subject: one\n") == 1


@pytest.mark.clients("curl")
def test_curl_by_apop(offering: MailSystem, person: Account) -> None:
    sent = message("for curl")
    deliver(offering, person, sent)
    text = secret(offering, person, "apop")
    url = f"pop3://{offering.host}:{offering.port('pop3')}/1"
    apop = ("--login-options", "AUTH=+APOP")

    assert without_trace(curl(offering, person, text, *apop, url)) == sent
    assert without_trace(curl(offering, person, text, *apop, "--ssl-reqd", url)) == sent
    curl(offering, person, person.password, *apop, url, status=67)


@pytest.mark.clients("curl")
@pytest.mark.parametrize(
    ("url", "port"),
    [("pop3://localhost:{}/1", "pop3"), ("imap://localhost:{}/INBOX;UID=1", "imap")],
)
def test_curl_reads_by_cram_md5(offering: MailSystem, person: Account, url: str, port: str) -> None:
    sent = message("for curl")
    deliver(offering, person, sent)
    text = secret(offering, person, "cram-md5")
    cram = ("--login-options", "AUTH=CRAM-MD5", url.format(offering.port(port)))

    assert without_trace(curl(offering, person, text, *cram)) == sent
    curl(offering, person, person.password, *cram, status=67)


@pytest.mark.clients("msmtp")
def test_msmtp_by_cram_md5(offering: MailSystem, person: Account) -> None:
    known = Account(person.address, secret(offering, person, "cram-md5"))

    refused = msmtp.options(offering, "submission", person, "cram-md5")
    msmtp.send(person, *refused, status=msmtp.NO_PERMISSION)
    msmtp.send(person, *msmtp.options(offering, "submission", known, "cram-md5"))

    (received,) = contents(offering, person)
    assert b"Subject: by msmtp\r\n" in received


@pytest.mark.clients("mpop")
@pytest.mark.parametrize("method", ["apop", "cram-md5"])
def test_mpop(offering: MailSystem, person: Account, tmp_path: Path, method: str) -> None:
    deliver(offering, person, message("one"), message("two"))
    known = Account(person.address, secret(offering, person, method))

    refused = msmtp.options(offering, "pop3", person, method)
    assert msmtp.fetch(tmp_path, *refused, status=msmtp.NO_PERMISSION) == b""
    fetched = msmtp.fetch(tmp_path, *msmtp.options(offering, "pop3", known, method))

    assert fetched.count(b"\nSubject: one\n") == fetched.count(b"\nSubject: two\n") == 1
    assert contents(offering, person) == []


@pytest.mark.clients("gsasl")
@pytest.mark.parametrize(("option", "port"), [("--imap", "imap"), ("--smtp", "submission")])
def test_gsasl_by_cram_md5(offering: MailSystem, person: Account, option: str, port: str) -> None:
    text = secret(offering, person, "cram-md5")

    told = run_client(
        *("gsasl", option, "--mechanism=CRAM-MD5", "--no-starttls", "--connect"),
        *(f"localhost:{offering.port(port)}", f"--authentication-id={person.address}"),
        *(f"--password={text}", "--quiet"),
    )

    assert b"Authentication failed" not in told


@pytest.mark.clients(IMTEST, POP3TEST, SMTPTEST)
@pytest.mark.parametrize(
    ("program", "port", "said", "heard"),
    [
        (IMTEST, "imap", "a NOOP\nb LOGOUT\n", "a OK"),
        (POP3TEST, "pop3", "NOOP\nQUIT\n", "+OK good-bye"),
        (SMTPTEST, "submission", "NOOP\nQUIT\n", "221 2.0.0"),
    ],
)
def test_cyrus_clients_by_cram_md5(
    offering: MailSystem, person: Account, program: str, port: str, said: str, heard: str
) -> None:
    known = Account(person.address, secret(offering, person, "cram-md5"))
    assert heard in speak(program, offering, known, (port, "", 0), said, "-m", "CRAM-MD5")


@pytest.mark.clients("fetchmail")
def test_fetchmail_empties_another_mailbox(
    offering: MailSystem, person: Account, tmp_path: Path
) -> None:
    deliver(offering, person, message("in INBOX"))
    with logged_in(offering, person) as imap:
        imap.create("Lists/Postroom")
        imap.append("Lists/Postroom", "", "", message("in a list"))
    text = secret(offering, person, "apop")
    local, _, domain = person.address.partition("@")
    name = f"{local}+Lists/Postroom@{domain}"

    took = fetchmail(offering, tmp_path, "apop", name, text, port=offering.port("pop3"))

    assert b"Subject: in a list\n" in took
    assert b"in INBOX" not in took
    assert contents(offering, person, "Lists/Postroom") == []
    assert len(contents(offering, person)) == 1


@pytest.mark.clients("curl")
def test_what_was_downloaded_goes_where_an_account_wants_it(
    offering: MailSystem, person: Account
) -> None:
    deliver(offering, person, message("one"), message("two"))
    first = (
        *("--login-options", "AUTH=PLAIN"),
        f"pop3://{offering.host}:{offering.port('pop3')}/1",
    )
    curl(offering, person, person.password, *first)
    assert len(contents(offering, person)) == 2

    offering.postroom("account", "pop3", person.address, "--delete")
    curl(offering, person, person.password, *first)

    (left,) = contents(offering, person)
    assert b"Subject: two\r\n" in left


GREETINGS: dict[str, tuple[bytes, bytes, bytes, tuple[bytes, ...], bytes, bytes]] = {
    # What is heard first, how the exchange begins, what is before and behind a challenge, and how
    # a refusal begins; then a command that shows that the session goes on, and its answer.
    "pop3": (b"+OK", b"AUTH CRAM-MD5", b"+ ", (b"-ERR",), b"NOOP", b"+OK"),
    "imap": (b"* OK", b"a AUTHENTICATE CRAM-MD5", b"+ ", (b"a NO ", b"a BAD "), b"b NOOP", b"b OK"),
    "submission": (b"220", b"AUTH CRAM-MD5", b"334 ", (b"5",), b"NOOP", b"250"),
}


@pytest.mark.parametrize("port", GREETINGS)
def test_hostile_cram_md5(offering: MailSystem, person: Account, port: str) -> None:
    greeting, begin, before, refused, noop, noticed = GREETINGS[port]
    text = secret(offering, person, "cram-md5").encode()
    name = person.address.encode()
    responses = [
        b"*",
        b"!!!",
        b"=",
        b64encode(b"\0\xff\xfe"),
        b64encode(name),
        b64encode(name + b" " + b"0" * 32),
        b64encode(name + b" " + b"g" * 32),
        b64encode(b"x" * 5000),
        b"A" * 20_000,
    ]
    heard: list[bytes] = []
    for response in [*responses, b"replayed"]:
        with socket.create_connection((offering.host, offering.port(port)), 60) as client:
            file = client.makefile("rb")
            assert file.readline().startswith(greeting)
            if port == "submission":
                client.sendall(b"EHLO client.example\r\n")
                while not file.readline().startswith(b"250 "):
                    pass
            client.sendall(begin + b"\r\n")
            asked = b64decode(file.readline().removeprefix(before))
            if response == b"replayed":
                # What was right for another challenge is wrong for this one.
                digest = hmac.digest(text, heard[0], "md5").hex().encode()
                response = b64encode(name + b" " + digest)
            heard.append(asked)
            client.sendall(response + b"\r\n")
            assert file.readline().startswith(refused)
            client.sendall(noop + b"\r\n")
            assert file.readline().startswith(noticed)
    assert len(set(heard)) == len(heard)
