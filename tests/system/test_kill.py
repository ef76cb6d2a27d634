"""What was acknowledged survives kill -9 of any service, and is there once."""

from __future__ import annotations

import imaplib
import itertools
import re
import smtplib
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from deploy.local.provision import Account
from tests.harness.mail import contents, message
from tests.harness.system import MailSystem, client_tls, running

LOST_CONNECTION = (OSError, smtplib.SMTPException, imaplib.IMAP4.error, ssl.SSLError)
ROUNDS = ("store", "smtp", "imap", "store", "auth", "store")
CALLERS = 4
ACKNOWLEDGED_PER_ROUND = 60
ROUND_SECONDS = 60.0
RETRY_SECONDS = 0.05
SERIAL = re.compile(rb"^Subject: serial ([a-z]+-\d+)\r$", re.MULTILINE)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailSystem]:
    """One of its own, whose fronts end implicit TLS themselves."""
    with running(tmp_path_factory.mktemp("killed"), haproxy=False) as started:
        yield started


class Load:
    """Callers that send numbered messages until they are told to stop, each on a connection that it
    opens again when it is lost.

    Attributes:
        tried: the serial of everything that was sent, before it was.
        acknowledged: the serials that were answered with 250 or OK.
    """

    def __init__(self, system: MailSystem, account: Account) -> None:
        self.tried: list[str] = []
        self.acknowledged: list[str] = []
        self._system = system
        self._account = account
        self._over = threading.Event()
        self._news = threading.Condition()
        work = [self._deliver] * CALLERS + [self._append] * CALLERS
        self._threads = [
            threading.Thread(target=self._repeat, args=(caller, f"{chr(97 + number)}"))
            for number, caller in enumerate(work)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def await_acknowledged(self, more: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted = len(self.acknowledged) + more
        with self._news:
            came = self._news.wait_for(lambda: len(self.acknowledged) >= wanted, ROUND_SECONDS)
        assert came, f"{wanted - len(self.acknowledged)} of {more} are not acknowledged"

    def _acknowledge(self, serial: str) -> None:
        with self._news:
            self.acknowledged.append(serial)
            self._news.notify_all()

    def _repeat(self, caller: Callable[[Iterator[str]], None], name: str) -> None:
        serials = (f"{name}-{number}" for number in itertools.count())
        while not self._over.is_set():
            with suppress(*LOST_CONNECTION):
                caller(serials)
            self._over.wait(RETRY_SECONDS)

    def _deliver(self, serials: Iterator[str]) -> None:
        with smtplib.SMTP(self._system.host, self._system.port("smtp"), timeout=20) as smtp:
            for serial in self._numbered(serials):
                smtp.sendmail("me@example.org", self._account.address, self._message(serial))
                self._acknowledge(serial)

    def _append(self, serials: Iterator[str]) -> None:
        imap = imaplib.IMAP4_SSL(
            self._system.host,
            self._system.port("imaps"),
            ssl_context=client_tls(self._system),
            timeout=20,
        )
        try:
            imap.login(self._account.address, self._account.password)
            for serial in self._numbered(serials):
                status, text = imap.append("INBOX", "", "", self._message(serial))
                if status != "OK":
                    raise imaplib.IMAP4.error(text)
                self._acknowledge(serial)
        finally:
            imap.shutdown()

    def _numbered(self, serials: Iterator[str]) -> Iterator[str]:
        """Serials that were never used: what was lost unanswered may be there, or not."""
        for serial in serials:
            if self._over.is_set():
                return
            self.tried.append(serial)
            yield serial

    def _message(self, serial: str) -> bytes:
        return message(f"serial {serial}", "x" * 900 + "\n")


def test_nothing_acknowledged_is_lost_or_doubled(system: MailSystem) -> None:
    account = system.new_account()

    with Load(system, account) as load:
        load.await_acknowledged(ACKNOWLEDGED_PER_ROUND)
        for service in ROUNDS:
            system.kill(service)
            system.restart(service)
            load.await_acknowledged(ACKNOWLEDGED_PER_ROUND)

    found = Counter(
        serial.decode()
        for content in contents(system, account)
        for serial in SERIAL.findall(content)
    )
    assert set(load.acknowledged) - found.keys() == set()
    assert found.keys() - set(load.tried) == set()
    assert {serial: times for serial, times in found.items() if times > 1} == {}


def test_a_session_outlives_the_store(system: MailSystem) -> None:
    account = system.new_account()
    imap = imaplib.IMAP4(system.host, system.port("imap"), timeout=60)
    imap.login(account.address, account.password)
    imap.append("INBOX", "", "", message("before"))
    imap.select("INBOX")

    system.kill("store")
    system.restart("store")

    deadline = time.monotonic() + ROUND_SECONDS
    while imap.append("INBOX", "", "", message("after"))[0] != "OK":
        assert time.monotonic() < deadline, "the store isn't found again"
        time.sleep(RETRY_SECONDS)
    while imap.search(None, "SUBJECT", "after")[1] == [b""]:
        assert time.monotonic() < deadline, "the session doesn't see what is new"
        time.sleep(RETRY_SECONDS)
    imap.logout()
