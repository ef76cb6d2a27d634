"""Addresses elsewhere to which nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import Connection, delete, select

from postroom_store import tables
from postroom_store.destinations import chunks
from postroom_store.ingest import storable
from postroom_store.transaction import Transaction

PAGE = 1000
MOST_REASON = 1000

_s = tables.suppressions.c


@dataclass(frozen=True, slots=True)
class Suppression:
    address: str
    reason: str
    created_at: int


def key_of(address: str) -> str:
    """An address as it is listed: whoever asks for no mail means it however it is written."""
    return storable(address.strip().lower())


def among(transaction: Transaction, addresses: Iterable[str]) -> set[str]:
    """The keys of those addresses that are listed."""
    found: set[str] = set()
    for some in chunks(sorted({key_of(address) for address in addresses})):
        found.update(transaction.execute(select(_s.address).where(_s.address.in_(some))).scalars())
    return found


def list_page(connection: Connection, after: str) -> tuple[list[Suppression], str]:
    """A page after an address, and the address that the next one comes after; empty: the last."""
    statement = (
        select(_s.address, _s.reason, _s.created_at)
        .where(_s.address > after)
        .order_by(_s.address)
        .limit(PAGE + 1)
    )
    found = [Suppression(*row) for row in connection.execute(statement)]
    return found[:PAGE], found[PAGE - 1].address if len(found) > PAGE else ""


def suppress(transaction: Transaction, address: str, reason: str) -> None:
    """List an address, or give it another reason. Raises PostroomError INVALID."""
    key = key_of(address)
    local, at, domain = key.rpartition("@")
    if not (local and at and domain):
        raise PostroomError(Kind.INVALID, "an address is needed, with a domain")
    reason = storable(reason)[:MOST_REASON]
    row = {"address": key, "reason": reason, "created_at": transaction.now}
    transaction.add_missing(tables.suppressions, row)
    transaction.execute(tables.suppressions.update().where(_s.address == key).values(reason=reason))


def unsuppress(transaction: Transaction, address: str) -> None:
    """Take an address off the list. Raises PostroomError NOT_FOUND."""
    statement = delete(tables.suppressions).where(_s.address == key_of(address))
    if not transaction.execute(statement).rowcount:
        raise PostroomError(Kind.NOT_FOUND, "nothing is known against this address")
