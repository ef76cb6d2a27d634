"""What is kept of accounts for POP3, in the database."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.database import Database
from postroom_auth.domain.maildrop_policy import MaildropPolicy
from postroom_auth.domain.people import Credential
from postroom_auth.tables import accounts

_DELETES = sa.select(sa.literal(1)).where(accounts.c.pop3_delete).limit(1)
_DAYS = sa.select(sa.func.min(accounts.c.pop3_days)).where(accounts.c.pop3_days > 0)
_DELAY = sa.select(sa.func.max(accounts.c.pop3_login_delay))


class SqlMaildrops:
    """Maildrops (see ports) over a database.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def strictest(self) -> MaildropPolicy:
        return await self._database.read(_strictest)

    async def enter(self, credential: Credential) -> None:
        if credential.pop3_login_delay:
            await self._database.write(_enter, credential, int(self._clock()))


def _strictest(connection: sa.Connection) -> MaildropPolicy:
    deletes = connection.scalar(_DELETES) is not None
    days = connection.scalar(_DAYS)
    return MaildropPolicy(0 if deletes else days, connection.scalar(_DELAY) or 0)


def _enter(connection: sa.Connection, credential: Credential, now: int) -> None:
    delay = credential.pop3_login_delay
    # One statement looks and notes: of two sessions at once, on any replica, one gets in.
    entered = connection.execute(
        sa.update(accounts)
        .where(
            accounts.c.account_id == credential.account_id,
            # Nobody is kept out for long by a clock that was once ahead.
            ~accounts.c.pop3_login_at.between(now - delay + 1, now + delay),
        )
        .values(pop3_login_at=now)
    )
    if entered.rowcount == 0:
        raise PostroomError(Kind.TOO_SOON, f"wait {delay} seconds from one time to the next")
