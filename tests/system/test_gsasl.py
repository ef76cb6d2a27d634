"""GNU SASL's own client signs in by IMAP and by SMTP.

Of channel bindings it knows those that Python's TLS can't tell a server (`tls-exporter` of RFC
9266, `tls-unique`), and with one at hand it refuses SCRAM without -PLUS: it is told to do without.
"""

from __future__ import annotations

import pytest

from deploy.local.provision import Account
from tests.harness.client_certificates import Certified, ClientCertificate
from tests.harness.clients import run_client
from tests.harness.system import MailSystem

pytestmark = pytest.mark.clients("gsasl")

LISTENERS = {"imap": "imap", "smtp": "submission"}


def gsasl(
    system: MailSystem, protocol: str, account: Account, *options: str, status: int = 0
) -> str:
    where = ("--client", f"--{protocol}", f"--connect=localhost:{system.port(LISTENERS[protocol])}")
    who = ("-a", account.address, "-z", "", "-p", account.password)
    return run_client("gsasl", *where, *who, *options, status=status).decode()


def over_tls(system: MailSystem, shown: ClientCertificate | None = None) -> tuple[str, ...]:
    options = ("--starttls", "--no-cb", f"--x509-ca-file={system.authority}")
    if shown is None:
        return options
    return (*options, f"--x509-cert-file={shown.certificate}", f"--x509-key-file={shown.key}")


@pytest.mark.parametrize("protocol", LISTENERS)
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"])
@pytest.mark.parametrize("tls", [False, True], ids=["clear", "starttls"])
def test_signs_in(
    system: MailSystem, account: Account, protocol: str, mechanism: str, tls: bool
) -> None:
    options = over_tls(system) if tls else ("--no-starttls",)

    told = gsasl(system, protocol, account, "-m", mechanism, *options)

    assert f" {mechanism}" in told
    assert "* BYE" in told or "221 2.0.0" in told


@pytest.mark.parametrize("protocol", LISTENERS)
def test_takes_the_strongest(system: MailSystem, account: Account, protocol: str) -> None:
    told = gsasl(system, protocol, account, "--no-starttls")

    assert "AUTHENTICATE SCRAM-SHA-256" in told or "AUTH SCRAM-SHA-256" in told


@pytest.mark.parametrize("protocol", LISTENERS)
def test_a_wrong_password_is_refused(system: MailSystem, account: Account, protocol: str) -> None:
    wrong = Account(account.address, "wrong horse")

    told = gsasl(system, protocol, wrong, "-m", "SCRAM-SHA-256", "--no-starttls", status=1)

    assert "NO [AUTHENTICATIONFAILED]" in told or "535 5.7.8" in told


@pytest.mark.parametrize("protocol", LISTENERS)
def test_where_another_binding_is_on_offer(certified: Certified, protocol: str) -> None:
    system = certified.system
    account = system.new_account()
    tls = ("--starttls", f"--x509-ca-file={system.authority}")

    told = gsasl(system, protocol, account, *tls, "-m", "SCRAM-SHA-256-PLUS", status=1)

    # e=unsupported-channel-binding-type
    assert "ZT11bnN1cHBvcnRlZC1jaGFubmVsLWJpbmRpbmctdHlwZQ==" in told
    gsasl(system, protocol, account, *over_tls(system), "-m", "SCRAM-SHA-256")


@pytest.mark.parametrize("protocol", LISTENERS)
def test_signs_in_by_certificate(certified: Certified, protocol: str) -> None:
    system = certified.system
    account = system.new_account()
    shown = certified.clients.issue("somebody", [account.address])

    told = gsasl(system, protocol, account, "-m", "EXTERNAL", *over_tls(system, shown))

    assert "AUTHENTICATE EXTERNAL" in told or "AUTH EXTERNAL" in told
