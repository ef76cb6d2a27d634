"""A session from its greeting to its end."""

from __future__ import annotations

import asyncio
import time

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.connection import Connection, Draining
from postroom_chassis.net.tls import ServerTls

from postroom_pop3 import transaction
from postroom_pop3.authorization import Admission, Authorization
from postroom_pop3.dialogue import Dialogue
from postroom_pop3.kpop import KpopAuthorization
from postroom_pop3.ports import Authenticator, LockedMaildrop, Maildrops
from postroom_pop3.protocol import replies
from postroom_pop3.protocol.maildrop import Maildrop
from postroom_pop3.retrieval import Retrieval
from postroom_pop3.settings import Pop3Settings
from postroom_pop3.transaction import Transaction

log = logs.logger(__name__)

REFUSED = replies.err("too many connections, come back later", replies.TEMPORARY)
RELEASE_SECONDS = 5.0
# After these the lease may still be had; after any other error of a renewal the session is over.
PASSING = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE, Kind.INTERNAL})


class Front:
    """Serves connections.

    Args:
        authenticator: who people are.
        maildrops: what they have.
        tls: for STLS; None where there is no certificate.
        settings: limits and times.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        maildrops: Maildrops,
        tls: ServerTls | None,
        settings: Pop3Settings,
    ) -> None:
        self._settings = settings
        self._admission = Admission(
            authenticator,
            maildrops.lock,
            tls,
            settings.clear_text_login,
            settings.login_failures,
            settings.login_seconds,
        )

    async def serve(self, connection: Connection) -> None:
        """Speak POP3 until one side has enough."""
        await self._serve(Authorization(self._admission, self._dialogue(connection)))

    async def serve_kpop(self, connection: Connection) -> None:
        """Speak POP3 with a client whom Kerberos introduces."""
        await self._serve(KpopAuthorization(self._admission, self._dialogue(connection)))

    def _dialogue(self, connection: Connection) -> Dialogue:
        return Dialogue(connection, self._settings.bad_commands)

    async def _serve(self, state: Authorization) -> None:
        connection, began = state.dialogue.connection, time.monotonic()
        try:
            await state.run()
            if state.locked is not None:
                await self._transact(state, state.locked)
        except Draining:
            connection.write(replies.err("this server is going down, come back", replies.TEMPORARY))
        finally:
            _log_end(connection, state, began)

    async def _transact(self, admitted: Authorization, locked: LockedMaildrop) -> None:
        dialogue = admitted.dialogue
        connection = dialogue.connection
        maildrop = Maildrop(locked.snapshot)
        retrieval = Retrieval(locked, maildrop, self._settings.read_ahead_bytes)
        surrogates = self._settings.surrogates and not admitted.utf8
        state = Transaction(admitted, locked, maildrop, retrieval, surrogates)
        keeper = asyncio.create_task(self._keep(locked, connection))
        try:
            await dialogue.run(state, transaction.TABLE, self._settings.idle_seconds)
        except Draining:
            if not keeper.done():
                raise
            connection.write(replies.refusal(keeper.result()))
        finally:
            keeper.cancel()
            await retrieval.close()
            if not state.committed:
                await _release(locked)
            log.info(
                "pop3.maildrop",
                retrieved=state.retrieved,
                removed=state.removed,
            )

    async def _keep(self, locked: LockedMaildrop, connection: Connection) -> PostroomError:
        """Renew the lease until that is refused; then end the session at its next pause."""
        while True:
            await asyncio.sleep(self._settings.lease_renewal_seconds)
            try:
                await locked.renew()
            except PostroomError as error:
                if error.kind not in PASSING:
                    connection.wake_for_drain()
                    return error
                log.warning("pop3.lease_not_renewed", why=error.kind)


def _log_end(connection: Connection, state: Authorization, began: float) -> None:
    log.info(
        "pop3.session",
        address=connection.peer.address,
        tls=connection.tls.version if connection.tls else "",
        account=state.identity.address if state.identity else "",
        seconds=round(time.monotonic() - began, 3),
    )


async def _release(locked: LockedMaildrop) -> None:
    """Give the maildrop back with nothing removed (RFC 1939 sections 3 and 6), if it can be."""
    try:
        async with asyncio.timeout(RELEASE_SECONDS):
            await locked.commit([])
    except (PostroomError, TimeoutError) as error:
        log.info("pop3.maildrop_not_released", why=str(error))
