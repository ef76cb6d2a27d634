"""Changes and listings in the database, one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.database import Database
from postroom_auth.domain.address import Address, DomainName
from postroom_auth.domain.people import (
    CHANGEABLE,
    DEFAULT_TENANT,
    Account,
    Alias,
    Changes,
    Credential,
    Domain,
    NewAccount,
    Tenant,
)
from postroom_auth.sql_aliases import (
    change_alias,
    create_alias,
    delete_alias,
    list_aliases,
    remove_target,
)
from postroom_auth.sql_lookups import domain_id_of, exists, refuse_taken
from postroom_auth.tables import accounts, addresses, credentials, domains, tenants

ACCOUNT: sa.Select[Any] = (
    sa.select(
        accounts.c.account_id,
        accounts.c.address,
        tenants.c.name,
        accounts.c.display_name,
        accounts.c.quota_bytes,
        accounts.c.disabled,
        accounts.c.created_at,
        accounts.c.quota_messages,
        accounts.c.quota_mailboxes,
        accounts.c.administrator,
        accounts.c.app_passwords_only,
        accounts.c.pop3_delete,
        accounts.c.pop3_days,
        accounts.c.pop3_login_delay,
    )
    .join_from(accounts, domains, accounts.c.domain_id == domains.c.domain_id)
    .join(tenants)
)

_catch_all = accounts.alias("catch_all")
_count = (
    sa.select(sa.func.count())
    .select_from(accounts)
    .where(accounts.c.domain_id == domains.c.domain_id)
    .scalar_subquery()
)
DOMAIN = (
    sa.select(domains.c.name, tenants.c.name, sa.func.coalesce(_catch_all.c.address, ""), _count)
    .join_from(domains, tenants)
    .outerjoin(_catch_all, _catch_all.c.account_id == domains.c.catch_all_id)
    .order_by(domains.c.name)
)


class SqlRegistry:
    """Registry (see ports) over a database.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def create_tenant(self, name: str) -> Tenant:
        return await self._database.write(_create_tenant, name)

    async def tenants(self) -> list[Tenant]:
        return await self._database.read(_tenants)

    async def delete_tenant(self, name: str) -> None:
        await self._database.write(_delete_tenant, name)

    async def create_domain(self, name: DomainName, tenant: str) -> Domain:
        return await self._database.write(_create_domain, name, tenant)

    async def domains(self, tenant: str) -> list[Domain]:
        return await self._database.read(_domains, tenant)

    async def set_catch_all(self, name: DomainName, address: Address | None) -> Domain:
        return await self._database.write(_set_catch_all, name, address)

    async def delete_domain(self, name: DomainName) -> None:
        await self._database.write(_delete_domain, name)

    async def create_account(self, new: NewAccount, password_hash: str, scram: str = "") -> Account:
        now = int(self._clock())
        return await self._database.write(_create_account, new, password_hash, scram, now)

    async def account(self, address: Address) -> Account:
        return await self._database.read(_account, accounts.c.address == address.key)

    async def account_of(self, account_id: int) -> Account:
        return await self._database.read(_account, accounts.c.account_id == account_id)

    async def accounts(self, domain: DomainName | None, after: str, most: int) -> list[Account]:
        return await self._database.read(_accounts, domain, after, most)

    async def change_account(self, address: Address, changes: Changes) -> Account:
        return await self._database.write(_change_account, address, changes)

    async def set_password(self, address: Address, password_hash: str, scram: str) -> Account:
        now = int(self._clock())
        return await self._database.write(_set_password, address, password_hash, scram, now)

    async def rehash_password(self, credential: Credential, password_hash: str, scram: str) -> None:
        await self._database.write(_rehash_password, credential, password_hash, scram)

    async def delete_account(self, address: Address) -> int:
        return await self._database.write(_delete_account, address)

    async def create_alias(self, alias: Alias) -> Alias:
        return await self._database.write(create_alias, alias)

    async def change_alias(
        self, address: Address, added: Sequence[Address], removed: Sequence[Address]
    ) -> Alias:
        return await self._database.write(change_alias, address, added, removed)

    async def aliases(self, domain: DomainName | None, after: str, most: int) -> list[Alias]:
        return await self._database.read(list_aliases, domain, after, most)

    async def delete_alias(self, address: Address) -> None:
        await self._database.write(delete_alias, address)


def _create_tenant(connection: sa.Connection, name: str) -> Tenant:
    if _tenant_id(connection, name) is not None:
        raise PostroomError(Kind.ALREADY_EXISTS, f"there is a tenant {name} already")
    return Tenant(_insert(connection, tenants, name=name), name)


def _tenants(connection: sa.Connection) -> list[Tenant]:
    rows = connection.execute(sa.select(tenants).order_by(tenants.c.name))
    return [Tenant(*row) for row in rows]


def _delete_tenant(connection: sa.Connection, name: str) -> None:
    tenant_id = _tenant_id(connection, name)
    if tenant_id is None:
        raise PostroomError(Kind.NOT_FOUND, f"there is no tenant {name}")
    if exists(connection, domains.c.tenant_id == tenant_id):
        raise PostroomError(Kind.CONFLICT, f"the tenant {name} still has domains")
    connection.execute(sa.delete(tenants).where(tenants.c.tenant_id == tenant_id))


def _create_domain(connection: sa.Connection, name: DomainName, tenant: str) -> Domain:
    if exists(connection, domains.c.name == name.name):
        raise PostroomError(Kind.ALREADY_EXISTS, f"the domain {name} exists already")
    tenant_id = _tenant_id(connection, tenant)
    if tenant_id is None and tenant == DEFAULT_TENANT:
        tenant_id = _insert(connection, tenants, name=tenant)
    if tenant_id is None:
        raise PostroomError(Kind.NOT_FOUND, f"there is no tenant {tenant}")
    _insert(connection, domains, name=name.name, tenant_id=tenant_id)
    return Domain(name.name, tenant, "", 0)


def _domains(connection: sa.Connection, tenant: str) -> list[Domain]:
    query = DOMAIN.where(tenants.c.name == tenant) if tenant else DOMAIN
    return [Domain(*row) for row in connection.execute(query)]


def _set_catch_all(connection: sa.Connection, name: DomainName, address: Address | None) -> Domain:
    domain_id = domain_id_of(connection, name)
    account_id = None
    if address is not None:
        account = _account(connection, accounts.c.address == address.key)
        owner = connection.scalar(
            sa.select(tenants.c.name).join(domains).where(domains.c.domain_id == domain_id)
        )
        if account.tenant != owner:
            raise PostroomError(Kind.NOT_FOUND, f"{address} is not an account of this tenant")
        account_id = account.account_id
    connection.execute(
        sa.update(domains).where(domains.c.domain_id == domain_id).values(catch_all_id=account_id)
    )
    row = connection.execute(DOMAIN.where(domains.c.domain_id == domain_id)).one()
    return Domain(*row)


def _delete_domain(connection: sa.Connection, name: DomainName) -> None:
    domain_id = domain_id_of(connection, name)
    if exists(connection, addresses.c.domain_id == domain_id):
        raise PostroomError(Kind.CONFLICT, f"the domain {name} still has accounts or aliases")
    connection.execute(sa.delete(domains).where(domains.c.domain_id == domain_id))


def _create_account(
    connection: sa.Connection, new: NewAccount, password_hash: str, scram: str, now: int
) -> Account:
    domain_id = domain_id_of(connection, new.address.domain)
    refuse_taken(connection, new.address)
    account_id = _insert(
        connection,
        accounts,
        address=new.address.key,
        domain_id=domain_id,
        display_name=new.display_name,
        quota_bytes=new.quota_bytes,
        disabled=False,
        created_at=now,
        external=new.external,
    )
    connection.execute(
        sa.insert(addresses).values(
            address=new.address.key, domain_id=domain_id, account_id=account_id
        )
    )
    connection.execute(
        sa.insert(credentials).values(
            account_id=account_id,
            password_hash=password_hash,
            scram=scram,
            version=1,
            changed_at=now,
        )
    )
    return _account(connection, accounts.c.account_id == account_id)


def _account(connection: sa.Connection, which: sa.ColumnElement[bool]) -> Account:
    row = connection.execute(ACCOUNT.where(which)).one_or_none()
    if row is None:
        raise PostroomError(Kind.NOT_FOUND, "there is no such account")
    return Account(*row)


def _accounts(
    connection: sa.Connection, domain: DomainName | None, after: str, most: int
) -> list[Account]:
    query = ACCOUNT.where(accounts.c.address > after).order_by(accounts.c.address).limit(most)
    if domain is not None:
        query = query.where(accounts.c.domain_id == domain_id_of(connection, domain))
    return [Account(*row) for row in connection.execute(query)]


def _change_account(connection: sa.Connection, address: Address, changes: Changes) -> Account:
    which = accounts.c.address == address.key
    values: dict[str, Any] = {
        name: value for name in CHANGEABLE if (value := getattr(changes, name)) is not None
    }
    if changes.app_passwords_only:
        _end_sessions(connection, sa.and_(which, sa.not_(accounts.c.app_passwords_only)))
    if values:
        connection.execute(sa.update(accounts).where(which).values(values))
    return _account(connection, which)


def _end_sessions(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Let no ticket be renewed that the own password has opened, as nobody signs in by it now."""
    connection.execute(
        sa.update(credentials)
        .where(credentials.c.account_id.in_(sa.select(accounts.c.account_id).where(which)))
        .values(version=credentials.c.version + 1)
    )


def _set_password(
    connection: sa.Connection, address: Address, password_hash: str, scram: str, now: int
) -> Account:
    account = _account(connection, accounts.c.address == address.key)
    if exists(connection, sa.and_(accounts.c.address == address.key, accounts.c.external)):
        raise PostroomError(Kind.CONFLICT, f"the password of {address} is kept in its directory")
    connection.execute(
        sa.update(credentials)
        .where(credentials.c.account_id == account.account_id)
        .values(
            password_hash=password_hash,
            scram=scram,
            version=credentials.c.version + 1,
            changed_at=now,
        )
    )
    return account


def _rehash_password(
    connection: sa.Connection, credential: Credential, password_hash: str, scram: str
) -> None:
    connection.execute(
        sa.update(credentials)
        .where(
            credentials.c.account_id == credential.account_id,
            credentials.c.version == credential.version,
            credentials.c.password_hash == credential.password_hash,
            credentials.c.scram == credential.scram,
        )
        .values(password_hash=password_hash, scram=scram)
    )


def _delete_account(connection: sa.Connection, address: Address) -> int:
    account = _account(connection, accounts.c.address == address.key)
    remove_target(connection, address.key)
    connection.execute(sa.delete(accounts).where(accounts.c.account_id == account.account_id))
    return account.account_id


def _tenant_id(connection: sa.Connection, name: str) -> int | None:
    return connection.scalar(sa.select(tenants.c.tenant_id).where(tenants.c.name == name))


def _insert(connection: sa.Connection, table: sa.Table, **values: Any) -> int:
    """Insert a row and answer the number that the database gave it."""
    result = connection.execute(sa.insert(table).values(values))
    key = result.inserted_primary_key
    return int(key[0]) if key else 0
