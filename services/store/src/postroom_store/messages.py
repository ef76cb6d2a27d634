"""What is done to the messages of a mailbox in a transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from typing import Any

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from sqlalchemy import ColumnElement, and_, bindparam, delete, select, update

from postroom_store import annotation, tables
from postroom_store.annotation import Annotation
from postroom_store.database import Prepared
from postroom_store.domain import flags as flagging
from postroom_store.domain.change import Change
from postroom_store.domain.flags import DELETED, SEEN
from postroom_store.domain.rights import EVERY_FLAG
from postroom_store.ingest import Content, add_email
from postroom_store.progress import NO_PROGRESS, Progress
from postroom_store.transaction import Account, Mailbox, Transaction
from postroom_store.uid_ranges import MOST_RANGES, Ranges, range_choices, ranges_of

MOST_MESSAGES = 1_000_000  # of a mailbox: a change of all of them fits one answer
NO_EMAIL = 0  # of a tombstone: there is nothing to bring back any more
PORTION = 1000  # messages of a copy that are written at once


_p = tables.placements.c
_MESSAGE = (_p.uid, _p.email_id, _p.flags, _p.modseq, _p.size)
_HERE = and_(_p.account_id == bindparam("account"), _p.mailbox_id == bindparam("mailbox"))


@dataclass(frozen=True, slots=True)
class Message:
    """A row of `placements`."""

    uid: int
    email_id: int
    flags: int
    modseq: int
    size: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message to be put into a mailbox."""

    content: Content
    flags: Sequence[str] = ()
    internaldate: int | None = None  # Unix seconds; None: now
    annotations: Sequence[Annotation] = ()


@dataclass(frozen=True, slots=True)
class Appended:
    uid_validity: int
    uids: list[int]
    change: Change
    source_change: Change | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    change: Change | None
    modified: list[int]


@dataclass(frozen=True, slots=True)
class Copied:
    uid_validity: int
    source_uids: list[int]
    target_uids: list[int]
    target_change: Change | None
    source_change: Change | None = None


def append(
    transaction: Transaction,
    mailbox: Mailbox,
    arrivals: Sequence[Arrival],
    quota: Quota,
    *,
    replaced: tuple[Mailbox, Message] | None = None,
) -> Appended:
    """Add messages, all or none.

    Args:
        replaced: a message that goes at the same time, with the mailbox that it is in.

    Raises PostroomError: OVER_QUOTA, INVALID, LIMIT_EXCEEDED.
    """
    account = transaction.account(mailbox.account_id)
    size = sum(arrival.content.size for arrival in arrivals)
    freed = replaced[1].size if replaced else 0
    check_quota(account, quota, size - freed, len(arrivals) - bool(replaced))
    check_room(mailbox, len(arrivals))
    _check_annotations(transaction, account, arrivals)
    keywords = mailbox.keywords
    masks = []
    for arrival in arrivals:
        mask, keywords = flagging.mask_of(arrival.flags, keywords)
        masks.append(mask)
    change = transaction.begin_change(account, mailbox)
    learn(mailbox, keywords, change)
    for arrival, mask in zip(arrivals, masks, strict=True):
        date = transaction.now if arrival.internaldate is None else arrival.internaldate
        email_id = add_email(transaction, account, arrival.content, date)
        annotation.add(transaction, mailbox, mailbox.uid_next, arrival.annotations, change.modseq)
        place(transaction, account, mailbox, change, email_id, mask, arrival.content.size)
    source_change = _remove(transaction, replaced[0], [replaced[1]]) if replaced else None
    return Appended(mailbox.uid_validity, change.added.uids, change, source_change)


def _check_annotations(
    transaction: Transaction, account: Account, arrivals: Sequence[Arrival]
) -> None:
    """Raise PostroomError, LIMIT_EXCEEDED or OVER_QUOTA, for too many annotations."""
    counts = [len(arrival.annotations) for arrival in arrivals]
    if any(counts):
        sizes = [sum(len(one.value) for one in arrival.annotations) for arrival in arrivals]
        for count, size in zip(counts, sizes, strict=True):
            annotation.check_message(count, size)
        annotation.check_account(transaction, account.account_id, sum(counts), sum(sizes))


def find(
    transaction: Transaction, account_id: int, mailbox_id: int, uid: int
) -> tuple[Mailbox, Message]:
    """A message that is to be replaced, and its mailbox. Raises PostroomError CONFLICT."""
    try:
        mailbox = transaction.mailbox(account_id, mailbox_id)
        (message,) = read(transaction, mailbox, ((uid, uid),))
    except (PostroomError, ValueError):
        raise PostroomError(Kind.CONFLICT, "the message to be replaced is gone") from None
    return mailbox, message


def check_quota(account: Account, quota: Quota, size: int, count: int) -> None:
    """Raise PostroomError OVER_QUOTA where an account has no room for some messages more.

    What takes no more room than there was is no fault of the quota.
    """
    if quota.bytes and size > 0 and account.used_bytes + size > quota.bytes:
        raise PostroomError(Kind.OVER_QUOTA, "the account's quota is used up")
    if quota.messages and count > 0 and account.used_messages + count > quota.messages:
        raise PostroomError(Kind.OVER_QUOTA, "the account has as many messages as it may have")


def check_room(mailbox: Mailbox, more: int) -> None:
    """Raise PostroomError LIMIT_EXCEEDED where a mailbox would get too many messages."""
    if mailbox.messages + more > MOST_MESSAGES:
        raise PostroomError(Kind.LIMIT_EXCEEDED, f"a mailbox has at most {MOST_MESSAGES} messages")


def store_flags(
    transaction: Transaction,
    mailbox: Mailbox,
    ranges: Ranges,
    mode: str,
    names: Sequence[str],
    unchanged_since: int | None,
    changeable: int = EVERY_FLAG,
) -> Stored:
    """Add, remove or replace flags; only messages whose flags become other ones change.

    Args:
        mode: "add", "remove" or "replace".
        changeable: the mask of flags that a replacement may touch; the others stay.

    Raises PostroomError: INVALID, LIMIT_EXCEEDED.
    """
    keywords = mailbox.keywords
    if mode == "remove":
        mask = flagging.known_mask(names, keywords)
    else:
        mask, keywords = flagging.mask_of(names, keywords)
    kept = 0 if changeable == EVERY_FLAG else ~changeable
    modified: list[int] = []
    changing: list[tuple[int, int, int]] = []
    for uid, before, modseq in read_flags(transaction, mailbox, ranges):
        if unchanged_since is not None and modseq > unchanged_since:
            modified.append(uid)
            continue
        if mode == "add":
            after = before | mask
        elif mode == "remove":
            after = before & ~mask
        else:
            after = before & kept | mask
        if after != before:
            changing.append((uid, before, after))
    if not changing and keywords == mailbox.keywords:
        return Stored(None, modified)
    change = transaction.begin_change(transaction.account(mailbox.account_id), mailbox)
    learn(mailbox, keywords, change)
    if changing:
        _write_flags(transaction, mailbox, change, mode, mask, kept, changing)
    return Stored(change, modified)


_SET_FLAGS = Prepared(
    update(tables.placements)
    .where(_HERE, _p.uid == bindparam("wanted"))
    .values(flags=bindparam("mask"), modseq=bindparam("change"))
)


def _write_flags(
    transaction: Transaction,
    mailbox: Mailbox,
    change: Change,
    mode: str,
    mask: int,
    kept: int,
    changing: Sequence[tuple[int, int, int]],
) -> None:
    change.flagged.uids.extend(uid for uid, _, _ in changing)
    change.flagged.flags.extend(after for _, _, after in changing)
    seen = sum((after & SEEN) - (before & SEEN) for _, before, after in changing)
    deleted = sum((after & DELETED) - (before & DELETED) for _, before, after in changing)
    change.flagged.modseqs.extend(repeat(change.modseq, len(changing)))
    mailbox.unseen -= seen // SEEN
    mailbox.deleted += deleted // DELETED
    here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    if len(changing) < 20:
        rows = [
            here | {"wanted": uid, "mask": after, "change": change.modseq}
            for uid, _, after in changing
        ]
        transaction.run(_SET_FLAGS, rows)
        return
    # Every message takes the same step, so a few statements do for all.
    value: Any = mask
    if mode == "add":
        value = _p.flags.op("|")(mask)
    elif mode == "remove":
        value = _p.flags.op("&")(~mask)
    elif kept:
        value = _p.flags.op("&")(kept).op("|")(mask)
    for chosen in range_choices(ranges_of(uid for uid, _, _ in changing)):
        statement = update(tables.placements).where(_HERE, chosen)
        transaction.execute(statement.values(flags=value, modseq=change.modseq), here)


def copy(
    transaction: Transaction,
    source: Mailbox,
    ranges: Ranges,
    target: Mailbox,
    quota: Quota,
    *,
    move: bool = False,
    tell: Callable[[int, int], None] | None = None,
    settable: int = EVERY_FLAG,
    holders: Collection[int] | None = None,
) -> Copied:
    """Copy messages with their flags and annotations; a move takes them away as well.

    Args:
        tell: takes how many messages are dealt with, and how many there are, now and then; a
            message that is to be moved is half done once it is copied.
        settable: the mask of flags that the copies may have; EVERY_FLAG but for guests.
        holders: whose annotations go along (SHARED for those of all); None: everybody's.

    Raises PostroomError: OVER_QUOTA, LIMIT_EXCEEDED.
    """
    account = transaction.account(source.account_id)
    messages = read(transaction, source, ranges)
    if not messages:
        return Copied(target.uid_validity, [], [], None)
    if not move:
        check_quota(account, quota, sum(message.size for message in messages), len(messages))
    annotated = annotation.has_any(transaction, source)
    if annotated and not move:
        annotation.check_copies(transaction, source, ranges, holders)
    check_room(target, len(messages))
    used = 0
    for message in messages:
        used |= message.flags & settable
    translate, keywords = translation(used, source.keywords, target.keywords)
    change = transaction.begin_change(account, target)
    learn(target, keywords, change)
    progress = Progress(tell, len(messages)) if tell else NO_PROGRESS
    for number, message in enumerate(messages):
        if number % PORTION == 0:
            transaction.flush()
            progress.at(number // 2 if move else number)
        flags = translate(message.flags & settable)
        place(transaction, account, target, change, message.email_id, flags, message.size)
    uids = [message.uid for message in messages]
    copies = dict(zip(uids, change.added.uids, strict=True))
    if annotated:
        annotation.copy(transaction, source, ranges, target, copies, holders, change.modseq)
    source_change = _remove(transaction, source, messages) if move else None
    return Copied(target.uid_validity, uids, change.added.uids, change, source_change)


def translation(
    used: int, source: list[str], target: list[str]
) -> tuple[Callable[[int], int], list[str]]:
    """How some flags of one mailbox are set in another, and its keywords with those it lacked."""
    names = flagging.names_of(used & ~flagging.SYSTEM_MASK, source)
    _, keywords = flagging.mask_of(names, target)
    steps = [
        (flagging.known_mask([name], source), flagging.known_mask([name], keywords))
        for name in names
    ]

    def translate(flags: int) -> int:
        result = flags & flagging.SYSTEM_MASK
        for there, here in steps:
            if flags & there:
                result |= here
        return result

    return translate, keywords


def expunge(transaction: Transaction, mailbox: Mailbox, ranges: Ranges | None) -> Change | None:
    """Remove messages that are \\Deleted, of all or of some."""
    if not mailbox.deleted:
        return None
    messages = read(transaction, mailbox, ranges or ((1, mailbox.uid_next),))
    return _remove(transaction, mailbox, [m for m in messages if m.flags & DELETED])


def remove(transaction: Transaction, mailbox: Mailbox, ranges: Ranges) -> Change | None:
    """Remove messages, whatever their flags."""
    return _remove(transaction, mailbox, read(transaction, mailbox, ranges))


_RANGE = _p.uid.between(bindparam("first"), bindparam("last"))
_FLAGS = (_p.uid, _p.flags, _p.modseq)
_READ = Prepared(select(*_MESSAGE).where(_HERE, _RANGE).order_by(_p.uid))
_READ_FLAGS = Prepared(select(*_FLAGS).where(_HERE, _RANGE).order_by(_p.uid))
_DELETE = Prepared(delete(tables.placements).where(_HERE, _RANGE))


def read(transaction: Transaction, mailbox: Mailbox, ranges: Ranges) -> list[Message]:
    """The messages with UIDs in some ranges, ascending."""
    return [Message(*row) for row in _read(transaction, mailbox, ranges, _READ, _MESSAGE)]


def read_flags(
    transaction: Transaction, mailbox: Mailbox, ranges: Ranges
) -> Sequence[tuple[int, int, int]]:
    """UID, flags and modseq of messages, ascending; tuples, as a mailbox may be large."""
    return _read(transaction, mailbox, ranges, _READ_FLAGS, _FLAGS)


def _read(
    transaction: Transaction,
    mailbox: Mailbox,
    ranges: Ranges,
    of_one_range: Prepared,
    columns: Sequence[ColumnElement[int]],
) -> Sequence[Any]:
    """Rows by UID, which is the first column."""
    here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    if len(ranges) == 1:
        ((first, last),) = ranges
        return transaction.rows(of_one_range, here | {"first": first, "last": last})
    found: list[Any] = []
    for chosen in range_choices(ranges):
        statement = select(*columns).where(_HERE, chosen).order_by(_p.uid)
        found.extend(transaction.execute(statement, here))
    if len(ranges) > MOST_RANGES:
        found = sorted({row[0]: row for row in found}.values(), key=itemgetter(0))
    return found


def place(
    transaction: Transaction,
    account: Account,
    mailbox: Mailbox,
    change: Change,
    email_id: int,
    flags: int,
    size: int,
) -> None:
    """Put an email of the account into a mailbox, as part of a change."""
    uid = mailbox.uid_next
    mailbox.uid_next = change.uid_next = uid + 1
    mailbox.messages += 1
    mailbox.size += size
    mailbox.unseen += not flags & SEEN
    mailbox.deleted += bool(flags & DELETED)
    account.used_bytes += size
    account.used_messages += 1
    transaction.touch(account)
    transaction.touch_mailbox(mailbox)
    row = {
        "account_id": account.account_id,
        "mailbox_id": mailbox.mailbox_id,
        "uid": uid,
        "email_id": email_id,
        "flags": flags,
        "modseq": change.modseq,
        "created_modseq": change.modseq,
        "size": size,
        "saved_at": transaction.now,
    }
    transaction.add(tables.placements, row)
    change.added.uids.append(uid)
    change.added.flags.append(flags)
    change.added.modseqs.append(change.modseq)
    change.added.email_ids.append(email_id)


def _remove(
    transaction: Transaction, mailbox: Mailbox, messages: Sequence[Message]
) -> Change | None:
    if not messages:
        return None
    account = transaction.account(mailbox.account_id)
    change = transaction.begin_change(account, mailbox)
    change.expunged.extend(message.uid for message in messages)
    size = sum(message.size for message in messages)
    mailbox.messages -= len(messages)
    mailbox.size -= size
    mailbox.unseen -= sum(not message.flags & SEEN for message in messages)
    mailbox.deleted -= sum(bool(message.flags & DELETED) for message in messages)
    account.used_bytes -= size
    account.used_messages -= len(messages)
    for message in messages:
        row = {
            "account_id": account.account_id,
            "mailbox_id": mailbox.mailbox_id,
            "uid": message.uid,
            "email_id": message.email_id,
            "flags": message.flags,
            "modseq": change.modseq,
            "size": message.size,
            "expunged_at": transaction.now,
        }
        transaction.add(tables.tombstones, row)
    here = {"account": account.account_id, "mailbox": mailbox.mailbox_id}
    ranges = ranges_of(change.expunged)
    annotation.forget(transaction, mailbox, ranges)
    transaction.run(_DELETE, [here | {"first": first, "last": last} for first, last in ranges])
    return change


def restore(
    transaction: Transaction, mailbox: Mailbox, restored: Sequence[tuple[int, int, int]]
) -> Change:
    """Put emails that are there back into a mailbox.

    Args:
        restored: email id, flags, size.
    """
    account = transaction.account(mailbox.account_id)
    change = transaction.begin_change(account, mailbox)
    for email_id, flags, size in restored:
        place(transaction, account, mailbox, change, email_id, flags, size)
    return change


def learn(mailbox: Mailbox, keywords: list[str], change: Change) -> None:
    """Give a mailbox the keywords that are new in it."""
    there = len(mailbox.keywords)
    change.keywords.extend(enumerate(keywords[there:], there))
    mailbox.keywords = keywords
