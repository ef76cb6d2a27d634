"""Which mailbox has which special use (RFC 6154): each is one mailbox's of an account."""

from __future__ import annotations

from sqlalchemy import bindparam, update

from postroom_store import tables
from postroom_store.transaction import Transaction

_m = tables.mailboxes.c


def take_away(transaction: Transaction, account_id: int, uses: int) -> None:
    """Take special uses, as a mask, from whichever mailboxes have them.

    What was read of the account's mailboxes must be read again.
    """
    transaction.forget_mailboxes(account_id)
    statement = update(tables.mailboxes).where(
        _m.account_id == bindparam("account"), _m.special_use.op("&")(uses) != 0
    )
    taken = statement.values(special_use=_m.special_use.op("&")(~uses))
    transaction.execute(taken, {"account": account_id})
