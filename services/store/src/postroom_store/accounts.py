"""What is new in an account as a whole, for those who watch it: read in a reader's thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, select

from postroom_store import metadata, tables
from postroom_store.database import Prepared
from postroom_store.reading import ListedMailbox, list_mailboxes
from postroom_store.transaction import SELECT_MAILBOX, mailbox_of_row

MOST_NAMES = 50_000  # in a tree that is told; those beyond are not watched

_a = tables.accounts.c
_m = tables.mailboxes.c
_FIND = Prepared(
    select(_a.modseq, _a.tree_modseq, _a.annotations_modseq).where(
        _a.account_id == bindparam("account")
    )
)
_CHANGED = Prepared(SELECT_MAILBOX.where(_m.highest_modseq > bindparam("since")))


@dataclass(frozen=True, slots=True)
class AccountNews:
    """What is new in an account.

    Attributes:
        modseq: the account's now.
        mailboxes: those that changed, or the whole tree where `tree`.
        annotated: names of annotations that were set or removed, by mailbox (0: the server).
    """

    account_id: int
    modseq: int
    mailboxes: Sequence[ListedMailbox]
    tree: bool = False
    annotated: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """How many mailboxes it tells of."""
        return len(self.mailboxes) + len(self.annotated)


def news_since(connection: Connection, account_id: int, since: int) -> AccountNews | None:
    """What is new in an account after one of its modseqs; None where nothing is.

    All of it where that modseq is 0. It is told to the modseq that is answered and no less, whoever
    made the changes and whether or not a notice of them has come yet.
    """
    row = _FIND.row(connection, {"account": account_id})
    if row is None or row[0] <= since:
        return None
    modseq, tree_modseq, annotations_modseq = row
    tree = not since or tree_modseq > since
    mailboxes = _tree(connection, account_id) if tree else _changed(connection, account_id, since)
    annotated: Mapping[int, Sequence[str]] = {}
    if since and annotations_modseq > since:
        annotated = metadata.changed(connection, account_id, account_id, since)
    return AccountNews(account_id, modseq, mailboxes, tree, annotated)


def _tree(connection: Connection, account_id: int) -> list[ListedMailbox]:
    found: list[ListedMailbox] = []
    after = ""
    while True:
        page, after = list_mailboxes(connection, account_id, after)
        found += page
        if not after or len(found) > MOST_NAMES:
            return found


def _changed(connection: Connection, account_id: int, since: int) -> list[ListedMailbox]:
    rows = _CHANGED.rows(connection, {"account": account_id, "since": since})
    return [ListedMailbox(mailbox.name, mailbox, False) for mailbox in map(mailbox_of_row, rows)]
