"""A receiving server that does as a test says: it answers, stalls, drops, lies.

What it does is told by a table of replies. A key is the beginning of a command in upper case, the
longest one holds; "" is the greeting, "." the end of a message, "CONTENT" its beginning. A value is
a reply, an act, or a list of them, one after the other, of which the last one stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

LINE_LIMIT = 4 * 1024 * 1024


class Act(Enum):
    """What a server may do in place of a reply."""

    DROP = "close the connection"
    STALL = "say nothing more"
    HOLD = "say nothing until it is let go, and then what it would have said"


Answer = str | bytes | Act
Answers = Answer | Sequence[Answer]

USUAL: Mapping[str, str] = {
    "": "220 peer.example ESMTP",
    "HELO": "250 peer.example",
    "MAIL": "250 2.1.0 OK",
    "RCPT": "250 2.1.5 OK",
    "DATA": "354 go on",
    "BDAT": "250 2.0.0 OK",
    ".": "250 2.0.0 taken",
    "RSET": "250 2.0.0 OK",
    "NOOP": "250 2.0.0 OK",
    "AUTH": "235 2.7.0 OK",
    "STARTTLS": "220 2.0.0 begin",
    "QUIT": "221 2.0.0 bye",
}
KEYWORDS = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 50000000")


@dataclass(frozen=True)
class Taken:
    """A message that was taken.

    Attributes:
        mail: the MAIL command.
        rcpt: the RCPT commands that were answered well.
    """

    mail: str
    rcpt: tuple[str, ...]
    content: bytes
    tls: bool
    connection: int

    @property
    def recipients(self) -> list[str]:
        return [line.partition("<")[2].partition(">")[0] for line in self.rcpt]


@dataclass
class Peer:
    """The server.

    Attributes:
        answers: what differs from the usual.
        tls: for STARTTLS; None: it isn't offered, whatever `keywords` say.
        heard: every command.
        connections: how many there were; `most` at a time.
        reached: set when a HOLD is met.
    """

    answers: dict[str, Answers] = field(default_factory=dict)
    keywords: Sequence[str] = KEYWORDS
    tls: ssl.SSLContext | None = None
    lmtp: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    taken: list[Taken] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    _used: Counter[str] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(
        self, from_the_beginning: ssl.SSLContext | None = None
    ) -> AsyncIterator[Peer]:
        """Listen, by TLS from the beginning where there is a context for it."""
        server = await asyncio.start_server(
            self._serve, self.host, self.port, limit=LINE_LIMIT, ssl=from_the_beginning
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.let_go.set()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def recipients(self) -> list[str]:
        """Whoever got a message, as often."""
        return [each for taken in self.taken for each in taken.recipients]

    def answer(self, command: str) -> Answer:
        """What is said to a command."""
        upper = command.upper()
        table: dict[str, Answers] = {**USUAL, "EHLO": self._hello(), "LHLO": self._hello()}
        table.update(self.answers)
        fitting = [key for key in table if upper.startswith(key) and (key or not upper)]
        key = max(fitting, key=len, default=None)
        if key is None:
            return "500 5.5.1 what?"
        said = table[key]
        if isinstance(said, str | bytes | Act):
            return said
        at = min(self._used[key], len(said) - 1)
        self._used[key] += 1
        return said[at]

    def _hello(self) -> str:
        words = ("peer.example", *self.keywords, *(("STARTTLS",) if self.tls else ()))
        return "\n".join(
            f"250{'-' if at < len(words) - 1 else ' '}{word}" for at, word in enumerate(words)
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await _Session(self, reader, writer, self.connections).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, _Gone):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()


class _Gone(Exception):
    """The server has closed the connection."""


class _Session:
    def __init__(
        self,
        peer: Peer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
    ) -> None:
        self._peer = peer
        self._reader = reader
        self._writer = writer
        self._number = number
        self._tls = False
        self._mail = ""
        self._rcpt: list[str] = []
        self._chunks = b""

    async def run(self) -> None:
        await self._say("")
        while line := await self._reader.readline():
            command = line.decode("utf-8", "replace").rstrip("\r\n")
            self._peer.heard.append(command)
            if not await self._command(command):
                return

    async def _command(self, command: str) -> bool:
        verb = command[:4].upper()
        if verb == "BDAT":
            self._chunks += await self._reader.readexactly(int(command.split()[1]))
        good = await self._say(command)
        match verb:
            case "MAIL" if good:
                self._mail, self._rcpt, self._chunks = command, [], b""
            case "RCPT" if good:
                self._rcpt.append(command)
            case "RSET" | "EHLO" | "HELO":
                self._mail, self._rcpt = "", []
            case "DATA" if good:
                await self._data()
            case "BDAT" if good and command.upper().endswith("LAST"):
                self._take(self._chunks)
            case "STAR" if good and self._peer.tls is not None:
                await self._writer.start_tls(self._peer.tls)
                self._tls = True
            case "AUTH":
                pass
            case "QUIT":
                return False
        return True

    async def _data(self) -> None:
        first = self._peer.answers.get("CONTENT")
        if first is not None:
            await self._reader.readline()
            await self._say("CONTENT")
        lines = []
        while (line := await self._reader.readline()) != b".\r\n":
            if not line:
                raise _Gone
            lines.append(line.removeprefix(b"."))
        content = b"".join(lines)
        if not self._peer.lmtp:
            if await self._say("."):
                self._take(content)
            return
        for recipient in list(self._rcpt):
            if not await self._say("." + recipient):
                self._rcpt.remove(recipient)
        self._take(content)

    def _take(self, content: bytes) -> None:
        if self._rcpt:
            taken = Taken(self._mail, tuple(self._rcpt), content, self._tls, self._number)
            self._peer.taken.append(taken)
        self._mail, self._rcpt, self._chunks = "", [], b""

    async def _say(self, command: str) -> bool:
        """Answer; whether that was a good reply."""
        said = self._peer.answer(command)
        if said is Act.DROP:
            raise _Gone
        if said is Act.STALL:
            await asyncio.Event().wait()
        if said is Act.HOLD:
            self._peer.reached.set()
            await self._peer.let_go.wait()
            said = USUAL[max((key for key in USUAL if command.upper().startswith(key)), key=len)]
        raw = said if isinstance(said, bytes) else _lines(str(said))
        self._writer.write(raw)
        await self._writer.drain()
        wanted = b"3" if command[:4].upper() == "DATA" else b"2"
        return raw[:1] == wanted and raw[:3] != b"221"


def _lines(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode() + b"\r\n"
