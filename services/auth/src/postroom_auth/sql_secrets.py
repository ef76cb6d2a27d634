"""Shared secrets in the database, sealed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.database import Database
from postroom_auth.domain.address import Address
from postroom_auth.domain.networks import Network, read_network
from postroom_auth.domain.shared_secret import SECRETS, SecretKind, SharedSecret
from postroom_auth.ports import KeptSecret
from postroom_auth.sealing import Sealed
from postroom_auth.sql_lookups import account_id_of
from postroom_auth.tables import credentials, secrets

Seal = Callable[[int], Sealed]

_SECRET = sa.select(
    secrets.c.secret_id,
    secrets.c.kind,
    secrets.c.networks,
    secrets.c.created_at,
    secrets.c.account_id,
    secrets.c.key_id,
    secrets.c.sealed,
).order_by(secrets.c.secret_id)
_OF_KIND = _SECRET.where(
    secrets.c.account_id == sa.bindparam("account"), secrets.c.kind == sa.bindparam("kind")
)


class SqlSecrets:
    """Secrets (see ports) over a database.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def of(self, account_id: int, kind: SecretKind) -> list[KeptSecret]:
        return await self._database.read(_of, account_id, kind)

    async def add(
        self, address: Address, kind: SecretKind, networks: Sequence[Network], seal: Seal
    ) -> SharedSecret:
        now = int(self._clock())
        return await self._database.write(_add, address, kind, networks, seal, now)

    async def secrets(self, address: Address) -> list[SharedSecret]:
        return await self._database.read(_secrets, address)

    async def revoke(self, address: Address, secret_id: int) -> None:
        await self._database.write(_revoke, address, secret_id)

    async def sealed_by_others(self, key_id: str, after: int, most: int) -> list[KeptSecret]:
        return await self._database.read(_sealed_by_others, key_id, after, most)

    async def replace(self, kept: KeptSecret, sealed: Sealed) -> None:
        await self._database.write(_replace, kept, sealed)


def _of(connection: sa.Connection, account_id: int, kind: SecretKind) -> list[KeptSecret]:
    rows = connection.execute(_OF_KIND, {"account": account_id, "kind": kind.value})
    return [_kept(row) for row in rows]


def _add(
    connection: sa.Connection,
    address: Address,
    kind: SecretKind,
    networks: Sequence[Network],
    seal: Seal,
    now: int,
) -> SharedSecret:
    account_id = account_id_of(connection, address)
    of_kind = sa.and_(secrets.c.account_id == account_id, secrets.c.kind == kind.value)
    counted = connection.scalar(sa.select(sa.func.count()).where(of_kind))
    if counted is not None and counted >= SECRETS:
        raise PostroomError(
            Kind.LIMIT_EXCEEDED, f"{address} has {SECRETS} secrets for {kind}: revoke one first"
        )
    sealed = seal(account_id)
    result = connection.execute(
        sa.insert(secrets).values(
            account_id=account_id,
            kind=kind.value,
            networks=" ".join(map(str, networks)),
            created_at=now,
            key_id=sealed.key_id,
            sealed=sealed.octets,
        )
    )
    key = result.inserted_primary_key
    return SharedSecret(int(key[0]) if key else 0, kind, tuple(networks), now)


def _secrets(connection: sa.Connection, address: Address) -> list[SharedSecret]:
    account_id = account_id_of(connection, address)
    rows = connection.execute(_SECRET.where(secrets.c.account_id == account_id))
    return [_kept(row).secret for row in rows]


def _revoke(connection: sa.Connection, address: Address, secret_id: int) -> None:
    account_id = account_id_of(connection, address)
    which = sa.and_(secrets.c.account_id == account_id, secrets.c.secret_id == secret_id)
    if connection.execute(sa.delete(secrets).where(which)).rowcount == 0:
        raise PostroomError(Kind.NOT_FOUND, f"{address} has no secret {secret_id}")
    # Nobody knows which sessions the secret has opened: all of the account's sign in again.
    connection.execute(
        sa.update(credentials)
        .where(credentials.c.account_id == account_id)
        .values(version=credentials.c.version + 1)
    )


def _sealed_by_others(
    connection: sa.Connection, key_id: str, after: int, most: int
) -> list[KeptSecret]:
    query = _SECRET.where(secrets.c.key_id != key_id, secrets.c.secret_id > after).limit(most)
    return [_kept(row) for row in connection.execute(query)]


def _replace(connection: sa.Connection, kept: KeptSecret, sealed: Sealed) -> None:
    connection.execute(
        sa.update(secrets)
        .where(secrets.c.secret_id == kept.secret.secret_id, secrets.c.key_id == kept.sealed.key_id)
        .values(key_id=sealed.key_id, sealed=sealed.octets)
    )


def _kept(row: Any) -> KeptSecret:
    networks = tuple(read_network(text) for text in row.networks.split())
    secret = SharedSecret(row.secret_id, SecretKind(row.kind), networks, row.created_at)
    return KeptSecret(secret, row.account_id, Sealed(row.key_id, bytes(row.sealed)))
