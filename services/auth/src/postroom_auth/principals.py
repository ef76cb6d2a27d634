"""Checking a principal of Kerberos: throttled, and whose account it opens."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.acceptor import REFUSED, Acceptor, Context, RequestRefused
from postroom_auth.domain.address import DomainName
from postroom_auth.domain.principal import address_of
from postroom_auth.domain.sasl.exchange import Principal, Proven, RequestAnswer
from postroom_auth.passwords import Tried, enabled
from postroom_auth.ports import Directory, Subject, Throttle
from postroom_auth.slowing import admit, counted, slowed

log = logs.logger("postroom.auth.audit")


class PrincipalChecks:
    """Answers whose account a principal opens.

    Nobody is named before the ticket is read: failures are counted for where they come from.

    Args:
        realms: whose principals are people here, and at which domain.
    """

    def __init__(
        self,
        directory: Directory,
        throttle: Throttle,
        acceptor: Acceptor,
        realms: Mapping[str, DomainName],
    ) -> None:
        self._directory = directory
        self._throttle = throttle
        self._acceptor = acceptor
        self._realms = realms

    async def begin_context(self, protocol: str, network: str, tried: Tried) -> CheckedContext:
        """A context for a client. Raises PostroomError RATE_LIMITED, UNAVAILABLE."""
        await admit(self._throttle, Subject(None, network))
        context = await self._acceptor.context(protocol)
        return CheckedContext(self, context, network, tried)

    async def check_request(self, request: bytes, network: str, tried: Tried) -> RequestAnswer:
        """What a client's AP-REQ for POP3 proves. Raises as above."""
        try:
            async with slowed(self._throttle, Subject(None, network)):
                found = await self._acceptor.read_request(request)
                principal = await self.principal(found.client, found.ends_at, tried)
                return RequestAnswer(found.reply, principal)
        except RequestRefused as refused:
            return RequestAnswer(refused.reply, None)

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
        credential = enabled(credential, tried)
        if credential is None:
            log.info("principal.refused", principal=name)
            raise PostroomError(Kind.UNAUTHENTICATED, REFUSED)
        return Principal(name, Proven(credential, until=until))

    def counted(self, network: str) -> AbstractAsyncContextManager[None]:
        """Counts what is refused meanwhile."""
        return counted(self._throttle, Subject(None, network))


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
        return self._context.initiator is not None

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
            initiator = self._context.initiator
            if initiator is None:
                raise PostroomError(Kind.UNAUTHENTICATED, REFUSED)
            return await self._checks.principal(initiator.name, initiator.ends_at, self._tried)
