"""What others share: where it is, and that it is there.

The truth lies with the owner, in `acl`. In the account of who gets rights lies a hint, a row of
`shares`, which tells where to look. The two accounts may be on two machines, so they change in two
transactions, the hint first. So whatever dies in between, there is never an entry of an ACL without
its hint; a hint without an entry gives nobody anything. LIST asks every owner that a hint names and
removes the hints that are left over, unless they are so young that the entry may be on its way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.tickets import Ticket
from sqlalchemy import Connection, bindparam, delete, select

from postroom_store import metadata, reading, tables
from postroom_store.acl import Access, admit, forget_guest, rights_read
from postroom_store.database import Prepared, Readers
from postroom_store.domain.names import (
    DELIMITER,
    canonical,
    is_shared,
    owners_in,
    shared_name,
    superiors,
)
from postroom_store.domain.rights import CREATE, LOOKUP, READ, TO_ANNOTATE, require
from postroom_store.transaction import MAILBOX_FIELDS, Mailbox, Transaction, mailbox_of_row
from postroom_store.writer import Writers

MOST_OWNERS = 1000  # that share something with one account
MOST_SHARED = 10_000  # mailboxes of others that are listed
HINT_SECONDS = 3600  # how long a hint may wait for the entry that makes it true

_FOREVER = 1 << 62

T = TypeVar("T")

_a = tables.acl.c
_s = tables.shares.c
_m = tables.mailboxes.c

_SHARED = Prepared(
    select(*(_m[name] for name in MAILBOX_FIELDS), _a.rights)
    .join_from(
        tables.acl,
        tables.mailboxes,
        (_m.account_id == _a.account_id) & (_m.mailbox_id == _a.mailbox_id),
    )
    .where(_a.account_id == bindparam("account"), _a.grantee_id == bindparam("grantee"))
    .order_by(_m.name)
)
_OWNERS = Prepared(
    select(_s.owner_id, _s.address, _s.created_at)
    .where(_s.account_id == bindparam("account"))
    .order_by(_s.address)
)
_FORGET_HINT = Prepared(
    delete(tables.shares).where(
        _s.account_id == bindparam("account"),
        _s.owner_id == bindparam("owner"),
        _s.created_at <= bindparam("before"),
    )
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name leads.

    Attributes:
        name: of the mailbox in its account, canonical.
        address: the owner's; empty for an own mailbox.
    """

    access: Access
    name: str
    address: str = ""

    @property
    def owner(self) -> int:
        return self.access.owner


def find_mailbox(
    connection: Connection, access: Access, mailbox_id: int, needed: str
) -> tuple[Mailbox, str]:
    """A mailbox and what somebody may do with it, all that is needed for certain.

    Raises PostroomError: NOT_FOUND, DENIED.
    """
    mailbox = reading.find_mailbox(connection, access.owner, mailbox_id)
    rights = rights_read(connection, access, mailbox)
    require(rights, needed)
    return mailbox, rights


def guarded(
    access: Access, mailbox_id: int, read: Callable[[Connection], T]
) -> Callable[[Connection], T]:
    """A read in an account, made only for those who may read the mailbox as of then."""

    def run(connection: Connection) -> T:
        check_readable(connection, access, mailbox_id)
        return read(connection)

    return run


def check_readable(connection: Connection, access: Access, mailbox_id: int) -> None:
    """Raise PostroomError NOT_FOUND or DENIED where a guest may not read a mailbox."""
    if access.guest:
        find_mailbox(connection, access, mailbox_id, READ)


def find_mailbox_named(connection: Connection, place: Place, needed: str) -> tuple[Mailbox, str]:
    """The same, by name."""
    mailbox = reading.find_mailbox_named(connection, place.owner, place.name)
    rights = rights_read(connection, place.access, mailbox)
    require(rights, needed)
    return mailbox, rights


def admit_above(transaction: Transaction, place: Place) -> None:
    """Let only those who may go on make a mailbox of this name: "k" on the nearest one above."""
    if not place.access.guest:
        return
    for name in reversed([*superiors(place.name)]):
        above = transaction.find_mailbox(place.owner, name)
        if above is not None:
            admit(transaction, place.access, above, CREATE)
            return
    raise PostroomError(Kind.DENIED, "only the owner can make a mailbox there")


def note_hint(transaction: Transaction, grantee: int, owner: int, address: str) -> None:
    """Let an account look into another's ACLs. Raises PostroomError LIMIT_EXCEEDED."""
    transaction.account(grantee)
    here = {"account": grantee}
    if sum(row[0] != owner for row in transaction.rows(_OWNERS, here)) >= MOST_OWNERS:
        raise PostroomError(Kind.LIMIT_EXCEEDED, "too many people share with this account")
    # Written anew each time, so that it is young: the row may still be on its way.
    transaction.run(_FORGET_HINT, [here | {"owner": owner, "before": _FOREVER}])
    row = {
        "account_id": grantee,
        "owner_id": owner,
        "address": address,
        "created_at": transaction.now,
    }
    transaction.add(tables.shares, row)


def drop_hint(transaction: Transaction, grantee: int, owner: int) -> None:
    """Remove a hint that is left over, unless it was written anew."""
    before = transaction.now - HINT_SECONDS
    transaction.run(_FORGET_HINT, [{"account": grantee, "owner": owner, "before": before}])


# Across accounts.


@dataclass(frozen=True, slots=True)
class SharedMailbox:
    """What somebody else shares, under the guest's name for it, with the guest's rights."""

    name: str
    mailbox: Mailbox
    rights: str
    deleted_size: int = 0
    annotations: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """What somebody wants to know of what others share.

    Attributes:
        sizes: what the \\Deleted messages weigh.
        entries: these annotations.
    """

    person: int
    sizes: bool = False
    entries: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody in whose ACLs a person may be.

    Attributes:
        noted_at: when the hint was written, in Unix seconds.
    """

    account_id: int
    address: str
    noted_at: int


def owners_of(connection: Connection, person: int) -> list[Owner]:
    """Whose ACLs somebody may be in."""
    return [Owner(*row) for row in _OWNERS.rows(connection, {"account": person})]


class Sharing:
    """Finds what others share: reads that touch two accounts, one after the other."""

    def __init__(self, readers: Readers, writers: Writers) -> None:
        self._readers = readers
        self._writers = writers

    async def locate(self, ticket: Ticket, name: str) -> Place:
        """Where a name leads; an own one without a read. What may be done there is checked later.

        Raises PostroomError: INVALID; NOT_FOUND where nobody of that address shares anything.
        """
        person = ticket.account_id
        if not is_shared(name):
            return Place(Access(person, person), canonical(name))
        meant = dict(owners_in(name.removesuffix(DELIMITER)))
        for owner in await self._owners(person):
            if owner.address in meant and await self._readers.run(_has(owner)):
                access = Access(person, owner.account_id)
                return Place(access, canonical(meant[owner.address]), owner.address)
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")

    async def enter(self, ticket: Ticket, owner: int, mailbox_id: int, needed: str) -> Access:
        """Somebody's access to an account, by a mailbox in it; 0 and its own need no read.

        A write checks again, in its transaction. This one keeps a made-up owner out of it, for an
        account that is locked there is made where it is new.

        Raises PostroomError: NOT_FOUND, DENIED.
        """
        access = Access(ticket.account_id, owner or ticket.account_id)
        if access.guest:
            await self._readers.run(lambda c: find_mailbox(c, access, mailbox_id, needed))
        return access

    async def shared_with(self, listing: Listing, owners: Sequence[Owner]) -> list[SharedMailbox]:
        """What of all that others share may be listed, each with the rights that are there.

        Args:
            owners: the ones to ask, see `owners_of`.
        """
        found: list[SharedMailbox] = []
        for owner in owners:
            rows, listed = await self._readers.run(_shared(owner, listing))
            found += listed
            if not rows and owner.noted_at < time.time() - HINT_SECONDS:
                await self._writers.run(listing.person, _dropping(listing.person, owner))
            if len(found) >= MOST_SHARED:
                break
        return found[:MOST_SHARED]

    async def leave(self, person: int) -> None:
        """Take an account that goes away out of everybody's ACLs."""
        for owner in await self._owners(person):
            if await self._readers.run(_has(owner)):
                await self._writers.run(owner.account_id, _forgetting(owner, person))

    async def _owners(self, person: int) -> list[Owner]:
        return await self._readers.run(lambda c: owners_of(c, person))


# Made by functions of their own: a loop's variables have changed by the time they run.


def _has(owner: Owner) -> Callable[[Connection], bool]:
    return lambda connection: reading.has_account(connection, owner.account_id)


def _shared(
    owner: Owner, listing: Listing
) -> Callable[[Connection], tuple[int, list[SharedMailbox]]]:
    """How many mailboxes somebody shares with a person, and those that may be listed."""

    def read(connection: Connection) -> tuple[int, list[SharedMailbox]]:
        account_id, person = owner.account_id, listing.person
        rows = _SHARED.rows(connection, {"account": account_id, "grantee": person})
        if not rows:
            return 0, []
        weights = reading.deleted_sizes(connection, account_id) if listing.sizes else {}
        values = metadata.read_all(connection, account_id, person, listing.entries)
        found: list[SharedMailbox] = []
        for *row, rights in rows:
            mailbox = mailbox_of_row(row)
            if LOOKUP not in rights or not mailbox.selectable:
                continue
            name = shared_name(owner.address, mailbox.name)
            weight = weights.get(mailbox.mailbox_id, 0)
            annotations = values[mailbox.mailbox_id] if set(TO_ANNOTATE) & set(rights) else {}
            found.append(SharedMailbox(name, mailbox, rights, weight, annotations))
        return len(rows), found

    return read


def _dropping(person: int, owner: Owner) -> Callable[[Transaction], None]:
    return lambda transaction: drop_hint(transaction, person, owner.account_id)


def _forgetting(owner: Owner, person: int) -> Callable[[Transaction], None]:
    return lambda transaction: forget_guest(transaction, owner.account_id, person)
