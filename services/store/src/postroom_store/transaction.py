"""One transaction of a writer: the rows that operations share, what they add, what they change.

Operations run one after the other in the same transaction (`writer.py`). Account and mailbox rows
are read once and changed in memory; new rows gather in lists. `flush` writes it all, in few
statements; whoever reads tables that others may have added to flushes first.

An operation checks before it changes: a PostroomError after the first change would take the others'
work along, so the writer then runs every operation by itself.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import Connection, Table, bindparam, select, update

from postroom_store import tables
from postroom_store.database import Prepared, inserting, is_sqlite
from postroom_store.domain import special_uses
from postroom_store.domain.change import WHOLE_ACCOUNT, Change
from postroom_store.domain.names import INBOX

# What a new account has, with its special uses (RFC 6154).
FIRST_MAILBOXES: Sequence[tuple[str, int]] = (
    (INBOX, 0),
    ("Archive", special_uses.ARCHIVE),
    ("Drafts", special_uses.DRAFTS),
    ("Junk", special_uses.JUNK),
    ("Sent", special_uses.SENT),
    ("Trash", special_uses.TRASH),
)


WAKE_SECONDS = 30  # nobody waits longer for something to send without looking again
NO_ACCOUNT = 0  # keeps what belongs to nobody: contents on their way, mail from trusted networks


@dataclass(slots=True)
class Account:
    """A row of `accounts`, locked for this transaction."""

    account_id: int
    modseq: int
    next_mailbox_id: int
    next_email_id: int
    uid_validity: int
    used_bytes: int
    used_messages: int
    tree_modseq: int = 0
    annotations_modseq: int = 0


@dataclass(slots=True)
class Mailbox:
    """A row of `mailboxes` of a locked account."""

    account_id: int
    mailbox_id: int
    name: str
    selectable: bool
    special_use: int
    uid_validity: int
    uid_next: int
    highest_modseq: int
    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0
    forgotten_modseq: int = 0
    acl_modseq: int = 0
    keywords: list[str] = field(default_factory=list)


ACCOUNT_FIELDS = Account.__slots__
MAILBOX_FIELDS = Mailbox.__slots__

_accounts = tables.accounts.c
_mailboxes = tables.mailboxes.c
FIND_ACCOUNT = Prepared(
    select(*(_accounts[name] for name in ACCOUNT_FIELDS))
    .where(_accounts.account_id == bindparam("account"))
    .with_for_update()
)
SELECT_MAILBOX = select(*(_mailboxes[name] for name in MAILBOX_FIELDS)).where(
    _mailboxes.account_id == bindparam("account")
)
FIND_MAILBOX = Prepared(SELECT_MAILBOX.where(_mailboxes.mailbox_id == bindparam("mailbox")))
FIND_MAILBOX_NAMED = Prepared(SELECT_MAILBOX.where(_mailboxes.name == bindparam("wanted")))
_UPDATE_ACCOUNT = Prepared(
    update(tables.accounts)
    .where(_accounts.account_id == bindparam("account"))
    .values({name: bindparam(name) for name in ACCOUNT_FIELDS[1:]})
)
_UPDATE_MAILBOX = Prepared(
    update(tables.mailboxes)
    .where(_mailboxes.account_id == bindparam("account"))
    .where(_mailboxes.mailbox_id == bindparam("mailbox"))
    .values({name: bindparam(name) for name in MAILBOX_FIELDS[2:]})
)

_answers = tables.answers.c
_FIND_ANSWER = Prepared(
    select(_answers.answer).where(
        _answers.account_id == bindparam("account"), _answers.key == bindparam("wanted")
    )
)


def mailbox_of_row(row: Sequence[Any]) -> Mailbox:
    """The mailbox of a row of SELECT_MAILBOX."""
    *fields, keywords = row
    mailbox = Mailbox(*fields)
    mailbox.selectable = bool(mailbox.selectable)
    mailbox.keywords = keywords.split()
    return mailbox


@dataclass(slots=True)
class Rows:
    """Rows in memory. Where one process is the only writer they outlive a transaction."""

    accounts: dict[int, Account] = field(default_factory=dict)
    mailboxes: dict[tuple[int, int], Mailbox] = field(default_factory=dict)
    names: dict[tuple[int, str], Mailbox] = field(default_factory=dict)

    def clear(self) -> None:
        self.accounts.clear()
        self.mailboxes.clear()
        self.names.clear()


class Transaction:
    """What operations of one batch work on.

    Attributes:
        connection: in the transaction.
        now: Unix seconds, the same for all.
        changes: what to publish after the commit, in order, by account and mailbox.
        woken: destinations of which something can be sent, now or within moments.
    """

    def __init__(
        self, connection: Connection, rows: Rows, clock: Callable[[], float] = time.time
    ) -> None:
        self.connection = connection
        self.now = int(clock())
        self.changes: list[tuple[int, Change]] = []
        self.woken: set[str] = set()
        self.changed = False
        self._rows = rows
        self._dirty_accounts: dict[int, Account] = {}
        self._dirty_mailboxes: dict[tuple[int, int], Mailbox] = {}
        self._threads: dict[tuple[int, int], int] = {}
        self._answers: dict[tuple[int, bytes], bytes] = {}
        self._added: dict[Table, list[dict[str, Any]]] = defaultdict(list)
        self._added_ignoring: dict[Table, list[dict[str, Any]]] = defaultdict(list)

    # Rows.

    def account(self, account_id: int) -> Account:
        """The account, locked; made, with its first mailboxes, when it is new here."""
        account = self._rows.accounts.get(account_id)
        if account is None:
            row = FIND_ACCOUNT.row(self.connection, {"account": account_id})
            account = Account(*row) if row else self._create_account(account_id)
            self._rows.accounts[account_id] = account
        return account

    def mailbox(self, account_id: int, mailbox_id: int) -> Mailbox:
        """A mailbox of a locked account. Raises PostroomError NOT_FOUND."""
        return _selectable(self.known_mailbox(account_id, mailbox_id))

    def known_mailbox(self, account_id: int, mailbox_id: int) -> Mailbox | None:
        """A mailbox of a locked account, if it is still there."""
        self.account(account_id)
        mailbox = self._rows.mailboxes.get((account_id, mailbox_id))
        if mailbox is None:
            row = self.row(FIND_MAILBOX, {"account": account_id, "mailbox": mailbox_id})
            mailbox = self._remember(row)
        return mailbox

    def mailbox_named(self, account_id: int, name: str) -> Mailbox:
        """A mailbox that can hold messages, by name. Raises PostroomError NOT_FOUND."""
        return _selectable(self.find_mailbox(account_id, name))

    def find_mailbox(self, account_id: int, name: str) -> Mailbox | None:
        """A mailbox by name, selectable or not."""
        self.account(account_id)
        mailbox = self._rows.names.get((account_id, name))
        if mailbox is None:
            row = self.row(FIND_MAILBOX_NAMED, {"account": account_id, "wanted": name})
            mailbox = self._remember(row)
        return mailbox

    def add_mailbox(self, account: Account, name: str, special_use: int = 0) -> Mailbox:
        """Make a mailbox whose UID validity was never used before in the account."""
        account.uid_validity = max(account.uid_validity + 1, self.now)
        mailbox = Mailbox(
            account.account_id,
            account.next_mailbox_id,
            name,
            True,
            special_use,
            account.uid_validity,
            1,
            self.next_modseq(account),
        )
        account.next_mailbox_id += 1
        row = {key: getattr(mailbox, key) for key in MAILBOX_FIELDS} | {"keywords": ""}
        self.add(tables.mailboxes, row)
        self._rows.mailboxes[account.account_id, mailbox.mailbox_id] = mailbox
        self._rows.names[account.account_id, name] = mailbox
        return mailbox

    def forget_mailboxes(self, account_id: int) -> None:
        """Forget an account's mailboxes, after statements that changed their rows."""
        self.flush()
        for mailbox in [m for (owner, _), m in self._rows.mailboxes.items() if owner == account_id]:
            self._rows.mailboxes.pop((account_id, mailbox.mailbox_id), None)
            self._rows.names.pop((account_id, mailbox.name), None)

    def forget_account(self, account_id: int) -> None:
        """Forget an account that was removed."""
        self.forget_mailboxes(account_id)
        self._rows.accounts.pop(account_id, None)

    # Changes.

    def next_modseq(self, account: Account) -> int:
        """The number of the next change in the account."""
        account.modseq += 1
        self.touch(account)
        return account.modseq

    def begin_change(self, account: Account, mailbox: Mailbox) -> Change:
        """A change of a mailbox, to be filled in; it is published after the commit."""
        previous = mailbox.highest_modseq
        mailbox.highest_modseq = self.next_modseq(account)
        self.touch_mailbox(mailbox)
        change = Change(mailbox.mailbox_id, previous, mailbox.highest_modseq, mailbox.uid_next)
        self.changes.append((account.account_id, change))
        return change

    def change_tree(self, account: Account) -> None:
        """Names, subscriptions or special uses change; who watches the account is told."""
        account.tree_modseq = self._change_account(account)

    def change_annotations(self, account: Account) -> int:
        """Annotations change; answers the modseq of that."""
        account.annotations_modseq = self._change_account(account)
        return account.annotations_modseq

    def _change_account(self, account: Account) -> int:
        modseq = self.next_modseq(account)
        self.changes.append((account.account_id, Change(WHOLE_ACCOUNT, 0, modseq, 0)))
        return modseq

    def touch(self, account: Account) -> None:
        """Write an account's row at the end."""
        self.changed = True
        self._dirty_accounts[account.account_id] = account

    def touch_mailbox(self, mailbox: Mailbox) -> None:
        """Write a mailbox's row at the end."""
        self.changed = True
        self._dirty_mailboxes[mailbox.account_id, mailbox.mailbox_id] = mailbox

    def add(self, table: Table, row: dict[str, Any]) -> None:
        """Insert a row at the end."""
        self.changed = True
        self._added[table].append(row)

    def add_missing(self, table: Table, row: dict[str, Any]) -> None:
        """Insert a row at the end unless one with its key is there."""
        self.changed = True
        self._added_ignoring[table].append(row)

    def wake(self, domain: str, due: int) -> None:
        """Tell those who wait for something to send, unless it is not due while they wait."""
        if due <= self.now + WAKE_SECONDS:
            self.woken.add(domain)

    def add_thread(self, account_id: int, message_hash: int, thread_id: int) -> None:
        """Note which thread a Message-ID belongs to; the first note stays."""
        key = (account_id, message_hash)
        if key not in self._threads:
            self._threads[key] = thread_id
            row = {"account_id": account_id, "message_hash": message_hash, "thread_id": thread_id}
            self.add_missing(tables.threads, row)

    def recall_threads(self, account_id: int, hashes: Iterable[int]) -> dict[int, int]:
        """The threads of Message-IDs that this transaction noted, by hash."""
        known = self._threads
        return {h: known[account_id, h] for h in hashes if (account_id, h) in known}

    def recall_answer(self, account_id: int, key: bytes) -> bytes | None:
        """The answer that a call with this idempotency key got, if there was one."""
        known = self._answers.get((account_id, key))
        if known is not None:
            return known
        row = _FIND_ANSWER.row(self.connection, {"account": account_id, "wanted": key})
        return None if row is None else bytes(row[0])

    def note_answer(self, account_id: int, key: bytes, answer: bytes) -> None:
        """Keep an answer for calls that repeat this one."""
        self._answers[account_id, key] = answer
        row = {"account_id": account_id, "key": key, "answer": answer, "created_at": self.now}
        self.add(tables.answers, row)

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a statement that changes or reads tables, after what was added so far."""
        self.flush()
        return self.connection.execute(statement, parameters)

    def rows(self, statement: Prepared, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a prepared statement, after what was added so far."""
        self.flush()
        return statement.rows(self.connection, parameters)

    def row(self, statement: Prepared, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first row of a prepared statement, after what was added so far."""
        self.flush()
        return statement.row(self.connection, parameters)

    def run(self, statement: Prepared, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a prepared statement for each row of parameters, after what was added so far."""
        self.flush()
        statement.run_many(self.connection, rows)

    def flush(self) -> None:
        """Write what has gathered."""
        for table, rows in self._added_ignoring.items():
            inserting(table, tuple(rows[0]), ignoring=True).run_many(self.connection, rows)
        for table, rows in self._added.items():
            inserting(table, tuple(rows[0])).run_many(self.connection, rows)
        if self._dirty_mailboxes:
            rows = [
                {key: getattr(m, key) for key in MAILBOX_FIELDS[2:-1]}
                | {
                    "account": m.account_id,
                    "mailbox": m.mailbox_id,
                    "keywords": " ".join(m.keywords),
                }
                for m in self._dirty_mailboxes.values()
            ]
            _UPDATE_MAILBOX.run_many(self.connection, rows)
        if self._dirty_accounts:
            rows = [
                {key: getattr(a, key) for key in ACCOUNT_FIELDS[1:]} | {"account": a.account_id}
                for a in self._dirty_accounts.values()
            ]
            _UPDATE_ACCOUNT.run_many(self.connection, rows)
        self._added.clear()
        self._added_ignoring.clear()
        self._dirty_accounts.clear()
        self._dirty_mailboxes.clear()

    def _remember(self, row: Any) -> Mailbox | None:
        if row is None:
            return None
        mailbox = mailbox_of_row(row)
        key = (mailbox.account_id, mailbox.mailbox_id)
        known = self._rows.mailboxes.setdefault(key, mailbox)
        self._rows.names[mailbox.account_id, mailbox.name] = known
        return known

    def _create_account(self, account_id: int) -> Account:
        row = {
            "account_id": account_id,
            "modseq": 1,
            "next_mailbox_id": 1,
            "next_email_id": 1,
            "uid_validity": 0,
            "used_bytes": 0,
            "used_messages": 0,
        }
        whole = row | {"created_at": self.now}
        made = inserting(tables.accounts, tuple(whole), True).run(self.connection, whole)
        if not made:  # another replica was quicker
            (found,) = FIND_ACCOUNT.rows(self.connection, {"account": account_id})
            return Account(*found)
        self.changed = True
        account = Account(**row)
        self._rows.accounts[account_id] = account
        for name, special_use in FIRST_MAILBOXES if account_id != NO_ACCOUNT else ():
            self.add_mailbox(account, name, special_use)
            self.add(tables.subscriptions, {"account_id": account_id, "name": name})
        self.change_tree(account)
        return account

    @property
    def exclusive(self) -> bool:
        """Whether nobody else writes to this database."""
        return is_sqlite(self.connection)


def _selectable(mailbox: Mailbox | None) -> Mailbox:
    if mailbox is None or not mailbox.selectable:
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
    return mailbox
