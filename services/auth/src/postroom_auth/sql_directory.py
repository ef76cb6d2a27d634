"""The directory, read from the database: one query a question, however many keys it holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

import sqlalchemy as sa

from postroom_auth.database import Database
from postroom_auth.domain.address import Address
from postroom_auth.domain.people import Credential
from postroom_auth.domain.resolution import Entry, Forwarding, Hosted, Mailbox
from postroom_auth.tables import accounts, addresses, alias_targets, credentials, domains

KEYS_A_QUERY = 500

CREDENTIAL = sa.select(
    accounts.c.account_id,
    accounts.c.address,
    accounts.c.quota_bytes,
    # Who is locked is disabled until then: no mechanism can forget it.
    sa.or_(accounts.c.disabled, accounts.c.locked_until > sa.bindparam("now")),
    credentials.c.password_hash,
    credentials.c.version,
    accounts.c.quota_messages,
    accounts.c.quota_mailboxes,
    accounts.c.external,
    accounts.c.app_passwords_only,
    credentials.c.scram,
    accounts.c.pop3_delete,
    accounts.c.pop3_days,
    accounts.c.pop3_login_delay,
).join_from(accounts, credentials)
CREDENTIAL_BY_ADDRESS = CREDENTIAL.where(accounts.c.address == sa.bindparam("key"))
CREDENTIAL_BY_ID = CREDENTIAL.where(accounts.c.account_id == sa.bindparam("key"))

DOMAINS = sa.select(
    domains.c.name,
    accounts.c.account_id,
    accounts.c.address,
    accounts.c.quota_bytes,
    accounts.c.quota_messages,
    accounts.c.quota_mailboxes,
    accounts.c.external,
).select_from(
    domains.outerjoin(accounts, accounts.c.account_id == domains.c.catch_all_id),
)
ENTRIES = sa.select(
    addresses.c.address,
    addresses.c.account_id,
    accounts.c.quota_bytes,
    accounts.c.quota_messages,
    accounts.c.quota_mailboxes,
    accounts.c.external,
).select_from(
    addresses.outerjoin(accounts, accounts.c.account_id == addresses.c.account_id),
)
TARGETS = sa.select(alias_targets.c.address, alias_targets.c.target).order_by(
    alias_targets.c.address, alias_targets.c.position
)


class SqlDirectory:
    """Directory (see ports) over a database.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def credential(self, key: str) -> Credential | None:
        return await self._credential(CREDENTIAL_BY_ADDRESS, key)

    async def credential_of(self, account_id: int) -> Credential | None:
        return await self._credential(CREDENTIAL_BY_ID, account_id)

    async def domains(self, names: Collection[str]) -> Mapping[str, Hosted | None]:
        return await self._database.read(read_domains, names)

    async def entries(self, keys: Collection[str]) -> Mapping[str, Entry | None]:
        return await self._database.read(read_entries, keys)

    async def _credential(self, query: sa.Select[Any], key: str | int) -> Credential | None:
        return await self._database.read(_credential, query, key, int(self._clock()))


def _credential(
    connection: sa.Connection, query: sa.Select[Any], key: str | int, now: int
) -> Credential | None:
    row = connection.execute(query, {"key": key, "now": now}).one_or_none()
    return None if row is None else Credential(*row)


def read_domains(connection: sa.Connection, names: Collection[str]) -> dict[str, Hosted | None]:
    """Each name with the domain of ours that bears it."""
    found: dict[str, Hosted | None] = dict.fromkeys(names)
    for some in in_parts(names):
        for name, *caught in connection.execute(DOMAINS.where(domains.c.name.in_(some))):
            found[name] = Hosted(None if caught[0] is None else Mailbox(*caught))
    return found


def read_entries(connection: sa.Connection, keys: Collection[str]) -> dict[str, Entry | None]:
    """Each key with what it stands for."""
    found: dict[str, Entry | None] = dict.fromkeys(keys)
    aliases: list[str] = []
    for some in in_parts(keys):
        query = ENTRIES.where(addresses.c.address.in_(some))
        for address, account_id, *limits in connection.execute(query):
            if account_id is None:
                aliases.append(address)
            else:
                found[address] = Mailbox(account_id, address, *limits)
    found.update(read_targets(connection, aliases))
    return found


def read_targets(connection: sa.Connection, aliases: Collection[str]) -> dict[str, Forwarding]:
    """Each alias with its targets in their order."""
    found: dict[str, Forwarding] = {}
    for some in in_parts(aliases):
        rows = connection.execute(TARGETS.where(alias_targets.c.address.in_(some)))
        for address, group in groupby(rows, key=lambda row: str(row.address)):
            found[address] = Forwarding(tuple(Address.parse(row.target) for row in group))
    return found


def in_parts(keys: Collection[str]) -> Iterator[Sequence[str]]:
    """Keys in parts that a statement can hold, in one order, so that locks and plans are alike."""
    rest = iter(sorted(keys))
    while part := list(islice(rest, KEYS_A_QUERY)):
        yield part
