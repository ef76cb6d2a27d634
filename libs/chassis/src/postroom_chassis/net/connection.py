"""The driver: one client's connection, round a sans-I/O core.

`await connection.read(core.read_command(...))` runs a core's generator against what has arrived and
suspends only when it needs more. Nothing here is read without a time limit, and nothing is buffered
without a bound: reading from the socket pauses while the buffer is full, and `drain` waits while
the client doesn't read. What is written in one turn of the loop leaves as one segment, so that the
replies to pipelined commands (RFC 2920 section 3.2) cost one send.

Where both sides compress, what arrives is inflated when a reader asks for it and no further, and a
turn of the loop is flushed once.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from postroom_chassis.net.deflate import Deflation, Inflation
from postroom_chassis.net.end_point import names_in
from postroom_chassis.net.proxy import ProxyTls
from postroom_chassis.net.stream import ByteStream, Reader
from postroom_chassis.net.tls import ServerTls

if TYPE_CHECKING:
    from postroom_chassis.net.listener import Listener

T = TypeVar("T")

HIGH_WATER = 256 * 1024  # bytes received and unread at which the socket is left alone
WRITE_HIGH_WATER = 512 * 1024
GATHERED_BYTES = 16 * 1024  # written and not sent yet at which the end of the turn isn't awaited
HANDSHAKE_SECONDS = 30.0
HEAR_OUT_SECONDS = 2.0  # for a client that is still talking when its session has ended

_numbers = itertools.count(1)


class Draining(Exception):
    """The service is going down, and the client is between two commands."""


class TimedOut(Exception):
    """The client said nothing for too long."""


@dataclass(frozen=True, slots=True)
class Tls:
    """What is known of the TLS connection with the client, wherever it ends.

    Attributes:
        end_point: the hash of the certificate that the client saw (RFC 5929 section 4); empty:
            unknown.
        client_names: the names in a certificate that the client showed and that was verified.
    """

    version: str
    cipher: str
    end_point: bytes = b""
    client_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end.

    Attributes:
        address: IP address; the client's own, where a trusted proxy tells it.
    """

    address: str
    port: int

    @property
    def loopback(self) -> bool:
        return self.address == "::1" or self.address.startswith("127.")


class Connection(asyncio.Protocol):
    """One client's connection.

    Attributes:
        id: for logs, unique in the process.
        peer: who is at the other end.
        tls: None in clear text.
        stream: what has arrived.
    """

    __slots__ = (
        "__weakref__",
        "_boundary",
        "_closed",
        "_deadline",
        "_deflation",
        "_ended",
        "_gone",
        "_inflation",
        "_listener",
        "_loop",
        "_paused_reading",
        "_paused_writing",
        "_transport",
        "_unheard",
        "_unsent",
        "_unsent_bytes",
        "_waiter",
        "draining",
        "id",
        "peer",
        "stream",
        "tls",
    )

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused_writing: asyncio.Future[None] | None = None
        self._paused_reading = False
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._boundary = False
        self._deadline = 0.0
        self._closed = False
        self._gone: asyncio.Future[None] | None = None
        self._ended = False  # the client sends no more
        self._unheard = False  # what it sends is of no interest any more
        self._deflation: Deflation | None = None
        self._inflation: Inflation | None = None
        self.draining = False
        self.id = f"{listener.name}-{next(_numbers):x}"
        self.peer = Peer("", 0)
        self.tls: Tls | None = None
        self.stream = ByteStream()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        if self.peer.address:
            return  # TLS has begun, or begins anew by STARTTLS: the same connection
        name = transport.get_extra_info("peername") or ("", 0)
        self.peer = Peer(str(name[0]), int(name[1]))
        self._listener.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._unheard:
            return
        into = self.stream if self._inflation is None else self._inflation
        into.feed(data)
        if len(into) >= HIGH_WATER and not self._paused_reading and self._transport:
            self._paused_reading = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._end_input()
        self._wake()
        if self._unheard:
            self._go()
        return self.tls is None  # a half-closed client may still be answered

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._end_input()
        self._wake()
        self.resume_writing()
        self._go()
        self._listener.closed(self)

    def pause_writing(self) -> None:
        if self._paused_writing is None:
            self._paused_writing = self._loop.create_future()

    def resume_writing(self) -> None:
        waiter, self._paused_writing = self._paused_writing, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # What sessions call.

    async def read(self, reader: Reader[T], seconds: float, *, boundary: bool = False) -> T:
        """Run a core's generator to its end.

        Args:
            reader: reads from `self.stream`.
            seconds: how long the client may take from now.
            boundary: the client is between two commands, so a drain may end the wait.

        Raises:
            TimedOut, Draining, ConnectionResetError: the connection is lost.
            MalformedDeflate: what was to be inflated can't be.
            RuntimeError: somebody else reads; two would take each other's bytes.
            What the generator raises (EndOfStream among it).
        """
        if self._waiter is not None:
            raise RuntimeError("the connection is being read already")
        self._deadline = time.monotonic() + seconds
        while True:
            try:
                next(reader)
            except StopIteration as done:
                self._deadline = 0.0
                return cast(T, done.value)
            if self._inflate():
                if self._inflation is not None and self._inflation.pending:
                    await asyncio.sleep(0)  # little input may become much
                continue
            if self._closed:
                raise ConnectionResetError
            if boundary and self.draining and not len(self.stream):
                raise Draining
            await self._wait(boundary)

    def write(self, data: bytes) -> None:
        """Send by the end of this turn of the loop; `drain` now and then, where much is written."""
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if self._unsent_bytes >= GATHERED_BYTES:
            self._send(flush=False)

    async def drain(self, seconds: float = 300.0) -> None:
        """Wait until the client has taken most of what was written.

        Raises TimedOut, ConnectionResetError.
        """
        if self._closed:
            raise ConnectionResetError
        if self._paused_writing is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._paused_writing)
        except TimeoutError as error:
            raise TimedOut from error
        if self._closed:
            raise ConnectionResetError

    async def accept_tls(self, accepted: socket.socket, tls: ServerTls) -> None:
        """Begin with a TLS handshake. Raises ConnectionResetError where it fails."""
        context, end_point = tls.context, tls.end_point
        try:
            await self._loop.connect_accepted_socket(
                lambda: self, accepted, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except (OSError, ssl.SSLError, TimeoutError) as error:
            raise ConnectionResetError("the TLS handshake failed") from error
        self._note_tls(tls, end_point)

    async def start_tls(self, tls: ServerTls) -> None:
        """Negotiate TLS; what came before it in clear text is forgotten (RFC 3207 section 4.2).

        Raises ConnectionResetError where the handshake fails.
        """
        if self._transport is None or self._closed:
            raise ConnectionResetError
        self.stream.clear()
        self._send()
        context, end_point = tls.context, tls.end_point
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except (OSError, ssl.SSLError, TimeoutError) as error:
            self.abort()
            raise ConnectionResetError("the TLS handshake failed") from error
        if transport is None:
            raise ConnectionResetError
        self._transport = transport
        self._note_tls(tls, end_point)

    def start_compression(self) -> None:
        """Deflate what is written from now on, and inflate what arrives."""
        self._send()
        self._deflation = Deflation()
        self._inflation = Inflation(self.stream.take())

    def end_compression(self) -> None:
        """Write the end of what is deflated; what the client sends is as it is from here on.

        Raises MalformedDeflate.
        """
        if self._deflation is None or self._inflation is None:
            return
        self._send(flush=False)
        self._transmit(self._deflation.finish())
        self._deflation = None
        self._inflation.end()

    def proxied(self, peer: Peer, tls: ProxyTls | None, end_point: bytes = b"") -> None:
        """Take over what a trusted proxy says of the client.

        Args:
            end_point: of the certificate that the proxy shows.
        """
        self._listener.readdressed(self, peer)
        self.peer = peer
        if tls is not None:
            self.tls = Tls(tls.version, tls.cipher, end_point, tls.client_names)

    def wake_for_drain(self) -> None:
        """The service is going down: end the wait for a command, if that is what goes on."""
        self.draining = True
        if self._boundary and not len(self.stream):
            self._wake()

    def check_deadline(self, now: float) -> None:
        """End the wait of a client that took too long."""
        waiter = self._waiter
        if waiter is not None and self._deadline and now > self._deadline and not waiter.done():
            waiter.set_exception(TimedOut())

    def rest(self) -> None:
        """Called now and then: a client that hears nothing costs no compressor."""
        if self._deflation is not None:
            self._deflation.rest()

    def close(self) -> None:
        """Send what is buffered, then close."""
        self._send()
        # asyncio's TLS transports are of no use any more once they were closed twice.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    async def leave(self, seconds: float) -> None:
        """Close, and give the client so long to take what was written for it.

        One that is still talking is heard out for a moment. A connection that is closed over
        unread input is reset (RFC 1122 section 4.2.2.13): a proxy on the way then drops what was
        written last, and the client never learns why.
        """
        if self._transport is None:
            return
        try:
            if self._talking:
                self._send()
                self._transport.write_eof()
                self._hear_no_more()
                await self._going(HEAR_OUT_SECONDS)
            self.close()
            if not self._closed and self._transport.get_write_buffer_size():
                await self._going(seconds)
        finally:
            if self._gone is not None:
                self.abort()

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self._unsent.clear()
        if self._transport is not None:
            self._transport.abort()

    @property
    def begun(self) -> bool:
        """Whether there is a client to talk to: the handshake is done where one comes first."""
        return self._transport is not None

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def compressed(self) -> bool:
        """Whether what is written is deflated."""
        return self._deflation is not None

    @property
    def congested(self) -> bool:
        """Whether the client leaves much of what was written unread."""
        return self._paused_writing is not None

    @property
    def _talking(self) -> bool:
        """Whether the client sends what nobody reads; in clear text, as TLS ends by itself."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._ended:
            return False
        unread = len(self.stream) or self._paused_reading or self._inflation
        return bool(unread) and transport.can_write_eof()

    def _hear_no_more(self) -> None:
        self._unheard = True
        self.stream.clear()
        self._inflation = None
        if self._paused_reading and self._transport is not None:
            self._paused_reading = False
            self._transport.resume_reading()

    async def _going(self, seconds: float) -> None:
        """Wait until the client has gone, but no longer."""
        if self._closed:
            return
        self._gone = self._loop.create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone

    def _go(self) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _send(self, flush: bool = True) -> None:
        unsent, self._unsent, self._unsent_bytes = self._unsent, [], 0
        data = unsent[0] if len(unsent) == 1 else b"".join(unsent)
        deflation = self._deflation
        if deflation is not None and not self._closed:
            if data:
                data = deflation.compress(data)
            if flush:
                data += deflation.flush()
        self._transmit(data)

    def _transmit(self, data: bytes) -> None:
        if data and self._transport is not None and not self._closed:
            self._transport.write(data)

    def _inflate(self) -> bool:
        """Give the stream what can be inflated, or the end; False where it must wait."""
        inflation = self._inflation
        if inflation is None:
            return False
        data = inflation.inflate()
        self.stream.feed(data)
        if inflation.over:
            self._inflation = None
        last = not data or self._inflation is None
        if self._ended and last and not self.stream.ended:
            self.stream.feed_eof()
            return True
        return bool(data)

    def _end_input(self) -> None:
        self._ended = True
        if self._inflation is None:
            self.stream.feed_eof()

    def _note_tls(self, ours: ServerTls, end_point: bytes) -> None:
        tls = self._transport.get_extra_info("ssl_object") if self._transport else None
        if tls is None:
            return
        if tls.session_reused and ours.renewed:
            end_point = b""  # the client saw a certificate when the session began: which, is lost
        shown = tls.getpeercert(binary_form=True)
        self.tls = Tls(
            tls.version() or "",
            (tls.cipher() or ("",))[0],
            end_point,
            names_in(shown) if shown else (),
        )

    async def _wait(self, boundary: bool) -> None:
        if self._paused_reading and self._transport is not None and not self._closed:
            self._paused_reading = False
            self._transport.resume_reading()
        self._waiter = self._loop.create_future()
        self._boundary = boundary
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._boundary = False

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
