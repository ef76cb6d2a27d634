"""Networks that a password or a secret is bound to."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from postroom_auth.domain.people import InvalidValue

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def read_network(text: str) -> Network:
    """A network, or one address. Raises InvalidValue."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise InvalidValue(f"{text[:64]!r} is no network: say 192.0.2.0/24 or 2001:db8::/32") from (
            None
        )


def admits(networks: Sequence[Network], address: str) -> bool:
    """Whether a client at an IP address may use what is bound to networks; none: it may."""
    if not networks:
        return True
    client = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return any(client in network for network in networks)
