"""From a domain to a server that is ready for mail: each of its servers in turn, TLS, signing in.

Whatever a server says before it is ready is temporary, also what it says for good: it speaks of
itself or of us, and not of a message. For good is only what is known without a server: that there
is none, that it is this one, or that none is safe enough.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from postroom_chassis import logs
from prometheus_client import Counter

from postroom_smtp.dns import Address, DnsFailure
from postroom_smtp.protocol.response import Response, made_here
from postroom_smtp.sending import dane
from postroom_smtp.sending.hosts import Host, Hosts, Nowhere, Ourselves, Place
from postroom_smtp.sending.link import Link, Lost
from postroom_smtp.sending.routes import Level, Route, Source
from postroom_smtp.sending.security import Ineligible, Safety, Security
from postroom_smtp.sending.sts import Found, Policies

log = logs.logger(__name__)

CONNECTIONS = Counter(
    "postroom_smtp_sending_connections_total", "Connections to other servers", ["outcome"]
)
TLS = Counter(
    "postroom_smtp_sending_tls_total", "Connections to other servers by TLS", ["version", "policy"]
)

MOST_ADDRESSES = 10  # that are tried for a domain at a time
_HANDSHAKE = "no TLS"


class Unreached(Exception):
    """No server is ready. `response` says why, and whether that is for good."""

    def __init__(self, response: Response, host: str = "") -> None:
        super().__init__(str(response))
        self.response = response
        self.host = host


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that a server may take (RFC 5321 section 4.5.3.2).

    Attributes:
        reach: that a domain's servers may take together until one is ready.
    """

    connect: float = 30.0
    reply: float = 300.0
    piece: float = 180.0
    end: float = 600.0
    reach: float = 300.0


@dataclass(frozen=True, slots=True)
class Way:
    """How a domain is reached; connections that go the same way may be used for each other.

    Attributes:
        demanded: a message asks for REQUIRETLS.
        waived: it says that it would rather get there than be safe.
    """

    domain: str
    route: Route
    source: Source
    demanded: bool = False
    waived: bool = False


@dataclass(slots=True)
class _Tries:
    """What has gone wrong so far."""

    left: int = MOST_ADDRESSES
    failures: list[Unreached] = field(default_factory=list)

    def worst(self) -> Unreached:
        """What is told: the last that may be otherwise later, where there is one."""
        for failure in reversed(self.failures):
            if not failure.response.permanent:
                return failure
        return self.failures[-1]


class Connector:
    """Opens connections.

    Args:
        name: what we say in EHLO.
    """

    def __init__(
        self,
        hosts: Hosts,
        policies: Policies,
        safety: Safety,
        times: Times,
        name: str,
        ourselves: Ourselves,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = hosts
        self._policies = policies
        self._safety = safety
        self._times = times
        self._name = name
        self._ourselves = ourselves
        self._clock = clock

    async def connect(self, way: Way, passed: Link | None = None) -> Link:
        """A server that is ready for MAIL.

        Args:
            passed: was ready, and put off what it was given: one of the `others`.

        Raises Unreached.
        """
        try:
            async with asyncio.timeout(self._times.reach):
                return await self._connect(way, passed)
        except TimeoutError as error:
            reply = f"no server was ready within {self._times.reach:g} seconds"
            raise Unreached(made_here(451, "4.4.1", reply)) from error

    async def others(self, way: Way, passed: Link) -> bool:
        """Whether the domain has other servers than one."""
        try:
            hosts, _ = await self._servers(way)
        except (DnsFailure, Nowhere):
            return False
        return any(host.name != passed.server for host in hosts)

    async def _connect(self, way: Way, passed: Link | None) -> Link:
        tries = _Tries()
        try:
            hosts, found = await self._servers(way)
        except (DnsFailure, Nowhere) as failure:
            raise _unreached(failure) from failure
        if passed is not None:
            # Servers of one preference come in any order: every other one is another.
            hosts = [host for host in hosts if host.name != passed.server]
        for host in hosts:
            try:
                place = await self._hosts.place(host)
                security = await self._safety.of(
                    way.domain,
                    way.route,
                    host,
                    place,
                    found,
                    demanded=way.demanded,
                    waived=way.waived,
                )
            except (DnsFailure, Nowhere, Ineligible) as failure:
                tries.failures.append(_unreached(failure, host.name, ours=bool(way.route.host)))
                if _is_ourselves(tries.failures[-1]):
                    break  # what comes after us hands mail to us
                continue
            if (link := await self._try_addresses(way, host, place, security, tries)) is not None:
                link.server = host.name
                return link
            if tries.failures and _is_ourselves(tries.failures[-1]):
                break
        if not tries.failures:
            raise Unreached(made_here(451, "4.4.1", "there is no other server"))
        raise tries.worst()

    async def _servers(self, way: Way) -> tuple[list[Host], Found]:
        if way.route.host:
            return [Host(way.route.host, secure=True)], Found(None)
        if way.route.level is not None or way.waived:
            return await self._hosts.of(way.domain), Found(None)
        hosts, found = await asyncio.gather(
            self._hosts.of(way.domain), self._policies.of(way.domain)
        )
        return hosts, found

    async def _try_addresses(
        self, way: Way, host: Host, place: Place, security: Security, tries: _Tries
    ) -> Link | None:
        for address in place.addresses:
            if not tries.left:
                return None
            tries.left -= 1
            began = self._clock()
            try:
                return await self._ready(way, address, security)
            except Unreached as failure:
                tries.failures.append(failure)
                log.info(
                    "smtp.unreached",
                    domain=way.domain,
                    host=failure.host,
                    reply=str(failure.response),
                    policy=security.label,
                    seconds=round(self._clock() - began, 3),
                )
                if failure.response.permanent:
                    return None
        return None

    async def _ready(self, way: Way, address: Address, security: Security) -> Link:
        try:
            return await self._greeted(way, address, security)
        except _NoTls as failure:
            if security.level is not Level.MAY:
                raise
            # RFC 7435: without anybody who asks for it, clear text is better than no mail.
            log.info("smtp.tls_given_up", host=failure.host, reply=str(failure.response))
            return await self._greeted(
                way, address, Security(Level.NONE, "opportunistic", security.name)
            )

    async def _greeted(self, way: Way, address: Address, security: Security) -> Link:
        name = security.name
        link = Link(address, f"{name} [{address}]", lmtp=way.route.lmtp)
        try:
            await self._open(link, way, security)
            await self._greet(link, way, security)
        except Lost as lost:
            link.abort()
            kind = "tls" if str(lost).startswith(_HANDSHAKE) else "lost"
            CONNECTIONS.labels(kind).inc()
            response = made_here(451, "4.7.5" if kind == "tls" else "4.4.1", str(lost))
            raise (_NoTls if kind == "tls" else Unreached)(response, link.host) from lost
        except Unreached:
            CONNECTIONS.labels("refused").inc()
            link.close()
            raise
        except BaseException:
            link.abort()
            raise
        CONNECTIONS.labels("ready").inc()
        TLS.labels(link.tls.partition(" ")[0] or "none", security.label).inc()
        return link

    async def _open(self, link: Link, way: Way, security: Security) -> None:
        source = way.source
        own = source.ipv6 if isinstance(link.address, IPv6Address) else source.ipv4
        context = self._safety.context(security) if way.route.tls else None
        await link.open(
            way.route.port,
            None if own is None else str(own),
            self._times.connect,
            context,
            _server_name(security.name),
        )
        if context is not None:
            self._check(link, security)

    async def _greet(self, link: Link, way: Way, security: Security) -> None:
        told, seconds = link.conversation, self._times.reply
        _demand(link, await link.converse(told.greet(), seconds))
        await self._hello(link, way)
        if security.level is not Level.NONE and not way.route.tls:
            await self._secure(link, way, security)
        if way.route.login is not None:
            _demand(link, await link.converse(told.sign_in(way.route.login), seconds))

    async def _hello(self, link: Link, way: Way) -> None:
        told = link.conversation
        name = way.source.name or self._name
        _demand(link, await link.converse(told.hello(name), self._times.reply))
        if told.offer.name in self._ourselves.names and not way.route.host:
            raise Unreached(made_here(554, "5.4.6", "the server is this one"), link.host)

    async def _secure(self, link: Link, way: Way, security: Security) -> None:
        """STARTTLS, where there is any or there must be."""
        told = link.conversation
        if "STARTTLS" not in told.offer:
            if security.demanded:
                reply = f"the server has no TLS, and {security.label} demands it"
                raise Unreached(made_here(451, "4.7.4", reply), link.host)
            return
        response = await link.converse(told.ask_tls(), self._times.reply)
        if not response.positive:
            if security.demanded:
                raise _refused(link, response)
            if told.over:
                raise _NoTls(response, link.host)
            # RFC 3207 section 4.1: the session goes on as it was, by the same offers.
            return await self._hello(link, way)
        await link.start_tls(
            self._safety.context(security), _server_name(security.name), self._times.connect
        )
        self._check(link, security)
        return await self._hello(link, way)

    def _check(self, link: Link, security: Security) -> None:
        tls = link.ssl_object
        if tls is None:
            raise Lost(_HANDSHAKE)
        if security.associations and not dane.vouched(
            security.associations, dane.chain_of(tls), security.names
        ):
            raise Lost(f"{_HANDSHAKE}: DANE doesn't vouch for the server's certificate")
        link.tls = f"{tls.version()} {security.label}"


class _NoTls(Unreached):
    """TLS failed, and the connection with it."""


def _demand(link: Link, response: Response) -> None:
    if not response.positive:
        raise _refused(link, response)


def _refused(link: Link, response: Response) -> Unreached:
    """What a server says of itself or of us: temporary, whatever it says."""
    if response.permanent:
        enhanced = "4" + response.status[1:]
        response = made_here(451, enhanced, f"not ready: {response}")
    return Unreached(response, link.host)


def _unreached(
    failure: DnsFailure | Nowhere | Ineligible, host: str = "", *, ours: bool = False
) -> Unreached:
    """What was found out about a host; `ours`: a setting names it, and no mail bounces by a wrong
    one.
    """
    if isinstance(failure, DnsFailure):
        return Unreached(made_here(451, "4.4.3", f"DNS: {failure}"), host)
    if ours and isinstance(failure, Nowhere):
        response = failure.response
        return Unreached(made_here(451, f"4{response.enhanced[1:]}", response.text), host)
    return Unreached(failure.response, host)


def _is_ourselves(failure: Unreached) -> bool:
    # What others say is temporary.
    return failure.response.permanent and failure.response.enhanced[2:] == "4.6"


def _server_name(name: str) -> str:
    """For SNI; an address literal without its brackets."""
    return name.removeprefix("[").removesuffix("]")
