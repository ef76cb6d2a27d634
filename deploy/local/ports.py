"""The ports of a local Postroom: where clients come, and those between its processes."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

HOST = "127.0.0.1"
DEFAULT_BASE = 2000

# From the base up: the well-known port of each, but for SMTP, where 2525 is what people expect.
OFFSETS = {
    "smtp": 525,
    "submission": 587,
    "submissions": 465,
    "imap": 143,
    "imaps": 993,
    "pop3": 110,
    "pop3s": 995,
    "admin": 80,
    "https": 443,
}
SERVICES = ("auth", "store", "smtp", "pop3", "imap", "admin")
INTERNAL = (
    *("auth-rpc", "store-rpc"),
    *(f"{name}-proxied" for name in ("submissions", "imaps", "pop3s")),
    *(f"{service}-http" for service in (*SERVICES, "haproxy")),
)

# Below what Linux and macOS give to outgoing connections: a port that is free while a service
# restarts must not be taken by a client of another.
LOWEST, HIGHEST = 20_000, 32_000


class PortTaken(Exception):
    """Something listens already where clients should come."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(
            f"Port {port} ({name}) is taken: stop what listens there, or choose others, "
            f"as in: make run ARGS='--port-base {12000 if port < 12000 else 22000}'"
        )
        self.port = port


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port, by name; `public` are those for clients."""

    public: Mapping[str, int]
    internal: Mapping[str, int]

    def address(self, name: str) -> str:
        """host:port of a port."""
        port = self.public.get(name) or self.internal[name]
        return f"{HOST}:{port}"


def fixed(base: int) -> Ports:
    """The same ports for clients at every start. Raises PortTaken."""
    public = {name: base + offset for name, offset in OFFSETS.items()}
    for name, port in public.items():
        if not is_free(port):
            raise PortTaken(name, port)
    return Ports(public, choose(INTERNAL, avoid=set(public.values())))


def free() -> Ports:
    """Whatever is free."""
    chosen = choose((*OFFSETS, *INTERNAL))
    return Ports(
        {name: chosen[name] for name in OFFSETS}, {name: chosen[name] for name in INTERNAL}
    )


def choose(names: tuple[str, ...], avoid: set[int] | None = None) -> dict[str, int]:
    """A free port for each name."""
    taken = avoid or set()
    candidates = (
        port
        for port in random.sample(range(LOWEST, HIGHEST), HIGHEST - LOWEST)
        if port not in taken and is_free(port)
    )
    return dict(zip(names, candidates, strict=False))


def is_free(port: int) -> bool:
    """Whether a service could listen on a port of loopback."""
    with closing(socket.socket()) as probe:
        # As servers do: what is left of closed connections doesn't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
