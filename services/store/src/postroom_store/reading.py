"""What is read of mailboxes and messages, in a reader's thread: a function, a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from postroom_mime import Message as Structure
from postroom_mime import (
    decode_pieces,
    decode_structure,
    find_part,
    is_decodable,
    section,
)
from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, null, select

from postroom_store import annotation, tables
from postroom_store.annotation import Annotation
from postroom_store.blobs import BlobFiles, unpack
from postroom_store.database import Prepared
from postroom_store.domain.change import Change, Columns
from postroom_store.domain.names import OTHER_USERS, canonical
from postroom_store.mailboxes import COUNT_MAILBOXES
from postroom_store.transaction import (
    FIND_MAILBOX,
    FIND_MAILBOX_NAMED,
    SELECT_MAILBOX,
    Mailbox,
    mailbox_of_row,
)
from postroom_store.uid_ranges import Ranges, is_within, ranges_of

BATCH_BYTES = 256 * 1024
BATCH_ROWS = 512
SECTION_ROWS = 64  # rows read at once where each brings its content: 256 KiB of usual mail
MOST_TIMES = 4  # a message's size that its sections in one fetch may add up to
PAGE = 1000
SECTION_FIELDS = 7  # fields of a row before its columns, where sections are read

Position = tuple[int, int]  # number of a range, UID to go on with

_m = tables.mailboxes.c
_p = tables.placements.c
_e = tables.emails.c
_t = tables.tombstones.c
_b = tables.blobs.c

# The columns of `emails` (or `placements`) by the names that the API gives them.
FETCHABLE = {
    "internaldate": _e.internaldate,
    "size": _e.size,
    "envelope": _e.envelope,
    "body": _e.body,
    "bodystructure": _e.bodystructure,
    "header": _e.header,
    "structure": _e.structure,
    "thread_id": _e.thread_id,
    "preview": _e.preview,
    "savedate": _p.saved_at,
}


def find_mailbox(connection: Connection, account_id: int, mailbox_id: int) -> Mailbox:
    """A mailbox that can hold messages. Raises PostroomError NOT_FOUND."""
    parameters = {"account": account_id, "mailbox": mailbox_id}
    return _found(FIND_MAILBOX.row(connection, parameters))


def find_mailbox_named(connection: Connection, account_id: int, name: str) -> Mailbox:
    """A mailbox that can hold messages, by name. Raises PostroomError NOT_FOUND."""
    parameters = {"account": account_id, "wanted": canonical(name)}
    return _found(FIND_MAILBOX_NAMED.row(connection, parameters))


def _found(row: Any) -> Mailbox:
    mailbox = mailbox_of_row(row) if row is not None else None
    if mailbox is None or not mailbox.selectable:
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
    return mailbox


def has_account(connection: Connection, account_id: int) -> bool:
    """Whether anything was ever kept for an account."""
    column = tables.accounts.c.account_id
    return connection.execute(select(column).where(column == account_id)).first() is not None


def usage(connection: Connection, account_id: int) -> Quota:
    """What an account keeps, counted as its quota counts it."""
    column = tables.accounts.c
    statement = select(column.used_bytes, column.used_messages)
    row = connection.execute(statement.where(column.account_id == account_id)).one()
    counts = connection.execute(COUNT_MAILBOXES, {"account": account_id}).one()
    return Quota(row.used_bytes, row.used_messages, counts.mailboxes)


_SIZES = (
    select(_p.mailbox_id, func.sum(_p.size))
    .where(_p.account_id == bindparam("account"), tables.IS_DELETED)
    .group_by(_p.mailbox_id)
)


def deleted_sizes(connection: Connection, account_id: int) -> dict[int, int]:
    """Bytes of the messages that are \\Deleted, by mailbox; not those without any."""
    rows = connection.execute(_SIZES, {"account": account_id})
    return {mailbox_id: int(size) for mailbox_id, size in rows}


@dataclass(frozen=True, slots=True)
class ListedMailbox:
    """A mailbox, or (mailbox None) a name that is only subscribed."""

    name: str
    mailbox: Mailbox | None
    subscribed: bool


def list_mailboxes(
    connection: Connection, account_id: int, after: str
) -> tuple[list[ListedMailbox], str]:
    """A page of mailboxes and subscriptions by name, and the name to go on after (or nothing).

    Subscriptions to what others share are left out: see `shared_subscriptions`.
    """
    statement = SELECT_MAILBOX.where(_m.name > after).order_by(_m.name).limit(PAGE)
    rows = connection.execute(statement, {"account": account_id})
    found: dict[str, Mailbox] = {m.name: m for m in map(mailbox_of_row, rows)}
    column = tables.subscriptions.c
    subscribed = set(
        connection.execute(
            select(column.name)
            .where(column.account_id == account_id, column.name > after, ~_SHARED_NAMES)
            .order_by(column.name)
            .limit(PAGE)
        ).scalars()
    )
    names = sorted(found.keys() | subscribed)
    more = names[PAGE - 1] if len(names) >= PAGE else ""
    return [ListedMailbox(n, found.get(n), n in subscribed) for n in names[:PAGE]], more


_s = tables.subscriptions.c
_SHARED_NAMES = and_(_s.name > OTHER_USERS + "/", _s.name < OTHER_USERS + "0")


def shared_subscriptions(connection: Connection, account_id: int) -> set[str]:
    """The names of what others share that an account subscribes to."""
    column = tables.subscriptions.c
    statement = select(column.name).where(column.account_id == account_id, _SHARED_NAMES)
    return set(connection.execute(statement).scalars())


_SELECT_COLUMNS = (
    select(_p.uid, _p.flags, _p.modseq, _p.email_id)
    .where(_p.account_id == bindparam("account"), _p.mailbox_id == bindparam("mailbox"))
    .order_by(_p.uid)
)
_COLUMNS = Prepared(_SELECT_COLUMNS)
_ADDED = Prepared(_SELECT_COLUMNS.where(_p.created_modseq > bindparam("since")))
_FLAGGED = Prepared(
    _SELECT_COLUMNS.where(_p.modseq > bindparam("since"), _p.created_modseq <= bindparam("since"))
)
_EXPUNGED = Prepared(
    select(_t.uid)
    .where(
        _t.account_id == bindparam("account"),
        _t.mailbox_id == bindparam("mailbox"),
        _t.modseq > bindparam("since"),
    )
    .order_by(_t.uid)
)


def open_mailbox(connection: Connection, account_id: int, name: str) -> tuple[Mailbox, Columns]:
    """A mailbox and its messages as columns, as of one moment. Raises PostroomError NOT_FOUND."""
    mailbox = find_mailbox_named(connection, account_id, name)
    return mailbox, columns_of(connection, mailbox)


def columns_of(connection: Connection, mailbox: Mailbox) -> Columns:
    """The messages of a mailbox as columns."""
    parameters = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    return _columns(_COLUMNS.rows(connection, parameters))


def _columns(rows: Sequence[Any]) -> Columns:
    if not rows:
        return Columns()
    uids, flags, modseqs, email_ids = zip(*rows, strict=True)
    return Columns(list(uids), list(flags), list(modseqs), list(email_ids))


def changes_since(
    connection: Connection, account_id: int, mailbox_id: int, since: int
) -> Change | None:
    """What happened to a mailbox after a modseq, as one change; None where nothing did."""
    parameters = {"account": account_id, "mailbox": mailbox_id, "since": since}
    row = FIND_MAILBOX.row(connection, parameters)
    if row is None or not (mailbox := mailbox_of_row(row)).selectable:
        return Change(mailbox_id, since, since + 1, 0, deleted=True)
    if mailbox.highest_modseq <= since:
        return None
    change = Change(mailbox_id, since, mailbox.highest_modseq, mailbox.uid_next)
    change.keywords.extend(enumerate(mailbox.keywords))
    change.rights_changed = mailbox.acl_modseq > since
    change.added = _columns(_ADDED.rows(connection, parameters))
    change.flagged = _columns(_FLAGGED.rows(connection, parameters))
    change.expunged.extend(row[0] for row in _EXPUNGED.rows(connection, parameters))
    if change.added.uids or change.flagged.uids:  # whatever was annotated is among them
        change.annotated = annotation.changed(connection, account_id, mailbox_id, since)
    return change


def vanished(
    connection: Connection, account_id: int, mailbox_id: int, since: int, ranges: Ranges
) -> list[tuple[int, int]] | None:
    """The UIDs of some ranges (none: all) that were expunged after a modseq, as ranges.

    None where that isn't known any more. Raises PostroomError NOT_FOUND.
    """
    mailbox = find_mailbox(connection, account_id, mailbox_id)
    if since < mailbox.forgotten_modseq:
        return None
    parameters = {"account": account_id, "mailbox": mailbox_id, "since": since}
    gone: Iterable[int] = (row[0] for row in _EXPUNGED.rows(connection, parameters))
    return ranges_of(filter(is_within(ranges), gone) if ranges else gone)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A section that is asked for: its IMAP specifier, and the wanted range of it.

    Attributes:
        decoded: without its transfer encoding; the range is one of decoded bytes.
        size: and of that only the size, in digits.
    """

    spec: str
    offset: int = 0
    length: int | None = None
    decoded: bool = False
    size: bool = False

    @property
    def whole(self) -> bool:
        return not self.spec


@dataclass(slots=True)
class Batch:
    """Some messages' columns and sections: parallel lists."""

    uids: list[int] = field(default_factory=list)
    email_ids: list[int] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    sections: list[list[bytes | None]] = field(default_factory=list)
    annotations: list[Sequence[Annotation]] | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """A fetch, compiled: reads one batch a call, so that no transaction waits for a client.

    Attributes:
        columns: of FETCHABLE.
        annotated: which annotations are asked for, if any are.
    """

    account_id: int
    mailbox_id: int
    ranges: Ranges
    columns: tuple[str, ...]
    sections: tuple[Wanted, ...]
    files: BlobFiles | None
    annotated: annotation.Wanted | None = None

    def read(self, connection: Connection, position: Position) -> tuple[Batch, Position | None]:
        """The next batch from a position, and the position after it (None: that was all)."""
        batch = Batch()
        rows: list[Any] = []
        statement = _fetch_statement(self.columns, _needs(self.sections))
        most = SECTION_ROWS if self.sections else BATCH_ROWS
        number, uid = position
        weight = 0
        noted: list[int] = []
        while number < len(self.ranges) and weight < BATCH_BYTES and len(rows) < most:
            first, last = self.ranges[number]
            parameters = {
                "account": self.account_id,
                "mailbox": self.mailbox_id,
                "first": max(first, uid),
                "last": last,
                "most": most,
            }
            found = statement.rows(connection, parameters)
            taken = len(found)
            if found and (self.sections or self.annotated is not None):
                weights = [self._weight(row) for row in found]
                noted += self._weigh_annotations(connection, found, weights)
                taken = _fit(weights, weight)
                weight += sum(weights[:taken])
            rows += found[:taken]
            if taken < len(found) or len(found) == most:
                uid = found[taken - 1][0] + 1
            else:
                number, uid = number + 1, 0
        self._fill(batch, rows, connection)
        if self.annotated is not None and rows:
            here = {"account": self.account_id, "mailbox": self.mailbox_id}
            some = [each for each in noted if each <= rows[-1][0]]
            known = annotation.read(connection, here, some, self.annotated)
            batch.annotations = [known.get(each, ()) for each in batch.uids]
        return batch, (number, uid) if number < len(self.ranges) else None

    def _weigh_annotations(
        self, connection: Connection, rows: Sequence[Any], weights: list[int]
    ) -> list[int]:
        """Add what the annotations of some rows weigh; answers the UIDs of those that have any."""
        if self.annotated is None:
            return []
        between = {
            "account": self.account_id,
            "mailbox": self.mailbox_id,
            "first": rows[0][0],
            "last": rows[-1][0],
        }
        known = annotation.weights(connection, between, self.annotated.person)
        for number, row in enumerate(rows if known else ()):
            count, size = known.get(row[0], (0, 0))
            weights[number] += size + count * annotation.ROW_BYTES
        return sorted(known)

    def _weight(self, row: Any) -> int:
        """At most how many bytes the sections of a row add up to."""
        size = int(row[2]) if self.sections else 0
        return sum(
            size if wanted.length is None else min(wanted.length, size) for wanted in self.sections
        )

    def _fill(self, batch: Batch, rows: Sequence[Any], connection: Connection) -> None:
        if not rows:
            return
        fields = list(zip(*rows, strict=True))
        batch.uids = list(fields[0])
        batch.email_ids = list(fields[1])
        start = SECTION_FIELDS if self.sections else 2
        batch.columns = {
            name: list(column) for name, column in zip(self.columns, fields[start:], strict=True)
        }
        if "header" in batch.columns:
            self._complete_headers(batch.columns["header"], batch.uids, connection)
        if self.sections:
            found = [self._sections_of(row) for row in rows]
            batch.sections = [list(column) for column in zip(*found, strict=True)]

    def _complete_headers(
        self, headers: list[bytes | None], uids: list[int], connection: Connection
    ) -> None:
        """Read the headers that are too long to stand beside the rows from their contents."""
        for index, header in enumerate(headers):
            if header is None:
                part = Fetch(
                    self.account_id,
                    self.mailbox_id,
                    ((uids[index], uids[index]),),
                    (),
                    (Wanted("HEADER"),),
                    self.files,
                )
                found, _ = part.read(connection, (0, 0))
                headers[index] = found.sections[0][0] if found.sections else b""

    def _sections_of(self, row: Any) -> list[bytes | None]:
        """The wanted sections of a message.

        Raises PostroomError LIMIT_EXCEEDED where they overlap so that they add up to many times it.
        """
        _, _, size, digest, structure, header, data = row[:SECTION_FIELDS]
        spans = [_span(wanted, size, structure) for wanted in self.sections]
        total = sum(stop - first for first, stop in filter(None, spans))
        if total > MOST_TIMES * size + BATCH_BYTES:
            raise PostroomError(Kind.LIMIT_EXCEEDED, "the sections overlap too much")
        found: list[bytes | None] = []
        for wanted, span in zip(self.sections, spans, strict=True):
            if wanted.spec == "HEADER" and header is not None:
                end = None if wanted.length is None else wanted.offset + wanted.length
                found.append(bytes(header[wanted.offset : end]))
            elif span is None:
                found.append(None)
            else:
                raw = _unpacked(self.files, digest, data, size, *span)
                found.append(_decoded(wanted, raw, structure) if wanted.decoded else raw)
        return found


def _fit(weights: Sequence[int], weight: int) -> int:
    """How many rows go into a batch; at least one."""
    for count, each in enumerate(weights, 1):
        weight += each
        if weight >= BATCH_BYTES:
            return count
    return len(weights)


def path_of(spec: str) -> list[int]:
    """The part numbers of a section that is a part as a whole; none for the message, or a text."""
    numbers = spec.split(".")
    return [int(number) for number in numbers] if all(map(str.isdecimal, numbers)) else []


def _decoded(wanted: Wanted, raw: bytes, structure: bytes | None) -> bytes:
    """A wanted range of a section without its transfer encoding, or the size of all of it.

    Raises PostroomError UNSUPPORTED where the encoding is unknown.
    """
    encoding = "binary"
    path = path_of(wanted.spec)
    if path:
        part = find_part(_structure(bytes(structure or b"")), path)
        # What holds parts has none itself (RFC 2045 section 6.4); its parts are asked for.
        if part is not None and not part.children:
            if not is_decodable(part):
                raise PostroomError(Kind.UNSUPPORTED, "the transfer encoding is unknown")
            encoding = part.encoding
    pieces = decode_pieces(raw, encoding)
    if wanted.size:
        return b"%d" % sum(map(len, pieces))
    return _cut(pieces, wanted.offset, wanted.length)


def _cut(pieces: Iterator[bytes], offset: int, length: int | None) -> bytes:
    """A range of what some pieces are together; no more of them is made than that takes."""
    taken: list[bytes] = []
    position = 0
    stop = None if length is None else offset + length
    for piece in pieces:
        end = None if stop is None else stop - position
        taken.append(piece[max(offset - position, 0) : end])
        position += len(piece)
        if stop is not None and position >= stop:
            break
    return b"".join(taken)


def _span(wanted: Wanted, size: int, structure: bytes | None) -> tuple[int, int] | None:
    """Where a wanted section of a message begins and ends; None where there is no such section."""
    span: tuple[int, int] | None = (0, size)
    if not wanted.whole:
        span = section(_structure(bytes(structure or b"")), wanted.spec)
    if span is None:
        return None
    start, end = span
    if wanted.decoded:
        return span
    first = min(start + wanted.offset, end)
    return first, end if wanted.length is None else min(first + wanted.length, end)


def _needs(sections: tuple[Wanted, ...]) -> str:
    """What the rows must bring for some sections: nothing, the content, or its structure too."""
    if not sections:
        return "nothing"
    return "content" if all(wanted.whole for wanted in sections) else "structure"


@lru_cache(maxsize=64)
def _structure(encoded: bytes) -> Structure:
    return decode_structure(encoded)


@lru_cache(maxsize=256)
def _fetch_statement(columns: tuple[str, ...], needs: str) -> Prepared:
    """Rows of (uid, email id, [what sections need,] columns...) for one range of UIDs."""
    needed: tuple[ColumnElement[Any], ...] = ()
    source = tables.placements.join(
        tables.emails, and_(_e.account_id == _p.account_id, _e.email_id == _p.email_id)
    )
    if needs != "nothing":
        source = source.join(
            tables.blobs, and_(_b.account_id == _e.account_id, _b.digest == _e.digest)
        )
        parts = (_e.structure, _e.header) if needs == "structure" else (null(), null())
        needed = (_e.size, _e.digest, *parts, _b.data)
    statement = (
        select(_p.uid, _p.email_id, *needed, *(FETCHABLE[name] for name in columns))
        .select_from(source)
        .where(
            _p.account_id == bindparam("account"),
            _p.mailbox_id == bindparam("mailbox"),
            _p.uid.between(bindparam("first"), bindparam("last")),
        )
        .order_by(_p.uid)
        .limit(bindparam("most"))
    )
    return Prepared(statement)


_FIND_BLOB = Prepared(
    select(_b.data, _b.size).where(
        _b.account_id == bindparam("account"), _b.digest == bindparam("wanted")
    )
)


def read_content(
    connection: Connection,
    files: BlobFiles | None,
    account_id: int,
    digest: bytes,
    start: int = 0,
    end: int | None = None,
) -> bytes:
    """A range of a content. Raises PostroomError INTERNAL where it is gone or damaged."""
    parameters = {"account": account_id, "wanted": digest}
    row = _FIND_BLOB.row(connection, parameters)
    if row is None:
        raise PostroomError(Kind.INTERNAL, "a message's content is missing")
    return _unpacked(files, digest, row[0], row[1], start, end)


def _unpacked(
    files: BlobFiles | None,
    digest: bytes,
    data: bytes | None,
    size: int,
    start: int,
    end: int | None,
) -> bytes:
    try:
        if data is None:
            if files is None:
                raise PostroomError(Kind.INTERNAL, "a message's content lies in a file")
            data = files.read(digest)
        return unpack(data, size, start, end)
    except (OSError, ValueError) as error:
        raise PostroomError(Kind.INTERNAL, "a message's content can't be read") from error
