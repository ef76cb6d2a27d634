"""Where mail for a domain goes, and from which of our addresses (settings, RFC 5321 section 5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from postroom_smtp.protocol.sasl import Credentials

T = TypeVar("T")

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}|\[[0-9A-Fa-f:.]+\]")
_DOMAIN = re.compile(r"\*|\.?[a-z0-9_][a-z0-9_.-]{0,254}")


class Level(StrEnum):
    """What TLS is asked for."""

    NONE = "none"  # clear text
    MAY = "may"  # TLS where the server has it, whoever it is (RFC 7435)
    ENCRYPT = "encrypt"  # TLS, whoever it is
    VERIFY = "verify"  # TLS, with a certificate for the host's name of an authority that is trusted


@dataclass(frozen=True, slots=True)
class Route:
    """How mail gets to a domain.

    Attributes:
        host: a server of ours or of a provider's, without its MX being asked; empty: as DNS says.
        tls: TLS from the beginning (RFC 8314), without STARTTLS.
        level: None: as the destination publishes, and at least MAY.
        login: sign in there.
    """

    host: str = ""
    port: int = 25
    tls: bool = False
    lmtp: bool = False
    level: Level | None = None
    login: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """From where we connect; None leaves it to the system.

    Attributes:
        name: what we say in EHLO; empty: our usual name.
    """

    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    name: str = ""


ANYWHERE = Source()


def by_domain(table: Mapping[str, T], domain: str) -> T | None:
    """What a table has for a domain: for itself, for the nearest ".parent", or for "*"."""
    domain = domain.lower()
    if domain in table:
        return table[domain]
    while "." in domain:
        domain = domain.partition(".")[2]
        if f".{domain}" in table:
            return table[f".{domain}"]
    return table.get("*")


def parse_routes(text: str, port: int, login: Credentials | None = None) -> dict[str, Route]:
    """`domain=host[:port][;option]...`, comma separated; a domain may be ".parent" or "*", and an
    empty host stands for what DNS says. Options: tls, lmtp, login, none, may, encrypt, verify.

    Raises ValueError.
    """

    def route(value: str) -> Route:
        place, *options = value.split(";")
        host, own_port = _place(place, port)
        made = Route(host, own_port)
        for option in options:
            made = _with_option(made, option, login)
        if made.login and made.level in (Level.NONE, Level.MAY):
            raise ValueError("a password isn't sent without TLS")
        if made.login and made.level is None:
            made = replace(made, level=Level.VERIFY)
        if (made.tls or made.lmtp or made.login) and not made.host:
            raise ValueError(f"{value}: tls, lmtp and login need a host")
        return made

    return _parse(text, route)


def parse_sources(text: str) -> dict[str, Source]:
    """`domain=address[|address][/name]`, comma separated, by the sender's domain. Raises
    ValueError.
    """

    def source(value: str) -> Source:
        addresses, _, name = value.partition("/")
        made = Source(name=name)
        for each in filter(None, addresses.split("|")):
            address = ip_address(each)
            if isinstance(address, IPv4Address):
                made = replace(made, ipv4=address)
            else:
                made = replace(made, ipv6=address)
        if name and not _HOST.fullmatch(name):
            raise ValueError(f"{name}: not the name of a host")
        return made

    return _parse(text, source)


def parse_numbers(text: str, kind: Callable[[str], T]) -> dict[str, T]:
    """`domain=number`, comma separated. Raises ValueError."""
    return _parse(text, kind)


def _parse(text: str, read: Callable[[str], T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for item in filter(None, (each.strip() for each in text.split(","))):
        domain, equals, value = item.partition("=")
        domain = domain.strip().lower()
        if not equals or not _DOMAIN.fullmatch(domain):
            raise ValueError(f"{item}: not domain=value")
        if domain in found:
            raise ValueError(f"{domain} stands there twice")
        found[domain] = read(value.strip())
    return found


def _place(text: str, port: int) -> tuple[str, int]:
    if not text:
        return "", port
    host, colon, own = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, own = text, str(port)
    if not _HOST.fullmatch(host) or not own.isdecimal() or not 0 < int(own) < 65536:
        raise ValueError(f"{text}: not host:port")
    return host.lower(), int(own)


def _with_option(route: Route, option: str, login: Credentials | None) -> Route:
    if option in set(Level):
        return replace(route, level=Level(option))
    match option:
        case "tls":
            return replace(route, tls=True)
        case "lmtp":
            return replace(route, lmtp=True)
        case "login" if login is not None:
            return replace(route, login=login)
        case "login":
            raise ValueError("login needs smart_host_user and smart_host_password")
    raise ValueError(f"{option}: not tls, lmtp, login, none, may, encrypt or verify")
