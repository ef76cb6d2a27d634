"""Copies from one account into another: a read there, then transactions here.

Contents go first, some at a time: until a message refers to them they are garbage that the sweeper
leaves alone for a while. Then the messages, all in one transaction. What was derived of a message
at its ingest is copied with it; email and thread ids are the account's own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from sqlalchemy import Connection, and_, select

from postroom_store import annotation, tables
from postroom_store.acl import Access
from postroom_store.annotation import Annotation
from postroom_store.database import Readers
from postroom_store.domain.rights import INSERT, READ
from postroom_store.ingest import thread_of
from postroom_store.messages import (
    Copied,
    check_quota,
    check_room,
    learn,
    place,
    translation,
)
from postroom_store.sharing import Place, find_mailbox, find_mailbox_named
from postroom_store.transaction import Mailbox, Transaction
from postroom_store.uid_ranges import Ranges, range_choices
from postroom_store.uploads import Contents
from postroom_store.writer import Writers

MOST_MESSAGES = 5000  # in one call: their derived columns are all in memory at once
CARRIED_BYTES = 4 * 1024 * 1024  # of contents in one transaction, one more or less
CARRIED_CONTENTS = 200

_p = tables.placements.c
_e = tables.emails.c
_b = tables.blobs.c
_ITS_OWN = ("account_id", "email_id", "thread_id", "indexed")
_COPIED = tuple(column.name for column in tables.emails.columns if column.name not in _ITS_OWN)


@dataclass(frozen=True, slots=True)
class Copy:
    """A message on its way: where it was, its flags there, its row of `emails`, its annotations."""

    uid: int
    flags: int
    row: dict[str, Any]
    annotations: Sequence[Annotation] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of one mailbox on their way.

    Attributes:
        account_id: that they come from.
        keywords: of the mailbox.
    """

    account_id: int
    keywords: list[str]
    messages: list[Copy]


class Copies:
    """Reads messages in one account and carries their contents into another."""

    def __init__(self, readers: Readers, writers: Writers, contents: Contents) -> None:
        self._readers = readers
        self._writers = writers
        self._contents = contents

    async def read(self, access: Access, mailbox_id: int, ranges: Ranges) -> Batch:
        """The messages to be copied. Raises PostroomError: NOT_FOUND, DENIED, LIMIT_EXCEEDED."""

        def read(connection: Connection) -> Batch:
            mailbox, _ = find_mailbox(connection, access, mailbox_id, READ)
            messages: list[Copy] = []
            for chosen in range_choices(ranges) if ranges else ():
                rows = connection.execute(
                    select(_p.uid, _p.flags, *(_e[name] for name in _COPIED))
                    .join_from(
                        tables.placements,
                        tables.emails,
                        and_(_e.account_id == _p.account_id, _e.email_id == _p.email_id),
                    )
                    .where(_p.account_id == access.owner, _p.mailbox_id == mailbox_id, chosen)
                    .order_by(_p.uid)
                    .limit(MOST_MESSAGES + 1)
                )
                for uid, flags, *values in rows:
                    messages.append(Copy(uid, flags, dict(zip(_COPIED, values, strict=True))))
                if len(messages) > MOST_MESSAGES:
                    text = f"at most {MOST_MESSAGES} messages are copied to another account at once"
                    raise PostroomError(Kind.LIMIT_EXCEEDED, text)
            return Batch(
                access.owner, mailbox.keywords, _annotated(connection, access, mailbox, messages)
            )

        return await self._readers.run(read)

    async def carry(self, place: Place, batch: Batch) -> None:
        """Take the contents into the target's account. Raises PostroomError: NOT_FOUND, DENIED."""
        await self._readers.run(lambda c: find_mailbox_named(c, place, INSERT))
        sizes = {bytes(message.row["digest"]): message.row["size"] for message in batch.messages}
        digests: list[bytes] = []
        weight = 0
        async with self._contents.large:
            for digest, size in sizes.items():
                digests.append(digest)
                weight += size
                if weight >= CARRIED_BYTES or len(digests) >= CARRIED_CONTENTS:
                    await self._carry(batch.account_id, place.owner, digests)
                    digests, weight = [], 0
            if digests:
                await self._carry(batch.account_id, place.owner, digests)

    async def _carry(self, source: int, target: int, digests: Sequence[bytes]) -> None:
        rows = await self._readers.run(_contents(source, digests))
        await self._writers.run(target, _keeping(target, rows))


def _annotated(
    connection: Connection, access: Access, mailbox: Mailbox, messages: list[Copy]
) -> list[Copy]:
    """The messages with those of their annotations that the person sees (RFC 5257 s. 4.6)."""
    if not messages:
        return messages
    between = {
        "account": mailbox.account_id,
        "mailbox": mailbox.mailbox_id,
        "first": messages[0].uid,
        "last": max(message.uid for message in messages),
    }
    uids = {message.uid for message in messages}
    known = annotation.weights(connection, between, access.person)
    annotated = sorted(uids.intersection(known))
    if not annotated:
        return messages
    found = annotation.read(
        connection, between, annotated, annotation.Wanted(access.person, ("*",))
    )
    return [replace(message, annotations=found.get(message.uid, ())) for message in messages]


def _contents(account_id: int, digests: Sequence[bytes]) -> Callable[[Connection], Sequence[Any]]:
    statement = select(_b.digest, _b.size, _b.data).where(
        _b.account_id == account_id, _b.digest.in_(digests)
    )
    return lambda connection: connection.execute(statement).fetchall()


def _keeping(account_id: int, rows: Sequence[Any]) -> Callable[[Transaction], None]:
    def keep(transaction: Transaction) -> None:
        transaction.account(account_id)
        for digest, size, data in rows:
            row = {"account_id": account_id, "digest": digest, "size": size, "data": data}
            transaction.add_missing(tables.blobs, row | {"created_at": transaction.now})

    return keep


def add(
    transaction: Transaction,
    target: Mailbox,
    batch: Batch,
    quota: Quota,
    settable: int,
    holders: Collection[int],
) -> Copied:
    """Add messages whose contents are there, all or none, with those flags that are settable.

    Args:
        holders: whose annotations go along, of those that the person sees.

    Raises PostroomError: OVER_QUOTA, LIMIT_EXCEEDED; UNAVAILABLE where a content is not there any
    more, so that the call must be repeated.
    """
    account = transaction.account(target.account_id)
    messages = batch.messages
    if not messages:
        return Copied(target.uid_validity, [], [], None)
    size = sum(message.row["size"] for message in messages)
    check_quota(account, quota, size, len(messages))
    check_room(target, len(messages))
    _check_contents(transaction, account.account_id, messages)
    carried = [one for m in messages for one in m.annotations if one.holder in holders]
    size = sum(len(one.value) for one in carried)
    annotation.check_account(transaction, account.account_id, len(carried), size)
    used = 0
    for message in messages:
        used |= message.flags & settable
    translate, keywords = translation(used, batch.keywords, target.keywords)
    change = transaction.begin_change(account, target)
    learn(target, keywords, change)
    for message in messages:
        email_id = account.next_email_id
        account.next_email_id += 1
        row = message.row
        references = row["references"].split()
        thread_id = thread_of(
            transaction, account.account_id, row["message_id"], references, email_id
        )
        ids = {"account_id": account.account_id, "email_id": email_id, "thread_id": thread_id}
        transaction.add(tables.emails, row | ids | {"indexed": 0})
        flags = translate(message.flags & settable)
        kept = [one for one in message.annotations if one.holder in holders]
        annotation.add(transaction, target, target.uid_next, kept, change.modseq)
        place(transaction, account, target, change, email_id, flags, row["size"])
    uids = [message.uid for message in messages]
    return Copied(target.uid_validity, uids, change.added.uids, change)


def _check_contents(transaction: Transaction, account_id: int, messages: Sequence[Copy]) -> None:
    """The account is locked, so that nothing is swept from here on."""
    wanted = list({bytes(message.row["digest"]) for message in messages})
    statement = select(_b.digest).where(_b.account_id == account_id, _b.digest.in_(wanted))
    found = transaction.execute(statement).fetchall()
    if len(found) < len(wanted):
        raise PostroomError(Kind.UNAVAILABLE, "a content was swept on its way; try again")
