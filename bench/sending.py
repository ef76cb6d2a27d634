"""A queue of which half is for dead destinations: `python -m bench.sending`.

100,000 entries for 1,000 domains. Half of the domains are dead: of these, half refuse connections,
and half take them and say nothing. It is told how fast the live half drains by itself and beside
the dead one, how much memory the worker takes, and how many connections a destination had at most.
The queue is in memory, in the worker's process: what is measured is sending, not storing. The
receiver is a process of its own, with an address for each domain on 127.0.0.0/8.

It ends by itself, when the live half is through or after `SECONDS`.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import structlog
import typer
import uvloop

from tests.harness.post import Post, posting

SECONDS = 600.0
PER_DOMAIN = 5
WORKER: dict[str, Any] = {
    "send_connections": PER_DOMAIN,
    "send_entries": 20,
    "send_batches": 200,
    "connect_seconds": 10,
    "reply_seconds": 10,
}
_LIVE, _SILENT = 1, 2  # the second octet of addresses
_BODY = b"From: a@here.example\r\nSubject: x\r\n\r\n" + (b"x" * 78 + b"\r\n") * 50


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        cpu: seconds of the worker's process, its queue and the DNS among them.
        memory: the worker's peak, in MiB, and what of it was there before it began.
        connections: of a destination, at most, as the receiver saw it.
    """

    live: int
    seconds: float
    cpu: float
    memory: tuple[float, float]
    connections: int

    def __str__(self) -> str:
        return f"{self.rate:.0f} messages/s, {self.live / self.cpu:.0f} a second of its own time"

    @property
    def rate(self) -> float:
        return self.live / self.seconds


class _Receiver(asyncio.Protocol):
    """Takes everything, or says nothing; counts by address."""

    open: ClassVar[Counter[str]] = Counter()
    most: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._address = str(transport.get_extra_info("sockname")[0])
        self._held = b""
        self._content = False
        self.open[self._address] += 1
        self.most[self._address] = max(self.most[self._address], self.open[self._address])
        if not self._address.startswith(f"127.{_SILENT}."):
            self._transport.write(b"220 sink\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self.open[self._address] -= 1

    def data_received(self, data: bytes) -> None:
        self._held += data
        while self._held and self._step():
            pass

    def _step(self) -> bool:
        if self._content:
            end = self._held.find(b"\r\n.\r\n")
            if end < 0:
                return False
            self._held = self._held[end + 5 :]
            self._content = False
            self._transport.write(b"250 2.0.0 taken\r\n")
            return True
        line, newline, rest = self._held.partition(b"\r\n")
        if not newline:
            return False
        self._held = rest
        match line[:4].upper():
            case b"EHLO":
                self._transport.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            case b"DATA":
                self._content = True
                self._transport.write(b"354 go on\r\n")
            case b"QUIT":
                self._transport.write(b"221 bye\r\n")
                self._transport.close()
            case b"TELL":
                live = max(_most("127.1."), default=0)
                silent = max(_most("127.2."), default=0)
                self._transport.write(b"%d %d\r\n" % (live, silent))
            case _:
                self._transport.write(b"250 ok\r\n")
        return True


def _most(network: str) -> list[int]:
    return [count for address, count in _Receiver.most.items() if address.startswith(network)]


async def receive() -> None:
    """Be the receiver: say the port on stdout, and receive until stdin ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Receiver, "0.0.0.0", 0, backlog=4096)  # noqa: S104
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def drain(domains: int, entries: int, *, dead: bool) -> Result:
    """Let a worker send a queue."""
    receiver = subprocess.Popen(
        [sys.executable, "-m", "bench.sending", "--receive"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        return uvloop.run(_drain(port, domains, entries, dead=dead))
    finally:
        receiver.communicate()


async def _drain(port: int, domains: int, entries: int, *, dead: bool) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        async with posting(Path(folder), dns_seconds=30.0, send_families="6,4", **WORKER) as post:
            post.port = port
            return await _measure(post, domains, entries, dead=dead)


async def _measure(post: Post, domains: int, entries: int, *, dead: bool) -> Result:
    live = [f"live{number}.example" for number in range(domains // 2)]
    gone = [f"dead{number}.example" for number in range(domains // 2)] if dead else []
    for number, domain in enumerate(live):
        _publish(post, domain, "A", f"127.{_LIVE}.{number // 250}.{number % 250 + 1}")
    for number, domain in enumerate(gone):
        if number % 2:
            _publish(post, domain, "A", f"127.{_SILENT}.{number // 250}.{number % 250 + 1}")
        else:
            _publish(post, domain, "AAAA", "::1")
    each = entries // domains
    for number in range(each):
        for domain in (*gone, *live):
            post.queue.add([f"r{number}@{domain}"], _BODY)
    before = _memory()
    wanted = len(live) * each
    began, began_cpu = time.monotonic(), time.process_time()
    post.work()
    settled = post.queue.settled
    await post.queue.until(lambda: sum(settled.values()) >= wanted, SECONDS)
    seconds, cpu = time.monotonic() - began, time.process_time() - began_cpu
    return Result(wanted, seconds, cpu, (before, _memory()), max(await _told(post.port)))


def _publish(post: Post, domain: str, kind: str, address: str) -> None:
    post.dns.add(domain, "MX", f"10 mx.{domain}.")
    post.dns.add(f"mx.{domain}", kind, address)


async def _told(port: int) -> Sequence[int]:
    """The most connections that the receiver had at a time, of a live and of a silent domain."""
    reader, writer = await asyncio.open_connection("127.9.0.1", port)
    writer.write(b"TELL\r\n")
    await reader.readline()
    told = [int(word) for word in (await reader.readline()).split()]
    writer.close()
    return told


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(
    entries: Annotated[int, typer.Option(min=1_000)] = 100_000,
    domains: Annotated[int, typer.Option(min=10, max=20_000)] = 1_000,
    receive_: Annotated[bool, typer.Option("--receive", hidden=True)] = False,
) -> None:
    """Measure how the live half of a queue drains."""
    if receive_:
        uvloop.run(receive())
        return
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    alone = drain(domains, entries, dead=False)
    print(f"the live half alone: {alone}", flush=True)
    beside = drain(domains, entries, dead=True)
    print(f"beside the dead half: {beside} ({beside.rate / alone.rate:.0%})")
    print(f"memory: {beside.memory[0]:.0f} MiB with the queue, {beside.memory[1]:.0f} at most")
    print(f"connections to a destination: {beside.connections} at most, of {PER_DOMAIN}")
    if beside.connections > PER_DOMAIN:
        sys.exit("a destination got more than its limit")


if __name__ == "__main__":
    typer.run(main)
