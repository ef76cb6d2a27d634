"""App passwords: generated, so that one program can sign in and nothing else is given away.

The text is five characters that name the password among the account's, and 25 that are secret (125
random bits). So the one hash that can be right is found by its name: an account with many of them
costs one hash, as every other does. Grouping and case are for readers; neither counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from postroom_auth.domain.generated import ALPHABET, GROUP, make_text
from postroom_auth.domain.networks import admits, read_network
from postroom_auth.domain.password import Password
from postroom_auth.domain.people import InvalidValue, check_name

GROUPS = 6  # the first one is public
MOST = 100  # of an account
NETWORKS = 32  # of one
PROTOCOLS = ("imap", "pop3", "smtp", "api")


@dataclass(frozen=True, slots=True)
class Scope:
    """What an app password is good for.

    Attributes:
        name: what its owner calls it; one of a name in an account.
        protocols: of "imap", "pop3", "smtp", "api".
        networks: where it may be used; empty: everywhere.
        expires_at: Unix seconds; 0: never.

    Raises:
        InvalidValue: the text says of what.
    """

    name: str
    protocols: tuple[str, ...]
    networks: tuple[str, ...] = ()
    expires_at: int = 0

    def __post_init__(self) -> None:
        check_name("the app password's name", self.name)
        if not self.protocols:
            raise InvalidValue(f"name what it is for: {', '.join(PROTOCOLS)}")
        for protocol in self.protocols:
            if protocol not in PROTOCOLS:
                raise InvalidValue(f"no protocol {protocol[:32]!r}: {', '.join(PROTOCOLS)}")
        if len(self.networks) > NETWORKS:
            raise InvalidValue(f"an app password has at most {NETWORKS} networks")
        for network in self.networks:
            read_network(network)
        if self.expires_at < 0:
            raise InvalidValue("the time of its end is before all time")

    def permits(self, protocol: str, address: str, now: float) -> bool:
        """Whether it is good on a connection."""
        networks = [read_network(network) for network in self.networks]
        return protocol in self.protocols and self.alive(now) and admits(networks, address)

    def alive(self, now: float) -> bool:
        """Whether its time has not come."""
        return not self.expires_at or now < self.expires_at


@dataclass(frozen=True, slots=True)
class AppPassword:
    """An app password as lists show it.

    Attributes:
        created_at: Unix seconds, as the next one.
        used_at: when somebody signed in with it last, give or take a minute; 0: nobody has.
    """

    app_password_id: int
    scope: Scope
    created_at: int
    used_at: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class StoredSecret:
    """An app password as signing in needs it. Its `repr` shows no hash."""

    app_password_id: int
    scope: Scope
    secret_hash: str
    used_at: int = 0

    def __repr__(self) -> str:
        return f"StoredSecret({self.app_password_id})"


def generate() -> str:
    """A new app password."""
    return make_text(GROUPS)


def compact(password: Password) -> Password | None:
    """A password as it is hashed, where it has an app password's form; else None."""
    text = password.prepared.decode("utf-8", "replace").lower()
    text = "".join(text.split()).replace("-", "")
    if len(text) == GROUP * GROUPS and set(text) <= set(ALPHABET):
        return Password(text.encode())
    return None


def public_id(compacted: Password) -> str:
    """What names an app password among the account's."""
    return compacted.prepared[:GROUP].decode("ascii")
