"""A client that writes bytes and reads lines, and does whatever a test wants, right or wrong."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from types import TracebackType

from deploy.local.provision import Account

WAIT_SECONDS = 30.0


class Wire:
    """One connection in plain view. Every wait is bounded; the end of the stream reads as b"".

    Args:
        tls: begin with a handshake.
        seconds: how long a wait may take.
        source: the address that the client comes from; "": whatever the system chooses.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        seconds: float = WAIT_SECONDS,
        source: str = "",
    ) -> None:
        self._host = host
        come_from = (source, 0) if source else None
        connection = socket.create_connection((host, port), seconds, come_from)
        # Small writes must leave as they are written: a test may depend on where they part.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = tls.wrap_socket(connection, server_hostname=host) if tls else connection
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_until_refused(self, piece: bytes, times: int) -> int:
        """Send a piece over and over, until the peer closes; return how many were taken."""
        for sent in range(times):
            try:
                self._socket.sendall(piece)
            except (ConnectionError, ssl.SSLError):
                return sent
        return times

    def line(self) -> bytes:
        """The next line without its CRLF."""
        try:
            return self._file.readline().removesuffix(b"\r\n")
        except ConnectionError:
            return b""

    def rest(self) -> bytes:
        """All that comes until the peer closes, in whatever way."""
        found = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while piece := self._file.read1():
                found += piece
        return found

    def start_tls(self, context: ssl.SSLContext) -> None:
        self._file.close()
        self._socket = context.wrap_socket(self._socket, server_hostname=self._host)
        self._file = self._socket.makefile("rb")

    def certificate(self) -> bytes:
        """The server's certificate, in DER; TLS has begun."""
        assert isinstance(self._socket, ssl.SSLSocket)
        shown = self._socket.getpeercert(binary_form=True)
        assert shown
        return shown

    # SMTP (RFC 5321 §4.2)

    def reply(self) -> bytes:
        """A whole SMTP reply, its lines joined by LF."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return b"\n".join(lines)

    def say(self, line: bytes) -> bytes:
        """Send an SMTP command and return its reply."""
        self.send(line + b"\r\n")
        return self.reply()

    # POP3 (RFC 1939 §3)

    def multiline(self) -> bytes:
        """The lines of a POP3 answer after its first, the dots taken off again, up to the last."""
        content = bytearray(b"\r\n")
        # Only after CRLF is a dot at the start of a line: a message may have other line breaks.
        while not content.endswith(b"\r\n.\r\n"):
            line = self._file.readline()
            assert line, "the stream has ended"
            content += line
        return bytes(content[:-3]).replace(b"\r\n..", b"\r\n.")[2:]

    # IMAP (RFC 3501 §7)

    def command(self, tag: bytes, rest: bytes) -> list[bytes]:
        """Send an IMAP command and return the lines up to the tagged one, which is last."""
        self.send(tag + b" " + rest + b"\r\n")
        return self.until(tag)

    def until(self, tag: bytes) -> list[bytes]:
        """The lines up to the one that begins with a tag, or to the end of the stream."""
        lines = [self.line()]
        while lines[-1] and not lines[-1].startswith(tag + b" "):
            lines.append(self.line())
        return lines

    def log_in(self, account: Account) -> None:
        """Greet and log in over IMAP."""
        assert self.line().startswith(b"* OK")
        credentials = f'"{account.address}" "{account.password}"'.encode()
        assert self.command(b"login", b"LOGIN " + credentials)[-1].startswith(b"login OK")


def plain(account: Account) -> bytes:
    """The initial response of SASL PLAIN (RFC 4616), in base64."""
    return base64.b64encode(f"\0{account.address}\0{account.password}".encode())
