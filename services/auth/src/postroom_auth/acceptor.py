"""Kerberos's side of signing in: tickets checked with the keytab, in a few threads.

No KDC is asked: a ticket is checked by the service's own key (RFC 4120 section 3.2.3). Calls of
libgssapi and libkrb5 block, if for microseconds; a disk that hangs holds up nobody but those who
wait here, and these for some seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.sasl.exchange import Malformed
from postroom_auth.krb5 import KerberosError, Krb5, Request

try:
    import gssapi
    from gssapi.exceptions import GSSError
except ImportError:  # it is compiled where it is installed: only those who need it do
    gssapi = None

log = logs.logger(__name__)
T = TypeVar("T")

SECONDS = 5.0
WAITING = 256
REFUSED = "the ticket proves nothing here"
# What a service is called in a principal, by the protocol that it speaks (RFC 4752 section 5).
SERVICES = {"imap": "imap", "pop3": "pop", "smtp": "smtp"}


class RequestRefused(PostroomError):
    """An AP-REQ proves nothing.

    Args:
        reply: a KRB-ERROR for the client.
    """

    def __init__(self, reply: bytes) -> None:
        super().__init__(Kind.UNAUTHENTICATED, REFUSED)
        self.reply = reply


class Acceptor:
    """Checks tickets for this house's services.

    Args:
        keytab: the services' keys.
        hostname: the one that tickets must name; empty: any that the keytab has a key for.
        threads: calls at a time.
        clock: Unix seconds.
        kpop: whether AP-REQs are read, too.

    Raises:
        OSError: a library that is needed isn't there, or the keytab can't be read.
    """

    def __init__(
        self,
        keytab: Path,
        hostname: str,
        threads: int,
        clock: Callable[[], float],
        *,
        kpop: bool,
    ) -> None:
        if gssapi is None:
            raise OSError("a keytab needs the package gssapi, which is not installed")
        keytab.read_bytes()
        self._keytab = keytab
        self._hostname = hostname
        self.clock = clock
        self._krb5 = Krb5(keytab) if kpop else None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="kerberos")
        self._waiting = 0

    async def context(self, protocol: str) -> Context:
        """A context for a client of a protocol. Raises PostroomError UNAVAILABLE."""
        try:
            begun = await self.run(partial(self._begin, SERVICES[protocol]))
        except GSSError as error:
            log.error("keytab.unusable", service=SERVICES[protocol], error=str(error))
            raise _away() from None
        return Context(self, begun)

    async def read_request(self, request: bytes) -> Request:
        """What an AP-REQ for POP3 proves.

        Raises:
            RequestRefused: it proves nothing.
            PostroomError: UNAVAILABLE; UNSUPPORTED where KPOP is off.
        """
        if self._krb5 is None:
            raise PostroomError(Kind.UNSUPPORTED, "there is no such mechanism here")
        return await self.run(partial(self._read_request, self._krb5, request))

    async def run(self, work: Callable[[], T]) -> T:
        """Work in a thread. Raises PostroomError UNAVAILABLE where too many wait, or too long."""
        if self._waiting >= WAITING:
            raise PostroomError(Kind.UNAVAILABLE, "too many people are signing in at this moment")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        # The thread goes on after a timeout: its place is free when it ends, not before.
        future.add_done_callback(self._end)
        try:
            async with asyncio.timeout(SECONDS):
                return await asyncio.shield(future)
        except TimeoutError:
            raise _away() from None

    def close(self) -> None:
        """Check no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _end(self, future: asyncio.Future[T]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # seen, even where nobody waits any more

    def _begin(self, service: str) -> gssapi.SecurityContext:
        host = f"@{self._hostname}" if self._hostname else ""
        credentials = gssapi.Credentials(
            name=gssapi.Name(service + host, gssapi.NameType.hostbased_service),
            usage="accept",
            # RFC 4752 section 3: Kerberos alone, nothing that is negotiated.
            mechs=[gssapi.MechType.kerberos],
            store={"keytab": f"FILE:{self._keytab}"},
        )
        return gssapi.SecurityContext(creds=credentials, usage="accept")

    def _read_request(self, krb5: Krb5, request: bytes) -> Request:
        service = SERVICES["pop3"]
        try:
            found = krb5.read_request(request)
        except KerberosError as error:
            log.info("kerberos.refused", service=service, error=str(error))
            if error.ours:
                log.error("keytab.unusable", service=service, error=str(error))
                raise _away() from None
            raise self._refused(krb5, error) from None
        name, _, host = found.server.partition("@")[0].partition("/")
        if name != service or self._hostname not in ("", host):
            log.info("kerberos.refused", service=service, error=f"a ticket for {found.server}")
            raise self._refused(krb5, KerberosError(0, "a ticket for another service"))
        return found

    def _refused(self, krb5: Krb5, error: KerberosError) -> PostroomError:
        server = f"{SERVICES['pop3']}/{self._hostname or 'localhost'}"
        try:
            return RequestRefused(krb5.make_error(server, error))
        except KerberosError:
            return PostroomError(Kind.UNAUTHENTICATED, REFUSED)


@dataclass(frozen=True, slots=True)
class Initiator:
    """Who has established a context.

    Attributes:
        name: a principal, as it is written.
        ends_at: Unix seconds, of the ticket, the clocks' difference included.
    """

    name: str
    ends_at: int


class Context:
    """SecurityContext (see domain.sasl.exchange), without the account's part.

    Attributes:
        initiator: None until the context is established.
    """

    def __init__(self, acceptor: Acceptor, begun: gssapi.SecurityContext) -> None:
        self._acceptor = acceptor
        self._begun = begun
        self.initiator: Initiator | None = None

    async def accept(self, token: bytes) -> bytes:
        if not token:
            raise Malformed("a token was due")
        reply, self.initiator = await self._acceptor.run(partial(_told, self._step, token))
        return reply

    def _step(self, token: bytes) -> tuple[bytes, Initiator | None]:
        reply = bytes(self._begun.step(token) or b"")
        # Where there is a token that tells the client of an error, this raises it.
        if not self._begun.complete:
            return reply, None
        ends_at = int(self._acceptor.clock()) + int(self._begun.lifetime)
        return reply, Initiator(str(self._begun.initiator_name), ends_at)

    async def wrap(self, message: bytes) -> bytes:
        wrapped = await self._acceptor.run(partial(self._begun.wrap, message, False))
        return bytes(wrapped.message)

    async def unwrap(self, message: bytes) -> bytes:
        unwrapped = await self._acceptor.run(partial(_told, self._begun.unwrap, message))
        return bytes(unwrapped.message)


def _told(work: Callable[[bytes], T], message: bytes) -> T:
    """Raises PostroomError UNAUTHENTICATED for what proves nothing."""
    try:
        return work(message)
    except GSSError as error:
        log.info("kerberos.refused", error=str(error)[:500])
        raise PostroomError(Kind.UNAUTHENTICATED, REFUSED) from None


def _away() -> PostroomError:
    return PostroomError(Kind.UNAVAILABLE, "tickets can't be checked now")
