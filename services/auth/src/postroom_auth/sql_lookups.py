"""The small questions that every change asks first."""

from __future__ import annotations

import sqlalchemy as sa
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.address import Address, DomainName
from postroom_auth.tables import accounts, addresses, domains


def domain_id_of(connection: sa.Connection, name: DomainName) -> int:
    """The id of a domain of ours. Raises PostroomError NOT_FOUND."""
    found = connection.scalar(sa.select(domains.c.domain_id).where(domains.c.name == name.name))
    if found is None:
        raise PostroomError(Kind.NOT_FOUND, f"there is no domain {name} here")
    return int(found)


def account_id_of(connection: sa.Connection, address: Address) -> int:
    """The id of an account. Raises PostroomError NOT_FOUND."""
    found = connection.scalar(
        sa.select(accounts.c.account_id).where(accounts.c.address == address.key)
    )
    if found is None:
        raise PostroomError(Kind.NOT_FOUND, f"there is no account {address}")
    return int(found)


def refuse_taken(connection: sa.Connection, address: Address) -> None:
    """Raises PostroomError ALREADY_EXISTS where an account or an alias has the address."""
    if exists(connection, addresses.c.address == address.key):
        raise PostroomError(Kind.ALREADY_EXISTS, f"{address} exists already")


def exists(connection: sa.Connection, which: sa.ColumnElement[bool]) -> bool:
    """Whether a row fulfils a condition."""
    return connection.scalar(sa.select(sa.literal(1)).where(which).limit(1)) is not None
