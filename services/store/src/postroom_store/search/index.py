"""The search index: what text each message has, made in the background right after the commit.

On SQLite an FTS5 table of trigrams without a copy of the text, its rowid an account's id and an
email's id in one number. On PostgreSQL a table of the text, with trigram indexes where pg_trgm can
be had. Both hold text as `postroom_mime.search_text` normalises it, so that a hit is a substring,
exactly.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_mime import SearchText
from sqlalchemy import Connection, bindparam, func, literal_column, select, text, tuple_
from sqlalchemy.exc import DBAPIError

from postroom_store import tables
from postroom_store.blobs import BlobFiles
from postroom_store.database import Prepared, Readers, is_sqlite
from postroom_store.reading import read_content
from postroom_store.search.extraction import Extraction, ExtractionError
from postroom_store.transaction import Transaction
from postroom_store.writer import Operation, Writers

log = logs.logger(__name__)

FIELDS = ("subject", "from_", "to", "cc", "bcc", "headers", "body")
COLUMNS = ("subject", "sender", "recipient", "cc", "bcc", "headers", "body")
SHORTEST = 3  # characters that a trigram needs
EMAIL_BITS = 40  # of a rowid; the account has the rest
BATCH = 50  # messages that are read and taken to the extracting process at once
BATCH_BYTES = 1024 * 1024
PORTION = 32 * 1024  # characters in one transaction: deliveries wait for no more than some 10 ms
GATHER_SECONDS = 0.25
ATTEMPTS = 2  # to take the text out of one message
MOST_UNREAD = 50  # messages that can't be read just now: the others will hardly fare better
MOST_PAUSE = 0.25
COMING_SECONDS = 1.0  # since something came: more may be on its way
RETRY_SECONDS = 5.0

# What `emails.indexed` says: NOT_YET; the index has the text WHOLE, or IN_PART where there is too
# much; UNREADABLE where whatever takes the text out dies of it or comes to no end.
NOT_YET, WHOLE, IN_PART, UNREADABLE = 0, 1, 2, 3
HELD = (WHOLE, IN_PART)

LIKE_SPECIAL = re.compile(r"[\\%_]")
# What FTS5 takes for the end of a text or for U+FFFD, and what PostgreSQL doesn't take. Stored as
# U+FFFD; a search for any of it reads the messages.
UNSURE = re.compile("[\0\ud800-\udfff\ufffd-\uffff]")

_e = tables.emails.c
_b = tables.blobs.c
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
FIND_UNINDEXED = Prepared(
    select(_e.account_id, _e.email_id, _e.digest, _e.size)
    .where(
        UNINDEXED,
        tuple_(_e.account_id, _e.email_id) > tuple_(bindparam("account"), bindparam("email")),
    )
    .order_by(_e.account_id, _e.email_id)
    .limit(bindparam("most"))
)
MARK = Prepared(
    text("UPDATE emails SET indexed = :state WHERE account_id = :account AND email_id = :email")
)

_NAMES = ", ".join(COLUMNS)
_VALUES = ", ".join(f":{name}" for name in COLUMNS)
INSERT_SQLITE = Prepared(
    text(f"INSERT INTO search_index (rowid, {_NAMES}) VALUES (:id, {_VALUES})")  # noqa: S608
)
DELETE_SQLITE = Prepared(
    text(
        f"INSERT INTO search_index (search_index, rowid, {_NAMES}) "  # noqa: S608
        f"VALUES ('delete', :id, {_VALUES})"
    )
)
INSERT_POSTGRESQL = Prepared(
    text(
        f"INSERT INTO search_text (account_id, email_id, {_NAMES}) "  # noqa: S608
        f"VALUES (:account, :email, {_VALUES}) ON CONFLICT DO NOTHING"
    )
)
DELETE_POSTGRESQL = Prepared(
    text("DELETE FROM search_text WHERE account_id = :account AND email_id = :email")
)
COUNT_BLOB = Prepared(
    select(func.count()).where(
        _b.account_id == bindparam("account"), _b.digest == bindparam("wanted")
    )
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
    statement, parameters = _finding(connection, account_id, fields, phrases)
    parameters["mailbox"] = mailbox_id
    here = text(f"{statement} AND p.mailbox_id = :mailbox")
    return {uid for _, uid in connection.execute(here, parameters)}


def find_in_account(
    connection: Connection, account_id: int, fields: Sequence[str], phrases: Sequence[str]
) -> dict[int, set[int]]:
    """What `find` tells of each mailbox of an account, by its id; not those without a message."""
    statement, parameters = _finding(connection, account_id, fields, phrases)
    return _by_mailbox(connection.execute(text(statement), parameters))


def _finding(
    connection: Connection, account_id: int, fields: Sequence[str], phrases: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """A statement for mailbox and UID of what is found in an account, and its parameters."""
    columns = [COLUMNS[FIELDS.index(field)] for field in fields]
    parameters: dict[str, Any] = {"account": account_id}
    if is_sqlite(connection):
        quoted = ['"' + phrase.replace('"', '""') + '"' for phrase in phrases]
        parameters["match"] = " AND ".join(f"{{{' '.join(columns)}}} : {each}" for each in quoted)
        parameters["first"] = account_id << EMAIL_BITS
        parameters["last"] = parameters["first"] | ((1 << EMAIL_BITS) - 1)
        return FIND_SQLITE, parameters
    conditions = []
    for number, phrase in enumerate(phrases):
        escaped = LIKE_SPECIAL.sub(r"\\\g<0>", phrase)
        parameters[f"pattern{number}"] = f"%{escaped}%"
        either = " OR ".join(f"s.{column} LIKE :pattern{number}" for column in columns)
        conditions.append(f" AND ({either})")
    return FIND_POSTGRESQL + "".join(conditions), parameters


def _by_mailbox(rows: Iterable[Any]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for mailbox_id, uid in rows:
        found.setdefault(mailbox_id, set()).add(uid)
    return found


# The index leads; a hit is looked up among the placements, however large the mailbox is.
FIND_SQLITE = (
    "SELECT p.mailbox_id, p.uid FROM search_index AS s CROSS JOIN placements AS p "
    "ON p.account_id = :account AND p.email_id = s.rowid - :first "
    "WHERE search_index MATCH :match AND s.rowid BETWEEN :first AND :last"
)
FIND_POSTGRESQL = (
    "SELECT p.mailbox_id, p.uid FROM search_text AS s JOIN placements AS p "
    "ON p.account_id = s.account_id AND p.email_id = s.email_id "
    "WHERE s.account_id = :account"
)


def without_text(connection: Connection, state: int, *, account: int, mailbox: int) -> set[int]:
    """The UIDs of a mailbox's messages in a state of which the index doesn't have all the text.

    Args:
        state: NOT_YET or IN_PART; an index of the database has those of either.
    """
    rows = WITHOUT_TEXT[state].rows(connection, {"account": account, "mailbox": mailbox})
    return {row[0] for row in rows}


def without_text_in_account(
    connection: Connection, state: int, account_id: int
) -> dict[int, set[int]]:
    """What `without_text` tells of each mailbox of an account, by its id."""
    return _by_mailbox(WITHOUT_TEXT_IN_ACCOUNT[state].rows(connection, {"account": account_id}))


# SQLite keeps the order of a CROSS JOIN. A literal: it doesn't use the partial index for a
# parameter.
def _without_text(state: int, columns: str, condition: str) -> Prepared:
    return Prepared(
        text(
            f"SELECT {columns} FROM emails AS e CROSS JOIN placements AS p "  # noqa: S608
            f"WHERE e.account_id = :account AND e.indexed = {state} "
            f"AND p.account_id = e.account_id AND p.email_id = e.email_id{condition}"
        )
    )


WITHOUT_TEXT = {
    state: _without_text(state, "p.uid", " AND p.mailbox_id = :mailbox")
    for state in (NOT_YET, IN_PART)
}
WITHOUT_TEXT_IN_ACCOUNT = {
    state: _without_text(state, "p.mailbox_id, p.uid", "") for state in (NOT_YET, IN_PART)
}


def add(transaction: Transaction, account_id: int, texts: dict[int, SearchText]) -> None:
    """Index some emails, by id: those that are still there and not in the index yet."""
    named = {"account": account_id, "emails": list(texts)}
    missing = set(transaction.execute(SELECT_MISSING, named).scalars())
    # FTS5 without contents would take a row twice, and never give the first one up.
    texts = {email_id: found for email_id, found in texts.items() if email_id in missing}
    if not texts:
        return
    insert = INSERT_SQLITE if transaction.exclusive else INSERT_POSTGRESQL
    transaction.run(insert, _entries(transaction, account_id, texts))
    states = {key: IN_PART if found.truncated else WHOLE for key, found in texts.items()}
    mark(transaction, account_id, states)


def mark(transaction: Transaction, account_id: int, states: dict[int, int]) -> None:
    """Note of emails, by id, what the index has of them; the index itself stays as it is."""
    rows = [
        {"state": state, "account": account_id, "email": email_id}
        for email_id, state in states.items()
    ]
    transaction.run(MARK, rows)


def _entries(
    transaction: Transaction, account_id: int, texts: dict[int, SearchText]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for email_id, found in texts.items():
        row: dict[str, Any] = {
            column: _storable(getattr(found, field))
            for column, field in zip(COLUMNS, FIELDS, strict=True)
        }
        if transaction.exclusive:
            row["id"] = account_id << EMAIL_BITS | email_id
        else:
            row.update(account=account_id, email=email_id)
        rows.append(row)
    return rows


def _storable(value: str) -> str:
    # Most text is ASCII, which is told at once.
    if value.isascii() and "\0" not in value:
        return value
    return UNSURE.sub("\ufffd", value)


def remove(transaction: Transaction, account_id: int, texts: dict[int, SearchText]) -> None:
    """Take emails out of the index, and note that; FTS5 without content needs their text for it."""
    mark(transaction, account_id, dict.fromkeys(texts, NOT_YET))
    if transaction.exclusive:
        transaction.run(DELETE_SQLITE, _entries(transaction, account_id, texts))
    else:
        rows = [{"account": account_id, "email": email_id} for email_id in texts]
        transaction.run(DELETE_POSTGRESQL, rows)


@dataclass(frozen=True, slots=True)
class _Work:
    """Contents of one account by email id, and where to go on after them.

    Attributes:
        unread: how many could not be read just now.
    """

    account_id: int
    contents: dict[int, bytes]
    position: tuple[int, int]
    unread: int


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
        self._came_at = -COMING_SECONDS

    def wake(self) -> None:
        """There is something to index; from any thread."""
        self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._came_at = self._loop.time()
        self._woken.set()

    async def run(self) -> None:
        """Index what is there and what comes, until cancelled."""
        self._woken.set()
        try:
            while True:
                await self._woken.wait()
                await asyncio.sleep(GATHER_SECONDS)
                self._woken.clear()
                try:
                    complete = await self.catch_up()
                except Exception as error:
                    log.warning("search.indexing_failed", exc_info=error)
                    complete = False
                if not complete:
                    self._loop.call_later(RETRY_SECONDS, self._woken.set)
        finally:
            self.close()

    async def catch_up(self) -> bool:
        """Index all that is not indexed yet; tells False where some can't be read just now.

        Raises PostroomError, DBAPIError, OSError: try again later.
        """
        position: tuple[int, int] = (0, 0)
        unread = 0
        while work := await self._readers.run(partial(self._read, position)):
            position = work.position
            unread += work.unread
            if work.contents:
                await self._index(work.account_id, work.contents)
            if unread >= MOST_UNREAD:
                break
        if unread:
            log.warning("search.unread", messages=unread, again_in_seconds=RETRY_SECONDS)
        return unread == 0

    async def _index(self, account_id: int, contents: dict[int, bytes]) -> None:
        texts = await self._extract(account_id, contents)
        for portion in _portions(texts):
            await self._write(account_id, partial(add, account_id=account_id, texts=portion))
        if lost := contents.keys() - texts.keys():
            log.error("search.unreadable", account=account_id, emails=sorted(lost))
            await self._write(
                account_id,
                partial(mark, account_id=account_id, states=dict.fromkeys(lost, UNREADABLE)),
            )

    async def _extract(self, account_id: int, contents: dict[int, bytes]) -> dict[int, SearchText]:
        """The texts of all but those that end the process even where they are alone in it."""
        try:
            return await self._extract_together(contents)
        except ExtractionError as error:
            log.warning("search.extraction_ended", account=account_id, error=str(error))
        texts: dict[int, SearchText] = {}
        for email_id, content in contents.items():
            for _ in range(ATTEMPTS):
                with suppress(ExtractionError):
                    texts |= await self._extract_together({email_id: content})
                    break
        return texts

    async def _extract_together(self, contents: dict[int, bytes]) -> dict[int, SearchText]:
        found = await self._loop.run_in_executor(
            None, self._extraction.run, list(contents.values())
        )
        return dict(zip(contents, found, strict=True))

    def close(self) -> None:
        """End the extracting process."""
        self._extraction.close()

    async def _write(self, account_id: int, work: Operation[None]) -> None:
        began = self._loop.time()
        await self._writers.run(account_id, work, durable=False)
        # While mail comes in, a quarter of the writer's time is enough: the index may lag behind.
        now = self._loop.time()
        coming = now - self._came_at < COMING_SECONDS
        await asyncio.sleep(min(3 * (now - began), MOST_PAUSE) if coming else 0)

    def _read(self, position: tuple[int, int], connection: Connection) -> _Work | None:
        """The contents of the next emails, of one account, that are not indexed yet."""
        after = {"account": position[0], "email": position[1], "most": BATCH}
        rows = FIND_UNINDEXED.rows(connection, after)
        if not rows:
            return None
        account_id = rows[0][0]
        contents: dict[int, bytes] = {}
        weight = unread = 0
        for owner, email_id, digest, size in rows:
            if owner != account_id or (contents and weight + size > BATCH_BYTES):
                break
            weight += size
            position = (account_id, email_id)
            try:
                contents[email_id] = content_or_nothing(connection, self._files, account_id, digest)
            except PostroomError:
                unread += 1
        return _Work(account_id, contents, position, unread)


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
    if portion:
        yield portion


def content_or_nothing(
    connection: Connection, files: BlobFiles | None, account_id: int, digest: bytes
) -> bytes:
    """A content, or nothing where it is gone or damaged: the integrity check tells of that.

    Raises PostroomError UNAVAILABLE where it can't be read just now, DBAPIError.
    """
    try:
        return read_content(connection, files, account_id, digest)
    except PostroomError as error:
        if _may_pass(error, connection, files, account_id, digest):
            raise PostroomError(Kind.UNAVAILABLE, "a message can't be read now") from error
        return b""


def _may_pass(
    error: PostroomError,
    connection: Connection,
    files: BlobFiles | None,
    account_id: int,
    digest: bytes,
) -> bool:
    """Whether a content that can't be read may be there after all."""
    match error.__cause__:
        case FileNotFoundError():
            # A folder without anything is one that isn't mounted.
            return files is None or not any(files.folder.glob("*"))
        case OSError():
            return True
        case None:  # no row, or no folder configured for a content in a file
            row = COUNT_BLOB.row(connection, {"account": account_id, "wanted": digest})
            return row != (0,)
    return False
