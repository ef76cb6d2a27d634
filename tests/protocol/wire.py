"""A client that plays transcripts: what it says (C:) and what it must hear (S:)."""

from __future__ import annotations

import asyncio
import ssl
import textwrap
from types import TracebackType

SECONDS = 20.0
CLOSED = "(closed)"
ANYTHING = "..."


class Wire:
    """One connection to a server, line by line.

    Args:
        reader, writer: as asyncio.open_connection gives them.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(
        cls, host: str, port: int, tls: ssl.SSLContext | None = None, name: str = "localhost"
    ) -> Wire:
        streams = await asyncio.open_connection(
            host, port, ssl=tls, server_hostname=name if tls else None, limit=256 * 1024 * 1024
        )
        return cls(*streams)

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def play(self, transcript: str) -> None:
        """Say each line after `C: ` and demand each line after `S: `.

        A line that ends with `...` demands only what precedes; `S: (closed)` demands the end.
        """
        for line in textwrap.dedent(transcript).strip().splitlines():
            match line[:3]:
                case "C: ":
                    await self.say(line[3:])
                case "S: ":
                    await self.expect(line[3:])
                case _:
                    raise ValueError(f"neither C: nor S: {line}")

    async def say(self, line: str) -> None:
        await self.send(line.encode() + b"\r\n")

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        async with asyncio.timeout(SECONDS):
            await self._writer.drain()

    async def expect(self, wanted: str) -> None:
        heard = await self.hear()
        if wanted.endswith(ANYTHING):
            begin = wanted.removesuffix(ANYTHING)
            assert heard.startswith(begin), f"heard {heard!r}, not {begin!r}"
        else:
            assert heard == wanted

    async def hear(self) -> str:
        """One line without its CRLF, or `(closed)`."""
        async with asyncio.timeout(SECONDS):
            line = await self._reader.readline()
        if not line:
            return CLOSED
        assert line.endswith(b"\r\n"), f"no CRLF at the end of {line!r}"
        return line[:-2].decode()

    async def hear_until(self, ending: bytes) -> bytes:
        """Bytes up to an ending, with it."""
        async with asyncio.timeout(SECONDS):
            return await self._reader.readuntil(ending)

    async def hear_exactly(self, octets: int) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self._reader.readexactly(octets)

    async def hear_rest(self) -> bytes:
        """All that comes before the end."""
        async with asyncio.timeout(SECONDS):
            return await self._reader.read()

    def say_no_more(self) -> None:
        """Close this side only."""
        self._writer.write_eof()

    async def start_tls(self, context: ssl.SSLContext, name: str = "localhost") -> None:
        async with asyncio.timeout(SECONDS):
            await self._writer.start_tls(context, server_hostname=name)
