"""The audit of sign-ins: what is kept of the end of an exchange. No secret is among it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from postroom_auth.domain.people import InvalidValue

SUCCEEDED = "OK"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """How one exchange ended, or several that were alike.

    Attributes:
        at: Unix milliseconds.
        account: the key of the name that was given; empty: it was none, or there was none.
        outcome: "OK", or the kind of the error.
        why: more than the client was told.
        protocol: that the client spoke.
        front: the service that it spoke to.
        mechanism: of SASL.
        credential: "password", "app:NAME", or empty where the mechanism says it all.
        address: the client's.
        network: what its failures are counted for.
        tls: version; empty: in clear text.
        times: exchanges that were alike.
    """

    at: int
    account: str
    outcome: str
    why: str
    protocol: str
    front: str
    mechanism: str
    credential: str
    address: str
    network: str
    tls: str
    times: int = 1
    entry_id: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries somebody asks for; what is empty or 0 matters not.

    Attributes:
        account: a key.
        within: a network, or an address.
        succeeded: True or False: these alone.
        since: Unix milliseconds.
        before: the id of the oldest that is known already.

    Raises:
        InvalidValue: the network is none.
    """

    account: str = ""
    within: str = ""
    succeeded: bool | None = None
    since: int = 0
    before: int = 0

    def __post_init__(self) -> None:
        if self.within:
            bounds(self.within)


def order(address: str) -> str:
    """An address so that networks are ranges of text: as IPv6, in hexadecimal digits."""
    return f"{_number(ipaddress.ip_address(address.partition('%')[0])):032x}"


def bounds(network: str) -> tuple[str, str]:
    """The first and the last address of a network, as `order` has them. Raises InvalidValue."""
    try:
        parsed = ipaddress.ip_network(network, strict=False)
    except ValueError:
        raise InvalidValue(f"{network[:64]!r} is neither an address nor a network") from None
    return f"{_number(parsed[0]):032x}", f"{_number(parsed[-1]):032x}"


def _number(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    if isinstance(address, ipaddress.IPv4Address):
        return 0xFFFF << 32 | int(address)  # RFC 4291 section 2.5.5.2
    return int(address)
