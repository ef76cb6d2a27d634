"""msmtp sends and mpop fetches, by password and by certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.provision import Account
from tests.harness import msmtp
from tests.harness.client_certificates import Certified
from tests.harness.mail import contents, deliver, message
from tests.harness.system import MailSystem

BY_PASSWORD = ["scram-sha-256", "scram-sha-1", "plain", "login"]


@pytest.mark.clients("msmtp")
@pytest.mark.parametrize("port", ["submission", "submissions"])
@pytest.mark.parametrize("method", BY_PASSWORD)
def test_sends(system: MailSystem, account: Account, port: str, method: str) -> None:
    msmtp.send(account, *msmtp.options(system, port, account, method))

    assert len(contents(system, account)) == 1


@pytest.mark.clients("msmtp")
@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_sends_by_certificate(certified: Certified, port: str) -> None:
    system = certified.system
    account = system.new_account()
    shown = certified.clients.issue(account.address)

    msmtp.send(account, *msmtp.options(system, port, account, "external", shown))

    assert len(contents(system, account)) == 1


@pytest.mark.clients("msmtp")
@pytest.mark.parametrize("method", BY_PASSWORD)
def test_sends_nothing_with_a_wrong_password(
    system: MailSystem, account: Account, method: str
) -> None:
    wrong = Account(account.address, "wrong horse")

    refused = msmtp.options(system, "submission", wrong, method)
    msmtp.send(account, *refused, status=msmtp.NO_PERMISSION)

    assert contents(system, account) == []


@pytest.mark.clients("mpop")
@pytest.mark.parametrize("port", ["pop3", "pop3s"])
@pytest.mark.parametrize("method", [*BY_PASSWORD, "user"])
def test_fetches(
    system: MailSystem, account: Account, port: str, method: str, tmp_path: Path
) -> None:
    deliver(system, account, message("one"), message("two"))

    fetched = msmtp.fetch(tmp_path, *msmtp.options(system, port, account, method))

    assert fetched.count(b"\nSubject: one\n") == fetched.count(b"\nSubject: two\n") == 1
    assert contents(system, account) == []


@pytest.mark.clients("mpop")
@pytest.mark.parametrize("port", ["pop3", "pop3s"])
def test_fetches_by_certificate(certified: Certified, port: str, tmp_path: Path) -> None:
    system = certified.system
    account = system.new_account()
    shown = certified.clients.issue(account.address)
    deliver(system, account, message("one"))

    fetched = msmtp.fetch(tmp_path, *msmtp.options(system, port, account, "external", shown))

    assert fetched.count(b"\nSubject: one\n") == 1


@pytest.mark.clients("mpop")
@pytest.mark.parametrize("method", BY_PASSWORD)
def test_fetches_nothing_with_a_wrong_password(
    system: MailSystem, account: Account, method: str, tmp_path: Path
) -> None:
    deliver(system, account, message("one"))
    wrong = Account(account.address, "wrong horse")

    refused = msmtp.options(system, "pop3", wrong, method)
    assert msmtp.fetch(tmp_path, *refused, status=msmtp.NO_PERMISSION) == b""

    assert len(contents(system, account)) == 1
