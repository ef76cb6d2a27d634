"""100,000 messages by POP3: listed in bounded memory, and in nobody's way."""

from __future__ import annotations

import poplib
import threading
import time
from contextlib import ExitStack

from deploy.local.provision import Account
from tests.harness.mail import deliver, message
from tests.harness.memory import MEGABYTE, growth
from tests.harness.system import MailSystem
from tests.harness.wire import Wire

MESSAGES = 100_000
BATCH = 1_000  # what MULTIAPPEND takes
# The snapshot has eight octets a message; what comes in and goes out is in pieces.
FIRST = 48 * MEGABYTE
AGAIN = 24 * MEGABYTE
NOOP_SECONDS = 1.0  # while others list: the machine may have others to serve


def fill(system: MailSystem, account: Account) -> None:
    content = message("one of many")
    literal = b" {%d+}\r\n%b" % (len(content), content)
    with Wire(system.host, system.port("imap")) as wire:
        wire.log_in(account)
        for _ in range(0, MESSAGES, BATCH):
            wire.send(b"f APPEND INBOX" + literal * BATCH + b"\r\n")
            assert wire.until(b"f")[-1].startswith(b"f OK ")


def signed_in(system: MailSystem, account: Account) -> poplib.POP3:
    pop3 = poplib.POP3(system.host, system.port("pop3"), timeout=60)
    pop3.user(account.address)
    pop3.pass_(account.password)
    return pop3


def test_lists_are_told_in_bounded_memory(system: MailSystem, account: Account) -> None:
    fill(system, account)
    with growth(system, "pop3", FIRST):
        pop3 = signed_in(system, account)
        assert pop3.stat()[0] == MESSAGES
        assert len(pop3.list()[1]) == MESSAGES
        unique = [line.split()[1] for line in pop3.uidl()[1]]
        assert len(set(unique)) == MESSAGES
        pop3.quit()
    bystander = system.new_account()
    deliver(system, bystander, message("for another"))
    with growth(system, "pop3", AGAIN), ExitStack() as stack:
        other = signed_in(system, bystander)
        stack.callback(other.quit)
        pop3 = signed_in(system, account)
        stack.callback(pop3.quit)
        over = threading.Event()

        def list_again() -> None:
            while not over.is_set():
                pop3.uidl()
                pop3.list()

        listing = threading.Thread(target=list_again)
        listing.start()
        try:
            waits = []
            for _ in range(100):
                began = time.monotonic()
                other.noop()
                waits.append(time.monotonic() - began)
        finally:
            over.set()
            listing.join()
        assert max(waits) < NOOP_SECONDS
