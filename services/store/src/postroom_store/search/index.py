"""The search index: what text each message has, made in the background right after the commit.

On SQLite an FTS5 table of trigrams without a copy of the text, its rowid an account's id and an
email's id in one number. On PostgreSQL a table of the text, with trigram indexes where pg_trgm can
be had. Both hold text as `postroom_mime.search_text` normalises it, so that a hit is a substring,
exactly.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from postroom_mime import SearchText, search_text
from sqlalchemy import ColumnElement, Connection, or_, select, text, update
from sqlalchemy.exc import DBAPIError

from postroom_store import tables
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers, is_sqlite
from postroom_store.reading import read_content
from postroom_store.transaction import Transaction
from postroom_store.writer import Writers

log = logs.logger(__name__)

FIELDS = ("subject", "from_", "to", "cc", "bcc", "headers", "body")
COLUMNS = ("subject", "sender", "recipient", "cc", "bcc", "headers", "body")
SHORTEST = 3  # characters that a trigram needs
EMAIL_BITS = 40  # of a rowid; the account has the rest
BATCH = 50  # messages in one transaction: deliveries wait for no more than some 20 ms
BATCH_BYTES = 1024 * 1024
PAUSE_SECONDS = 0.005
RETRY_SECONDS = 5.0

NOT_YET, WHOLE, IN_PART = 0, 1, 2

_e = tables.emails.c


def create_index(connection: Connection) -> None:
    """Make the index's tables where they are missing."""
    if is_sqlite(connection):
        connection.execute(
            text(
                "CREATE VIRTUAL TABLE IF NOT EXISTS search_index USING fts5("
                f"{', '.join(COLUMNS)}, content='', tokenize='trigram case_sensitive 1')"
            )
        )
        return
    columns = ", ".join(f"{name} text NOT NULL" for name in COLUMNS)
    connection.execute(
        text(
            "CREATE TABLE IF NOT EXISTS search_text (account_id bigint NOT NULL, "
            f"email_id bigint NOT NULL, {columns}, PRIMARY KEY (account_id, email_id))"
        )
    )
    if _has_trigrams(connection):
        for name in COLUMNS:
            connection.execute(
                text(
                    f"CREATE INDEX IF NOT EXISTS search_{name} ON search_text "
                    f"USING gin ({name} gin_trgm_ops)"
                )
            )


def _has_trigrams(connection: Connection) -> bool:
    known = "SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'"
    if connection.execute(text(known)).first() is None:
        return False
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    except DBAPIError:
        log.info("search.no_trigrams")
        return False
    return True


def find(
    connection: Connection, account_id: int, fields: Sequence[str], wanted: str
) -> list[int] | None:
    """The emails of an account with a text in some fields, as far as they are indexed.

    Args:
        fields: of FIELDS.
        wanted: normalised.

    Returns None where the text is too short for the index.
    """
    columns = [COLUMNS[FIELDS.index(field)] for field in fields]
    if is_sqlite(connection):
        if len(wanted) < SHORTEST:
            return None
        phrase = '"' + wanted.replace('"', '""') + '"'
        first = account_id << EMAIL_BITS
        rows = connection.execute(
            text(
                "SELECT rowid FROM search_index WHERE search_index MATCH :match "
                "AND rowid BETWEEN :first AND :last"
            ),
            {
                "match": f"{{{' '.join(columns)}}} : {phrase}",
                "first": first,
                "last": first | ((1 << EMAIL_BITS) - 1),
            },
        )
        return [row[0] - first for row in rows]
    pattern = "%" + wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    condition = " OR ".join(f"{column} LIKE :pattern" for column in columns)
    rows = connection.execute(
        text(f"SELECT email_id FROM search_text WHERE account_id = :account AND ({condition})"),  # noqa: S608 (columns are ours)
        {"account": account_id, "pattern": pattern},
    )
    return list(rows.scalars())


def any_range(column: ColumnElement[int], ranges: Sequence[tuple[int, int]]) -> ColumnElement[bool]:
    """Whether a number is in one of some ranges."""
    return or_(
        column.in_([first for first, last in ranges if first == last]),
        *(column.between(first, last) for first, last in ranges if first != last),
    )


def add(transaction: Transaction, account_id: int, texts: dict[int, SearchText]) -> None:
    """Index some emails, by id."""
    rows = [
        {"email_id": email_id, "account_id": account_id, "id": account_id << EMAIL_BITS | email_id}
        | {
            column: getattr(found, field).replace("\0", "")
            for column, field in zip(COLUMNS, FIELDS, strict=True)
        }
        for email_id, found in texts.items()
    ]
    names, values = ", ".join(COLUMNS), ", ".join(f":{name}" for name in COLUMNS)
    if transaction.exclusive:
        statement = f"INSERT INTO search_index (rowid, {names}) VALUES (:id, {values})"  # noqa: S608
    else:
        statement = (
            f"INSERT INTO search_text (account_id, email_id, {names}) "  # noqa: S608
            f"VALUES (:account_id, :email_id, {values}) ON CONFLICT DO NOTHING"
        )
    transaction.execute(text(statement), rows)
    for truncated in (False, True):
        ids = [key for key, found in texts.items() if found.truncated is truncated]
        if ids:
            transaction.execute(
                update(tables.emails)
                .where(_e.account_id == account_id, _e.email_id.in_(ids))
                .values(indexed=IN_PART if truncated else WHOLE)
            )


def remove(transaction: Transaction, account_id: int, texts: dict[int, SearchText]) -> None:
    """Take emails out of the index; FTS5 without content needs their text to find them."""
    if not transaction.exclusive:
        transaction.execute(
            text("DELETE FROM search_text WHERE account_id = :account AND email_id = :email"),
            [{"account": account_id, "email": email_id} for email_id in texts],
        )
        return
    names, values = ", ".join(COLUMNS), ", ".join(f":{name}" for name in COLUMNS)
    rows = [
        {"id": account_id << EMAIL_BITS | email_id}
        | {
            column: getattr(found, field).replace("\0", "")
            for column, field in zip(COLUMNS, FIELDS, strict=True)
        }
        for email_id, found in texts.items()
    ]
    statement = (
        f"INSERT INTO search_index (search_index, rowid, {names}) "  # noqa: S608
        f"VALUES ('delete', :id, {values})"
    )
    transaction.execute(text(statement), rows)


@dataclass(frozen=True, slots=True)
class _Work:
    account_id: int
    texts: dict[int, SearchText]


class Indexer:
    """Fills the index in the background."""

    def __init__(self, readers: Readers, writers: Writers, files: BlobFiles | None) -> None:
        self._readers = readers
        self._writers = writers
        self._files = files
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._woken.set()

    def wake(self) -> None:
        """There is something to index; from any thread."""
        self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Index what comes, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                while work := await self._readers.run(self._read):
                    await self._write(work)
                    await asyncio.sleep(PAUSE_SECONDS)
            except (PostroomError, DBAPIError) as error:
                log.warning("search.indexing_failed", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                self._woken.set()

    async def _write(self, work: _Work) -> None:
        await self._writers.run(
            work.account_id, lambda t: add(t, work.account_id, work.texts), durable=False
        )

    def _read(self, connection: Connection) -> _Work | None:
        """The texts of some emails of one account that are not indexed yet."""
        statement = (
            select(_e.account_id, _e.email_id, _e.digest, _e.size)
            .where(_e.indexed == NOT_YET)
            .order_by(_e.account_id, _e.email_id)
            .limit(BATCH)
        )
        rows: Sequence[Any] = connection.execute(statement).fetchall()
        if not rows:
            return None
        account_id = rows[0][0]
        texts: dict[int, SearchText] = {}
        weight = 0
        for owner, email_id, digest, size in rows:
            if owner != account_id or (texts and weight + size > BATCH_BYTES):
                break
            weight += size
            content = read_content(connection, self._files, account_id, digest)
            texts[email_id] = search_text(content)
            time.sleep(0)  # lets the threads that serve clients go first
        return _Work(account_id, texts)
