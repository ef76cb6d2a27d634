"""What is known of an address that mail comes from: its names, and lists that it is on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import dns.reversename

from postroom_smtp.checks.settings import Blocklist
from postroom_smtp.dns import Address, DnsFailure, Resolver
from postroom_smtp.protocol.authentication import Finding, Result

NAMES = 5  # of an address that are looked up


def read_address(text: str) -> Address | None:
    """An address, one of IPv4 where it came as one of IPv6 (RFC 4291 section 2.5.5.2), without its
    zone; None where a proxy doesn't say it.
    """
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        return found.ipv4_mapped or found
    return found


def neighbours(address: Address) -> str:
    """The network that one sender may be all over: 24 bits of IPv4, 64 of IPv6."""
    prefix = 24 if isinstance(address, IPv4Address) else 64
    return str(ip_network((address, prefix), strict=False))


@dataclass(frozen=True, slots=True)
class Named:
    """Whether an address has a name that leads back to it (RFC 8601 section 2.7.3)."""

    result: Result
    name: str = ""

    def finding(self, address: str) -> Finding:
        return Finding("iprev", self.result, (("policy.iprev", address),), self.name)


async def look_up_names(resolver: Resolver, address: Address) -> Named:
    """Raises nothing."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    result = Result.FAIL
    try:
        names = (await resolver.names_of(address)).records[:NAMES]
    except DnsFailure:
        return Named(Result.TEMPERROR)
    if not names:
        return Named(Result.PERMERROR)
    for name in names:
        try:
            if address in (await resolver.addresses(name.replace("\\", "\\\\"), family)).records:
                return Named(Result.PASS, name)
        except DnsFailure:
            result = Result.TEMPERROR
    return Named(result)


@dataclass(frozen=True, slots=True)
class Score:
    """What lists say of somebody.

    Attributes:
        lists: on which it is, those that think well of it too.
        silent: that didn't answer.
    """

    total: int = 0
    lists: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()

    def __add__(self, other: Score) -> Score:
        return Score(self.total + other.total, self.lists + other.lists, self.silent + other.silent)


NOT_LISTED = Score()


async def score_address(
    resolver: Resolver, lists: Sequence[Blocklist], address: Address, *, seconds: float
) -> Score:
    """What lists of addresses say (RFC 5782 sections 2.1 and 2.4). Raises nothing."""
    pointer = dns.reversename.from_address(str(address))
    reversed_address = b".".join(pointer.labels[:-3]).decode()
    return await _score(resolver, lists, reversed_address, seconds)


async def score_domain(
    resolver: Resolver, lists: Sequence[Blocklist], domain: str, *, seconds: float
) -> Score:
    """What lists of domains say (RFC 5782 section 2.3). Raises nothing."""
    return await _score(resolver, lists, domain.replace("\\", "\\\\"), seconds)


async def _score(
    resolver: Resolver, lists: Sequence[Blocklist], name: str, seconds: float
) -> Score:
    asked = [_ask(resolver, each, name, seconds) for each in lists]
    return sum(await asyncio.gather(*asked), NOT_LISTED)


async def _ask(resolver: Resolver, of: Blocklist, name: str, seconds: float) -> Score:
    try:
        async with asyncio.timeout(seconds):
            found = await resolver.addresses(f"{name}.{of.zone}", socket.AF_INET)
    except (DnsFailure, TimeoutError):
        return Score(silent=(of.zone,))
    if any(isinstance(one, IPv4Address) and of.low <= one <= of.high for one in found.records):
        return Score(of.weight, (of.zone,))
    return NOT_LISTED
