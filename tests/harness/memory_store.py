"""What stands behind the IMAP front, in memory: its ports kept in a few plain dictionaries.

As strict as the real services where a front could tell the difference: one modseq counter per
account, chains of changes, keyword numbers, uids never used again. `faults` lets a test make calls
fail; `told_late` keeps changes back until `tell` lets them go.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from postroom_chassis.errors import Kind, PostroomError
from postroom_imap.keywords import FIRST_KEYWORD, MOST_KEYWORDS, SYSTEM
from postroom_imap.ports.changes import Follower
from postroom_imap.ports.columns import MOST_RANGES, Change, Columns, OpenedMailbox, Ranges
from postroom_imap.ports.identity import Client, Respond, SignedIn, Ticket
from postroom_imap.ports.mailboxes import Mailbox, SpecialUse
from postroom_imap.ports.messages import (
    Appended,
    Batch,
    Column,
    Copied,
    FlagMode,
    NewMessage,
    Section,
    SectionData,
    UploadId,
)
from postroom_imap.ports.searching import (
    AllOf,
    AnyOf,
    Compares,
    HasFlag,
    HasHeader,
    HasText,
    InUids,
    Not,
    NumberField,
    StoreKey,
    TextField,
)
from postroom_mime import (
    Derived,
    SearchText,
    derive,
    find_part,
    header_matches,
    normalise,
    scan,
    search_text,
    section,
)

BATCH_BYTES = 256 * 1024
PIECE_BYTES = 1024 * 1024
TICKET_SECONDS = 900
FIRST_MAILBOXES = {
    "INBOX": None,
    "Archive": SpecialUse.ARCHIVE,
    "Drafts": SpecialUse.DRAFTS,
    "Junk": SpecialUse.JUNK,
    "Sent": SpecialUse.SENT,
    "Trash": SpecialUse.TRASH,
}


@dataclass(slots=True)
class Email:
    """A content and what was derived from it."""

    email_id: int
    content: bytes
    derived: Derived
    internal_date: int


@dataclass(slots=True)
class Placement:
    """A message in a mailbox."""

    email: Email
    flags: int
    modseq: int


@dataclass(slots=True)
class Box:
    """A mailbox."""

    mailbox_id: int
    name: str
    uid_validity: int
    special_use: SpecialUse | None = None
    selectable: bool = True
    uid_next: int = 1
    modseq: int = 1
    keywords: list[str] = field(default_factory=list)
    messages: dict[int, Placement] = field(default_factory=dict)


@dataclass(slots=True)
class Account:
    """All that is kept for a person."""

    account_id: int
    address: str
    password: str
    quota_bytes: int = 0
    modseq: int = 1
    boxes: dict[str, Box] = field(default_factory=dict)
    subscriptions: set[str] = field(default_factory=set)
    next_email: int = 1
    next_mailbox: int = 1
    disabled: bool = False

    def box(self, name: str) -> Box:
        box = self.boxes.get(name)
        if box is None or not box.selectable:
            raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
        return box

    def box_by_id(self, mailbox_id: int) -> Box:
        for box in self.boxes.values():
            if box.mailbox_id == mailbox_id and box.selectable:
                return box
        raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")

    @property
    def used_bytes(self) -> int:
        return sum(len(p.email.content) for b in self.boxes.values() for p in b.messages.values())


class MemoryStore:
    """Authenticator, Mailboxes, Messages and Changes in one object.

    Attributes:
        calls: how often each call was made, by name.
        faults: errors that the next calls of a name raise, first one first.
        told_late: changes wait for `tell`.
        most_ranges: calls with more of UIDs are refused.
    """

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.calls: Counter[str] = Counter()
        self.faults: dict[str, list[PostroomError]] = {}
        self.told_late = False
        self.most_ranges = MOST_RANGES
        self.ticket_seconds = TICKET_SECONDS
        self._followers: dict[tuple[int, int], Follower] = {}
        self._waiting: list[tuple[int, Change]] = []
        self._uploads: dict[bytes, bytes] = {}
        self._texts: dict[tuple[int, int], SearchText] = {}
        self._numbers = itertools.count(1)
        self._called = asyncio.Event()

    def add_account(self, address: str, password: str, quota_bytes: int = 0) -> Account:
        """Somebody new, with an INBOX and a few more mailboxes."""
        account = Account(len(self.accounts) + 1, address, password, quota_bytes)
        self.accounts[address] = account
        for name, use in FIRST_MAILBOXES.items():
            self._make(account, name, use)
            account.subscriptions.add(name)
        return account

    def tell(self) -> None:
        """Let go of the changes that wait."""
        waiting, self._waiting = self._waiting, []
        for account_id, change in waiting:
            self._deliver(account_id, change)

    # -- Authenticator

    async def mechanisms(self, client: Client) -> tuple[str, ...]:
        return ("PLAIN", "LOGIN")

    async def authenticate(
        self, mechanism: str, initial_response: bytes | None, client: Client, respond: Respond
    ) -> SignedIn:
        self._count("authenticate")
        match mechanism:
            case "PLAIN":
                said = initial_response if initial_response is not None else await respond(b"")
                parts = (said or b"").split(b"\0")
                if len(parts) != 3:
                    raise PostroomError(Kind.INVALID, "that is no PLAIN message")
                return SignedIn(self._sign_in(parts[1], parts[2]))
            case "LOGIN":
                name = initial_response or await respond(b"Username:")
                return SignedIn(self._sign_in(name or b"", await respond(b"Password:") or b""))
        raise PostroomError(Kind.UNSUPPORTED, "there is no such mechanism")

    async def renew(self, ticket: Ticket) -> Ticket:
        self._count("renew")
        account = self.accounts[ticket.address]
        if account.disabled:
            raise PostroomError(Kind.UNAUTHENTICATED, "the account is disabled")
        return self.ticket(account)

    def _sign_in(self, name: bytes, password: bytes) -> Ticket:
        account = self.accounts.get(name.decode())
        if account is None or account.disabled or account.password.encode() != password:
            raise PostroomError(Kind.UNAUTHENTICATED, "wrong name or password")
        return self.ticket(account)

    def ticket(self, account: Account) -> Ticket:
        """A ticket as signing in gives it."""
        expires_at = int(time.time()) + self.ticket_seconds
        token = f"ticket-{next(self._numbers)}"
        return Ticket(token, account.account_id, account.address, expires_at)

    # -- Mailboxes

    async def list(self, ticket: Ticket, *, deleted_sizes: bool = False) -> Sequence[Mailbox]:
        account = self._enter("list", ticket)
        names = sorted(account.boxes.keys() | account.subscriptions)
        return [
            replace(
                self._describe(account.boxes[name])
                if name in account.boxes
                else Mailbox(0, name, selectable=False),
                subscribed=name in account.subscriptions,
            )
            for name in names
        ]

    async def status(self, ticket: Ticket, name: str, *, deleted_sizes: bool = False) -> Mailbox:
        return self._describe(self._enter("status", ticket).box(name))

    async def create(self, ticket: Ticket, name: str, uses: Sequence[SpecialUse] = ()) -> Mailbox:
        account = self._enter("create", ticket)
        if not name or any(not level for level in name.split("/")):
            raise PostroomError(Kind.INVALID, "a level of the name is empty")
        if name in account.boxes and account.boxes[name].selectable:
            raise PostroomError(Kind.ALREADY_EXISTS, "the mailbox exists already")
        levels = name.split("/")
        for depth in range(1, len(levels) + 1):
            above = "/".join(levels[:depth])
            if above not in account.boxes:
                self._make(account, above)
        account.boxes[name].selectable = True
        return self._describe(account.boxes[name])

    async def delete(self, ticket: Ticket, name: str) -> None:
        account = self._enter("delete", ticket)
        if name == "INBOX":
            raise PostroomError(Kind.INVALID, "INBOX can't be deleted")
        box = account.box(name)
        account.modseq += 1
        change = Change(box.mailbox_id, box.modseq, account.modseq, box.uid_next, deleted=True)
        if any(other.startswith(name + "/") for other in account.boxes):
            account.boxes[name] = Box(0, name, 0, selectable=False)
            self._make(account, name).selectable = False
        else:
            del account.boxes[name]
        self._publish(account.account_id, change)

    async def rename(self, ticket: Ticket, name: str, new_name: str) -> None:
        account = self._enter("rename", ticket)
        if new_name in account.boxes:
            raise PostroomError(Kind.ALREADY_EXISTS, "the mailbox exists already")
        if name not in account.boxes:
            raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
        if name == "INBOX":
            self._make(account, new_name)
            box = account.box(name)
            if uids := [(uid, uid) for uid in box.messages]:
                await self.move(ticket, box.mailbox_id, uids, new_name)
            return
        for old in [n for n in account.boxes if n == name or n.startswith(name + "/")]:
            box = account.boxes.pop(old)
            box.name = new_name + old.removeprefix(name)
            account.boxes[box.name] = box

    async def subscribe(self, ticket: Ticket, name: str, subscribed: bool) -> None:
        account = self._enter("subscribe", ticket)
        if subscribed:
            account.subscriptions.add(name)
        else:
            account.subscriptions.discard(name)

    def _make(self, account: Account, name: str, use: SpecialUse | None = None) -> Box:
        account.boxes[name] = Box(account.next_mailbox, name, 1_700_000_000, use)
        account.next_mailbox += 1
        return account.boxes[name]

    def _describe(self, box: Box) -> Mailbox:
        return Mailbox(
            mailbox_id=box.mailbox_id,
            name=box.name,
            selectable=box.selectable,
            special_uses=[box.special_use] if box.special_use else [],
            uid_validity=box.uid_validity,
            messages=len(box.messages),
            unseen=sum(not placement.flags & 1 for placement in box.messages.values()),
            uid_next=box.uid_next,
            modseq=box.modseq,
        )

    # -- Messages

    async def open(self, ticket: Ticket, name: str) -> OpenedMailbox:
        box = self._enter("open", ticket).box(name)
        columns = _columns(box.messages.items())
        return OpenedMailbox(
            box.mailbox_id,
            box.name,
            box.uid_validity,
            box.uid_next,
            box.modseq,
            list(enumerate(box.keywords)),
            columns,
        )

    async def fetch(
        self,
        ticket: Ticket,
        mailbox_id: int,
        uids: Ranges,
        columns: Sequence[Column],
        sections: Sequence[Section],
    ) -> AsyncIterator[Batch]:
        box = self._enter("fetch", ticket).box_by_id(mailbox_id)
        emails: list[tuple[int, Email]] = []
        size = 0
        for uid, placement in self._in_ranges(box, uids):
            emails.append((uid, placement.email))
            size += len(placement.email.content) if sections else 800
            if size >= BATCH_BYTES:
                for part in _in_pieces(_batch(emails, columns, sections)):
                    yield part
                emails, size = [], 0
        for part in _in_pieces(_batch(emails, columns, sections)):
            yield part

    async def upload(self, ticket: Ticket, pieces: AsyncIterable[bytes]) -> UploadId:
        self._enter("upload", ticket)
        upload_id = b"upload-%d" % next(self._numbers)
        self._uploads[upload_id] = b"".join([piece async for piece in pieces])
        return UploadId(upload_id)

    async def append(self, ticket: Ticket, name: str, message: NewMessage) -> Appended:
        account = self._enter("append", ticket)
        box = account.box(name)
        match message.source:
            case UploadId(value):
                content = self._uploads.pop(value)
            case bytes(content):
                pass
        if account.quota_bytes and account.used_bytes + len(content) > account.quota_bytes:
            raise PostroomError(Kind.OVER_QUOTA, "the quota is used up")
        date = int(time.time()) if message.internal_date is None else message.internal_date
        email = Email(account.next_email, content, derive(content), date)
        account.next_email += 1
        previous = len(box.keywords)
        flags = self._mask(box, message.flags)
        change = self._place(account, box, [(email, flags)], previous)
        self._publish(account.account_id, change)
        return Appended(box.uid_validity, list(change.added.uids), change)

    async def store_flags(
        self, ticket: Ticket, mailbox_id: int, uids: Ranges, mode: FlagMode, flags: Sequence[str]
    ) -> Change | None:
        account = self._enter("store_flags", ticket)
        box = account.box_by_id(mailbox_id)
        known = len(box.keywords)
        mask = self._mask(box, flags)
        changed: list[tuple[int, Placement]] = []
        for uid, placement in self._in_ranges(box, uids):
            new = {
                FlagMode.ADD: placement.flags | mask,
                FlagMode.REMOVE: placement.flags & ~mask,
                FlagMode.REPLACE: mask,
            }[mode]
            if new != placement.flags:
                placement.flags = new
                changed.append((uid, placement))
        if not changed and len(box.keywords) == known:
            return None
        previous, modseq = self._advance(account, box)
        for _, placement in changed:
            placement.modseq = modseq
        change = Change(
            box.mailbox_id,
            previous,
            modseq,
            box.uid_next,
            flagged=_columns(changed),
            keywords=list(enumerate(box.keywords))[known:],
        )
        self._publish(account.account_id, change)
        return change

    async def copy(self, ticket: Ticket, mailbox_id: int, uids: Ranges, target: str) -> Copied:
        account = self._enter("copy", ticket)
        return self._copy(account, account.box_by_id(mailbox_id), uids, target, move=False)

    async def move(self, ticket: Ticket, mailbox_id: int, uids: Ranges, target: str) -> Copied:
        account = self._enter("move", ticket)
        return self._copy(account, account.box_by_id(mailbox_id), uids, target, move=True)

    async def expunge(self, ticket: Ticket, mailbox_id: int, uids: Ranges) -> Change | None:
        account = self._enter("expunge", ticket)
        box = account.box_by_id(mailbox_id)
        deleted = SYSTEM["\\Deleted"]
        wanted = self._in_ranges(box, uids or [(1, 2**32)])
        gone = [uid for uid, placement in wanted if placement.flags & deleted]
        return self._remove(account, box, gone)

    async def search(self, ticket: Ticket, mailbox_id: int, key: StoreKey) -> Sequence[int]:
        account = self._enter("search", ticket)
        box = account.box_by_id(mailbox_id)
        return [
            u for u, p in sorted(box.messages.items()) if self._matches(account, box, u, p, key)
        ]

    def _in_ranges(self, box: Box, ranges: Ranges) -> Sequence[tuple[int, Placement]]:
        if len(ranges) > self.most_ranges:
            raise PostroomError(Kind.INVALID, "too many ranges of UIDs")
        found: list[tuple[int, Placement]] = []
        for low, high in ranges:
            narrow = high - low < len(box.messages)
            uids = range(low, high + 1) if narrow else [u for u in box.messages if low <= u <= high]
            found += [(uid, box.messages[uid]) for uid in uids if uid in box.messages]
        return found

    def _copy(self, account: Account, source: Box, uids: Ranges, target: str, move: bool) -> Copied:
        box = account.box(target)
        found = list(self._in_ranges(source, uids))
        if not found:
            return Copied(box.uid_validity, (), (), None, None)
        size = sum(len(placement.email.content) for _, placement in found)
        if not move and account.quota_bytes and account.used_bytes + size > account.quota_bytes:
            raise PostroomError(Kind.OVER_QUOTA, "the quota is used up")
        known = len(box.keywords)
        copies = [
            (placement.email, self._mask(box, self._names(source, placement.flags)))
            for _, placement in found
        ]
        change = self._place(account, box, copies, known)
        self._publish(account.account_id, change)
        sources = [uid for uid, _ in found]
        removed = self._remove(account, source, sources) if move else None
        return Copied(box.uid_validity, sources, list(change.added.uids), removed, change)

    def _place(
        self, account: Account, box: Box, new: Iterable[tuple[Email, int]], known: int
    ) -> Change:
        previous, modseq = self._advance(account, box)
        placed: list[tuple[int, Placement]] = []
        for email, flags in new:
            placement = Placement(email, flags, modseq)
            box.messages[box.uid_next] = placement
            placed.append((box.uid_next, placement))
            box.uid_next += 1
        return Change(
            box.mailbox_id,
            previous,
            modseq,
            box.uid_next,
            added=_columns(placed),
            keywords=list(enumerate(box.keywords))[known:],
        )

    def _remove(self, account: Account, box: Box, uids: Sequence[int]) -> Change | None:
        if not uids:
            return None
        for uid in uids:
            del box.messages[uid]
        previous, modseq = self._advance(account, box)
        change = Change(box.mailbox_id, previous, modseq, box.uid_next, expunged=list(uids))
        self._publish(account.account_id, change)
        return change

    def _advance(self, account: Account, box: Box) -> tuple[int, int]:
        account.modseq += 1
        previous, box.modseq = box.modseq, account.modseq
        return previous, box.modseq

    def _mask(self, box: Box, flags: Sequence[str]) -> int:
        mask = 0
        for name in flags:
            if name in SYSTEM:
                mask |= SYSTEM[name]
                continue
            folded = [keyword.lower() for keyword in box.keywords]
            if name.lower() not in folded:
                if len(box.keywords) >= MOST_KEYWORDS:
                    raise PostroomError(Kind.LIMIT_EXCEEDED, "the mailbox has too many keywords")
                box.keywords.append(name)
                folded.append(name.lower())
            mask |= 1 << (FIRST_KEYWORD + folded.index(name.lower()))
        return mask

    def _names(self, box: Box, mask: int) -> Sequence[str]:
        names = [name for name, bit in SYSTEM.items() if mask & bit]
        return names + [n for i, n in enumerate(box.keywords) if mask >> (FIRST_KEYWORD + i) & 1]

    def _matches(
        self, account: Account, box: Box, uid: int, placement: Placement, key: StoreKey
    ) -> bool:
        def matches(inner: StoreKey) -> bool:
            return self._matches(account, box, uid, placement, inner)

        match key:
            case AllOf(keys):
                return all(map(matches, keys))
            case AnyOf(keys):
                return any(map(matches, keys))
            case Not(inner):
                return not matches(inner)
            case InUids(ranges):
                return any(low <= uid <= high for low, high in ranges)
            case HasFlag(name):
                names = self._names(box, placement.flags)
                return name.lower() in (known.lower() for known in names)
            case HasHeader(name, text):
                return header_matches(self._text(account, placement.email), name, normalise(text))
            case HasText(where, text):
                return normalise(text) in _searched(self._text(account, placement.email), where)
            case Compares(where, number):
                return _compares(placement.email, where, number)

    def _text(self, account: Account, email: Email) -> SearchText:
        key = (account.account_id, email.email_id)
        if key not in self._texts:
            self._texts[key] = search_text(email.content)
        return self._texts[key]

    # -- Changes

    def add(self, follower: Follower) -> None:
        self._followers[follower.account_id, follower.mailbox_id] = follower

    def remove(self, follower: Follower) -> None:
        self._followers.pop((follower.account_id, follower.mailbox_id), None)

    def lose_followers(self) -> None:
        """As if the tickets that mailboxes are watched with had expired."""
        followers, self._followers = self._followers, {}
        for follower in followers.values():
            follower.lose(temporary=True)

    def _publish(self, account_id: int, change: Change) -> None:
        if self.told_late:
            self._waiting.append((account_id, change))
        else:
            self._deliver(account_id, change)

    def _deliver(self, account_id: int, change: Change) -> None:
        follower = self._followers.get((account_id, change.mailbox_id))
        if follower is not None:
            follower.follow(change)

    def _enter(self, name: str, ticket: Ticket) -> Account:
        self._count(name)
        return self.accounts[ticket.address]

    async def wait_for_calls(self, name: str, count: int) -> None:
        """Wait until a call was made so often."""
        while self.calls[name] < count:
            self._called.clear()
            await self._called.wait()

    def _count(self, name: str) -> None:
        self.calls[name] += 1
        self._called.set()
        if faults := self.faults.get(name):
            raise faults.pop(0)


def _columns(messages: Iterable[tuple[int, Placement]]) -> Columns:
    columns = Columns()
    for uid, placement in messages:
        columns.uids.append(uid)
        columns.flags.append(placement.flags)
        columns.modseqs.append(placement.modseq)
        columns.email_ids.append(placement.email.email_id)
    return columns


def _batch(
    emails: Sequence[tuple[int, Email]], columns: Sequence[Column], sections: Sequence[Section]
) -> Batch:
    values: dict[Column, list[Any]] = {
        column: [_column(email, column) for _, email in emails] for column in columns
    }
    data = [SectionData([_section(e.content, wanted) for _, e in emails]) for wanted in sections]
    return Batch([uid for uid, _ in emails], dict(values), data)


def _column(email: Email, column: Column) -> int | bytes:
    match column:
        case Column.INTERNALDATE:
            return email.internal_date
        case Column.SIZE:
            return len(email.content)
        case Column.ENVELOPE:
            return email.derived.envelope
        case Column.BODY:
            return email.derived.body
        case Column.BODYSTRUCTURE:
            return email.derived.bodystructure
        case Column.HEADER:
            return email.derived.header


def _section(content: bytes, wanted: Section) -> bytes | None:
    structure = scan(content)
    words = [*map(str, wanted.path), *([wanted.text.name] if wanted.text else [])]
    if find_part(structure, wanted.path) is None:
        return None
    span = section(structure, ".".join(words))
    if span is None:
        return None
    data = content[span[0] : span[1]]
    if wanted.partial is None:
        return data
    offset, length = wanted.partial
    return data[offset : offset + length]


def _in_pieces(batch: Batch) -> Iterable[Batch]:
    """A batch as the store sends it: what is large in its last message goes on in others."""
    if not batch.uids:
        return
    rest = [found.data[-1] or b"" for found in batch.sections]
    for found in batch.sections:
        if len(last := found.data[-1] or b"") > PIECE_BYTES:
            found.rest, found.data[-1] = len(last), last[:PIECE_BYTES]
    yield batch
    for number, datum in enumerate(rest):
        for start in range(PIECE_BYTES, len(datum), PIECE_BYTES):
            sections = [SectionData([]) for _ in rest]
            more = len(datum) if start + PIECE_BYTES < len(datum) else 0
            sections[number] = SectionData([datum[start : start + PIECE_BYTES]], more)
            yield Batch(batch.uids[-1:], {}, sections)


def _searched(text: SearchText, where: TextField) -> str:
    match where:
        case TextField.BODY:
            return text.body
        case TextField.TEXT:
            return text.headers + text.body
        case TextField.FROM:
            return text.from_
    return str(getattr(text, where.value))


def _compares(email: Email, where: NumberField, number: int) -> bool:
    sent = email.derived.sent_at
    match where:
        case NumberField.LARGER:
            return len(email.content) > number
        case NumberField.SMALLER:
            return len(email.content) < number
        case NumberField.SINCE:
            return email.internal_date >= number
        case NumberField.BEFORE:
            return email.internal_date < number
        case NumberField.SENT_SINCE:
            return sent is not None and sent >= number
        case NumberField.SENT_BEFORE:
            return sent is not None and sent < number
