"""Locks of accounts in the database."""

from __future__ import annotations

import sqlalchemy as sa
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.database import Database
from postroom_auth.domain.address import Address
from postroom_auth.tables import accounts


class SqlLocks:
    """Sets and reads until when accounts are locked. Raises PostroomError NOT_FOUND."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lock(self, address: Address, until: int) -> None:
        """Lock an account until a time (Unix seconds); 0: it is locked no more."""
        await self._database.write(_lock, address, until)

    async def read(self, address: Address) -> tuple[bool, int]:
        """Whether an account is disabled, and until when it is locked."""
        return await self._database.read(_read, address)


def _lock(connection: sa.Connection, address: Address, until: int) -> None:
    statement = sa.update(accounts).where(accounts.c.address == address.key)
    if not connection.execute(statement.values(locked_until=until)).rowcount:
        raise _missing(address)


def _read(connection: sa.Connection, address: Address) -> tuple[bool, int]:
    row = connection.execute(
        sa.select(accounts.c.disabled, accounts.c.locked_until).where(
            accounts.c.address == address.key
        )
    ).one_or_none()
    if row is None:
        raise _missing(address)
    return bool(row.disabled), int(row.locked_until)


def _missing(address: Address) -> PostroomError:
    return PostroomError(Kind.NOT_FOUND, f"there is no account {address}")
