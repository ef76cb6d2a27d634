"""What keeps the store in order: usage, undelete, purge, integrity, garbage, reindex.

Long work goes in steps, each a short transaction of one account, so that clients are served in
between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from postroom_chassis.errors import PostroomError
from postroom_mime import SearchText, derive
from sqlalchemy import (
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    select,
    tuple_,
    update,
)

from postroom_store import messages, tables
from postroom_store.blobs import ASIDE, BlobFiles, digest_of
from postroom_store.database import Prepared
from postroom_store.domain.flags import DELETED, SEEN
from postroom_store.ingest import derived_columns
from postroom_store.messages import NO_EMAIL
from postroom_store.reading import read_content
from postroom_store.search import index
from postroom_store.search.long_text import text_of
from postroom_store.transaction import Mailbox, Transaction

PAGE = 1000
STEP = 200  # rows of one step: a few ms
ROW_STEP = 2000  # rows that go without a look
EMAIL_STEP = 20  # messages of one step that are read and parsed: some 40 ms
# A content may be there before the row that refers to it, and a backup copies the rows first.
BLOB_GRACE_SECONDS = 24 * 3600

_a = tables.accounts.c
_m = tables.mailboxes.c
_p = tables.placements.c
_e = tables.emails.c
_t = tables.tombstones.c
_b = tables.blobs.c
_f = tables.finished.c
_q = tables.queue.c
_s = tables.submissions.c


DELETE_TOMBSTONE = Prepared(
    delete(tables.tombstones).where(
        _t.account_id == bindparam("account"),
        _t.mailbox_id == bindparam("mailbox"),
        _t.uid == bindparam("number"),
    )
)


@dataclass(frozen=True, slots=True)
class Usage:
    account_id: int
    messages: int
    size: int
    mailboxes: int


def usage(connection: Connection, account_id: int, after: int) -> list[Usage]:
    """What accounts keep: one, or (0) a page of them after an id."""
    count = select(func.count()).where(_m.account_id == _a.account_id).scalar_subquery()
    statement = select(_a.account_id, _a.used_messages, _a.used_bytes, count)
    chosen = _a.account_id == account_id if account_id else _a.account_id > after
    rows = connection.execute(statement.where(chosen).order_by(_a.account_id).limit(PAGE))
    return [Usage(*row) for row in rows]


def accounts_of(connection: Connection, account_id: int) -> list[int]:
    """One account, or (0) all of them."""
    statement = select(_a.account_id).order_by(_a.account_id)
    if account_id:
        statement = statement.where(_a.account_id == account_id)
    return list(connection.execute(statement).scalars())


def undelete(transaction: Transaction, mailbox: Mailbox, since: int) -> int:
    """Bring back what was expunged from a mailbox since a time, with new UIDs; answers how many."""
    here = (_t.account_id == mailbox.account_id, _t.mailbox_id == mailbox.mailbox_id)
    rows = transaction.execute(
        select(_t.uid, _t.email_id, _t.flags, _t.size)
        .where(*here, _t.expunged_at >= since, _t.email_id != NO_EMAIL)
        .order_by(_t.uid)
    ).fetchall()
    if not rows:
        return 0
    restored = [(row[1], row[2] & ~DELETED, row[3]) for row in rows]
    messages.restore(transaction, mailbox, restored)
    for start in range(0, len(rows), STEP):
        uids = [row[0] for row in rows[start : start + STEP]]
        # The old UIDs stay gone, and clients that come back must be told so.
        emptied = update(tables.tombstones).where(*here, _t.uid.in_(uids))
        transaction.execute(emptied.values(email_id=NO_EMAIL, size=0))
    return len(rows)


def purge_step(transaction: Transaction, files: BlobFiles | None, account_id: int) -> Swept | None:
    """Remove some of an account; None when nothing is left.

    The account's own row goes last: until then the account is among those that are swept.
    """
    transaction.forget_account(account_id)
    for table in (
        tables.placements,
        tables.tombstones,
        tables.queue,
        tables.attempts,
        tables.finished,
        tables.submissions,
        tables.receptions,
        tables.uploads,
        tables.threads,
        tables.answers,
        tables.leases,
        tables.mailbox_annotations,
        tables.message_annotations,
        tables.url_keys,
        tables.subscriptions,
        tables.acl,
        tables.shares,
        tables.mailboxes,
    ):
        if removed := _remove_some(transaction, table, account_id):
            return Swept(expunged=removed)
    emails = transaction.execute(
        select(_e.email_id, _e.digest, _e.indexed)
        .where(_e.account_id == account_id)
        .limit(EMAIL_STEP)
    ).fetchall()
    if emails:
        _remove_emails(transaction, files, account_id, emails)
        return Swept(expunged=len(emails))
    blobs = select(_b.digest, _b.size, _b.data.is_(None)).where(_b.account_id == account_id)
    contents = transaction.execute(blobs.limit(STEP)).fetchall()
    if contents:
        return _remove_contents(transaction, account_id, contents)
    return Swept(expunged=1) if _remove_some(transaction, tables.accounts, account_id) else None


def _remove_some(transaction: Transaction, table: Table, account_id: int) -> int:
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(table.c.account_id == account_id)
    statement = delete(table).where(key.in_(some.limit(ROW_STEP)))
    return int(transaction.execute(statement).rowcount)


# Integrity.


def faults_of(connection: Connection, account_id: int) -> Iterator[str]:
    """What is wrong with an account's counters and references."""
    for row in connection.execute(select(tables.mailboxes).where(_m.account_id == account_id)):
        here = and_(_p.account_id == account_id, _p.mailbox_id == row.mailbox_id)
        found = connection.execute(
            select(
                func.count(),
                func.coalesce(func.sum(_p.size), 0),
                func.count().filter(_p.flags.op("&")(SEEN) == 0),
                func.count().filter(_p.flags.op("&")(DELETED) != 0),
                func.coalesce(func.max(_p.uid), 0),
            ).where(here)
        ).one()
        told = (row.messages, row.size, row.unseen, row.deleted)
        if told != tuple(found[:4]):
            yield f"account {account_id}, {row.name}: counts {told}, found {tuple(found[:4])}"
        if found[4] >= row.uid_next:
            yield f"account {account_id}, {row.name}: UIDNEXT {row.uid_next}, found {found[4]}"
    lost = connection.execute(
        select(func.count()).where(
            _p.account_id == account_id,
            ~exists().where(_e.account_id == account_id, _e.email_id == _p.email_id),
        )
    ).scalar_one()
    if lost:
        yield f"account {account_id}: {lost} messages without their email"
    missing = connection.execute(
        select(func.count()).where(
            _e.account_id == account_id,
            ~exists().where(_b.account_id == account_id, _b.digest == _e.digest),
        )
    ).scalar_one()
    if missing:
        yield f"account {account_id}: {missing} emails without their content"
    queued = connection.execute(
        select(func.count()).where(
            _q.account_id == account_id,
            ~exists().where(_b.account_id == account_id, _b.digest == _q.digest),
        )
    ).scalar_one()
    if queued:
        yield f"account {account_id}: {queued} entries of the queue without their content"


def damaged_contents(
    connection: Connection, files: BlobFiles | None, account_id: int
) -> Iterator[str]:
    """Contents that can't be read, or are not what their digest says."""
    digests = connection.execute(select(_b.digest).where(_b.account_id == account_id)).scalars()
    for digest in digests.all():
        try:
            good = digest_of(read_content(connection, files, account_id, digest)) == digest
        except Exception as error:
            yield f"account {account_id}: content {digest.hex()}: {error}"
            continue
        if not good:
            yield f"account {account_id}: content {digest.hex()} is damaged"


# Garbage.


@dataclass(frozen=True, slots=True)
class Swept:
    """What a step removed; `more` while there may be more.

    Attributes:
        entries: that left the queue long ago.
    """

    expunged: int = 0
    contents: int = 0
    size: int = 0
    entries: int = 0
    digests: Sequence[bytes] = ()

    @property
    def more(self) -> bool:
        return bool(self.expunged or self.contents or self.entries)


def forget_old(transaction: Transaction, account_id: int, answers: int, uploads: int) -> None:
    """Remove answers and uploads from before some times."""
    for table, before in ((tables.answers, answers), (tables.uploads, uploads)):
        transaction.execute(
            delete(table).where(table.c.account_id == account_id, table.c.created_at < before)
        )


def sweep_expunged(
    transaction: Transaction, files: BlobFiles | None, account_id: int, before: int
) -> Swept:
    """Remove some tombstones past their grace time, and the emails that nothing refers to then.

    An email loses its last placement to a tombstone, so no other emails need a look.
    """
    rows = transaction.execute(
        select(_t.mailbox_id, _t.uid, _t.email_id, _t.modseq)
        .where(_t.account_id == account_id, _t.expunged_at < before)
        .limit(EMAIL_STEP)
    ).fetchall()
    if not rows:
        return Swept()
    for mailbox_id, _, _, modseq in rows:
        mailbox = transaction.known_mailbox(account_id, mailbox_id)
        if mailbox is not None and mailbox.forgotten_modseq < modseq:
            mailbox.forgotten_modseq = modseq
            transaction.touch_mailbox(mailbox)
    transaction.run(
        DELETE_TOMBSTONE,
        [
            {"account": account_id, "mailbox": mailbox_id, "number": uid}
            for mailbox_id, uid, _, _ in rows
        ],
    )
    orphans = transaction.execute(
        select(_e.email_id, _e.digest, _e.indexed).where(
            _e.account_id == account_id,
            _e.email_id.in_({row[2] for row in rows}),
            ~exists().where(_p.account_id == account_id, _p.email_id == _e.email_id),
            ~exists().where(_t.account_id == account_id, _t.email_id == _e.email_id),
        )
    ).fetchall()
    if orphans:
        _remove_emails(transaction, files, account_id, orphans)
    return Swept(expunged=len(rows))


def _remove_emails(
    transaction: Transaction, files: BlobFiles | None, account_id: int, orphans: Sequence[Any]
) -> None:
    texts: dict[int, SearchText] = {}
    for email_id, digest, indexed in orphans:
        if indexed in index.HELD:
            content = _content(transaction, files, account_id, digest)
            # FTS5 would be damaged by a text that is not the one that was added.
            if content or not transaction.exclusive:
                texts[email_id] = text_of(content)
    if texts:
        index.remove(transaction, account_id, texts)
    ids = [row[0] for row in orphans]
    transaction.execute(
        delete(tables.emails).where(_e.account_id == account_id, _e.email_id.in_(ids))
    )
    came = tables.receptions.c
    transaction.execute(
        delete(tables.receptions).where(came.account_id == account_id, came.email_id.in_(ids))
    )
    # The grace of their contents begins now: a backup's rows may have been copied a moment ago.
    transaction.execute(
        update(tables.blobs)
        .where(_b.account_id == account_id, _b.digest.in_({row[1] for row in orphans}))
        .values(created_at=transaction.now)
    )


def _content(
    transaction: Transaction, files: BlobFiles | None, account_id: int, digest: bytes
) -> bytes:
    """A content, or nothing where it can't be read, now or ever: maintenance goes on without."""
    try:
        return index.content_or_nothing(transaction.connection, files, account_id, digest)
    except PostroomError:
        return b""


def sweep_finished(transaction: Transaction, account_id: int, before: int) -> int:
    """Forget some entries that left the queue before a time; answers how many."""
    rows = transaction.execute(
        select(_f.queue_id, _f.submission_id)
        .where(_f.account_id == account_id, _f.finished_at < before)
        .limit(STEP)
    ).fetchall()
    if not rows:
        return 0
    ids = [row[0] for row in rows]
    for table in (tables.attempts, tables.finished):
        here = (table.c.account_id == account_id, table.c.queue_id.in_(ids))
        transaction.execute(delete(table).where(*here))

    def refers(table: Table) -> Any:
        column = table.c
        here = (column.account_id == account_id, column.submission_id == _s.submission_id)
        return exists().where(*here)

    transaction.execute(
        delete(tables.submissions).where(
            _s.account_id == account_id,
            _s.submission_id.in_({row[1] for row in rows}),
            ~refers(tables.queue),
            ~refers(tables.finished),
        )
    )
    return len(rows)


def sweep_contents(transaction: Transaction, account_id: int) -> Swept:
    """Remove some contents that nothing refers to and that are old enough."""
    # Locked, lest another replica comes to refer to a content between the look and the removal.
    transaction.account(account_id)

    # Gathered once: there is no index on the digests of emails.
    def used(table: Table) -> Any:
        return _b.digest.in_(select(table.c.digest).where(table.c.account_id == account_id))

    rows = transaction.execute(
        select(_b.digest, _b.size, _b.data.is_(None))
        .where(
            _b.account_id == account_id,
            _b.created_at < transaction.now - BLOB_GRACE_SECONDS,
            ~used(tables.emails),
            ~used(tables.uploads),
            ~used(tables.queue),
        )
        .limit(STEP)
    ).fetchall()
    return _remove_contents(transaction, account_id, rows)


def _remove_contents(transaction: Transaction, account_id: int, rows: Sequence[Any]) -> Swept:
    """Remove contents, by rows of digest, size, and whether they lie in files."""
    digests = [row[0] for row in rows]
    if digests:
        transaction.execute(
            delete(tables.blobs).where(_b.account_id == account_id, _b.digest.in_(digests))
        )
    in_files = [row[0] for row in rows if row[2]]
    return Swept(contents=len(rows), size=sum(row[1] for row in rows), digests=in_files)


def unused_files(connection: Connection, digests: Sequence[bytes]) -> list[bytes]:
    """Those contents in files that no account refers to any more."""
    used = set(connection.execute(select(_b.digest).where(_b.digest.in_(digests))).scalars())
    return [digest for digest in digests if digest not in used]


def old_files(files: BlobFiles, before: float) -> Iterator[list[bytes]]:
    """The contents in files last written before a time, a folder at a time, few a list.

    Files that a crash left half written go at once. What of the contents is unused, `unused_files`
    tells: a file may be there whose row never came.
    """
    for folder in files.folder.glob("??/??"):
        digests: list[bytes] = []
        for path in folder.iterdir():
            try:
                old = path.stat().st_mtime < before
                if old and path.name.startswith("."):
                    path.unlink()
                elif old and path.name.endswith(ASIDE):
                    files.put_back(path)
                elif old:
                    digests.append(bytes.fromhex(path.name))
            except (FileNotFoundError, ValueError):  # removed meanwhile; not ours
                continue
            if len(digests) == STEP:
                yield digests
                digests = []
        if digests:
            yield digests


# Reindex.


def email_ids_after(connection: Connection, account_id: int, after: int) -> list[int]:
    """The next emails of an account, by id."""
    statement = (
        select(_e.email_id)
        .where(_e.account_id == account_id, _e.email_id > after)
        .order_by(_e.email_id)
        .limit(EMAIL_STEP)
    )
    return list(connection.execute(statement).scalars())


def count_emails(connection: Connection, account_id: int) -> int:
    """How many emails an account has, or (0) all accounts have."""
    statement = select(func.count()).select_from(tables.emails)
    if account_id:
        statement = statement.where(_e.account_id == account_id)
    return int(connection.execute(statement).scalar_one())


def reindex_step(
    transaction: Transaction, files: BlobFiles | None, account_id: int, ids: Sequence[int]
) -> None:
    """Make the derived columns and the index of some emails anew from their contents."""
    rows = transaction.execute(
        select(_e.email_id, _e.digest, _e.indexed).where(
            _e.account_id == account_id, _e.email_id.in_(ids)
        )
    ).fetchall()
    before: dict[int, SearchText] = {}
    texts: dict[int, SearchText] = {}
    derived: list[dict[str, Any]] = []
    waiting: list[int] = []
    for email_id, digest, indexed in rows:
        content = _content(transaction, files, account_id, digest)
        if not content:
            continue
        derived.append(
            {"account": account_id, "email": email_id} | derived_columns(derive(content))
        )
        if indexed == index.UNREADABLE:
            waiting.append(email_id)
            continue
        texts[email_id] = text_of(content)
        if indexed in index.HELD:
            before[email_id] = texts[email_id]
    if derived:
        transaction.run(_update_derived(tuple(derived[0])), derived)
    if waiting:
        # Not here: the process that takes text out may die of it, and this one must not.
        index.mark(transaction, account_id, dict.fromkeys(waiting, index.NOT_YET))
    if before:
        index.remove(transaction, account_id, before)
    if texts:
        index.add(transaction, account_id, texts)


@cache
def _update_derived(names: tuple[str, ...]) -> Prepared:
    columns: dict[str, Any] = {
        name: bindparam(name) for name in names if name not in ("account", "email")
    }
    return Prepared(
        update(tables.emails)
        .where(_e.account_id == bindparam("account"), _e.email_id == bindparam("email"))
        .values(columns)
    )
