"""What the Domain Name System says (RFC 1035), by the resolvers that an operator names.

Whatever goes wrong is temporary (`DnsFailure`): that a name isn't there is an answer, that nobody
answers, or wrongly, or not in time, is none. Answers are kept as long as their TTL allows.
"""

from __future__ import annotations

import asyncio
import copy
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Generic, TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver
import dns.reversename
from prometheus_client import Counter

T = TypeVar("T")

ANSWERS = 10_000  # that are kept
KEPT_OCTETS = 4_096  # of an answer that is kept: those who publish more are asked again
AT_ONCE = 200  # lookups: each has a socket, and a resolver that is flooded answers nothing
UDP_OCTETS = 1232  # what passes every network in one piece

LOOKUPS = Counter("postroom_smtp_dns_lookups_total", "Lookups by outcome", ["outcome"])
_OUTCOMES = {outcome: LOOKUPS.labels(outcome) for outcome in ("found", "nothing", "failed")}

Address = IPv4Address | IPv6Address


class DnsFailure(Exception):
    """It can't be said now."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What is at a name.

    Attributes:
        records: of the type that was asked for; none where there is no such name, or nothing of
            this type at it.
        exists: whether there is such a name.
        secure: a resolver that is trusted has validated the answer (RFC 4035 section 3.2.3).
        name: where aliases led (RFC 1034 section 3.6.2); in lower case, without the last dot.
    """

    records: tuple[T, ...]
    exists: bool
    secure: bool
    name: str


@dataclass(frozen=True, slots=True, order=True)
class Exchanger:
    """A record of MX; `host` is "." where the domain takes no mail (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Association:
    """A record of TLSA (RFC 6698 section 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


class Resolver:
    """Asks resolvers, and remembers.

    Args:
        servers: addresses with ports; none for those of the system.
        seconds: that a lookup may take in all.
        trusted: whether what the resolvers say of validation is believed: they run on this
            machine, or are reached by a network that nobody else is on (RFC 7672 section 2.2.1).
    """

    def __init__(
        self, servers: Sequence[tuple[str, int]], *, seconds: float, trusted: bool
    ) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        if servers:
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(host, port) for host, port in servers
            ]
        self._resolver.lifetime = seconds
        self._resolver.timeout = max(seconds / 3, 0.5)
        self._resolver.cache = _Cache(ANSWERS)
        self._resolver.use_edns(0, dns.flags.DO if trusted else 0, UDP_OCTETS)
        # Asking for AD without DO is enough for a resolver that validates (RFC 6840 section 5.7).
        self._resolver.flags = dns.flags.RD | (dns.flags.AD if trusted else 0)
        self._trusted = trusted
        self._slots: tuple[asyncio.Semaphore, ...] = (asyncio.Semaphore(AT_ONCE),)

    def apart(self) -> Resolver:
        """The same, whose lookups keep no others waiting."""
        return self._limited(asyncio.Semaphore(AT_ONCE))

    def narrowed(self, at_once: int) -> Resolver:
        """The same for somebody who has only so many lookups at a time."""
        return self._limited(asyncio.Semaphore(at_once), *self._slots)

    def _limited(self, *slots: asyncio.Semaphore) -> Resolver:
        other = copy.copy(self)
        other._slots = slots
        return other

    async def texts(self, name: str) -> Answer[bytes]:
        """TXT, the strings of each record put together. Raises DnsFailure."""
        return await self._look_up(name, "TXT", lambda record: b"".join(record.strings))

    async def exchangers(self, domain: str) -> Answer[Exchanger]:
        """MX, the most preferred first. Raises DnsFailure."""
        answer = await self._look_up(
            domain, "MX", lambda record: Exchanger(record.preference, _text(record.exchange))
        )
        return Answer(tuple(sorted(answer.records)), answer.exists, answer.secure, answer.name)

    async def addresses(self, host: str, family: socket.AddressFamily) -> Answer[Address]:
        """A or AAAA. Raises DnsFailure."""
        kind = "A" if family is socket.AF_INET else "AAAA"
        return await self._look_up(host, kind, lambda record: ip_address(record.address))

    async def associations(self, host: str, port: int) -> Answer[Association]:
        """TLSA for TCP on a port. Raises DnsFailure."""
        return await self._look_up(
            f"_{port}._tcp.{host}",
            "TLSA",
            lambda record: Association(record.usage, record.selector, record.mtype, record.cert),
        )

    async def names_of(self, address: Address) -> Answer[str]:
        """PTR. Raises DnsFailure."""
        pointer = dns.reversename.from_address(str(address)).to_text()
        return await self._look_up(pointer, "PTR", lambda record: _text(record.target))

    async def _look_up(self, name: str, kind: str, read: Callable[[Any], T]) -> Answer[T]:
        try:
            asked = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError):
            # Nothing can be at a name that can't be (RFC 1035 section 2.3.4), for good.
            _OUTCOMES["nothing"].inc()
            return Answer((), False, False, name.lower())
        try:
            async with AsyncExitStack() as held:
                for slots in self._slots:
                    await held.enter_async_context(slots)
                found = await self._resolver.resolve(
                    asked, kind, raise_on_no_answer=False, search=False
                )
        except dns.resolver.NXDOMAIN as nowhere:
            _OUTCOMES["nothing"].inc()
            response = nowhere.response(asked)  # type: ignore[no-untyped-call]
            return Answer((), False, self._secure(response), _text(asked))
        except (dns.exception.DNSException, OSError) as error:
            _OUTCOMES["failed"].inc()
            raise DnsFailure(f"{kind} of {name}: {error}") from error
        records = tuple(read(record) for record in found) if found.rrset is not None else ()
        _OUTCOMES["found" if records else "nothing"].inc()
        return Answer(records, True, self._secure(found.response), _text(found.canonical_name))

    def _secure(self, response: dns.message.Message) -> bool:
        return self._trusted and bool(response.flags & dns.flags.AD)


class _Cache(dns.resolver.LRUCache):
    """Keeps what isn't large: anybody may publish 64 KiB at any number of names."""

    def put(self, key: dns.resolver.CacheKey, value: dns.resolver.Answer) -> None:
        records = (record for found in value.response.answer for record in found)
        if sum(len(record.to_wire() or b"") for record in records) <= KEPT_OCTETS:
            super().put(key, value)


def _text(name: dns.name.Name) -> str:
    text = str(name.to_text(omit_final_dot=True)).lower()
    return text or "."
