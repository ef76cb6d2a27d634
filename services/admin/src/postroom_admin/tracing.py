"""The life of a message as a line of events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.model import (
    Attempt,
    Outcome,
    QueueState,
    Reception,
    Traced,
    TracedCopy,
    TracedEntry,
)
from postroom_admin.ports import Directory, Services

AT_ONCE = 8
NAMED = 200  # accounts whose addresses are looked up


class EventKind(StrEnum):
    """What can become of a message."""

    ACCEPTED = "accepted"
    CHECKED = "checked"
    STORED = "stored"
    QUEUED = "queued"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    DEFERRED = "deferred"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TRIED = "tried"
    EXPUNGED = "expunged"
    # How it is now:
    SEEN = "seen"
    UNSEEN = "unseen"
    WAITS = "waits"
    HELD = "held"
    SENDING = "sending"
    GONE = "gone"


OUTCOMES = {
    Outcome.DELIVERED: EventKind.DELIVERED,
    Outcome.RELAYED: EventKind.RELAYED,
    Outcome.DEFERRED: EventKind.DEFERRED,
    Outcome.FAILED: EventKind.FAILED,
    Outcome.UNKNOWN: EventKind.TRIED,
}
ENDS = frozenset({Outcome.DELIVERED, Outcome.RELAYED, Outcome.FAILED})
STATES = {
    QueueState.WAITING: EventKind.WAITS,
    QueueState.HELD: EventKind.HELD,
    QueueState.SENDING: EventKind.SENDING,
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became of a message.

    Attributes:
        at: None: how it is now.
        who: the recipient that it concerns; empty: all.
        what: the details in one line.
    """

    at: datetime | None
    kind: EventKind
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Life:
    """All that is known of messages with one id, oldest first, and how they are now."""

    message_id: str
    events: tuple[Event, ...]
    traced: Traced


async def life_of(services: Services, message_id: str) -> Life:
    """The life of a message by its Message-ID, or by the id that smtp gave it.

    Raises:
        PostroomError: NOT_FOUND.
    """
    wanted = message_id.strip()
    if not wanted:
        raise PostroomError(Kind.INVALID, "which message? Give its Message-ID")
    traced = await services.traces.trace(wanted)
    names = await _names(services.directory, traced)
    return Life(wanted, tuple(events(traced, names)), traced)


def events(traced: Traced, names: dict[int, str]) -> list[Event]:
    """The events of a message's copies and entries, in order; how it is now comes last.

    Args:
        names: addresses of accounts, where they are known.
    """
    found = [*_arrivals(traced, names)]
    for copy in traced.copies:
        found += _of_copy(copy, _named(copy.account_id, names))
    for entry in traced.entries:
        found += _of_entry(entry)
    past = sorted((event for event in found if event.at), key=_when)
    return [*past, *(event for event in found if event.at is None)]


async def _names(directory: Directory, traced: Traced) -> dict[int, str]:
    """The addresses of the accounts that a trace names, as far as there still are any."""
    ids = {copy.account_id for copy in traced.copies}
    ids |= {entry.account_id for entry in traced.entries if entry.account_id}
    turns = asyncio.Semaphore(AT_ONCE)

    async def name(account_id: int) -> tuple[int, str]:
        async with turns:
            try:
                return account_id, (await directory.get_account_of(account_id)).address
            except PostroomError as error:
                if error.kind is not Kind.NOT_FOUND:
                    raise
                return account_id, ""

    return dict(await asyncio.gather(*(name(one) for one in sorted(ids)[:NAMED])))


def _when(event: Event) -> datetime:
    assert event.at is not None  # noqa: S101 (those alone are sorted)
    return event.at


def _named(account_id: int, names: dict[int, str]) -> str:
    return names.get(account_id) or f"account id {account_id}"


def _arrivals(traced: Traced, names: dict[int, str]) -> Iterator[Event]:
    """How each message came: one event for all its recipients, before anything else."""
    came: dict[Reception, tuple[datetime, str, int]] = {}
    for copy in traced.copies:
        came.setdefault(copy.reception, (copy.delivered_at, copy.sender, 0))
    for entry in traced.entries:
        at, sender, _ = came.get(entry.reception, (entry.created_at, entry.sender, 0))
        by = entry.account_id
        came[entry.reception] = (min(at, entry.created_at), sender, by)
    for reception, (at, sender, by) in came.items():
        if not reception.message_id:
            continue  # appended by a mail program, or imported: it never came by smtp
        client = f"{reception.name} [{reception.client}]" if reception.name else reception.client
        submitted = f", submitted by {_named(by, names)}" if by else ""
        what = f"from {client}, sender <{sender}>{submitted}, as {reception.message_id}"
        yield Event(at, EventKind.ACCEPTED, "", what)
        if reception.verdict:
            yield Event(at, EventKind.CHECKED, "", reception.verdict)


def _of_copy(copy: TracedCopy, owner: str) -> Iterator[Event]:
    place = f"in {copy.mailbox}, UID {copy.uid}"
    yield Event(copy.delivered_at, EventKind.STORED, owner, place)
    if copy.expunged_at:
        yield Event(copy.expunged_at, EventKind.EXPUNGED, owner, f"was {place}")
    else:
        yield Event(None, EventKind.SEEN if copy.seen else EventKind.UNSEEN, owner, place)


def _of_entry(entry: TracedEntry) -> Iterator[Event]:
    yield Event(entry.created_at, EventKind.QUEUED, entry.recipient, f"queue id {entry.queue_id}")
    for attempt in entry.attempts:
        yield Event(attempt.at, OUTCOMES[attempt.outcome], entry.recipient, attempt_told(attempt))
    if entry.state is not None:
        tries = f"{len(entry.attempts):,} tries so far"
        due = f", next try {entry.next_attempt_at.isoformat(timespec='seconds')}"
        waits = entry.state is QueueState.WAITING
        yield Event(None, STATES[entry.state], entry.recipient, tries + (due if waits else ""))
    elif entry.cancelled_at is not None:
        yield Event(entry.cancelled_at, EventKind.CANCELLED, entry.recipient, "by an administrator")
    elif not any(attempt.outcome in ENDS for attempt in entry.attempts):
        what = "it has left the queue longer ago than its tries are kept"
        yield Event(None, EventKind.GONE, entry.recipient, what)


def attempt_told(attempt: Attempt) -> str:
    """Who said what, and how the connection was."""
    where = attempt.host or "nobody reached"
    tls = f" ({attempt.tls})" if attempt.tls else ""
    return f"{where}{tls}: {attempt.reply or '-'}"
