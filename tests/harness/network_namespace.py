"""A network of its own, in which a client finds the system at ports below 1024.

Some clients insist on such ports, which may be taken on the machine that runs the tests. In a
network namespace nothing is taken: a socket that was made there is listened on from here, and what
comes in goes on to the system's port, both on loopback.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.clients import require

CLONE_NEWNET = 0x40000000
HOST = "127.0.0.1"
PIECE = 65536


@contextmanager
def network(name: str, ports: Mapping[int, int]) -> Iterator[list[str]]:
    """A namespace, and how a command's line begins that is to run in it; gone at the end.

    Args:
        ports: those in the namespace, and where each leads to here.
    """
    with _namespace(name) as inside:
        listening = {_listen(name, port): target for port, target in ports.items()}
        with _relaying(listening):
            yield inside


@dataclass(frozen=True)
class Neighbour:
    """Another host, as far as addresses tell.

    Attributes:
        here: our address on the network that both are on.
        address: its own.
        inside: how a command's line begins that is to run there.
    """

    here: str
    address: str
    inside: list[str]


@contextmanager
def neighbour(name: str) -> Iterator[Neighbour]:
    """A namespace on a network with this one alone; gone at the end.

    Args:
        name: of at most 15 characters, as its interface here has the same.
    """
    # RFC 2544: for tests of networks. Others may run these tests at the same time.
    network = f"198.18.{random.randrange(256)}"
    start = 4 * random.randrange(64)
    here, there = f"{network}.{start + 1}", f"{network}.{start + 2}"
    with _namespace(name) as inside:
        link = ("ip", "link", "add", name, "type", "veth", "peer", "name", "there", "netns", name)
        subprocess.run(link, check=True)
        for command in (
            ["ip", "address", "add", f"{here}/30", "dev", name],
            ["ip", "link", "set", name, "up"],
            [*inside, "ip", "address", "add", f"{there}/30", "dev", "there"],
            [*inside, "ip", "link", "set", "there", "up"],
        ):
            subprocess.run(command, check=True)
        yield Neighbour(here, there, inside)


@contextmanager
def _namespace(name: str) -> Iterator[list[str]]:
    if os.geteuid() != 0 and os.environ.get("POSTROOM_REQUIRE_CLIENTS") != "1":
        pytest.skip("only root can make a network namespace")
    require("" if Path("/usr/sbin/ip").exists() or Path("/sbin/ip").exists() else "iproute2")
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        inside = ["ip", "netns", "exec", name]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def _listen(name: str, port: int) -> socket.socket:
    """A socket that listens in a namespace, whoever has it."""
    made: list[socket.socket] = []

    def enter() -> None:
        # The thread alone moves there, and ends there.
        libc = ctypes.CDLL(None, use_errno=True)
        file = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            if libc.setns(file, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_server((HOST, port)))
        finally:
            os.close(file)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


@contextmanager
def _relaying(listening: Mapping[socket.socket, int]) -> Iterator[None]:
    """Hand on what comes to sockets, until the context ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers = [
        asyncio.run_coroutine_threadsafe(_serve(one, port), loop).result()
        for one, port in listening.items()
    ]
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_end(servers), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve(listening: socket.socket, port: int) -> asyncio.Server:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))

    return await asyncio.start_server(relay, sock=listening)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    writer.close()


async def _end(servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
