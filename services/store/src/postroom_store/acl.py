"""ACLs (RFC 4314): who may do what in an account, in that account's transactions.

Each right is checked here and nowhere else, by `admit` and what builds on it. An owner's own calls
pass without a read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import Connection, bindparam, delete, select

from postroom_store import annotation, metadata, tables
from postroom_store.answers import MOST_KEY_BYTES
from postroom_store.database import Prepared
from postroom_store.domain import rights as acl_rights
from postroom_store.transaction import Mailbox, Transaction

MOST_ENTRIES = 1000  # of one mailbox's ACL

_a = tables.acl.c

_FIND_RIGHTS = Prepared(
    select(_a.rights).where(
        _a.account_id == bindparam("account"),
        _a.mailbox_id == bindparam("mailbox"),
        _a.grantee_id == bindparam("grantee"),
    )
)
_GRANTED = Prepared(
    select(_a.mailbox_id).where(
        _a.account_id == bindparam("account"), _a.grantee_id == bindparam("grantee")
    )
)
_ENTRIES = Prepared(
    select(_a.identifier, _a.rights, _a.grantee_id)
    .where(_a.account_id == bindparam("account"), _a.mailbox_id == bindparam("mailbox"))
    .order_by(_a.identifier)
)
_FORGET_ENTRY = Prepared(
    delete(tables.acl).where(
        _a.account_id == bindparam("account"),
        _a.mailbox_id == bindparam("mailbox"),
        _a.grantee_id == bindparam("grantee"),
    )
)
_FORGET_ENTRIES = Prepared(
    delete(tables.acl).where(
        _a.account_id == bindparam("account"), _a.mailbox_id == bindparam("mailbox")
    )
)

FindRow = Callable[[Prepared, Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody at work in an account: its owner, or a guest.

    Attributes:
        person: the account of the ticket.
        owner: the account that is worked in.
    """

    person: int
    owner: int

    @property
    def guest(self) -> bool:
        return self.person != self.owner

    def key(self, key: bytes) -> bytes:
        """An idempotency key as it is kept in the owner's account: nobody meets another's."""
        if not self.guest or not 0 < len(key) <= MOST_KEY_BYTES:
            return key
        return hashlib.blake2b(b"%d:%b" % (self.person, key), digest_size=32).digest()


def rights_in(transaction: Transaction, access: Access, mailbox: Mailbox) -> str:
    """What somebody may do with a mailbox, as of a transaction."""
    return _rights(transaction.row, access, mailbox)


def rights_read(connection: Connection, access: Access, mailbox: Mailbox) -> str:
    """What somebody may do with a mailbox."""
    return _rights(lambda s, parameters: s.row(connection, parameters), access, mailbox)


def _rights(find: FindRow, access: Access, mailbox: Mailbox) -> str:
    if not access.guest:
        return acl_rights.ALL
    if mailbox.account_id != access.owner or not mailbox.acl_modseq:
        return ""
    here = {
        "account": mailbox.account_id,
        "mailbox": mailbox.mailbox_id,
        "grantee": access.person,
    }
    row = find(_FIND_RIGHTS, here)
    return str(row[0]) if row is not None else ""


def admit(transaction: Transaction, access: Access, mailbox: Mailbox, needed: str) -> str:
    """What somebody may do, all that is needed for certain. Raises PostroomError: see `require`."""
    rights = rights_in(transaction, access, mailbox)
    acl_rights.require(rights, needed)
    return rights


# Changes.


def inherit(transaction: Transaction, above: Mailbox, mailbox: Mailbox) -> None:
    """Give a new mailbox the ACL of the one above it (RFC 4314 section 4, CREATE).

    Who is in that has a hint already: it names the owner, not the mailbox.
    """
    if not above.acl_modseq:
        return
    here = {"account": above.account_id, "mailbox": above.mailbox_id}
    entries = transaction.rows(_ENTRIES, here)
    for identifier, letters, grantee in entries:
        transaction.add(tables.acl, _entry(mailbox, grantee, identifier, letters))
    if entries:
        mailbox.acl_modseq = mailbox.highest_modseq
        transaction.touch_mailbox(mailbox)


def forget(transaction: Transaction, mailbox: Mailbox) -> None:
    """Remove the ACL of a mailbox that is removed (RFC 4314 section 4, DELETE)."""
    if mailbox.acl_modseq:
        here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
        transaction.run(_FORGET_ENTRIES, [here])
        mailbox.acl_modseq = 0
        transaction.touch_mailbox(mailbox)


def set_entry(
    transaction: Transaction,
    mailbox: Mailbox,
    grantee: int,
    identifier: str,
    change: Callable[[str], str],
) -> None:
    """Change what one account may do with a mailbox, and tell those who watch it.

    Args:
        change: the new rights for the old ones.

    Raises PostroomError LIMIT_EXCEEDED.
    """
    here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    entries = transaction.rows(_ENTRIES, here) if mailbox.acl_modseq else []
    before = next((letters for _, letters, account in entries if account == grantee), "")
    after = change(before)
    if after == before:
        return
    if not before and len(entries) >= MOST_ENTRIES:
        raise PostroomError(Kind.LIMIT_EXCEEDED, f"an ACL has at most {MOST_ENTRIES} entries")
    link = transaction.begin_change(transaction.account(mailbox.account_id), mailbox)
    link.rights_changed = True
    mailbox.acl_modseq = link.modseq
    transaction.run(_FORGET_ENTRY, [here | {"grantee": grantee}])
    if after:
        transaction.add(tables.acl, _entry(mailbox, grantee, identifier, after))
    else:
        metadata.forget_holder(transaction, mailbox, grantee)
        annotation.forget_holder(transaction, mailbox, grantee)


def forget_guest(transaction: Transaction, owner: int, grantee: int) -> None:
    """Take every right from an account that goes away."""
    parameters = {"account": owner, "grantee": grantee}
    for (mailbox_id,) in transaction.rows(_GRANTED, parameters):
        mailbox = transaction.mailbox(owner, mailbox_id)
        set_entry(transaction, mailbox, grantee, "", lambda _: "")


def _entry(mailbox: Mailbox, grantee: int, identifier: str, letters: str) -> dict[str, Any]:
    return {
        "account_id": mailbox.account_id,
        "mailbox_id": mailbox.mailbox_id,
        "grantee_id": grantee,
        "identifier": identifier,
        "rights": letters,
    }


def entries_of(connection: Connection, mailbox: Mailbox) -> Sequence[tuple[str, str, int]]:
    """The entries of a mailbox's ACL: identifier, rights, account id. The owner isn't in it."""
    if not mailbox.acl_modseq:
        return []
    here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    return [(row[0], row[1], row[2]) for row in _ENTRIES.rows(connection, here)]
