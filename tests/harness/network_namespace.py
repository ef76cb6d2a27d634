"""A network of its own, in which a client finds the system at ports below 1024.

Some clients insist on such ports, which may be taken on the machine that runs the tests. In a
network namespace nothing is taken: a socket that was made there is listened on from here, and what
comes in goes on to the system's port, both on loopback.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    if os.geteuid() != 0 and os.environ.get("POSTROOM_REQUIRE_CLIENTS") != "1":
        pytest.skip("only root can make a network namespace")
    require("" if Path("/usr/sbin/ip").exists() or Path("/sbin/ip").exists() else "iproute2")
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        inside = ["ip", "netns", "exec", name]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        listening = {_listen(name, port): target for port, target in ports.items()}
        with _relaying(listening):
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
