"""What is done to the tree of mailboxes in a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import UNLIMITED
from sqlalchemy import ColumnElement, bindparam, case, delete, func, literal, select, update

from postroom_store import acl, messages, metadata, tables, url_keys
from postroom_store.domain.names import DELIMITER, INBOX, canonical, is_shared, superiors
from postroom_store.special_use import take_away
from postroom_store.transaction import Account, Mailbox, Transaction

_m = tables.mailboxes.c
_OF_ACCOUNT = _m.account_id == bindparam("account")
COUNT_MAILBOXES = select(
    func.count().label("names"),
    func.count(case((_m.selectable, 1))).label("mailboxes"),
).where(_OF_ACCOUNT)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many mailboxes an account may have.

    Attributes:
        names: rows of the tree, by the store's own setting.
        mailboxes: names that can hold messages, by the account's quota; 0 for no limit.
    """

    names: int
    mailboxes: int = 0


def create(
    transaction: Transaction, account_id: int, name: str, uses: int, limits: Limits
) -> Mailbox:
    """Make a mailbox and the missing ones above it.

    Args:
        uses: special uses, as a mask; other mailboxes lose them.

    Raises PostroomError: ALREADY_EXISTS, INVALID, LIMIT_EXCEEDED, OVER_QUOTA.
    """
    name = _own(name)
    account = transaction.account(account_id)
    existing = transaction.find_mailbox(account_id, name)
    if existing is not None and existing.selectable:
        raise PostroomError(Kind.ALREADY_EXISTS, "the mailbox is there already")
    missing = _missing_above(transaction, account_id, name)
    _check_room(transaction, account_id, len(missing) + 1, limits)
    parent = _parent(transaction, account_id, name)
    if uses:
        take_away(transaction, account_id, uses)
        existing = transaction.find_mailbox(account_id, name)
    transaction.change_tree(account)
    if existing is not None:
        made = [_revive(transaction, account, existing, uses)]
    else:
        made = [transaction.add_mailbox(account, above) for above in missing]
        made.append(transaction.add_mailbox(account, name, uses))
    _inherit(transaction, parent, made)
    return made[-1]


def _inherit(transaction: Transaction, parent: Mailbox | None, made: Sequence[Mailbox]) -> None:
    if parent is not None:
        for mailbox in made:
            acl.inherit(transaction, parent, mailbox)


def _own(name: str) -> str:
    """The name as it is kept, where an own mailbox may have it. Raises PostroomError INVALID."""
    name = canonical(name)
    if is_shared(name):
        raise PostroomError(Kind.INVALID, "what others share is below that name")
    return name


def _revive(transaction: Transaction, account: Account, mailbox: Mailbox, uses: int) -> Mailbox:
    """Make a \\Noselect name a mailbox again: a new one, as far as UIDs go."""
    account.uid_validity = max(account.uid_validity + 1, transaction.now)
    mailbox.uid_validity = account.uid_validity
    mailbox.selectable = True
    mailbox.special_use = uses
    mailbox.highest_modseq = transaction.next_modseq(account)
    transaction.touch_mailbox(mailbox)
    return mailbox


def remove(transaction: Transaction, account_id: int, name: str) -> None:
    """Remove a mailbox and expunge its messages; with inferiors its name stays, \\Noselect.

    Raises PostroomError: NOT_FOUND, INVALID for INBOX, CONFLICT for a \\Noselect name with
    inferiors.
    """
    name = canonical(name)
    if name == INBOX:
        raise PostroomError(Kind.INVALID, "INBOX can't be removed")
    mailbox = transaction.find_mailbox(account_id, name)
    if mailbox is None:
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
    inferiors = _has_inferiors(transaction, account_id, name)
    if inferiors and not mailbox.selectable:
        raise PostroomError(Kind.CONFLICT, "the name has inferiors")
    account = transaction.account(account_id)
    messages.remove(transaction, mailbox, ((1, mailbox.uid_next),))
    acl.forget(transaction, mailbox)
    metadata.remove(transaction, mailbox)
    url_keys.forget(transaction, account_id, mailbox)
    transaction.change_tree(account)
    transaction.begin_change(account, mailbox).deleted = True
    mailbox.selectable = False
    mailbox.special_use = 0
    mailbox.keywords = []
    if not inferiors:
        transaction.forget_mailboxes(account_id)
        here = {"account": account_id, "mailbox": mailbox.mailbox_id}
        statement = delete(tables.mailboxes).where(
            _OF_ACCOUNT, _m.mailbox_id == bindparam("mailbox")
        )
        transaction.execute(statement, here)


def rename(
    transaction: Transaction, account_id: int, name: str, new_name: str, limits: Limits
) -> None:
    """Rename a mailbox and its inferiors; INBOX gives its messages to the new one and stays.

    Raises PostroomError: NOT_FOUND, ALREADY_EXISTS, LIMIT_EXCEEDED, OVER_QUOTA; INVALID, also
    where an inferior would get a name that can't be a mailbox's.
    """
    name, new_name = canonical(name), _own(new_name)
    mailbox = transaction.find_mailbox(account_id, name)
    if mailbox is None:
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
    if transaction.find_mailbox(account_id, new_name) is not None:
        raise PostroomError(Kind.ALREADY_EXISTS, "the new name is taken")
    if new_name.startswith(name + DELIMITER) and name != INBOX:
        raise PostroomError(Kind.INVALID, "a mailbox can't be moved below itself")
    if name != INBOX:
        for inferior in _inferiors(transaction, account_id, name):
            canonical(new_name + inferior.removeprefix(name))
    account = transaction.account(account_id)
    missing = _missing_above(transaction, account_id, new_name)
    _check_room(transaction, account_id, len(missing) + (name == INBOX), limits)
    transaction.change_tree(account)
    parent = _parent(transaction, account_id, new_name)
    _inherit(transaction, parent, [transaction.add_mailbox(account, n) for n in missing])
    if name == INBOX:
        _rename_inbox(transaction, account, mailbox, new_name)
        return
    transaction.forget_mailboxes(account_id)
    start = len(name) + 1
    statement = (
        update(tables.mailboxes)
        .where(_OF_ACCOUNT, (_m.name == name) | _below(name))
        .values(name=literal(new_name).concat(func.substr(_m.name, start)))
    )
    transaction.execute(statement, {"account": account_id})


def _rename_inbox(
    transaction: Transaction, account: Account, inbox: Mailbox, new_name: str
) -> None:
    """RFC 9051 section 6.3.6: the messages move, inferiors of INBOX stay."""
    target = transaction.add_mailbox(account, new_name)
    metadata.copy(transaction, inbox, target)
    everything = ((1, inbox.uid_next),)
    messages.copy(transaction, inbox, everything, target, UNLIMITED, move=True)


def subscribe(transaction: Transaction, account_id: int, name: str, subscribed: bool) -> None:
    """Add a name to the subscriptions or take it away. Raises PostroomError INVALID."""
    name = canonical(name)
    transaction.change_tree(transaction.account(account_id))
    row = {"account_id": account_id, "name": name}
    if subscribed:
        transaction.add_missing(tables.subscriptions, row)
        return
    column = tables.subscriptions.c
    statement = delete(tables.subscriptions).where(
        column.account_id == account_id, column.name == name
    )
    transaction.execute(statement)


def _missing_above(transaction: Transaction, account_id: int, name: str) -> list[str]:
    """The names above a mailbox that nothing has."""
    return [
        above for above in superiors(name) if transaction.find_mailbox(account_id, above) is None
    ]


def _parent(transaction: Transaction, account_id: int, name: str) -> Mailbox | None:
    """The nearest mailbox above a name that is there."""
    above = (transaction.find_mailbox(account_id, n) for n in reversed([*superiors(name)]))
    return next(filter(None, above), None)


def _check_room(transaction: Transaction, account_id: int, more: int, limits: Limits) -> None:
    if not more:
        return
    counts = transaction.execute(COUNT_MAILBOXES, {"account": account_id}).one()
    if counts.names + more > limits.names:
        most = limits.names
        raise PostroomError(Kind.LIMIT_EXCEEDED, f"an account has at most {most} mailboxes")
    if limits.mailboxes and counts.mailboxes + more > limits.mailboxes:
        raise PostroomError(Kind.OVER_QUOTA, "the account has as many mailboxes as it may have")


def _has_inferiors(transaction: Transaction, account_id: int, name: str) -> bool:
    statement = select(_m.mailbox_id).where(_OF_ACCOUNT, _below(name)).limit(1)
    return transaction.execute(statement, {"account": account_id}).first() is not None


def _inferiors(transaction: Transaction, account_id: int, name: str) -> list[str]:
    statement = select(_m.name).where(_OF_ACCOUNT, _below(name))
    return list(transaction.execute(statement, {"account": account_id}).scalars())


def _below(name: str) -> ColumnElement[bool]:
    """Names below a mailbox: a range, since LIKE knows no case in SQLite ("0" follows "/")."""
    return (_m.name > name + DELIMITER) & (_m.name < name + "0")
