"""Secrets that two sides share, and what they are good for.

APOP and CRAM-MD5 prove that the client knows a secret without showing it; whoever checks the proof
must know it too, so it can't be a hash. RPOP's id is shown like a password. None of them is the
account's password: each is made here, for one mechanism, shown once, and may end at any time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroom_auth.domain.people import InvalidValue

# Nothing that looks like something else: it may be read out over a telephone.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
GROUPS, GROUP = 5, 5  # 125 random bits
SECRETS = 10  # of an account and a kind
NETWORKS = 20  # of a secret

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SecretKind(StrEnum):
    """The mechanism that a secret is for."""

    APOP = "apop"
    CRAM_MD5 = "cram-md5"
    RPOP = "rpop"

    @classmethod
    def parse(cls, text: str) -> SecretKind:
        """Raises InvalidValue."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise InvalidValue(f"a secret is for one of {', '.join(cls)}") from None


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """What may be told of a secret.

    Attributes:
        networks: whose clients may use it; none: all.
        created_at: Unix seconds.
    """

    secret_id: int
    kind: SecretKind
    networks: tuple[Network, ...]
    created_at: int


def make_secret(choose: Callable[[Sequence[str]], str]) -> str:
    """A new one.

    Args:
        choose: picks by chance, as secrets.choice does.
    """
    groups = ("".join(choose(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))
    return "-".join(groups)


def read_networks(kind: SecretKind, texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks of a new secret. Raises InvalidValue."""
    if len(texts) > NETWORKS:
        raise InvalidValue(f"a secret is bound to at most {NETWORKS} networks")
    if kind is SecretKind.RPOP and not texts:
        raise InvalidValue("an rpop secret is bound to networks: name one at least")
    try:
        return tuple(ipaddress.ip_network(text.strip()) for text in texts)
    except ValueError as error:
        raise InvalidValue(f"that is no network: {error}") from None


def admits(networks: Sequence[Network], address: str) -> bool:
    """Whether a client at an IP address may use a secret that is bound to networks."""
    if not networks:
        return True
    client = ipaddress.ip_address(address)
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return any(client.version == one.version and client in one for one in networks)
