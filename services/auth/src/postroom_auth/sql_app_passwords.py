"""App passwords in the database, and those that were asked for a few seconds ago in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.database import Database
from postroom_auth.domain.address import Address
from postroom_auth.domain.app_password import MOST, AppPassword, Scope, StoredSecret
from postroom_auth.remembered import Remembered
from postroom_auth.sql_lookups import account_id_of
from postroom_auth.tables import app_passwords

USED_SECONDS = 60  # how exact the time of the last use is
NOTED = 100_000  # app passwords of which it is known here that it was noted

SECRET = sa.select(
    app_passwords.c.app_password_id,
    app_passwords.c.name,
    app_passwords.c.protocols,
    app_passwords.c.networks,
    app_passwords.c.expires_at,
    app_passwords.c.secret_hash,
    app_passwords.c.used_at,
)


class SqlAppPasswords:
    """AppPasswords (see ports) over a database.

    Args:
        seconds: how old an answer may be.
        most: answers that are kept.
        monotonic: seconds, for these.
        clock: Unix seconds.
    """

    def __init__(
        self,
        database: Database,
        seconds: float,
        most: int,
        monotonic: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._clock = clock
        self._by_name = Remembered[tuple[int, str], StoredSecret | None](seconds, most, monotonic)
        self._by_id = Remembered[tuple[int, int], StoredSecret | None](seconds, most, monotonic)
        self._noted = Remembered[int, bool](USED_SECONDS, NOTED, monotonic)
        self._uses: dict[int, int] = {}

    def forget(self) -> None:
        """Something has changed: ask anew."""
        self._by_name.forget()
        self._by_id.forget()

    async def find(self, account_id: int, public_id: str) -> StoredSecret | None:
        which = app_passwords.c.public_id == public_id
        return await self._by_name.or_read(
            (account_id, public_id), lambda: self._database.read(_find, account_id, which)
        )

    async def find_by_id(self, account_id: int, app_password_id: int) -> StoredSecret | None:
        which = app_passwords.c.app_password_id == app_password_id
        return await self._by_id.or_read(
            (account_id, app_password_id), lambda: self._database.read(_find, account_id, which)
        )

    async def add(
        self, address: Address, scope: Scope, public_id: str, secret_hash: str
    ) -> AppPassword:
        now = int(self._clock())
        added = await self._database.write(_add, address, scope, public_id, secret_hash, now)
        self.forget()
        return added

    async def list_of(self, address: Address) -> list[AppPassword]:
        return await self._database.read(_list, address)

    async def revoke(self, address: Address, name: str) -> int:
        try:
            return await self._database.write(_revoke, address, name)
        finally:
            self.forget()

    async def rehash(self, secret: StoredSecret, secret_hash: str) -> None:
        await self._database.write(_rehash, secret, secret_hash)
        self.forget()

    def used(self, secret: StoredSecret) -> None:
        which, now = secret.app_password_id, int(self._clock())
        if now - secret.used_at >= USED_SECONDS and not self._noted.get(which, False):
            self._noted.put(which, True, self._noted.era)
            self._uses[which] = now

    async def write_uses(self) -> None:
        """Write when app passwords were used last: in one transaction for all."""
        uses = dict(self._uses)
        if not uses:
            return
        await self._database.write(_write_uses, uses)
        # Those that were noted meanwhile are written the next time.
        self._uses = dict(self._uses.items() - uses.items())


def _find(
    connection: sa.Connection, account_id: int, which: sa.ColumnElement[bool]
) -> StoredSecret | None:
    row = connection.execute(
        SECRET.where(app_passwords.c.account_id == account_id, which)
    ).one_or_none()
    if row is None:
        return None
    return StoredSecret(row.app_password_id, _scope(row), row.secret_hash, row.used_at)


def _add(
    connection: sa.Connection,
    address: Address,
    scope: Scope,
    public_id: str,
    secret_hash: str,
    now: int,
) -> AppPassword:
    account_id = account_id_of(connection, address)
    held = connection.execute(
        sa.select(app_passwords.c.name).where(app_passwords.c.account_id == account_id)
    ).scalars()
    names = set(held)
    if scope.name in names:
        raise PostroomError(
            Kind.ALREADY_EXISTS, f"{address} has an app password {scope.name} already: revoke it"
        )
    if len(names) >= MOST:
        raise PostroomError(Kind.CONFLICT, f"{address} has {MOST} app passwords: revoke some")
    result = connection.execute(
        sa.insert(app_passwords).values(
            account_id=account_id,
            public_id=public_id,
            name=scope.name,
            secret_hash=secret_hash,
            protocols=" ".join(scope.protocols),
            networks=" ".join(scope.networks),
            expires_at=scope.expires_at,
            created_at=now,
            used_at=0,
        )
    )
    key = result.inserted_primary_key
    return AppPassword(int(key[0]) if key else 0, scope, now)


def _list(connection: sa.Connection, address: Address) -> list[AppPassword]:
    rows = connection.execute(
        sa.select(app_passwords)
        .where(app_passwords.c.account_id == account_id_of(connection, address))
        .order_by(app_passwords.c.name)
    )
    return [
        AppPassword(row.app_password_id, _scope(row), row.created_at, row.used_at) for row in rows
    ]


def _revoke(connection: sa.Connection, address: Address, name: str) -> int:
    which = app_passwords.c.account_id == account_id_of(connection, address)
    if name:
        which = sa.and_(which, app_passwords.c.name == name)
    gone = connection.execute(sa.delete(app_passwords).where(which)).rowcount
    if name and not gone:
        raise PostroomError(Kind.NOT_FOUND, f"{address} has no app password {name}")
    return gone


def _rehash(connection: sa.Connection, secret: StoredSecret, secret_hash: str) -> None:
    connection.execute(
        sa.update(app_passwords)
        .where(
            app_passwords.c.app_password_id == secret.app_password_id,
            app_passwords.c.secret_hash == secret.secret_hash,
        )
        .values(secret_hash=secret_hash)
    )


def _write_uses(connection: sa.Connection, uses: Mapping[int, int]) -> None:
    connection.execute(
        sa.update(app_passwords)
        .where(app_passwords.c.app_password_id == sa.bindparam("which"))
        .values(used_at=sa.bindparam("at")),
        [{"which": which, "at": uses[which]} for which in sorted(uses)],
    )


def _scope(row: Any) -> Scope:
    return Scope(
        row.name, tuple(row.protocols.split()), tuple(row.networks.split()), row.expires_at
    )
