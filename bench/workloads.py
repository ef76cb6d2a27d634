"""The workloads: what is done to a server, and what is counted.

Each function does its work once on one target and returns one figure for each of its rows. The
clock runs only round the work: setting up and checking happen outside it. Every workload may rely
on the large mailbox (INBOX of the first account, `messages` long) and leaves it as it was.
"""

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from . import processes, smtp
from .corpus import RARE_WORDS
from .imap import CommandError, ImapClient
from .mixed import Script
from .pop3 import Pop3Client, Pop3Error
from .target import NotOfferedError
from .workload import SMALL, Stage, Stopwatch

SMALL_MESSAGES = 20
DELIVERY_SECONDS = 300.0
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def fill(stage: Stage, tick: Callable[[], None]) -> None:
    """Puts the large and the small mailbox in place; `tick` is called once for every message."""
    with ImapClient(stage.target.imap, stage.reader) as client:
        client.make_empty("INBOX")
        client.append_all("INBOX", _ticking(stage, tick))
        found = client.status_messages("INBOX")
        if found != stage.sizes.messages:
            raise CommandError(f"filled {stage.sizes.messages} messages, found {found}")
    with ImapClient(stage.target.imap, stage.writer) as client:
        client.make_empty(SMALL)
        some = stage.corpus.messages(SMALL_MESSAGES)
        client.append_all(SMALL, ((message.content, message.arrived) for message in some))


def drop_caches() -> bool:
    """Empties the kernel's file caches where that is permitted; says whether it was."""
    try:
        _DROP_CACHES.write_text("3")
    except OSError:
        return False
    return True


# SMTP


def deliver_over(per_connection: int) -> Callable[[Stage], tuple[float, float]]:
    """Makes a workload that sends 4 KB messages over 10 connections: (accepted/s, delivered/s).

    Delivered counts from the first connect until IMAP STATUS shows the last message.
    """

    def measure(stage: Stage) -> tuple[float, float]:
        if stage.target.smtp is None:
            raise NotOfferedError("no SMTP server before it (Postfix needs root)")
        count = stage.sizes.deliveries
        first = stage.turn * count + per_connection * 1_000_000
        contents = [stage.corpus.sized(first + number) for number in range(count)]
        with ImapClient(stage.target.imap, stage.writer) as client:
            client.make_empty("INBOX")
            client.command("CLOSE")
            load = smtp.Load(stage.writer.address, contents, per_connection=per_connection)
            with Stopwatch() as whole:
                accepted = smtp.send(stage.target.smtp, load)
                _await_messages(client, count)
        return count / accepted, count / whole.seconds

    return measure


# IMAP


def append_alone(stage: Stage) -> tuple[float]:
    """Appends 4 KB messages one by one."""
    count = stage.sizes.appends
    contents = [stage.corpus.sized(stage.turn * count + number) for number in range(count)]
    with ImapClient(stage.target.imap, stage.writer) as client:
        client.make_empty("Appended")
        client.command("CLOSE")
        with Stopwatch() as watch:
            for content in contents:
                client.append("Appended", content)
    return (count / watch.seconds,)


def select_warm(stage: Stage) -> tuple[float]:
    """Selects the large mailbox again and again, and the small one in between."""
    turns = 10
    spent = 0.0
    with ImapClient(stage.target.imap, stage.reader) as client:
        with contextlib.suppress(CommandError):
            client.command("CREATE Elsewhere")
        client.select("INBOX")
        for _ in range(turns):
            client.select("Elsewhere")
            with Stopwatch() as watch:
                client.command("SELECT INBOX")
            spent += watch.seconds
    return (spent / turns,)


def select_cold(stage: Stage) -> tuple[float]:
    """Selects the large mailbox as the first command after a restart, caches dropped."""
    stage.target.restart(forget=False)
    drop_caches()
    with ImapClient(stage.target.imap, stage.reader) as client, Stopwatch() as watch:
        client.command("SELECT INBOX")
    return (watch.seconds,)


def fetch_warm(items: str) -> Callable[[Stage], tuple[float]]:
    """Makes a workload that fetches `items` of all messages, after having done so once."""

    def measure(stage: Stage) -> tuple[float]:
        with stage.large() as client:
            client.command(f"FETCH 1:* {items}")
            with Stopwatch() as watch:
                client.command(f"FETCH 1:* {items}")
        return (watch.seconds,)

    return measure


def fetch_cold(items: str, *, forget: bool = False) -> Callable[[Stage], tuple[float]]:
    """Makes a workload that fetches `items` of all messages as the first client after a restart.

    Args:
        items: what to fetch.
        forget: removes what the server derived from the mail on demand (Dovecot's index cache), as
            it is when mail was just brought in from elsewhere.
    """

    def measure(stage: Stage) -> tuple[float]:
        stage.target.restart(forget=forget)
        drop_caches()
        with stage.large() as client, Stopwatch() as watch:
            client.command(f"FETCH 1:* {items}")
        return (watch.seconds,)

    return measure


def fetch_bodies(stage: Stage) -> tuple[float]:
    """Fetches the first 2,000 messages whole by one command, after having done so once."""
    command = f"FETCH 1:{min(stage.sizes.body_range, stage.sizes.messages)} BODY.PEEK[]"
    with stage.large() as client:
        client.command(command)
        with Stopwatch() as watch:
            client.command(command)
    return (watch.seconds,)


def fetch_one_by_one(stage: Stage) -> tuple[float]:
    """Fetches messages whole, one a command, other ones each turn."""
    count = stage.sizes.bodies
    first = stage.turn * count % max(1, stage.sizes.messages - count) + 1
    with stage.large() as client, Stopwatch() as watch:
        for number in range(first, first + count):
            client.command(f"FETCH {number} BODY.PEEK[]")
    return (count / watch.seconds,)


def search_body(stage: Stage) -> tuple[float]:
    """Searches all bodies for a rare word, another one each turn, and checks the hits."""
    word = RARE_WORDS[stage.turn % len(RARE_WORDS)]
    with stage.large() as client, Stopwatch() as watch:
        reply = client.command(f"SEARCH BODY {word}")
    hits = len(reply.untagged.split()) - 2
    expected = stage.corpus.rare_hits(word, stage.sizes.messages)
    if hits != expected:
        raise CommandError(f"SEARCH BODY {word} found {hits} of {expected} messages")
    return (watch.seconds,)


def listing(command: str, capability: str) -> Callable[[Stage], tuple[float]]:
    """Makes a workload of one command over the large mailbox, run once before the clock starts."""

    def measure(stage: Stage) -> tuple[float]:
        with stage.large() as client:
            if capability not in client.capabilities:
                raise NotOfferedError(f"{capability} isn't advertised")
            client.command(command)
            with Stopwatch() as watch:
                client.command(command)
        return (watch.seconds,)

    return measure


def store_each(stage: Stage) -> tuple[float]:
    """Sets a flag on one message a command; odd turns take it away again."""
    count = min(stage.sizes.stores, stage.sizes.messages)
    sign = "-" if stage.turn % 2 else "+"
    with stage.large() as client, Stopwatch() as watch:
        for number in range(1, count + 1):
            client.command(f"STORE {number} {sign}FLAGS (\\Answered)")
    return (count / watch.seconds,)


def store_all(stage: Stage) -> tuple[float]:
    """Sets a flag on every message by one command and takes it away again: seconds for one."""
    with stage.large() as client, Stopwatch() as watch:
        client.command("STORE 1:* +FLAGS.SILENT (\\Flagged)")
        client.command("STORE 1:* -FLAGS.SILENT (\\Flagged)")
    return (watch.seconds / 2,)


def noop(stage: Stage) -> tuple[float]:
    """Sends NOOP on one connection with the large mailbox selected."""
    count = stage.sizes.noops
    with stage.large() as client, Stopwatch() as watch:
        for _ in range(count):
            client.command("NOOP")
    return (count / watch.seconds,)


def sign_in(stage: Stage) -> tuple[float]:
    """Connects, logs in, selects a small mailbox and logs out, one after the other."""
    count = stage.sizes.logins
    stage.small().close()
    with Stopwatch() as watch:
        for _ in range(count):
            stage.small().close()
    return (count / watch.seconds,)


def idle_memory(stage: Stage) -> tuple[float]:
    """Holds many sessions with a small mailbox selected: KiB of memory that each adds.

    After a restart: what an earlier workload freed inside a process would be used again, and the
    sessions would seem to need nothing.
    """
    stage.target.restart(forget=False)
    stage.small().close()
    before = processes.memory(stage.target.processes())
    with contextlib.ExitStack() as sessions:
        for _ in range(stage.sizes.idle):
            sessions.enter_context(stage.small())
        after = processes.memory(stage.target.processes())
    return ((after - before) / stage.sizes.idle / 1024,)


def mixed_load(stage: Stage) -> tuple[float]:
    """Runs ten clients at once, each through a day of its own: commands/s."""
    scripts = [
        Script(stage.target.imap, stage.writer, f"Mixed{number}", stage.corpus, number)
        for number in range(10)
    ]
    for script in scripts:
        script.prepare()
    with Stopwatch() as watch:
        ending = time.perf_counter() + stage.sizes.mixed_seconds
        threads = [threading.Thread(target=script.run, args=(ending,)) for script in scripts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for script in scripts:
        if script.failure:
            raise script.failure
    return (sum(script.commands for script in scripts) / watch.seconds,)


# POP3


def pop3_retrieve(stage: Stage) -> tuple[float, float]:
    """Reads messages one after the other, then their headers: (RETR/s, TOP/s)."""
    if stage.target.pop3 is None:
        raise NotOfferedError("no POP3 port")
    count = stage.sizes.retrievals
    with ImapClient(stage.target.imap, stage.writer) as client:
        if client.status_messages("INBOX") < count:
            client.make_empty("INBOX")
            some = stage.corpus.messages(count)
            client.append_all("INBOX", ((message.content, message.arrived) for message in some))
    with Pop3Client(stage.target.pop3, stage.writer) as client_, Stopwatch() as retrieved:
        for number in range(1, count + 1):
            client_.retrieve(number)
    with Pop3Client(stage.target.pop3, stage.writer) as client_, Stopwatch() as topped:
        for number in range(1, count + 1):
            client_.top(number, 0)
    return count / retrieved.seconds, count / topped.seconds


def pop3_list(stage: Stage) -> tuple[float, float]:
    """Opens the large mailbox, and lists it: (seconds to sign in, seconds for LIST and UIDL)."""
    if stage.target.pop3 is None:
        raise NotOfferedError("no POP3 port")
    with Stopwatch() as opened:
        client = Pop3Client(stage.target.pop3, stage.reader)
    with client:
        with Stopwatch() as listed:
            counts = {client.listing(verb) for verb in ("LIST", "UIDL")}
        if counts != {stage.sizes.messages}:
            raise Pop3Error(f"{stage.sizes.messages} messages, and {counts} were listed")
    return opened.seconds, listed.seconds


def _await_messages(client: ImapClient, count: int) -> None:
    deadline = time.monotonic() + DELIVERY_SECONDS
    while (found := client.status_messages("INBOX")) < count:
        if time.monotonic() > deadline:
            raise CommandError(f"only {found} of {count} messages were delivered in time")
        time.sleep(0.05)


def _ticking(stage: Stage, tick: Callable[[], None]) -> Iterator[tuple[bytes, dt.datetime]]:
    for message in stage.corpus.messages(stage.sizes.messages):
        yield message.content, message.arrived
        tick()
