"""Checking a principal of Kerberos: throttled, and whose account it opens."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.acceptor import REFUSED, Acceptor, Context
from postroom_auth.domain.address import DomainName
from postroom_auth.domain.principal import address_of
from postroom_auth.domain.sasl.exchange import Principal, Proven, RequestAnswer
from postroom_auth.krb5 import Request
from postroom_auth.passwords import DISABLED, Tried
from postroom_auth.ports import Directory, Subject, Throttle

log = logs.logger("postroom.auth.audit")


class PrincipalChecks:
    """Answers whose account a principal opens.

    Tickets can't be guessed: what is counted are failures, for where they come from.

    Args:
        acceptor: None where there is no keytab.
        realms: whose principals are people here, and at which domain.
    """

    def __init__(
        self,
        directory: Directory,
        throttle: Throttle,
        acceptor: Acceptor | None,
        realms: Mapping[str, DomainName],
    ) -> None:
        self._directory = directory
        self._throttle = throttle
        self._acceptor = acceptor
        self._realms = realms

    async def begin_context(self, protocol: str, network: str, tried: Tried) -> CheckedContext:
        """A context for a client. Raises PostroomError RATE_LIMITED, UNAVAILABLE."""
        await self._throttle.check(_subject(network))
        context = await self._needed.context(protocol)
        return CheckedContext(self, context, network, tried)

    async def check_request(self, request: bytes, network: str, tried: Tried) -> RequestAnswer:
        """What a client's AP-REQ for POP3 proves. Raises as above."""
        await self._throttle.check(_subject(network))
        found = await self._needed.read_request(request)
        if not isinstance(found, Request):
            await self._count(network)
            return RequestAnswer(found, None)
        async with self.counted(network):
            principal = await self.principal(found.client, found.ends_at, tried)
        return RequestAnswer(found.reply, principal)

    async def principal(self, name: str, until: int, tried: Tried) -> Principal:
        """Whose account a principal opens.

        Args:
            tried: told whose, and why it was refused.

        Raises:
            PostroomError: UNAUTHENTICATED where there is none, or it is disabled.
        """
        address = address_of(name, self._realms)
        credential = await self._directory.credential(address.key) if address else None
        tried.account = address.key if address else ""
        if credential is not None and credential.disabled:
            tried.why = DISABLED
        if credential is None or credential.disabled:
            log.info("principal.refused", principal=name)
            raise PostroomError(Kind.UNAUTHENTICATED, REFUSED)
        return Principal(name, Proven(credential, until=until))

    @asynccontextmanager
    async def counted(self, network: str) -> AsyncIterator[None]:
        """Counts what is refused meanwhile."""
        try:
            yield
        except PostroomError as error:
            if error.kind is Kind.UNAUTHENTICATED:
                await self._count(network)
            raise

    @property
    def _needed(self) -> Acceptor:
        if self._acceptor is None:
            raise PostroomError(Kind.UNSUPPORTED, "there is no such mechanism here")
        return self._acceptor

    async def _count(self, network: str) -> None:
        await self._throttle.failed(_subject(network), begun=False)


class CheckedContext:
    """SecurityContext (see domain.sasl.exchange)."""

    def __init__(
        self, checks: PrincipalChecks, context: Context, network: str, tried: Tried
    ) -> None:
        self._checks = checks
        self._context = context
        self._network = network
        self._tried = tried

    @property
    def established(self) -> bool:
        return self._context.established

    async def accept(self, token: bytes) -> bytes:
        async with self._checks.counted(self._network):
            return await self._context.accept(token)

    async def wrap(self, message: bytes) -> bytes:
        return await self._context.wrap(message)

    async def unwrap(self, message: bytes) -> bytes:
        async with self._checks.counted(self._network):
            return await self._context.unwrap(message)

    async def principal(self) -> Principal:
        async with self._checks.counted(self._network):
            until = int(time.time()) + self._context.seconds
            return await self._checks.principal(self._context.name, until, self._tried)


def _subject(network: str) -> Subject:
    return Subject(f"tickets from {network}", network)
