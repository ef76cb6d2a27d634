"""Which servers take a domain's mail (RFC 5321 section 5.1, RFC 7505)."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import chain, groupby, zip_longest

from postroom_smtp.dns import Address, DnsFailure, Exchanger, Resolver
from postroom_smtp.protocol.client import ascii_domain
from postroom_smtp.protocol.response import Response, made_here

MOST_HOSTS = 20  # of a domain
_ADDRESS = re.compile(r"([0-9.]+)")  # no name is like this: the last label has a letter (RFC 1123)
_LITERAL = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]", re.IGNORECASE)


class Nowhere(Exception):
    """There is no server to be asked. `response` says why, and whether that is for good."""

    def __init__(self, response: Response) -> None:
        super().__init__(str(response))
        self.response = response


@dataclass(frozen=True, slots=True)
class Host:
    """A server.

    Attributes:
        secure: nobody can have made up that this is one of the domain's: DNSSEC says so, or a
            setting.
        published: the domain's records name it; otherwise a setting, or the domain, is the host.
    """

    name: str
    secure: bool = False
    published: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is.

    Attributes:
        secure: DNSSEC says so.
        name: where aliases led.
    """

    addresses: tuple[Address, ...]
    secure: bool
    name: str


@dataclass(frozen=True, slots=True)
class Ourselves:
    """What is called, and is, this very server."""

    names: frozenset[str]
    addresses: frozenset[Address]


class Hosts:
    """Looks servers up.

    Args:
        ourselves: of whom no mail is handed on (RFC 5321 section 5.1).
        families: AF_INET, AF_INET6; the first one is tried first.
        shuffle: puts servers of one preference in any order.
    """

    def __init__(
        self,
        resolver: Resolver,
        ourselves: Ourselves,
        families: Sequence[socket.AddressFamily],
        shuffle: Callable[[list[Exchanger]], None],
    ) -> None:
        self._resolver = resolver
        self._ourselves = ourselves
        self._families = families
        self._shuffle = shuffle

    async def of(self, domain: str) -> list[Host]:
        """A domain's servers, in the order in which they are tried. Raises Nowhere, DnsFailure."""
        if _LITERAL.fullmatch(domain):
            return [Host(domain)]
        asked = ascii_domain(domain)
        if asked is None:
            raise Nowhere(made_here(550, "5.1.2", "there can be no such domain"))
        found = await self._resolver.exchangers(asked)
        if not found.records:
            if not found.exists:
                raise Nowhere(made_here(550, "5.1.2", "there is no such domain"))
            # RFC 5321 section 5.1: a domain without MX is its own server.
            return [Host(asked, found.secure)]
        named = [one for one in found.records if one.host not in (".", "")]
        if not named:
            raise Nowhere(made_here(556, "5.1.10", "the domain takes no mail (null MX)"))
        hosts = [Host(one.host, found.secure, True) for one in self._others(named)]
        if not hosts:
            raise Nowhere(made_here(554, "5.4.6", "the domain's mail is for this server"))
        return hosts[:MOST_HOSTS]

    async def place(self, host: Host) -> Place:
        """A server's addresses. Raises Nowhere, DnsFailure where none is known."""
        name = host.name
        if literal := _LITERAL.fullmatch(name) or _ADDRESS.fullmatch(name):
            address = _address(literal[1])
            self._check(name, [address])
            return Place((address,), False, name)
        asked = await asyncio.gather(
            *(self._resolver.addresses(name, family) for family in self._families),
            return_exceptions=True,
        )
        answers = [one for one in asked if not isinstance(one, BaseException)]
        for failure in asked:
            if isinstance(failure, BaseException) and not isinstance(failure, DnsFailure):
                raise failure
            if isinstance(failure, DnsFailure) and not any(one.records for one in answers):
                raise failure
        taken = [
            one
            for one in chain.from_iterable(zip_longest(*(answer.records for answer in answers)))
            if one is not None
        ]
        if not taken:
            raise Nowhere(made_here(550, "5.4.4", f"{name} has no address"))
        self._check(name, taken)
        found = [one for one in answers if one.records]
        return Place(tuple(taken), all(one.secure for one in found), found[0].name)

    def _check(self, name: str, addresses: Sequence[Address]) -> None:
        if self._ourselves.addresses.intersection(addresses):
            raise Nowhere(made_here(554, "5.4.6", f"{name} is this server"))

    def _others(self, exchangers: Sequence[Exchanger]) -> list[Exchanger]:
        """Those that come before ourselves, by preference and in any order."""
        ours = [one.preference for one in exchangers if one.host in self._ourselves.names]
        ordered: list[Exchanger] = []
        for preference, group in groupby(sorted(exchangers), lambda one: one.preference):
            if ours and preference >= min(ours):
                break
            level = list(group)
            self._shuffle(level)
            ordered += level
        return ordered


def _address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise Nowhere(made_here(550, "5.1.2", "no address can be like this")) from error
