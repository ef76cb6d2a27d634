"""The search index: what text each message has, made in the background right after the commit.

On SQLite an FTS5 table of trigrams without a copy of the text, its rowid an account's id and an
email's id in one number. On PostgreSQL a table of the text, with trigram indexes where pg_trgm can
be had. Both hold text as `postroom_mime.search_text` normalises it, so that a hit is a substring,
exactly.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from postroom_mime import SearchText
from sqlalchemy import Connection, bindparam, literal_column, select, text, tuple_
from sqlalchemy.exc import DBAPIError

from postroom_store import tables
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers, is_sqlite
from postroom_store.reading import read_content
from postroom_store.search.extraction import Extraction, ExtractionError
from postroom_store.transaction import Transaction
from postroom_store.writer import Writers

log = logs.logger(__name__)

FIELDS = ("subject", "from_", "to", "cc", "bcc", "headers", "body")
COLUMNS = ("subject", "sender", "recipient", "cc", "bcc", "headers", "body")
SHORTEST = 3  # characters that a trigram needs
EMAIL_BITS = 40  # of a rowid; the account has the rest
BATCH = 50  # messages that are read and taken to the extracting process at once
BATCH_BYTES = 1024 * 1024
PORTION = 32 * 1024  # characters in one transaction: deliveries wait for no more than some 10 ms
GATHER_SECONDS = 0.25
EXTRACTION_SECONDS = 60.0  # a batch takes a tenth of a second where nothing is wrong
MOST_PAUSE = 0.25
RETRY_SECONDS = 5.0

NOT_YET, WHOLE, IN_PART = 0, 1, 2

LIKE_SPECIAL = re.compile(r"[\\%_]")
# What FTS5 takes for the end of a text or for U+FFFD, and what PostgreSQL doesn't take. Stored as
# U+FFFD; a search for any of it reads the messages.
UNSURE = re.compile("[\0\ud800-\udfff\ufffd-\uffff]")

_e = tables.emails.c
# A literal: SQLite doesn't use the partial index for a parameter.
UNINDEXED = _e.indexed == literal_column(str(NOT_YET))


SELECT_MISSING = (
    select(_e.email_id)
    .where(
        _e.account_id == bindparam("account"),
        _e.email_id.in_(bindparam("emails", expanding=True)),
        UNINDEXED,
    )
    .with_for_update()
)
SELECT_UNINDEXED = (
    select(_e.account_id, _e.email_id, _e.digest, _e.size)
    .where(
        UNINDEXED,
        tuple_(_e.account_id, _e.email_id) > tuple_(bindparam("account"), bindparam("email")),
    )
    .order_by(_e.account_id, _e.email_id)
    .limit(BATCH)
)

# For the driver: as many rows go in twice as fast as by way of SQLAlchemy. By `exclusive`: for
# PostgreSQL, for SQLite.
_NAMES = ", ".join(COLUMNS)
_MARK = "UPDATE emails SET indexed = {0} WHERE account_id = {0} AND email_id = {0}"
ADD = (
    (
        f"INSERT INTO search_text (account_id, email_id, {_NAMES}) "  # noqa: S608
        f"VALUES (%s, %s{', %s' * len(COLUMNS)}) ON CONFLICT DO NOTHING",
        _MARK.format("%s"),
    ),
    (
        f"INSERT INTO search_index (rowid, {_NAMES}) VALUES (?{', ?' * len(COLUMNS)})",  # noqa: S608
        _MARK.format("?"),
    ),
)
REMOVE = (
    (_MARK.format("%s"), "DELETE FROM search_text WHERE account_id = %s AND email_id = %s"),
    (
        _MARK.format("?"),
        f"INSERT INTO search_index (search_index, rowid, {_NAMES}) "  # noqa: S608
        f"VALUES ('delete', ?{', ?' * len(COLUMNS)})",
    ),
)


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
    named = {"account": account_id, "emails": list(texts)}
    missing = set(transaction.execute(SELECT_MISSING, named).scalars())
    # FTS5 without contents would take a row twice, and never give the first one up.
    texts = {email_id: found for email_id, found in texts.items() if email_id in missing}
    if not texts:
        return
    insert, mark = ADD[transaction.exclusive]
    driver = transaction.connection.exec_driver_sql
    driver(insert, _entries(transaction, account_id, texts))
    driver(
        mark,
        [
            (IN_PART if found.truncated else WHOLE, account_id, email_id)
            for email_id, found in texts.items()
        ],
    )


def _entries(
    transaction: Transaction, account_id: int, texts: dict[int, SearchText]
) -> list[tuple[Any, ...]]:
    """Rows of the index: the key, then COLUMNS."""
    rows: list[tuple[Any, ...]] = []
    for email_id, found in texts.items():
        key = (account_id << EMAIL_BITS | email_id,) if transaction.exclusive else ()
        values = [_storable(getattr(found, field)) for field in FIELDS]
        rows.append((*(key or (account_id, email_id)), *values))
    return rows


def _storable(value: str) -> str:
    # Most text is ASCII, which is told at once.
    if value.isascii() and "\0" not in value:
        return value
    return UNSURE.sub("\ufffd", value)


def remove(transaction: Transaction, account_id: int, texts: dict[int, SearchText]) -> None:
    """Take emails out of the index, and note that; FTS5 without content needs their text for it."""
    transaction.flush()
    driver = transaction.connection.exec_driver_sql
    unmark, delete = REMOVE[transaction.exclusive]
    driver(unmark, [(NOT_YET, account_id, email_id) for email_id in texts])
    if transaction.exclusive:
        driver(delete, _entries(transaction, account_id, texts))
    else:
        driver(delete, [(account_id, email_id) for email_id in texts])


@dataclass(frozen=True, slots=True)
class _Work:
    """Contents of one account by email id, and where to read on after them."""

    account_id: int
    contents: dict[int, bytes]
    position: tuple[int, int]


class Indexer:
    """Fills the index in the background.

    After it is woken it waits until a batch has come together: one message after the other would
    cost a call to the extracting process and a transaction each.
    """

    def __init__(
        self,
        readers: Readers,
        writers: Writers,
        files: BlobFiles | None,
        extraction: Extraction | None = None,
    ) -> None:
        self._readers = readers
        self._writers = writers
        self._files = files
        self._extraction = extraction or Extraction()
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._woken.set()

    def wake(self) -> None:
        """There is something to index; from any thread."""
        self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Index what comes, until cancelled."""
        try:
            while True:
                await self._woken.wait()
                await asyncio.sleep(GATHER_SECONDS)
                self._woken.clear()
                try:
                    await self.catch_up()
                except (PostroomError, DBAPIError, ExtractionError) as error:
                    log.warning("search.indexing_failed", error=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                    self._woken.set()
        finally:
            self.close()

    async def catch_up(self) -> None:
        """Index all that is not indexed yet. Raises PostroomError, DBAPIError, ExtractionError."""
        position = (0, 0)
        while work := await self._readers.run(partial(self._read, position)):
            position = work.position
            found = await self._loop.run_in_executor(
                None, self._extraction.run, list(work.contents.values()), EXTRACTION_SECONDS
            )
            texts = dict(zip(work.contents, found, strict=True))
            for some in _portions(texts):
                await self._add(work.account_id, some)

    def close(self) -> None:
        """End the extracting process."""
        self._extraction.close()

    async def _add(self, account_id: int, texts: dict[int, SearchText]) -> None:
        began = self._loop.time()
        await self._writers.run(account_id, lambda t: add(t, account_id, texts), durable=False)
        # While mail comes in, a quarter of the writer's time is enough: the index may lag behind.
        coming = self._woken.is_set()
        await asyncio.sleep(min(3 * (self._loop.time() - began), MOST_PAUSE) if coming else 0)

    def _read(self, position: tuple[int, int], connection: Connection) -> _Work | None:
        """The contents of the next emails, of one account, that are not indexed yet."""
        after = {"account": position[0], "email": position[1]}
        rows: Sequence[Any] = connection.execute(SELECT_UNINDEXED, after).fetchall()
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
        return _Work(account_id, contents, (account_id, max(contents)))


def _portions(texts: dict[int, SearchText]) -> Iterator[dict[int, SearchText]]:
    """Texts by what one transaction takes."""
    portion: dict[int, SearchText] = {}
    length = 0
    for email_id, found in texts.items():
        more = len(found.headers) + len(found.body)
        if portion and length + more > PORTION:
            yield portion
            portion, length = {}, 0
        portion[email_id] = found
        length += more
    yield portion


def content_or_nothing(
    connection: Connection, files: BlobFiles | None, account_id: int, digest: bytes
) -> bytes:
    """A content, or nothing where it is gone or damaged: the integrity check tells of that."""
    try:
        return read_content(connection, files, account_id, digest)
    except PostroomError:
        return b""
