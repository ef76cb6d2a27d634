"""A blocking IMAP client that costs next to nothing: it sends, and counts to the tagged line.

Nothing of an answer is parsed but literal sizes, so the figures are the server's. What the
workloads need of an answer (a number, a list of hits) they pick out of the raw bytes after the
clock has stopped.
"""

import datetime as dt
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .target import Account, Endpoint

TIMEOUT = 300.0
_RECEIVE = 64 << 10
_PIPELINE_BYTES = 512 << 10
_PIPELINE_COMMANDS = 100


class CommandError(Exception):
    """The server answered NO, BAD or BYE; the message holds its line."""


class ReplyScanner:
    """Finds the end of the reply to one command in a buffer that grows.

    A line that starts with the tag ends the reply, unless it lies inside a literal (RFC 3501 §4.3),
    whose octets are skipped by count. Every byte outside literals is looked at once, however small
    the pieces arrive.
    """

    def __init__(self, tag: bytes) -> None:
        self._first = tag + b" "
        self._later = b"\r\n" + tag + b" "
        self._position = 0
        self._literal_end = 0

    def find(self, buffer: bytearray) -> tuple[int, int] | None:
        """Says where the tagged line starts and ends (after its CRLF), or None: need more."""
        while len(buffer) >= self._position:
            marker = buffer.find(b"}\r\n", self._position)
            limit = len(buffer) if marker < 0 else marker
            start = self._tagged(buffer, limit)
            if start >= 0:
                end = buffer.find(b"\r\n", start)
                return None if end < 0 else (start, end + 2)
            if marker < 0:
                # A needle may be cut by the end of the buffer.
                self._position = max(self._position, limit - len(self._later) + 1)
                return None
            self._pass(buffer, marker)
        return None

    def _tagged(self, buffer: bytearray, limit: int) -> int:
        if self._position == 0 and buffer.startswith(self._first):
            return 0
        found = buffer.find(self._later, self._position, limit)
        return found + 2 if found >= 0 else -1

    def _pass(self, buffer: bytearray, marker: int) -> None:
        opening = buffer.rfind(b"{", max(self._literal_end, marker - 20), marker)
        digits = buffer[opening + 1 : marker] if opening >= 0 else b""
        if digits.isdigit():
            self._position = self._literal_end = marker + 3 + int(digits)
        else:
            self._position = marker + 1


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one command: the untagged bytes lie before `start` in `buffer`."""

    buffer: bytearray
    start: int
    end: int

    @property
    def line(self) -> bytes:
        """The tagged line."""
        return bytes(self.buffer[self.start : self.end])

    @property
    def untagged(self) -> bytes:
        """All that came before the tagged line, copied."""
        return bytes(self.buffer[: self.start])


class ImapClient:
    """One connection.

    Args:
        endpoint: a clear-text IMAP port.
        account: logs in at once when given.
        source: the address to come from.
    """

    def __init__(
        self, endpoint: Endpoint, account: Account | None = None, source: str = ""
    ) -> None:
        origin = (source, 0) if source else None
        self._socket = socket.create_connection((endpoint.host, endpoint.port), TIMEOUT, origin)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._number = 0
        self._capabilities: frozenset[str] | None = None
        self.greeting = self._line()
        if account:
            self.login(account)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def capabilities(self) -> frozenset[str]:
        """What the server advertises in the present state, asked for once."""
        if self._capabilities is None:
            listed = self.command("CAPABILITY").untagged.decode()
            self._capabilities = frozenset(listed.upper().split())
        return self._capabilities

    def login(self, account: Account) -> None:
        """Sends LOGIN with quoted strings."""
        self._capabilities = None
        self.command(f'LOGIN "{account.address}" "{account.password}"')

    def command(self, text: str) -> Reply:
        """Sends one command and reads its whole reply. Raises CommandError unless it is OK."""
        tag = self._tag()
        self._socket.sendall(b"%b %b\r\n" % (tag, text.encode()))
        return self._reply(tag)

    def append(self, mailbox: str, content: bytes, arrived: dt.datetime | None = None) -> Reply:
        """Appends one message and waits for the answer."""
        if "LITERAL+" in self.capabilities:
            tag = self._tag()
            self._socket.sendall(_append(tag, mailbox, content, arrived))
            return self._reply(tag)
        tag = self._tag()
        whole = _append(tag, mailbox, content, arrived, b"")
        self._socket.sendall(whole[: len(whole) - len(content) - 2])
        if not self._line().startswith(b"+"):
            raise CommandError("APPEND: no continuation request")
        self._socket.sendall(content + b"\r\n")
        return self._reply(tag)

    def append_all(
        self, mailbox: str, messages: Iterable[tuple[bytes, dt.datetime | None]]
    ) -> None:
        """Appends many: by MULTIAPPEND (RFC 3502) where offered, else pipelined by LITERAL+."""
        if "LITERAL+" not in self.capabilities:
            for content, arrived in messages:
                self.append(mailbox, content, arrived)
            return
        several = "MULTIAPPEND" in self.capabilities
        batch: list[tuple[bytes, dt.datetime | None]] = []
        size = 0
        for message in messages:
            batch.append(message)
            size += len(message[0])
            if size > _PIPELINE_BYTES or len(batch) >= _PIPELINE_COMMANDS:
                self._append_batch(mailbox, batch, several)
                batch, size = [], 0
        if batch:
            self._append_batch(mailbox, batch, several)

    def select(self, mailbox: str) -> int:
        """Selects and returns EXISTS."""
        return _number_before(self.command(f'SELECT "{mailbox}"').untagged, b"EXISTS")

    def status_messages(self, mailbox: str) -> int:
        """Returns MESSAGES by STATUS."""
        answer = self.command(f'STATUS "{mailbox}" (MESSAGES)').untagged
        found = re.search(rb"MESSAGES (\d+)", answer)
        if found is None:
            raise CommandError(f"no MESSAGES in {answer[:200]!r}")
        return int(found[1])

    def make_empty(self, mailbox: str) -> None:
        """Makes sure that the mailbox is there and holds nothing, and leaves it selected."""
        try:
            self.command(f'CREATE "{mailbox}"')
        except CommandError:
            pass  # it is there already, or it is INBOX
        if self.select(mailbox):
            self.command("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            self.command("EXPUNGE")

    def idle(self) -> None:
        """Begins IDLE (RFC 2177); only `heard` and `drop` may follow."""
        self._socket.sendall(b"%b IDLE\r\n" % self._tag())
        while not self._line().startswith(b"+"):
            pass

    def heard(self, word: bytes) -> bool:
        """Whether a line with this word has come by now, once the socket can be read."""
        self._buffer += self._receive()
        return word in self._buffer

    def fileno(self) -> int:
        return self._socket.fileno()

    def drop(self) -> None:
        """Closes without a word."""
        self._socket.close()

    def close(self) -> None:
        """Logs out, if the server still listens, and closes."""
        try:
            self._socket.settimeout(5)
            self.command("LOGOUT")
        except (OSError, CommandError):
            pass  # the server was stopped first
        self._socket.close()

    def _append_batch(
        self, mailbox: str, batch: Sequence[tuple[bytes, dt.datetime | None]], several: bool
    ) -> None:
        if several:
            tag = self._tag()
            first, *rest = batch
            more = [
                b" %b{%d+}\r\n%b" % (_internal_date(arrived), len(content), content)
                for content, arrived in rest
            ]
            opening = _append(tag, mailbox, *first)[:-2]
            self._socket.sendall(b"".join((opening, *more, b"\r\n")))
            self._reply(tag)
            return
        tags = [self._tag() for _ in batch]
        self._socket.sendall(
            b"".join(
                _append(tag, mailbox, content, arrived)
                for tag, (content, arrived) in zip(tags, batch, strict=True)
            )
        )
        for tag in tags:
            self._reply(tag)

    def _tag(self) -> bytes:
        self._number += 1
        return b"T%d" % self._number

    def _reply(self, tag: bytes) -> Reply:
        scanner = ReplyScanner(tag)
        buffer = self._buffer
        while (found := scanner.find(buffer)) is None:
            buffer += self._receive()
        start, end = found
        self._buffer = buffer[end:]
        reply = Reply(buffer, start, end)
        if not buffer.startswith(b"OK", start + len(tag) + 1):
            raise CommandError(reply.line.decode(errors="replace").strip())
        return reply

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._buffer += self._receive()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if line.startswith(b"* BYE"):
            raise CommandError(line.decode(errors="replace"))
        return line

    def _receive(self) -> bytes:
        data = self._socket.recv(_RECEIVE)
        if not data:
            raise ConnectionError("the IMAP server closed the connection")
        return data


def _internal_date(arrived: dt.datetime | None) -> bytes:
    return b"" if arrived is None else arrived.strftime('"%d-%b-%Y %H:%M:%S %z" ').encode()


def _append(
    tag: bytes, mailbox: str, content: bytes, arrived: dt.datetime | None, plus: bytes = b"+"
) -> bytes:
    return b'%b APPEND "%b" %b{%d%b}\r\n%b\r\n' % (
        tag,
        mailbox.encode(),
        _internal_date(arrived),
        len(content),
        plus,
        content,
    )


def _number_before(data: bytes, word: bytes) -> int:
    found = re.search(rb"\* (\d+) " + word, data)
    if found is None:
        raise CommandError(f"no {word.decode()} in {data[:200]!r}")
    return int(found[1])
