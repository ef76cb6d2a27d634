"""STORE ANNOTATION (RFC 5257 section 4.5): annotations of messages are set and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from postroom_chassis.errors import Kind, PostroomError
from postroom_mime import decode_structure, find_part
from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from postroom_store import annotation, tables
from postroom_store.annotation import HERE, IS_SET, PORTION, Setting
from postroom_store.database import Prepared
from postroom_store.domain import annotation_names as naming
from postroom_store.messages import Stored, read_flags
from postroom_store.metadata import REMOVED, SHARED
from postroom_store.transaction import Mailbox, Transaction
from postroom_store.uid_ranges import Ranges, range_choices, ranges_of

_a = tables.message_annotations.c
_p = tables.placements.c

_FORGET = Prepared(
    delete(tables.message_annotations).where(
        HERE,
        _a.uid == bindparam("wanted"),
        _a.holder_id == bindparam("holder"),
        _a.entry == bindparam("name"),
    )
)
_REMOVED = Prepared(select(func.count()).where(HERE, _a.size == REMOVED))
_FORGET_REMOVED = Prepared(
    delete(tables.message_annotations).where(
        HERE, _a.size == REMOVED, _a.modseq < bindparam("before")
    )
)

_Key = tuple[int, int, str]  # UID, holder, entry


@dataclass(slots=True)
class _Known:
    """What messages have of the annotations that are to be set.

    Attributes:
        sizes: of those that are there, or were removed.
        same: those that are as they shall be.
    """

    sizes: dict[_Key, int] = field(default_factory=dict)
    same: set[_Key] = field(default_factory=set)


def store(
    transaction: Transaction,
    mailbox: Mailbox,
    ranges: Ranges,
    settings: Sequence[Setting],
    person: int,
    unchanged_since: int | None = None,
) -> Stored:
    """Set annotations, and remove those whose value is None; only what becomes another changes.

    Args:
        person: who does it: how many annotations there may be is counted by what it sees.

    Raises PostroomError: INVALID, TOO_LARGE, LIMIT_EXCEEDED (of a message), OVER_QUOTA.
    """
    annotation.check(settings)
    messages = read_flags(transaction, mailbox, ranges)
    modified = [
        uid
        for uid, _, modseq in messages
        if unchanged_since is not None and modseq > unchanged_since
    ]
    left = frozenset(modified)
    annotated = annotation.has_any(transaction, mailbox)
    known = _known(transaction, mailbox, ranges, settings) if annotated else _Known()
    changing: dict[int, int] = {}  # flags by UID
    steps: list[tuple[int, Setting]] = []
    for uid, flags, _ in messages:
        mine = [] if uid in left else [one for one in settings if _differs(known, uid, one)]
        steps += [(uid, one) for one in mine]
        if mine:
            changing[uid] = flags
    if not steps:
        return Stored(None, modified)
    seen = _seen(transaction, mailbox, ranges, person) if annotated else {}
    _check_room(transaction, mailbox, steps, known, seen)
    change = transaction.begin_change(transaction.account(mailbox.account_id), mailbox)
    change.flagged.uids.extend(changing)
    change.flagged.flags.extend(changing.values())
    change.flagged.modseqs.extend(repeat(change.modseq, len(changing)))
    change.annotated.uids.extend(uid for uid, _ in steps)
    change.annotated.entries.extend(one.entry for _, one in steps)
    change.annotated.holders.extend(one.holder for _, one in steps)
    _write(transaction, mailbox, steps, known, change.modseq)
    here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    placed = and_(_p.account_id == bindparam("account"), _p.mailbox_id == bindparam("mailbox"))
    for chosen in range_choices(ranges_of(changing)):
        statement = update(tables.placements).where(placed, chosen)
        transaction.execute(statement.values(modseq=change.modseq), here)
    return Stored(change, modified)


def _known(
    transaction: Transaction, mailbox: Mailbox, ranges: Ranges, settings: Sequence[Setting]
) -> _Known:
    known = _Known()
    if not settings:
        return known
    values = {(one.holder, one.entry): one.value for one in settings}
    named = or_(*(and_(_a.holder_id == h, _a.entry == entry) for h, entry in values))
    columns = (_a.uid, _a.holder_id, _a.entry, _a.size, _a.value)
    here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    for chosen in range_choices(ranges, _a.uid):
        for uid, holder, entry, size, value in transaction.execute(
            select(*columns).where(HERE, chosen, named), here
        ):
            known.sizes[uid, holder, entry] = size
            there = None if size == REMOVED else bytes(value)
            if there == values[holder, entry]:
                known.same.add((uid, holder, entry))
    return known


def _differs(known: _Known, uid: int, setting: Setting) -> bool:
    key = (uid, setting.holder, setting.entry)
    if setting.value is None:
        return known.sizes.get(key, REMOVED) != REMOVED
    return key not in known.same


def _seen(
    transaction: Transaction, mailbox: Mailbox, ranges: Ranges, person: int
) -> dict[int, tuple[int, int]]:
    """How many annotations of messages somebody sees, and of how many bytes, by UID."""
    found: dict[int, tuple[int, int]] = {}
    here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    statement = select(_a.uid, func.count(), func.sum(_a.size)).group_by(_a.uid)
    visible = or_(_a.holder_id == SHARED, _a.holder_id == person)
    for chosen in range_choices(ranges, _a.uid):
        rows = transaction.execute(statement.where(HERE, chosen, visible, IS_SET), here)
        found.update((uid, (count, int(size))) for uid, count, size in rows)
    return found


def _check_room(
    transaction: Transaction,
    mailbox: Mailbox,
    steps: Sequence[tuple[int, Setting]],
    known: _Known,
    seen: Mapping[int, tuple[int, int]],
) -> None:
    """Raise PostroomError where a message, or the account, would have too much."""
    more: dict[int, tuple[int, int]] = {}
    for uid, one in steps:
        count, size = more.get(uid, (0, 0))
        before = known.sizes.get((uid, one.holder, one.entry), REMOVED)
        count += (one.value is not None) - (before != REMOVED)
        size += len(one.value or b"") - max(before, 0)
        more[uid] = (count, size)
    for uid, (count, size) in more.items():
        if count > 0 or size > 0:  # whoever has too much may still take away
            held, held_bytes = seen.get(uid, (0, 0))
            annotation.check_message(held + count, held_bytes + size)
    counts, sizes = zip(*more.values(), strict=True)
    annotation.check_account(transaction, mailbox.account_id, sum(counts), sum(sizes))


def _write(
    transaction: Transaction,
    mailbox: Mailbox,
    steps: Sequence[tuple[int, Setting]],
    known: _Known,
    modseq: int,
) -> None:
    here = {"account": mailbox.account_id, "mailbox": mailbox.mailbox_id}
    old = [
        here | {"wanted": uid, "holder": one.holder, "name": one.entry}
        for uid, one in steps
        if (uid, one.holder, one.entry) in known.sizes
    ]
    if old:
        transaction.run(_FORGET, old)
    for number, (uid, one) in enumerate(steps, 1):
        annotation.add(transaction, mailbox, uid, [one], modseq)
        if number % PORTION == 0:
            transaction.flush()
    if any(one.value is None for _, one in steps):
        ((removed,),) = transaction.rows(_REMOVED, here)
        if removed > annotation.MOST_REMOVED:
            transaction.run(_FORGET_REMOVED, [here | {"before": modseq}])


def check_parts(structure: bytes, settings: Sequence[Setting]) -> None:
    """Raise PostroomError INVALID where a message has no part that is annotated (s. 3.2.1)."""
    paths = {path for one in settings if (path := naming.part_of(one.entry))}
    if not paths:
        return
    message = decode_structure(structure)
    if any(find_part(message, path) is None for path in paths):
        raise PostroomError(Kind.INVALID, "there is no such part to be annotated")
