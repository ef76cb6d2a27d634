"""Sessions on listeners: one for each connection, from its greeting to its end."""

from __future__ import annotations

import time

from postroom_chassis import logs
from postroom_chassis.net.connection import Connection

from postroom_smtp.protocol import reply
from postroom_smtp.session import House, Session
from postroom_smtp.settings import Role
from postroom_smtp.smtpd import Smtpd

log = logs.logger(__name__)

REFUSED = f"{reply.TOO_MANY_CONNECTIONS}\r\n".encode()


class Front:
    """Serves the connections of listeners of one role."""

    def __init__(self, house: House, role: Role) -> None:
        self._house = house
        self._role = role
        self._smtpd = Smtpd(house.settings)

    async def serve(self, connection: Connection) -> None:
        """Speak SMTP until one side has enough."""
        began = time.monotonic()
        session = Session(self._house, connection, self._role)
        try:
            await self._smtpd.serve(session)
        finally:
            await session.close()
            log.info(
                "smtp.session",
                address=connection.peer.address,
                name=session.name,
                tls=connection.tls.version if connection.tls else "",
                account=session.identity.address if session.identity else "",
                messages=session.messages,
                seconds=round(time.monotonic() - began, 3),
            )
