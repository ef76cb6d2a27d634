"""Hands in mail over many SMTP connections at once, as busy senders do.

Each connection carries several messages, pipelined (RFC 2920) where the server offers it, and is
then made anew.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvloop

from .target import Endpoint

TIMEOUT = 300.0
_LINE_LIMIT = 64 << 10


class RefusedError(Exception):
    """The server didn't accept a message; the message holds its line."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to send.

    Attributes:
        recipient: one recipient for every message.
        messages: contents with CRLF line ends; those that start a line with a dot are stuffed.
        connections: how many stay open at once.
        per_connection: messages on one connection before it is made anew.
    """

    recipient: str
    messages: Sequence[bytes]
    connections: int = 10
    per_connection: int = 20


def send(endpoint: Endpoint, load: Load) -> float:
    """Sends the whole load and returns the seconds from the first connect to the last 250.

    Raises:
        RefusedError: on any reply that isn't the expected one.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_send_all(endpoint, load))
    except ExceptionGroup as several:
        raise several.exceptions[0] from several


async def _send_all(endpoint: Endpoint, load: Load) -> float:
    stuffed = [b"%b.\r\n" % content.replace(b"\r\n.", b"\r\n..") for content in load.messages]
    waiting = iter(stuffed)
    begin = time.perf_counter()
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as group:
        for _ in range(load.connections):
            group.create_task(_worker(endpoint, load, waiting))
    return time.perf_counter() - begin


async def _worker(endpoint: Endpoint, load: Load, waiting: Iterator[bytes]) -> None:
    """Opens one connection after the other until nothing waits."""
    following = next(waiting, None)
    while following is not None:
        session = await _Session.open(endpoint)
        try:
            await session.greet()
            for _ in range(load.per_connection):
                await session.deliver(load.recipient, following)
                following = next(waiting, None)
                if following is None:
                    break
            await session.quit()
        finally:
            await session.close()


class _Session:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._pipelining = False

    @classmethod
    async def open(cls, endpoint: Endpoint) -> "_Session":
        streams = await asyncio.open_connection(endpoint.host, endpoint.port, limit=_LINE_LIMIT)
        return cls(*streams)

    async def greet(self) -> None:
        await self._expect(b"220")
        offered = await self._ask(b"EHLO load.example\r\n", b"250")
        self._pipelining = any(line[4:].strip() == b"PIPELINING" for line in offered)

    async def deliver(self, recipient: str, stuffed: bytes) -> None:
        envelope = (
            b"MAIL FROM:<sender@load.example>\r\n",
            b"RCPT TO:<%b>\r\n" % recipient.encode(),
            b"DATA\r\n",
        )
        if self._pipelining:
            self._writer.write(b"".join(envelope))
            for code in (b"250", b"250", b"354"):
                await self._expect(code)
        else:
            for line, code in zip(envelope, (b"250", b"250", b"354"), strict=True):
                await self._ask(line, code)
        await self._ask(stuffed, b"250")

    async def quit(self) -> None:
        await self._ask(b"QUIT\r\n", b"221")

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _ask(self, data: bytes, code: bytes) -> list[bytes]:
        self._writer.write(data)
        return await self._expect(code)

    async def _expect(self, code: bytes) -> list[bytes]:
        lines: list[bytes] = []
        while not lines or lines[-1][3:4] == b"-":
            line = await self._reader.readline()
            if not line:
                raise RefusedError(f"connection closed while {code.decode()} was expected")
            lines.append(line)
        if not lines[-1].startswith(code):
            raise RefusedError(lines[-1].decode(errors="replace").strip())
        return lines
