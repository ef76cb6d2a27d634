"""Secrets that two sides share, and what they are good for.

APOP and CRAM-MD5 prove that the client knows a secret without showing it; whoever checks the proof
must know it too, so it can't be a hash. RPOP's id is shown like a password. None of them is the
account's password: each is made here, for one mechanism, shown once, and may end at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroom_auth.domain.generated import make_text
from postroom_auth.domain.networks import Network, read_network
from postroom_auth.domain.people import InvalidValue

GROUPS = 5  # 125 random bits
SECRETS = 10  # of an account and a kind
NETWORKS = 20  # of a secret


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


def make_secret() -> str:
    """The text of a new one."""
    return make_text(GROUPS)


def read_networks(kind: SecretKind, texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks of a new secret. Raises InvalidValue."""
    if len(texts) > NETWORKS:
        raise InvalidValue(f"a secret is bound to at most {NETWORKS} networks")
    if kind is SecretKind.RPOP and not texts:
        raise InvalidValue("an rpop secret is bound to networks: name one at least")
    return tuple(read_network(text.strip()) for text in texts)


def about(account_id: int, kind: SecretKind) -> bytes:
    """What a sealed secret belongs to."""
    return b"postroom secret %d %b" % (account_id, kind.encode())
