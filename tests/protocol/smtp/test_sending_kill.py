"""A sending worker that is killed at any step: everybody gets their mail, and twice only where the
worker died after the end of the message and before it was settled. And one that is told to stop.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from postroom_chassis.net.listener import free_port
from postroom_smtp.sending.courier import SETTLING
from postroom_smtp.sending.ports import Outcome

from tests.harness.dns import DnsServer, dns_server
from tests.harness.peer import KEYWORDS, Act, Peer
from tests.harness.post import MESSAGE
from tests.harness.sending_service import Behind, Held, serving
from tests.harness.services import Certificates

BOB = "bob@there.example"
SECONDS = 30.0


@dataclass
class Stand:
    """Services and a peer; workers are processes."""

    behind: Behind
    dns: DnsServer
    peer: Peer
    workers: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def work(self, *settings: str) -> asyncio.subprocess.Process:
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.harness.sender",
            str(self.behind.certificates.folder),
            *map(str, (self.behind.store, self.behind.auth, self.dns.port, self.peer.port)),
            *settings,
            stdout=asyncio.subprocess.DEVNULL,
        )
        self.workers.append(worker)
        return worker

    async def kill(self, worker: asyncio.subprocess.Process) -> None:
        """Kill a worker, and let its leases end, as they do after a while."""
        worker.kill()
        await worker.wait()
        await reached(self.behind.sending.idle())
        self.behind.queue.expire()

    async def take_over(self) -> None:
        """Another worker comes, and the peer takes everything."""
        self.peer.let_go.set()
        self.peer.answers.clear()
        await self.work()
        queue = self.behind.queue
        await queue.until(lambda: all(one.done for one in queue.entries.values()), SECONDS)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def stand(certificates: Certificates) -> AsyncIterator[Stand]:
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(serving(certificates))
        dns = stack.enter_context(dns_server())
        peer = Peer(port=free_port(), keywords=KEYWORDS[1:])
        await stack.enter_async_context(peer.running())
        dns.add("there.example", "MX", "10 mx.there.example.")
        dns.add("mx.there.example", "A", peer.host)
        stand = Stand(behind, dns, peer)
        yield stand
        for worker in stand.workers:
            if worker.returncode is None:
                await stand.kill(worker)


async def reached(what: Awaitable[object]) -> None:
    async with asyncio.timeout(SECONDS):
        await what


@pytest.mark.parametrize("step", ["", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT"])
async def test_killed_before_the_end_of_a_message(stand: Stand, step: str) -> None:
    stand.peer.answers[step] = Act.HOLD
    stand.behind.queue.add([BOB], MESSAGE)
    worker = await stand.work()
    await reached(stand.peer.reached.wait())
    await stand.kill(worker)
    await stand.take_over()
    assert stand.peer.recipients == [BOB]


async def test_killed_after_the_end_of_a_message(stand: Stand) -> None:
    """RFC 5321 section 4.5.5 and RFC 1047: nobody can know."""
    stand.peer.answers["."] = Act.HOLD
    stand.behind.queue.add([BOB], MESSAGE)
    worker = await stand.work()
    await reached(stand.peer.reached.wait())
    await stand.kill(worker)
    await stand.take_over()
    assert stand.peer.recipients == [BOB, BOB]


@pytest.mark.parametrize(
    ("call", "where", "times"),
    [
        ("Lease", Held.BEFORE, 1),
        ("Lease", Held.AFTER, 1),
        ("Read", Held.BEFORE, 1),
        ("Settle", Held.BEFORE, 2),
        ("Settle", Held.AFTER, 1),
    ],
)
async def test_killed_while_it_speaks_with_the_store(
    stand: Stand, call: str, where: Held, times: int
) -> None:
    gate = stand.behind.gate
    gate.name, gate.where = call, where
    stand.behind.queue.add([BOB], MESSAGE)
    worker = await stand.work()
    await reached(gate.reached.wait())
    await stand.kill(worker)
    await stand.take_over()
    assert stand.peer.recipients == [BOB] * times


@pytest.mark.parametrize(
    ("call", "where"),
    [
        ("Deliver", Held.BEFORE),
        ("Deliver", Held.AFTER),
        ("Settle", Held.BEFORE),
        ("Settle", Held.AFTER),
    ],
)
async def test_a_notice_comes_once(stand: Stand, call: str, where: Held) -> None:
    gate = stand.behind.gate
    gate.name, gate.where = call, where
    stand.peer.answers["RCPT"] = "550 5.1.1 nobody"
    stand.behind.queue.add([BOB], MESSAGE)
    worker = await stand.work()
    await reached(gate.reached.wait())
    await stand.kill(worker)
    await stand.work()
    queue = stand.behind.queue
    await queue.until(lambda: all(one.done for one in queue.entries.values()), SECONDS)
    (notice,) = stand.behind.deliveries.taken.values()
    assert b"Status: 5.1.1" in notice.content
    assert queue.settled[Outcome.FAILED] == 1


async def test_many_messages_and_many_deaths(stand: Stand) -> None:
    """Nobody is left out, whenever it happens."""
    queue = stand.behind.queue
    for number in range(300):
        queue.add([f"r{number}@there.example"], MESSAGE)
    for round_ in range(4):
        worker = await stand.work("send_connections=4")
        wanted = 60 * (round_ + 1)
        await queue.until(lambda: sum(queue.settled.values()) >= wanted, SECONDS)  # noqa: B023
        await stand.kill(worker)
    await stand.take_over()
    assert set(stand.peer.recipients) == {f"r{number}@there.example" for number in range(300)}
    # What is sent twice is what was under way: a few a connection, and four connections.
    assert len(stand.peer.recipients) <= 300 + 4 * 4 * (SETTLING + 1)


async def test_two_workers_send_nothing_twice(stand: Stand) -> None:
    queue = stand.behind.queue
    for number in range(300):
        queue.add([f"r{number}@there.example"], MESSAGE)
    await stand.work("send_connections=3")
    await stand.work("send_connections=3")
    await queue.until(lambda: all(one.done for one in queue.entries.values()), SECONDS)
    assert len(stand.peer.recipients) == len(set(stand.peer.recipients)) == 300
    assert queue.domains["there.example"].most <= 3


async def test_sigterm_ends_what_is_under_way_and_gives_back_the_rest(stand: Stand) -> None:
    stand.peer.answers["."] = Act.HOLD
    queue = stand.behind.queue
    for number in range(20):
        queue.add([f"r{number}@there.example"], MESSAGE)
    worker = await stand.work("send_connections=1", "send_entries=20", "end_seconds=20")
    await reached(stand.peer.reached.wait())
    worker.send_signal(signal.SIGTERM)
    stand.peer.let_go.set()
    async with asyncio.timeout(SECONDS):
        assert await worker.wait() == 0
    # Whatever the peer took is settled, and nothing is leased any more.
    done = [one for one in queue.entries.values() if one.done]
    assert len(done) == len(stand.peer.recipients) >= 1
    assert not any(one.lease_id for one in queue.entries.values())
