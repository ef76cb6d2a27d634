"""The search index: what text each message has, made in the background right after the commit.

On SQLite an FTS5 table of trigrams without a copy of the text, its rowid an account's id and an
email's id in one number. On PostgreSQL a table of the text, with trigram indexes where pg_trgm can
be had. Both hold text as `postroom_mime.search_text` normalises it, so that a hit is a substring,
exactly.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from postroom_mime import SearchText, search_text
from sqlalchemy import Connection, literal_column, select, text, update
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

LIKE_SPECIAL = re.compile(r"[\\%_]")
# What FTS5 takes for the end of a text or for U+FFFD, and what PostgreSQL doesn't take. Stored as
# U+FFFD; a search for any of it reads the messages.
UNSURE = re.compile("[\0\ud800-\udfff\ufffd-\uffff]")

_e = tables.emails.c
# A literal: SQLite doesn't use the partial index for a parameter.
UNINDEXED = _e.indexed == literal_column(str(NOT_YET))


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


def can_find(phrase: str) -> bool:
    """Tell whether `find` answers a normalised text as reading the messages would."""
    return len(phrase) >= SHORTEST and not UNSURE.search(phrase)


def find(
    connection: Connection,
    account_id: int,
    mailbox_id: int,
    fields: Sequence[str],
    phrases: Sequence[str],
) -> set[int]:
    """The UIDs of a mailbox's messages that have each phrase in one of the fields.

    Args:
        fields: of FIELDS.
        phrases: normalised; `can_find` holds for each.
    """
    columns = [COLUMNS[FIELDS.index(field)] for field in fields]
    parameters: dict[str, Any] = {"account": account_id, "mailbox": mailbox_id}
    if is_sqlite(connection):
        quoted = ['"' + phrase.replace('"', '""') + '"' for phrase in phrases]
        parameters["match"] = " AND ".join(f"{{{' '.join(columns)}}} : {each}" for each in quoted)
        parameters["first"] = account_id << EMAIL_BITS
        parameters["last"] = parameters["first"] | ((1 << EMAIL_BITS) - 1)
        return set(connection.execute(FIND_SQLITE, parameters).scalars())
    conditions = []
    for number, phrase in enumerate(phrases):
        escaped = LIKE_SPECIAL.sub(r"\\\g<0>", phrase)
        parameters[f"pattern{number}"] = f"%{escaped}%"
        either = " OR ".join(f"s.{column} LIKE :pattern{number}" for column in columns)
        conditions.append(f" AND ({either})")
    statement = text(FIND_POSTGRESQL + "".join(conditions))
    return set(connection.execute(statement, parameters).scalars())


# The index leads; a hit is looked up among the placements, however large the mailbox is.
FIND_SQLITE = text(
    "SELECT p.uid FROM search_index AS s CROSS JOIN placements AS p "
    "ON p.account_id = :account AND p.email_id = s.rowid - :first AND p.mailbox_id = :mailbox "
    "WHERE search_index MATCH :match AND s.rowid BETWEEN :first AND :last"
)
FIND_POSTGRESQL = (
    "SELECT p.uid FROM search_text AS s JOIN placements AS p "
    "ON p.account_id = s.account_id AND p.email_id = s.email_id "
    "WHERE s.account_id = :account AND p.mailbox_id = :mailbox"
)


def add(transaction: Transaction, account_id: int, texts: dict[int, SearchText]) -> None:
    """Index some emails, by id: those that are still there and not in the index yet."""
    rows = transaction.execute(
        select(_e.email_id)
        .where(_e.account_id == account_id, _e.email_id.in_(list(texts)), UNINDEXED)
        .with_for_update()
    )
    missing = set(rows.scalars())
    # FTS5 without contents would take a row twice, and never give the first one up.
    texts = {email_id: found for email_id, found in texts.items() if email_id in missing}
    if not texts:
        return
    rows = [
        {"email_id": email_id, "account_id": account_id, "id": account_id << EMAIL_BITS | email_id}
        | {
            column: UNSURE.sub("\ufffd", getattr(found, field))
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
    """Take emails out of the index, and note that; FTS5 without content needs their text for it."""
    transaction.execute(
        update(tables.emails)
        .where(_e.account_id == account_id, _e.email_id.in_(list(texts)))
        .values(indexed=NOT_YET)
    )
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
            column: UNSURE.sub("\ufffd", getattr(found, field))
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
    contents: dict[int, bytes]


class Indexer:
    """Fills the index in the background.

    The text of messages is taken out by a process of its own, at low priority: in a thread it would
    make every client wait for the interpreter's lock.
    """

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
        with ProcessPoolExecutor(
            1, mp_context=get_context("forkserver"), initializer=_step_back
        ) as pool:
            while True:
                await self._woken.wait()
                self._woken.clear()
                try:
                    while work := await self._readers.run(self._read):
                        await self._index(work, pool)
                        await asyncio.sleep(PAUSE_SECONDS)
                except (PostroomError, DBAPIError) as error:
                    log.warning("search.indexing_failed", error=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                    self._woken.set()

    async def _index(self, work: _Work, pool: ProcessPoolExecutor) -> None:
        found = await self._loop.run_in_executor(pool, _extract, list(work.contents.values()))
        texts = dict(zip(work.contents, found, strict=True))
        await self._writers.run(
            work.account_id, lambda t: add(t, work.account_id, texts), durable=False
        )

    def _read(self, connection: Connection) -> _Work | None:
        """The contents of some emails of one account that are not indexed yet."""
        statement = (
            select(_e.account_id, _e.email_id, _e.digest, _e.size)
            .where(UNINDEXED)
            .order_by(_e.account_id, _e.email_id)
            .limit(BATCH)
        )
        rows: Sequence[Any] = connection.execute(statement).fetchall()
        if not rows:
            return None
        account_id = rows[0][0]
        contents: dict[int, bytes] = {}
        weight = 0
        for owner, email_id, digest, size in rows:
            if owner != account_id or (contents and weight + size > BATCH_BYTES):
                break
            weight += size
            contents[email_id] = content_or_nothing(connection, self._files, account_id, digest)
        return _Work(account_id, contents)


def content_or_nothing(
    connection: Connection, files: BlobFiles | None, account_id: int, digest: bytes
) -> bytes:
    """A content, or nothing where it is gone or damaged: the integrity check tells of that."""
    try:
        return read_content(connection, files, account_id, digest)
    except PostroomError:
        return b""


def _step_back() -> None:
    """In the extracting process: clients go first, and its parent's signals are not for it."""
    os.nice(10)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _extract(contents: list[bytes]) -> list[SearchText]:
    return [search_text(content) for content in contents]
