"""A scripted IMAP client: what it sends is what is sent, what it expects is a pattern a line.

A pattern is text in which `...` stands for anything. `transact` sends a command and returns the
untagged responses, each whole with its literals, so that a test reads like a transcript::

    assert await client.ok("FETCH 1 (FLAGS)") == ["* 1 FETCH (FLAGS ())"]
"""

from __future__ import annotations

import asyncio
import re
import ssl
import zlib
from types import TracebackType

SECONDS = 20.0
ANYTHING = "..."
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class Closed(Exception):
    """The server closed the connection."""


class Inflating:
    """What a server deflates, as a StreamReader would give it.

    Attributes:
        received: octets that came, as they were sent.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader
        self.received = 0
        self._zlib = zlib.decompressobj(-15)
        self._buffer = bytearray()

    @property
    def ended(self) -> bool:
        """Whether the server has ended its stream."""
        return self._zlib.eof

    @property
    def left(self) -> bytes:
        """What came behind the end of the stream."""
        return self._zlib.unused_data

    async def _more(self) -> bool:
        data = b"" if self.ended else await self.reader.read(65536)
        self.received += len(data)
        self._buffer += self._zlib.decompress(data)
        return bool(data)

    async def readline(self) -> bytes:
        while (end := self._buffer.find(b"\n") + 1) == 0 and await self._more():
            pass
        return self._take(end or len(self._buffer))

    async def readexactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not await self._more():
                raise asyncio.IncompleteReadError(bytes(self._buffer), size)
        return self._take(size)

    async def read(self) -> bytes:
        while await self._more():
            pass
        return self._take(len(self._buffer))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


class ImapClient:
    """One connection; nothing of the protocol is done that a test doesn't ask for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader: asyncio.StreamReader | Inflating = reader
        self._writer = writer
        self._deflate: zlib._Compress | None = None
        self._tag = 0

    @classmethod
    async def connect(
        cls, host: str, port: int, tls: ssl.SSLContext | None = None, name: str = "localhost"
    ) -> ImapClient:
        streams = await asyncio.open_connection(
            host, port, ssl=tls, server_hostname=name if tls else None, limit=256 * 1024 * 1024
        )
        return cls(*streams)

    async def __aenter__(self) -> ImapClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def send(self, data: bytes) -> None:
        if self._deflate is not None:
            data = self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        await self.send_as_it_is(data)

    async def send_as_it_is(self, data: bytes) -> None:
        """Send octets that are compressed already, where the connection is."""
        self._writer.write(data)
        async with asyncio.timeout(SECONDS):
            await self._writer.drain()

    async def hear(self) -> bytes:
        """One response, its literals included, without the CRLF at its end. Raises Closed."""
        async with asyncio.timeout(SECONDS):
            response = await self._line()
            while found := _LITERAL.search(response):
                response += await self._reader.readexactly(int(found[1])) + await self._line()
        return response.removesuffix(b"\r\n")

    async def hear_some(self) -> bytes:
        """Octets as they come. Raises Closed."""
        assert isinstance(self._reader, asyncio.StreamReader)
        async with asyncio.timeout(SECONDS):
            octets = await self._reader.read(65536)
        if not octets:
            raise Closed
        return octets

    async def hear_all(self, last: bytes | None) -> bytes:
        """Octets up to a response with the tag `last`, or up to the end."""
        heard = bytearray()
        while line := await self._reader.readline():
            heard += line
            if last is not None and line.startswith(last + b" "):
                break
        return bytes(heard)

    def say_no_more(self) -> None:
        """Close this side only."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Be gone, as if the wire were cut."""
        self._writer.transport.abort()

    async def _line(self) -> bytes:
        line = await self._reader.readline()
        if not line:
            raise Closed
        assert line.endswith(b"\r\n"), f"no CRLF at the end of {line!r}"
        return line

    async def expect(self, *patterns: str) -> None:
        """Hear responses that match, one by one."""
        for pattern in patterns:
            heard = (await self.hear()).decode("utf-8", "surrogateescape")
            assert matches(heard, pattern), f"heard {heard!r}, not {pattern!r}"

    async def expect_end(self) -> None:
        """Hear nothing more: the server closes."""
        async with asyncio.timeout(SECONDS):
            rest = await self._reader.read()
        assert rest == b"", f"heard {rest!r}, not the end"

    async def start(self, command: str) -> str:
        """Send a command and return its tag."""
        self._tag += 1
        tag = f"t{self._tag}"
        await self.send(f"{tag} {command}\r\n".encode("utf-8", "surrogateescape"))
        return tag

    async def finish(self, tag: str) -> tuple[list[str], str]:
        """The untagged responses, and the tagged one without its tag."""
        untagged: list[str] = []
        while True:
            response = (await self.hear()).decode("utf-8", "surrogateescape")
            if response.startswith(f"{tag} "):
                return untagged, response.removeprefix(f"{tag} ")
            untagged.append(response)

    async def transact(self, command: str) -> tuple[list[str], str]:
        """Send a command; its untagged responses and its tagged one."""
        return await self.finish(await self.start(command))

    async def ok(self, command: str) -> list[str]:
        """Send a command that must succeed; its untagged responses."""
        untagged, done = await self.transact(command)
        assert done.startswith("OK "), done
        return untagged

    async def no(self, command: str, pattern: str = "NO ...") -> list[str]:
        """Send a command that must be refused; its untagged responses."""
        untagged, done = await self.transact(command)
        assert matches(done, pattern), done
        assert done.startswith("NO "), done
        return untagged

    async def bad(self, command: str) -> list[str]:
        """Send a command that must not be understood; its untagged responses."""
        untagged, done = await self.transact(command)
        assert done.startswith("BAD "), done
        return untagged

    async def append(self, mailbox: str, message: bytes, arguments: str = "") -> int:
        """Append a message by a non-synchronizing literal; its UID."""
        words = " ".join(filter(None, (mailbox, arguments)))
        tag = f"a{len(message)}"
        head = f"{tag} APPEND {words} {{{len(message)}+}}\r\n"
        await self.send(head.encode() + message + b"\r\n")
        _, done = await self.finish(tag)
        found = re.match(r"OK \[APPENDUID \d+ (\d+)\]", done)
        assert found, done
        return int(found[1])

    async def compress(self) -> Inflating:
        """Compress the connection; answers what counts the octets that come."""
        await self.ok("COMPRESS DEFLATE")
        assert isinstance(self._reader, asyncio.StreamReader)
        self._reader = inflating = Inflating(self._reader)
        self._deflate = zlib.compressobj(wbits=-15)
        return inflating

    def stop_compressing(self) -> None:
        """Speak and hear what is plain again."""
        assert isinstance(self._reader, Inflating)
        assert self._reader.left == b""
        self._reader, self._deflate = self._reader.reader, None

    async def start_tls(self, context: ssl.SSLContext, name: str = "localhost") -> None:
        async with asyncio.timeout(SECONDS):
            await self._writer.start_tls(context, server_hostname=name)


def matches(text: str, pattern: str) -> bool:
    """Whether a text is as a pattern has it."""
    wanted = ".*".join(map(re.escape, pattern.split(ANYTHING)))
    return re.fullmatch(wanted, text, re.DOTALL) is not None
