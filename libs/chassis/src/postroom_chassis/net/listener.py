"""Listeners: accept, limit, hand each connection to a session, drain."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import time
from collections import Counter as Counts
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import cast

import structlog
from opentelemetry import trace
from prometheus_client import Counter, Gauge

from postroom_chassis import logs, tracing
from postroom_chassis.net.address import network_of
from postroom_chassis.net.connection import Connection, Draining, Peer, TimedOut
from postroom_chassis.net.proxy import ProxyError, ProxyTls, read_header
from postroom_chassis.net.stream import EndOfStream
from postroom_chassis.net.tls import ProxyCertificate, ServerTls

log = logs.logger(__name__)

OPEN = Gauge("postroom_open_connections", "Connections open now", ["listener"])
ACCEPTED = Counter("postroom_connections_total", "Connections accepted", ["listener"])
REFUSED = Counter("postroom_connections_refused_total", "Connections refused", ["listener", "why"])

SWEEP_SECONDS = 1.0
PROXY_SECONDS = 10.0
OPTIONS = {"tls", "proxy", "secure"}  # of a listen address
LINGER_SECONDS = 300.0  # for a client to take what it was told last

Network = IPv4Network | IPv6Network
Session = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections a listener holds.

    Attributes:
        connections: in all.
        per_address: from one client address (a /64 for IPv6, which is what one client has).
    """

    connections: int = 20_000
    per_address: int = 1_000


class Listener:
    """One address that clients connect to.

    Args:
        name: for logs and metrics ("imap", "imaps").
        session: serves one connection to its end.
        tls: implicit TLS where given.
        proxies: networks whose connections begin with a PROXY header; others are refused then.
        proxy_certificate: what they show to clients, if it is known.
        secure: they end TLS, even where a header can't say so (version 1).
        refusal: what a client that is over a limit is told before it is closed; with implicit TLS
            it is just closed, since it could be told after a handshake only.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        *,
        tls: ServerTls | None = None,
        proxies: Sequence[Network] = (),
        proxy_certificate: ProxyCertificate | None = None,
        secure: bool = False,
        limits: Limits | None = None,
        refusal: bytes = b"",
    ) -> None:
        self.name = name
        self._accepted, self._open = ACCEPTED.labels(name), OPEN.labels(name)
        self._session = session
        self._tls = tls
        self._proxies = tuple(proxies)
        self._proxy_certificate = proxy_certificate
        self._secure = secure
        self._limits = limits or Limits()
        self._refusal = refusal
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._addresses: Counts[str] = Counts()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, *, reuse_port: bool = False) -> int:
        """Listen, and answer the port. Raises OSError where the address is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Arrival(self) if self._tls else Connection(self),
            host,
            port,
            reuse_port=reuse_port or None,
            backlog=1024,
        )
        self._sweeper = asyncio.create_task(self._sweep())
        return int(self._server.sockets[0].getsockname()[1])

    async def drain(self, seconds: float) -> None:
        """Accept no more; end idle sessions at once and the others after their command; close what
        is left.
        """
        if self._server is not None:
            self._server.close()
        for connection, task in self._connections.items():
            if connection.begun:
                connection.wake_for_drain()
            else:
                task.cancel()
        if tasks := list(self._connections.values()):
            await asyncio.wait(tasks, timeout=seconds)
        left = dict(self._connections)
        for connection, task in left.items():
            connection.abort()
            task.cancel()
        await asyncio.gather(*left.values(), return_exceptions=True)
        if self._sweeper is not None:
            self._sweeper.cancel()

    # What connections call.

    def opened(self, connection: Connection, accepted: socket.socket | None = None) -> None:
        """A client has connected: serve it, or refuse it.

        Args:
            accepted: begin with a TLS handshake on it, which counts as a connection already.
        """
        self._accepted.inc()
        key = _key(connection.peer)
        if why := self._over_limit(key):
            REFUSED.labels(self.name, why).inc()
            log.info("connection.refused", address=connection.peer.address, why=why)
            if accepted is not None:
                accepted.close()
                return
            connection.write(self._refusal)
            connection.close()
            return
        self._addresses[key] += 1
        self._open.inc()
        self._connections[connection] = asyncio.create_task(self._serve(connection, accepted))

    def closed(self, connection: Connection) -> None:
        """The transport is gone; the session's task ends by itself."""

    def readdressed(self, connection: Connection, peer: Peer) -> None:
        """A proxy told who the client is: count it there."""
        self._release(_key(connection.peer))
        self._addresses[_key(peer)] += 1

    def _over_limit(self, key: str) -> str:
        if len(self._connections) >= self._limits.connections:
            return "connections"
        if not self._proxies and self._addresses[key] >= self._limits.per_address:
            return "per_address"
        return ""

    async def _serve(self, connection: Connection, accepted: socket.socket | None) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(connection=connection.id)
        try:
            with tracing.tracer.start_as_current_span(
                f"{self.name} connection", kind=trace.SpanKind.SERVER
            ):
                if accepted is not None and self._tls is not None:
                    await connection.accept_tls(accepted, self._tls)
                if not self._proxies or await self._read_proxy_header(connection):
                    await self._session(connection)
        except (TimedOut, Draining, EndOfStream, ConnectionError) as ended:
            log.debug("connection.ended", why=type(ended).__name__)
        except asyncio.CancelledError:
            connection.abort()
            raise
        except Exception:
            log.exception("connection.failed")
        finally:
            try:
                # Until then it counts: its buffers are as large as anybody's.
                await connection.leave(LINGER_SECONDS)
            finally:
                del self._connections[connection]
                self._release(_key(connection.peer))
                self._open.dec()

    async def _read_proxy_header(self, connection: Connection) -> bool:
        """Whether the connection comes from a trusted proxy with a proper header, and within the
        limits.
        """
        if not _within(connection.peer.address, self._proxies):
            REFUSED.labels(self.name, "untrusted_proxy").inc()
            log.warning("proxy.untrusted", address=connection.peer.address)
            return False
        try:
            header = await connection.read(read_header(connection.stream), PROXY_SECONDS)
        except ProxyError as error:
            REFUSED.labels(self.name, "bad_proxy_header").inc()
            log.warning("proxy.malformed", address=connection.peer.address, error=str(error))
            return False
        if not header.address:
            return True
        peer = Peer(header.address, header.port)
        if self._addresses[_key(peer)] >= self._limits.per_address:
            REFUSED.labels(self.name, "per_address").inc()
            connection.write(self._refusal)
            return False
        shown = self._proxy_certificate
        tls = header.tls or (ProxyTls("TLS") if self._secure else None)
        connection.proxied(peer, tls, shown.end_point if shown else b"")
        return True

    def _release(self, key: str) -> None:
        self._addresses[key] -= 1
        if self._addresses[key] <= 0:
            del self._addresses[key]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for connection in list(self._connections):
                connection.check_deadline(now)
                connection.rest()
            if self._tls is not None:
                self._tls.context  # noqa: B018 (takes up new certificates)


class _Arrival(asyncio.Protocol):
    """A client that begins with a TLS handshake, up to the moment when it is counted.

    Its socket is taken away from the transport that it came with before that reads anything. A
    server with `ssl=` would tell of clients after their handshakes, and `start_tls` loses what
    uvloop has read before it.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        name = transport.get_extra_info("peername") or ("", 0)
        try:
            accepted = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        except OSError as error:  # no descriptor is left
            log.error("connection.not_taken", error=str(error))
            return
        finally:
            cast(asyncio.Transport, transport).abort()
        accepted.setblocking(False)
        connection = Connection(self._listener)
        connection.peer = Peer(str(name[0]), int(name[1]))
        self._listener.opened(connection, accepted)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks from a list separated by commas or blanks. Raises ValueError."""
    return tuple(
        ipaddress.ip_network(word, strict=False) for word in text.replace(",", " ").split()
    )


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a listener listens and how a connection to it begins.

    Attributes:
        tls: with a TLS handshake, ended here.
        proxy: with a PROXY header from a trusted proxy, which ended TLS where the header says so.
        secure: or wherever that proxy ends TLS, although its headers can't say so (version 1).
    """

    name: str
    host: str
    port: int
    tls: bool = False
    proxy: bool = False
    secure: bool = False

    def __post_init__(self) -> None:
        if not self.name or not self.host or not 0 <= self.port <= 65535:
            raise ValueError(f"{self.name or 'a listener'} needs a name, a host and a port")
        if self.tls and self.proxy:
            raise ValueError(f"{self.name}: TLS ends in the proxy or here, not in both")
        if self.secure and not self.proxy:
            raise ValueError(f"{self.name}: 'secure' says that a proxy ends TLS; there is none")


def parse_listeners(text: str) -> tuple[ListenAddress, ...]:
    """Listeners from `name=host:port[;tls][;proxy[;secure]],...`. Raises ValueError."""
    found = tuple(_parse_listener(item.strip()) for item in text.split(",") if item.strip())
    if len({listener.name for listener in found}) < len(found):
        raise ValueError("two listeners have one name")
    return found


def _parse_listener(item: str) -> ListenAddress:
    name, equals, rest = item.partition("=")
    address, *options = rest.split(";")
    host, colon, port = address.rpartition(":")
    if not equals or not colon or not port.isdigit() or set(options) - OPTIONS:
        raise ValueError(f"{item}: not of the form name=host:port[;tls][;proxy[;secure]]")
    host = host.removeprefix("[").removesuffix("]")
    return ListenAddress(name, host, int(port), **dict.fromkeys(options, True))


def _within(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _key(peer: Peer) -> str:
    return network_of(peer.address) if peer.address else ""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
