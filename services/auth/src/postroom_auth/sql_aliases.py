"""Aliases in the database. A new one is followed to its ends first: it must not lead to itself."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.address import Address, DomainName
from postroom_auth.domain.people import Alias
from postroom_auth.domain.resolution import keys_of
from postroom_auth.sql_directory import read_targets
from postroom_auth.sql_lookups import domain_id_of, refuse_taken
from postroom_auth.tables import addresses, alias_targets

LEVELS = 16  # aliases that lead to aliases
REACHED = 10_000  # addresses that one alias may lead to

# Two aliases made at one moment could close a loop that neither sees: on PostgreSQL they take turns
# by this lock (SQLite has one writer anyway). The number means nothing.
ALIAS_LOCK = 0x506F_7374_0001


def create_alias(connection: sa.Connection, alias: Alias) -> Alias:
    """Add an alias.

    Raises:
        PostroomError: NOT_FOUND, ALREADY_EXISTS; INVALID where it leads back to itself or too far.
    """
    _take_turns(connection)
    domain_id = domain_id_of(connection, alias.address.domain)
    refuse_taken(connection, alias.address)
    _refuse_loop(connection, alias)
    key = alias.address.key
    connection.execute(sa.insert(addresses).values(address=key, domain_id=domain_id))
    return _insert_targets(connection, alias)


def change_alias(
    connection: sa.Connection,
    address: Address,
    added: Sequence[Address],
    removed: Sequence[Address],
) -> Alias:
    """Add targets to an alias, after those that it has, and take others away.

    Raises:
        PostroomError: NOT_FOUND; INVALID as in `create_alias`.
        InvalidValue: no target is left, or there are too many.
    """
    _take_turns(connection)
    found = read_targets(connection, [address.key]).get(address.key)
    if found is None:
        raise PostroomError(Kind.NOT_FOUND, f"there is no alias {address}")
    targets = {target.key: target for target in found.targets}
    for target in removed:
        targets.pop(target.key, None)
    for target in added:
        targets.setdefault(target.key, target)
    alias = Alias(address, tuple(targets.values()))
    _refuse_loop(connection, alias)
    connection.execute(sa.delete(alias_targets).where(alias_targets.c.address == address.key))
    return _insert_targets(connection, alias)


def _take_turns(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ALIAS_LOCK)))


def _insert_targets(connection: sa.Connection, alias: Alias) -> Alias:
    key = alias.address.key
    connection.execute(
        sa.insert(alias_targets),
        [
            {
                "address": key,
                "position": position,
                "target": str(target),
                "target_key": target.key,
                "undetailed_key": target.undetailed.key,
            }
            for position, target in enumerate(alias.targets)
        ],
    )
    return Alias(Address.parse(key), alias.targets)


def _refuse_loop(connection: sa.Connection, alias: Alias) -> None:
    reached: set[str] = set()
    frontier = list(alias.targets)
    for _ in range(LEVELS - _levels_above(connection, alias.address.key)):
        keys = set[str]().union(*(keys_of(address) for address in frontier)) - reached
        if alias.address.key in keys:
            raise PostroomError(Kind.INVALID, f"{alias.address} would lead back to itself")
        reached |= keys
        if len(reached) > REACHED:
            raise PostroomError(Kind.INVALID, f"{alias.address} leads to too many addresses")
        found = read_targets(connection, keys)
        frontier = [target for forwarding in found.values() for target in forwarding.targets]
        if not frontier:
            return
    raise PostroomError(Kind.INVALID, f"{alias.address} is in a chain of too many aliases")


def _levels_above(connection: sa.Connection, key: str) -> int:
    """How many aliases may come before one that is to have this key, one after another."""
    keys, seen = {key}, {key}
    for levels in range(LEVELS):
        leading = sa.select(alias_targets.c.address).where(
            sa.or_(alias_targets.c.undetailed_key.in_(keys), alias_targets.c.target_key.in_(keys))
        )
        keys = set(connection.scalars(leading.limit(REACHED))) - seen
        if not keys:
            return levels
        seen |= keys
    return LEVELS


def list_aliases(
    connection: sa.Connection, domain: DomainName | None, after: str, most: int
) -> list[Alias]:
    """Aliases in order of address, from the first after a key."""
    query = (
        sa.select(addresses.c.address)
        .where(addresses.c.account_id.is_(None), addresses.c.address > after)
        .order_by(addresses.c.address)
        .limit(most)
    )
    if domain is not None:
        query = query.where(addresses.c.domain_id == domain_id_of(connection, domain))
    keys = connection.scalars(query).all()
    found = read_targets(connection, keys)
    return [Alias(Address.parse(key), found[key].targets) for key in keys if key in found]


def delete_alias(connection: sa.Connection, address: Address) -> None:
    """Remove an alias. Raises PostroomError NOT_FOUND."""
    gone = connection.execute(
        sa.delete(addresses).where(
            addresses.c.address == address.key, addresses.c.account_id.is_(None)
        )
    )
    if not gone.rowcount:
        raise PostroomError(Kind.NOT_FOUND, f"there is no alias {address}")


def remove_target(connection: sa.Connection, key: str) -> None:
    """Take an address out of all aliases, and remove those that lead nowhere any more."""
    own = sa.exists().where(addresses.c.address == alias_targets.c.target_key)
    connection.execute(
        sa.delete(alias_targets).where(
            alias_targets.c.undetailed_key == key,
            # "ann+news" goes with ann, unless it is an alias of its own.
            sa.or_(alias_targets.c.target_key == key, ~own),
        )
    )
    led = sa.exists().where(alias_targets.c.address == addresses.c.address)
    connection.execute(sa.delete(addresses).where(addresses.c.account_id.is_(None), ~led))
