"""SORT and THREAD of 100,000 messages: right, and in bounded memory, however often and by whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack

import pytest

from deploy.local.provision import Account
from tests.harness.memory import MEGABYTE, growth
from tests.harness.system import MailSystem
from tests.harness.wire import Wire

MESSAGES = 100_000
BATCH = 1_000  # what MULTIAPPEND takes
THREAD = 10  # messages of a conversation

# The columns that are kept may take 64 MiB, their answers 16; as much is on its way meanwhile.
FIRST = 256 * MEGABYTE
# Once more, and for several at once, there is nothing more to keep.
AGAIN = 64 * MEGABYTE

SORTS = ["(DATE)", "(REVERSE ARRIVAL)", "(SUBJECT)", "(FROM REVERSE SIZE)", "(TO CC DISPLAYFROM)"]
ALGORITHMS = ["ORDEREDSUBJECT", "REFERENCES", "REFS"]


def message(number: int) -> bytes:
    """A message of a conversation; dates go down while numbers go up."""
    first, place = number - number % THREAD, number % THREAD
    ids = b" ".join(b"<%d@example.org>" % earlier for earlier in range(first, number))
    day, second = divmod(MESSAGES - number, 86_400)
    return (
        b"Date: %d Jan 2024 %02d:%02d:%02d +0000\r\n"
        b"From: Person %d <person%d@example.org>\r\n"
        b"To: you@example.test\r\n"
        b"Message-ID: <%d@example.org>\r\n%b"
        b"Subject: %bconversation number %d\r\n\r\nHello.\r\n"
    ) % (
        *(1 + day, second // 3600, second // 60 % 60, second % 60),
        *(number % 977, number % 977, number),
        b"References: %b\r\n" % ids if place else b"",
        *(b"Re: " if place else b"", first),
    )


@pytest.fixture
def wire(system: MailSystem, account: Account) -> Iterator[Wire]:
    with Wire(system.host, system.port("imap")) as wire:
        wire.log_in(account)
        for start in range(0, MESSAGES, BATCH):
            wire.send(b"f APPEND INBOX")
            contents = map(message, range(start, start + BATCH))
            wire.send(b"".join(b" {%d+}\r\n%b" % (len(each), each) for each in contents))
            wire.send(b"\r\n")
            assert wire.until(b"f")[-1].startswith(b"f OK ")
        assert wire.command(b"s", b"SELECT INBOX")[-1].startswith(b"s OK ")
        yield wire


def sorted_as(numbers: Iterable[int]) -> bytes:
    return b"* SORT " + b" ".join(b"%d" % number for number in numbers)


def answer(wire: Wire, command: str) -> bytes:
    told, done = wire.command(b"c", command.encode())
    assert done.startswith(b"c OK "), done
    return told


def test_sort_and_thread(system: MailSystem, account: Account, wire: Wire) -> None:
    numbers = range(1, MESSAGES + 1)
    by_subject = sorted(numbers, key=lambda number: str((number - 1) // THREAD * THREAD))
    with growth(system, "imap", FIRST):
        assert answer(wire, "SORT (DATE) UTF-8 ALL") == sorted_as(reversed(numbers))
        assert answer(wire, "SORT (SUBJECT) UTF-8 ALL") == sorted_as(by_subject)
        for criteria in SORTS:
            assert answer(wire, f"UID SORT {criteria} UTF-8 ALL").count(b" ") == MESSAGES + 1
        for algorithm in ALGORITHMS:
            threads = answer(wire, f"THREAD {algorithm} UTF-8 ALL")
            assert threads.count(b"(") >= MESSAGES / THREAD
        assert b"(1 2 3 4 5 6 7 8 9 10)" in answer(wire, "THREAD REFERENCES UTF-8 ALL")
    with growth(system, "imap", AGAIN), ExitStack() as stack:
        others = [stack.enter_context(Wire(system.host, system.port("imap"))) for _ in range(4)]
        for other in others:
            other.log_in(account)
            assert other.command(b"s", b"SELECT INBOX")[-1].startswith(b"s OK ")
        for _ in range(3):
            for other in others:
                for criteria in SORTS:
                    other.send(f"c SORT {criteria} UTF-8 ALL\r\n".encode())
                for algorithm in ALGORITHMS:
                    other.send(f"c THREAD {algorithm} UTF-8 ALL\r\n".encode())
            for other in others:
                for _ in (*SORTS, *ALGORITHMS):
                    assert other.until(b"c")[-1].startswith(b"c OK ")
