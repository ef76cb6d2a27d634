"""Keys that mail is signed with in the database, their private parts sealed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.database import Database
from postroom_auth.domain.address import DomainName
from postroom_auth.domain.dkim import KEYS, Algorithm, DkimKey, KeyState
from postroom_auth.ports import KeptDkimKey
from postroom_auth.sealing import Sealed
from postroom_auth.sql_directory import in_parts
from postroom_auth.sql_lookups import domain_id_of
from postroom_auth.tables import dkim_keys, domains

Seal = Callable[[str], Sealed]

_KEY = sa.select(
    domains.c.name,
    dkim_keys.c.dkim_key_id,
    dkim_keys.c.selector,
    dkim_keys.c.algorithm,
    dkim_keys.c.state,
    dkim_keys.c.public_key,
    dkim_keys.c.created_at,
    dkim_keys.c.retired_at,
    dkim_keys.c.key_id,
    dkim_keys.c.sealed,
).join_from(dkim_keys, domains)
_IN_ORDER = _KEY.order_by(domains.c.name, dkim_keys.c.dkim_key_id)
_ACTIVE = _IN_ORDER.where(dkim_keys.c.state == KeyState.ACTIVE.value)


class SqlDkimKeys:
    """DkimKeys (see ports) over a database.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def add(
        self,
        domain: DomainName,
        selectors: Sequence[str],
        algorithm: Algorithm,
        public: str,
        seal: Seal,
    ) -> DkimKey:
        now = int(self._clock())
        return await self._database.write(_add, domain, selectors, algorithm, public, seal, now)

    async def keys(
        self, domain: DomainName | None, after: tuple[str, int], most: int
    ) -> list[KeptDkimKey]:
        return await self._database.read(_list, domain, after, most)

    async def active(self, names: Collection[str]) -> Mapping[str, list[KeptDkimKey]]:
        return await self._database.read(_active, names)

    async def activate(self, domain: DomainName, selector: str) -> DkimKey:
        return await self._database.write(_activate, domain, selector, int(self._clock()))

    async def retire(self, domain: DomainName, selector: str) -> DkimKey:
        return await self._database.write(_retire, domain, selector, int(self._clock()))

    async def remove(self, domain: DomainName, selector: str) -> None:
        await self._database.write(_remove, domain, selector)

    async def sealed_by_others(self, key_id: str, after: int, most: int) -> list[KeptDkimKey]:
        return await self._database.read(_sealed_by_others, key_id, after, most)

    async def replace(self, kept: KeptDkimKey, sealed: Sealed) -> None:
        await self._database.write(_replace, kept, sealed)


def _add(
    connection: sa.Connection,
    domain: DomainName,
    selectors: Sequence[str],
    algorithm: Algorithm,
    public: str,
    seal: Seal,
    now: int,
) -> DkimKey:
    domain_id = _hold(connection, domain)
    of_domain = sa.select(dkim_keys.c.selector).where(dkim_keys.c.domain_id == domain_id)
    taken = set(connection.scalars(of_domain))
    if len(taken) >= KEYS:
        raise PostroomError(
            Kind.LIMIT_EXCEEDED, f"{domain} has {KEYS} keys: remove retired ones first"
        )
    selector = next((one for one in selectors if one not in taken), None)
    if selector is None:
        raise PostroomError(
            Kind.ALREADY_EXISTS, f"{domain} has a key {selectors[0]} already: name another selector"
        )
    sealed = seal(selector)
    connection.execute(
        sa.insert(dkim_keys).values(
            domain_id=domain_id,
            selector=selector,
            algorithm=algorithm.value,
            state=KeyState.NEW.value,
            public_key=public,
            created_at=now,
            retired_at=0,
            key_id=sealed.key_id,
            sealed=sealed.octets,
        )
    )
    return DkimKey(domain, selector, algorithm, KeyState.NEW, public, now)


def _list(
    connection: sa.Connection, domain: DomainName | None, after: tuple[str, int], most: int
) -> list[KeptDkimKey]:
    name, number = after
    query = _IN_ORDER.limit(most).where(
        sa.or_(
            domains.c.name > name,
            sa.and_(domains.c.name == name, dkim_keys.c.dkim_key_id > number),
        )
    )
    if domain is not None:
        query = query.where(dkim_keys.c.domain_id == domain_id_of(connection, domain))
    return [_kept(row) for row in connection.execute(query)]


def _active(connection: sa.Connection, names: Collection[str]) -> dict[str, list[KeptDkimKey]]:
    found: dict[str, list[KeptDkimKey]] = {}
    for some in in_parts(names):
        for row in connection.execute(_ACTIVE.where(domains.c.name.in_(some))):
            found.setdefault(row.name, []).append(_kept(row))
    return found


def _activate(connection: sa.Connection, domain: DomainName, selector: str, now: int) -> DkimKey:
    domain_id = _hold(connection, domain)
    kept = _one(connection, domain, selector)
    if kept.key.state is not KeyState.ACTIVE:
        same = sa.and_(
            dkim_keys.c.domain_id == domain_id,
            dkim_keys.c.algorithm == kept.key.algorithm.value,
            dkim_keys.c.state == KeyState.ACTIVE.value,
        )
        _set(connection, same, KeyState.RETIRED, now)
        _set(connection, dkim_keys.c.dkim_key_id == kept.number, KeyState.ACTIVE, 0)
    return _one(connection, domain, selector).key


def _retire(connection: sa.Connection, domain: DomainName, selector: str, now: int) -> DkimKey:
    _hold(connection, domain)
    kept = _one(connection, domain, selector)
    if kept.key.state is not KeyState.RETIRED:
        _set(connection, dkim_keys.c.dkim_key_id == kept.number, KeyState.RETIRED, now)
    return _one(connection, domain, selector).key


def _remove(connection: sa.Connection, domain: DomainName, selector: str) -> None:
    _hold(connection, domain)
    kept = _one(connection, domain, selector)
    if kept.key.state is KeyState.ACTIVE:
        raise PostroomError(
            Kind.CONFLICT, f"the key {selector} of {domain} signs mail: retire it first"
        )
    connection.execute(sa.delete(dkim_keys).where(dkim_keys.c.dkim_key_id == kept.number))


def _sealed_by_others(
    connection: sa.Connection, key_id: str, after: int, most: int
) -> list[KeptDkimKey]:
    which = sa.and_(dkim_keys.c.key_id != key_id, dkim_keys.c.dkim_key_id > after)
    query = _KEY.where(which).order_by(dkim_keys.c.dkim_key_id).limit(most)
    return [_kept(row) for row in connection.execute(query)]


def _replace(connection: sa.Connection, kept: KeptDkimKey, sealed: Sealed) -> None:
    connection.execute(
        sa.update(dkim_keys)
        .where(dkim_keys.c.dkim_key_id == kept.number, dkim_keys.c.key_id == kept.sealed.key_id)
        .values(key_id=sealed.key_id, sealed=sealed.octets)
    )


def _hold(connection: sa.Connection, domain: DomainName) -> int:
    """The id of a domain of ours, whose keys nobody else changes before the transaction ends."""
    domain_id = domain_id_of(connection, domain)
    row = sa.select(domains.c.domain_id).where(domains.c.domain_id == domain_id)
    connection.execute(row.with_for_update(key_share=True))  # SQLite: the writer is alone anyway
    return domain_id


def _one(connection: sa.Connection, domain: DomainName, selector: str) -> KeptDkimKey:
    domain_id = domain_id_of(connection, domain)
    which = sa.and_(dkim_keys.c.domain_id == domain_id, dkim_keys.c.selector == selector)
    row = connection.execute(_KEY.where(which)).one_or_none()
    if row is None:
        raise PostroomError(Kind.NOT_FOUND, f"{domain} has no key {selector}")
    return _kept(row)


def _set(
    connection: sa.Connection, which: sa.ColumnElement[bool], state: KeyState, retired_at: int
) -> None:
    changed = sa.update(dkim_keys).where(which)
    connection.execute(changed.values(state=state.value, retired_at=retired_at))


def _kept(row: Any) -> KeptDkimKey:
    key = DkimKey(
        DomainName(row.name),
        row.selector,
        Algorithm(row.algorithm),
        KeyState(row.state),
        row.public_key,
        row.created_at,
        row.retired_at,
    )
    return KeptDkimKey(key, row.dkim_key_id, Sealed(row.key_id, bytes(row.sealed)))
