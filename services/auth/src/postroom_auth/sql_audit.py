"""The audit of sign-ins in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa

from postroom_auth.database import Database
from postroom_auth.domain.auditing import SUCCEEDED, AuditEntry, Wanted, bounds, order
from postroom_auth.ports import Subject
from postroom_auth.tables import audit

PRUNED = 10_000  # rows a transaction

COLUMNS = tuple(
    audit.c[name]
    for name in (
        "at",
        "account",
        "outcome",
        "why",
        "protocol",
        "front",
        "mechanism",
        "credential",
        "address",
        "network",
        "tls",
        "times",
        "audit_id",
    )
)


class SqlAudit:
    """Audit and Successes (see ports) over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        await self._database.write(_write, entries)

    async def read(self, wanted: Wanted, most: int) -> list[AuditEntry]:
        return await self._database.read(_read, wanted, most)

    async def signed_in(self, subject: Subject) -> bool:
        return await self._database.read(_signed_in, subject)

    async def last_success(self, account: str) -> AuditEntry | None:
        found = await self._database.read(_read, Wanted(account, succeeded=True), 1)
        return found[0] if found else None

    async def prune(self, before: int, most: int) -> bool:
        """Remove some of what is older than a time (Unix milliseconds), or beyond so many entries;
        whether there was any."""
        return await self._database.write(_prune, before, most)


def _write(connection: sa.Connection, entries: Sequence[AuditEntry]) -> None:
    rows = []
    for entry in entries:
        row = asdict(entry)
        del row["entry_id"]
        rows.append({**row, "address_order": order(entry.address)})
    connection.execute(sa.insert(audit), rows)


def _read(connection: sa.Connection, wanted: Wanted, most: int) -> list[AuditEntry]:
    query = sa.select(*COLUMNS).order_by(audit.c.audit_id.desc()).limit(most)
    if wanted.account:
        query = query.where(audit.c.account == wanted.account)
    if wanted.within:
        first, last = bounds(wanted.within)
        query = query.where(audit.c.address_order >= first, audit.c.address_order <= last)
    if wanted.succeeded is not None:
        succeeded = audit.c.outcome == SUCCEEDED
        query = query.where(succeeded if wanted.succeeded else ~succeeded)
    if wanted.since:
        query = query.where(audit.c.at >= wanted.since)
    if wanted.before:
        query = query.where(audit.c.audit_id < wanted.before)
    return [AuditEntry(*row) for row in connection.execute(query)]


def _signed_in(connection: sa.Connection, subject: Subject) -> bool:
    found = (
        sa.select(sa.literal(1))
        .where(
            audit.c.account == subject.account,
            audit.c.network == subject.network,
            audit.c.outcome == SUCCEEDED,
        )
        .limit(1)
    )
    return connection.scalar(found) is not None


def _prune(connection: sa.Connection, before: int, most: int) -> bool:
    last = connection.scalar(sa.select(sa.func.max(audit.c.audit_id))) or 0
    old = (
        sa.select(audit.c.audit_id)
        .where(sa.or_(audit.c.at < before, audit.c.audit_id <= last - most))
        .limit(PRUNED)
    )
    return connection.execute(sa.delete(audit).where(audit.c.audit_id.in_(old))).rowcount > 0
