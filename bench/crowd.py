"""Thousands of sessions that wait in IDLE, half of them on one mailbox: what they weigh, and how
soon a delivery is told to the last of them.
"""

import contextlib
import resource
import selectors
import time

from . import processes, smtp
from .imap import CommandError, ImapClient
from .target import NotOfferedError
from .workload import Stage

PER_ADDRESS = 500  # sessions from one address of the loopback network: servers limit them
SECONDS = 60.0
_SPARE_FILES = 100


def wait_in_idle(stage: Stage) -> tuple[float, float]:
    """Holds sessions in IDLE: KiB that each adds, and the seconds until all of one mailbox have
    heard of a message from its MAIL command on.
    """
    count = stage.sizes.crowd
    if stage.target.smtp is None:
        raise NotOfferedError("no SMTP server before it (Postfix needs root)")
    _allow_files(count + _SPARE_FILES)
    stage.target.restart(forget=False)
    with ImapClient(stage.target.imap, stage.writer) as client:
        client.make_empty("INBOX")
    stage.small().close()
    # What goes on behind the scenes after a start (an index that catches up) is no session's.
    processes.wait_idle(stage.target.processes, SECONDS)
    before = processes.memory(stage.target.processes())
    with contextlib.ExitStack() as sessions:
        concerned = []
        for number in range(count):
            source = f"127.0.1.{1 + number // PER_ADDRESS}"
            try:
                client = ImapClient(stage.target.imap, source=source)
                sessions.callback(client.drop)
                client.login(stage.writer)
                client.select("INBOX" if number % 2 else "Small")
                client.idle()
            except (CommandError, OSError) as error:
                raise NotOfferedError(f"{number} sessions, and then: {error}") from error
            if number % 2:
                concerned.append(client)
        weight = (processes.memory(stage.target.processes()) - before) / count / 1024
        began = time.perf_counter()
        load = smtp.Load(stage.writer.address, [stage.corpus.sized(stage.turn)], 1, 1)
        smtp.send(stage.target.smtp, load)
        _await_all(concerned)
        return weight, time.perf_counter() - began


def _await_all(clients: list[ImapClient]) -> None:
    """Wait until each has heard of a message."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ, client)
        waiting = len(clients)
        deadline = time.monotonic() + SECONDS
        while waiting:
            if time.monotonic() > deadline:
                raise CommandError(f"{waiting} of {len(clients)} sessions were told nothing")
            for key, _ in selector.select(1.0):
                if key.data.heard(b"EXISTS"):
                    selector.unregister(key.fileobj)
                    waiting -= 1


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise NotOfferedError(f"at most {hard} files may be open here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
