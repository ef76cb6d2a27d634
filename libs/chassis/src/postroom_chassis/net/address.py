"""What clients are counted by."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

IPV6_PREFIX = 64  # what one customer has at least; addresses within it cost nothing


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The network that an IP address is counted for: the address itself, or its /64.

    Raises:
        ValueError: the text is not an IP address.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
