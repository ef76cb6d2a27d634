"""The driver: one connection to a server, round the core in `protocol.client`.

Nothing is waited for without a limit. While the server doesn't read, `flush` waits, and nothing
more is written; what it sends unasked is bounded.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import TypeVar, cast

from postroom_chassis.net.stream import ByteStream, EndOfStream, Reader

from postroom_smtp.dns import Address
from postroom_smtp.protocol.client import Conversation
from postroom_smtp.protocol.response import Nonsense

T = TypeVar("T")

UNREAD_BYTES = 256 * 1024  # that a server may send before anybody reads them
WRITE_HIGH_WATER = 512 * 1024


class Lost(Exception):
    """The connection is of no more use; the message says why."""


class Link(asyncio.Protocol):
    """A connection to a server.

    Attributes:
        address: the server's.
        host: its name and address, for people.
        server: its name among the domain's servers.
        tls: version and policy; empty in clear text.
        conversation: what is said on it.
    """

    def __init__(self, address: Address | str, host: str, *, lmtp: bool) -> None:
        self.address = address
        self.host = host
        self.server = ""
        self.tls = ""
        self.conversation = Conversation(ByteStream(), lmtp=lmtp)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused: asyncio.Future[None] | None = None
        self._reading = True
        self._closed = False

    async def open(
        self, port: int, source: str | None, seconds: float, tls: ssl.SSLContext | None, name: str
    ) -> None:
        """Connect.

        Args:
            source: our address; None leaves it to the system.
            tls: begin with a handshake.
            name: the server's, for that.

        Raises Lost.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await loop.create_connection(
                    lambda: self,
                    str(self.address),
                    port,
                    local_addr=None if source is None else (source, 0),
                    ssl=tls,
                    server_hostname=name if tls else None,
                )
        except TimeoutError as error:
            self.abort()
            raise Lost(f"no connection within {seconds:g} seconds") from error
        except (OSError, ssl.SSLError, ValueError) as error:
            # ValueError: of names that no certificate can have.
            self.abort()
            raise Lost(_reason(error)) from error

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        stream = self.conversation.stream
        stream.feed(data)
        if len(stream) >= UNREAD_BYTES and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self.conversation.stream.feed_eof()
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self.conversation.stream.feed_eof()
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        if self._paused is None:
            self._paused = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        paused, self._paused = self._paused, None
        if paused is not None and not paused.done():
            paused.set_result(None)

    # What deliveries call.

    @property
    def usable(self) -> bool:
        """Whether something may be begun on it."""
        stream = self.conversation.stream
        return not (self._closed or stream.ended or len(stream) or self.conversation.over)

    async def converse(self, reader: Reader[T], seconds: float) -> T:
        """Run a part of the conversation to its end. Raises Lost."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        next(reader)
                    except StopIteration as done:
                        return cast(T, done.value)
                    self._send()
                    await self._wait()
        except TimeoutError as error:
            raise Lost(f"the server said nothing for {seconds:g} seconds") from error
        except EndOfStream as error:
            raise Lost("the server closed the connection") from error
        except Nonsense as error:
            raise Lost(str(error)) from error

    async def flush(self, seconds: float) -> None:
        """Send what is unsent, and wait until the server has taken most of it. Raises Lost."""
        self._send()
        if self._closed:
            raise Lost("the server closed the connection")
        if self._paused is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._paused)
        except TimeoutError as error:
            raise Lost(f"the server took nothing for {seconds:g} seconds") from error
        if self._closed:
            raise Lost("the server closed the connection")

    async def start_tls(self, context: ssl.SSLContext, name: str, seconds: float) -> None:
        """The handshake. Raises Lost where it fails: nothing more can be said then."""
        if self._transport is None or self._closed:
            raise Lost("the server closed the connection")
        # Handshakes read from the socket: nothing that came before may be taken for what follows.
        self.conversation.stream.clear()
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                context,
                server_hostname=name,
                ssl_handshake_timeout=seconds,
            )
        except (OSError, ssl.SSLError, TimeoutError, ValueError) as error:
            self.abort()
            raise Lost(f"no TLS: {_reason(error)}") from error
        if transport is None:
            raise Lost("no TLS: the server closed the connection")
        self._transport = transport

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """What is known of TLS; None in clear text."""
        found = self._transport.get_extra_info("ssl_object") if self._transport else None
        return cast(ssl.SSLObject | None, found)

    def close(self) -> None:
        """Say good-bye, and wait for nothing."""
        if self.usable:
            self.conversation.quit()
            self._send()
        self.conversation.over = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once. What was not sent is lost: a message without its end isn't taken."""
        self.conversation.over = True
        if self._transport is not None:
            self._transport.abort()

    def _send(self) -> None:
        unsent = self.conversation.unsent
        if unsent and self._transport is not None and not self._closed:
            self._transport.write(bytes(unsent))
        unsent.clear()

    async def _wait(self) -> None:
        if not self._reading and self._transport is not None and not self._closed:
            self._reading = True
            self._transport.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _reason(error: Exception) -> str:
    """An error in words, without what is ours alone (numbers of lines in OpenSSL's source)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "the handshake failed").replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
