"""A blocking POP3 client (RFC 1939) for its workloads."""

import contextlib
import socket
from types import TracebackType
from typing import Self

from .target import Account, Endpoint

TIMEOUT = 120.0
_RECEIVE = 64 << 10


class Pop3Error(Exception):
    """The server answered -ERR; the message holds its line."""


class Pop3Client:
    """One connection, logged in with USER and PASS."""

    def __init__(self, endpoint: Endpoint, account: Account) -> None:
        self._socket = socket.create_connection((endpoint.host, endpoint.port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._status(self._until(b"\r\n"))
        self.command(f"USER {account.address}")
        self.command(f"PASS {account.password}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError, Pop3Error):
            self.command("QUIT")
        self._socket.close()

    def command(self, text: str) -> bytes:
        """Sends a command with an answer of one line, and returns that line."""
        self._socket.sendall(f"{text}\r\n".encode())
        return self._status(self._until(b"\r\n"))

    def count(self) -> int:
        """Returns the number of messages (STAT)."""
        return int(self.command("STAT").split()[1])

    def retrieve(self, number: int) -> int:
        """Reads one message (RETR) and returns the octets of the answer."""
        self._socket.sendall(b"RETR %d\r\n" % number)
        return len(self._status(self._until(b"\r\n.\r\n")))

    def top(self, number: int, lines: int) -> int:
        """Reads the header and some lines of a message (TOP) and returns the octets."""
        self._socket.sendall(b"TOP %d %d\r\n" % (number, lines))
        return len(self._status(self._until(b"\r\n.\r\n")))

    def listing(self, verb: str) -> int:
        """Reads the lines of all messages (LIST, UIDL) and returns how many there are."""
        self._socket.sendall(f"{verb}\r\n".encode())
        return self._status(self._until(b"\r\n.\r\n")).count(b"\r\n") - 2

    def _status(self, answer: bytes) -> bytes:
        if not answer.startswith(b"+OK"):
            raise Pop3Error(answer[:200].decode(errors="replace").strip())
        return answer

    def _until(self, ending: bytes) -> bytes:
        buffer = bytearray()
        while not buffer.endswith(ending):
            if buffer.startswith(b"-ERR") and buffer.endswith(b"\r\n"):
                break
            data = self._socket.recv(_RECEIVE)
            if not data:
                raise ConnectionError("the POP3 server closed the connection")
            buffer += data
        return bytes(buffer)
