"""Services inside the test's own process: real wiring, real RPC over mutual TLS, port 0."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.lifecycle import Service
from postroom_chassis.rpc.client import Channel
from postroom_chassis.settings import ServiceSettings, Tls
from postroom_chassis.tickets import Ticket, TicketSigner, read_signing_key

S = TypeVar("S", bound=ServiceSettings)
LATER = 4_000_000_000
# Quick enough that a test may hash dozens, of passwords that are easy to guess.
QUICK_HASHES: dict[str, Any] = {
    "argon2_memory_kib": 64,
    "argon2_passes": 1,
    "argon2_lanes": 1,
    "password_score": 0,
    "scram_iterations": 4096,
}


@dataclass(frozen=True)
class Certificates:
    """A development authority's folder, made once a session."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        make_development_certificates(folder)
        return cls(folder)

    def tls(self, service: str) -> Tls:
        """The certificate by which a service is known."""
        return Tls(
            certificate=self.folder / f"{service}.pem",
            key=self.folder / f"{service}.key",
            authority=self.folder / "ca.pem",
        )

    def settings(self, service: str) -> dict[str, Any]:
        """The settings that every service needs."""
        tls = self.tls(service)
        return {
            "rpc_certificate": tls.certificate,
            "rpc_key": tls.key,
            "rpc_authority": tls.authority,
            "drain_seconds": 1.0,
        }

    def ticket(
        self,
        account_id: int,
        *,
        scope: str = "mail",
        quota_bytes: int = 0,
        expires_at: int = LATER,
    ) -> str:
        """A ticket as auth would sign it."""
        signer = TicketSigner(read_signing_key((self.folder / "ticket.key").read_bytes()))
        address = f"account{account_id}@example.org"
        return signer.sign(Ticket(account_id, address, frozenset({scope}), expires_at, quota_bytes))

    @asynccontextmanager
    async def channel(self, port: int, service: str, caller: str) -> AsyncIterator[Channel]:
        """A channel to a service on a port, as some caller."""
        channel = Channel(f"127.0.0.1:{port}", service, self.tls(caller))
        try:
            yield channel
        finally:
            await channel.close()


@asynccontextmanager
async def running(
    settings: S, start: Callable[[Service, S], Awaitable[None]]
) -> AsyncIterator[Service]:
    """A service, drained and stopped at the end as on SIGTERM."""
    async with AsyncExitStack() as stack:
        service = Service(stack)
        await start(service, settings)
        try:
            yield service
        finally:
            await service.drain(settings.drain_seconds)
