"""The DNS, asked by dnspython."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from postroom_admin.ports import DnsFailure

if TYPE_CHECKING:
    import dns.asyncresolver

SECONDS = 10.0  # that a lookup may take in all
PORT = 53
SERVER = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?")

# What people need to know of dnspython's longest errors.
WHY = {
    "LifetimeTimeout": f"no answer within {SECONDS:.0f} seconds",
    "NoNameservers": "no server has a good answer",
    "NoResolverConfiguration": "the system names no server",
}


class DnsServers:
    """ports.Dns by one server, or by those of the system.

    Args:
        server: an IP address, host:port or [host]:port; empty: those of the system.

    Raises:
        ValueError: it is none of these.
    """

    def __init__(self, server: str = "") -> None:
        self._server = read_server(server) if server else None
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def look_up(self, name: str, kind: str) -> Sequence[str]:
        """As ports.Dns says."""
        if kind == "TXT":
            found = await self._ask(name, kind)
            return [b"".join(one.strings).decode("utf-8", "replace") for one in found]
        return [_text(one) for one in await self._ask(name, kind)]

    async def names_of(self, address: str) -> Sequence[str]:
        """As ports.Dns says."""
        import dns.reversename

        return await self.look_up(dns.reversename.from_address(address).to_text(), "PTR")

    async def _ask(self, name: str, kind: str) -> Sequence[Any]:
        # Imported here: no other command should wait for it.
        import dns.exception
        import dns.resolver

        try:
            resolver = self._made()
            answer = await resolver.resolve(
                name.rstrip(".") + ".", kind, raise_on_no_answer=False, search=False
            )
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            why = WHY.get(type(error).__name__, str(error))
            raise DnsFailure(f"the DNS can't say what {kind} is at {name}: {why}") from error
        return list(answer) if answer.rrset is not None else []

    def _made(self) -> dns.asyncresolver.Resolver:
        import dns.asyncresolver
        import dns.nameserver

        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=self._server is None)
            if self._server is not None:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(*self._server)]
            resolver.lifetime = SECONDS
            resolver.timeout = SECONDS / 3
            self._resolver = resolver
        return self._resolver


def read_server(text: str) -> tuple[str, int]:
    """The IP address and port of a server, 53 where none is named. Raises ValueError."""
    found = SERVER.fullmatch(text.strip())
    host, port = (found[1] or found[2], found[3]) if found else (text.strip(), None)
    number = int(port or PORT)
    if not 0 < number < 65536:
        raise ValueError(f"{port} is no port")
    return str(ip_address(host)), number


def _text(record: Any) -> str:
    """A record as ports.Dns has it: every field, names in lower case and without the last dot."""
    fields = str(record.to_text()).lower().split()
    return " ".join(field if field == "." else field.removesuffix(".") for field in fields)
