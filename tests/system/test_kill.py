"""What was acknowledged survives kill -9 of any service, and is there once, byte for byte."""

from __future__ import annotations

import imaplib
import itertools
import re
import smtplib
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest

from deploy.local.provision import Account
from tests.harness.databases import PostgresServer
from tests.harness.mail import contents, message, without_trace
from tests.harness.system import MailSystem, client_tls, running

LOST_CONNECTION = (OSError, smtplib.SMTPException, imaplib.IMAP4.error, ssl.SSLError)
ROUNDS = ("store", "smtp", "imap", "store", "auth", "store")
RECIPIENTS = 3
SMALL_PER_ROUND = 30
LARGE_PER_ROUND = 2
LARGE_SECONDS = 0.2  # a caller's pause after a large message: they are all read back in the end
ROUND_SECONDS = 60.0
RETRY_SECONDS = 0.05
SERIAL = re.compile(rb"^Subject: serial ([a-z]+-(?:small|large)-\d+-\d+)\r$", re.MULTILINE)

SMALL = "x" * 900 + "\n"
# Over 1 MiB: both fronts send it to the store while it comes, apart from the call that delivers it.
LARGE = "".join(f"line {number:070}\n" for number in range(14_000))

IN_FILES = {"POSTROOM_STORE_BLOBS": "fs", "POSTROOM_STORE_BLOB_INLINE_BYTES": "256"}
SETUPS = ("rows", "files", "postgresql")


@dataclass(frozen=True)
class Setup:
    """A system of one kind, whose fronts end implicit TLS themselves."""

    kind: str
    system: MailSystem


@pytest.fixture(scope="module", params=SETUPS)
def setup(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    state, settings = tmp_path_factory.mktemp("killed"), {}
    with ExitStack() as stack:
        if request.param == "files":
            settings = IN_FILES
        if request.param == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            settings = {
                f"POSTROOM_{service}_DATABASE_URL": stack.enter_context(server.database())
                for service in ("AUTH", "STORE")
            }
        system = stack.enter_context(running(state, haproxy=False, settings=settings))
        yield Setup(request.param, system)


def content_of(serial: str) -> bytes:
    """The message of a serial, always the same."""
    return message(f"serial {serial}", LARGE if "-large-" in serial else SMALL)


class Load:
    """Callers that send numbered messages until they are told to stop, each on a connection that it
    opens again when it is lost. Some deliver to all accounts at once, some append to one.

    Attributes:
        tried: where each serial was sent, before it was.
        acknowledged: the serials that were answered with 250 or OK.
        refused: the permanent replies of SMTP, after which a sender gives up.
    """

    def __init__(self, system: MailSystem, accounts: Sequence[Account]) -> None:
        self.tried: dict[str, Sequence[Account]] = {}
        self.acknowledged: list[str] = []
        self.refused: list[object] = []
        self._system = system
        self._accounts = accounts
        self._over = threading.Event()
        self._news = threading.Condition()
        work: list[tuple[str, Callable[[Iterator[str]], None]]] = [
            *[("delivered-small", self._deliver)] * 3,
            *[("appended-small", self._append)] * 3,
            ("delivered-large", self._deliver),
            ("appended-large", self._append),
        ]
        self._threads = [
            threading.Thread(target=self._repeat, args=(caller, f"{name}-{number}"))
            for number, (name, caller) in enumerate(work)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def await_acknowledged(self) -> None:
        """Wait until a round's messages more are acknowledged, small ones and large."""
        large, small = self._counts()
        with self._news:
            came = self._news.wait_for(
                lambda: (
                    self._counts() >= (large + LARGE_PER_ROUND, 0)
                    and self._counts()[1] >= small + SMALL_PER_ROUND
                ),
                ROUND_SECONDS,
            )
        assert came, f"of {large}, {small} acknowledged it went to {self._counts()} only"

    def _counts(self) -> tuple[int, int]:
        large = sum("-large-" in serial for serial in self.acknowledged)
        return large, len(self.acknowledged) - large

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
        recipients = [account.address for account in self._accounts]
        with smtplib.SMTP(self._system.host, self._system.port("smtp"), timeout=20) as smtp:
            for serial in self._numbered(serials, self._accounts):
                try:
                    refused = smtp.sendmail("me@example.org", recipients, content_of(serial))
                except smtplib.SMTPResponseException as error:
                    self._note(error.smtp_code, error)
                    raise
                except smtplib.SMTPRecipientsRefused as error:
                    self._note(max(code for code, _ in error.recipients.values()), error)
                    raise
                if not refused:
                    self._acknowledge(serial)

    def _note(self, code: int, error: Exception) -> None:
        if code >= 500:
            self.refused.append(error)

    def _append(self, serials: Iterator[str]) -> None:
        imap = imaplib.IMAP4_SSL(
            self._system.host,
            self._system.port("imaps"),
            ssl_context=client_tls(self._system),
            timeout=20,
        )
        account = self._accounts[0]
        try:
            imap.login(account.address, account.password)
            for serial in self._numbered(serials, [account]):
                status, text = imap.append("INBOX", "", "", content_of(serial))
                if status != "OK":
                    raise imaplib.IMAP4.error(text)
                self._acknowledge(serial)
        finally:
            imap.shutdown()

    def _numbered(self, serials: Iterator[str], to: Sequence[Account]) -> Iterator[str]:
        """Serials that were never used: what was lost unanswered may be there, or not."""
        for serial in serials:
            if self._over.is_set():
                return
            self.tried[serial] = to
            yield serial
            if "-large-" in serial:
                self._over.wait(LARGE_SECONDS)


def test_nothing_acknowledged_is_lost_or_doubled(setup: Setup) -> None:
    system = setup.system
    accounts = [system.new_account() for _ in range(RECIPIENTS)]

    with Load(system, accounts) as load:
        load.await_acknowledged()
        for service in ROUNDS:
            system.kill(service)
            system.restart(service)
            load.await_acknowledged()
    for service in ("store", "imap"):  # what the last round's callers were told holds as well
        system.kill(service)
        system.restart(service)

    assert load.refused == []
    for account in accounts:
        found = by_serial(contents(system, account))
        wanted = {serial for serial in load.acknowledged if account in load.tried[serial]}
        tried = {serial for serial, to in load.tried.items() if account in to}
        assert wanted - found.keys() == set()
        assert found.keys() - tried == set()
        assert {serial: times for serial, times in found.items() if times > 1} == {}
    assert any((system.state / "blobs").rglob("*")) == (setup.kind == "files")


def by_serial(received: Sequence[bytes]) -> Counter[str]:
    """How often each serial came, each as it was sent."""
    found: Counter[str] = Counter()
    for content in received:
        (name,) = SERIAL.findall(content)
        serial = name.decode()
        as_sent = without_trace(content) if serial.startswith("delivered") else content
        assert as_sent == content_of(serial), f"{serial} is not what was sent"
        found[serial] += 1
    return found


def test_a_session_outlives_the_store(setup: Setup) -> None:
    system = setup.system
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
