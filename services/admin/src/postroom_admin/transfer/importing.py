"""Takes the messages of a source over into an account: in batches, several under way, restartable.

A batch is at most 500 messages or 1 MiB, of one mailbox; a larger message is uploaded and goes
alone. What the store refuses for what it is (too large, a flag that can't be) is halved until the
message at fault stands alone, and that one is reported and left out. What may be better later is
tried again for half a minute; then the import stops, and the next run goes on from the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.model import Account, NewMessage
from postroom_admin.ports import MailStore
from postroom_admin.transfer.entry import Entry, Unimportable
from postroom_admin.transfer.journal import Begun, Journal

BATCH_MESSAGES = 500
BATCH_BYTES = 1024 * 1024  # what a request may carry (message.proto, NewMessage)
IN_FLIGHT = 4
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each new attempt
AGAIN = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE, Kind.IN_USE, Kind.RATE_LIMITED})
AT_FAULT = frozenset({Kind.INVALID, Kind.TOO_LARGE, Kind.LIMIT_EXCEEDED})


@dataclass(slots=True)
class Report:
    """What became of the messages of a source.

    Attributes:
        before: those that an earlier run had taken over.
        skipped: identity and reason of each one left out.
        interrupted: somebody stopped it.
        stopped: why it had to stop before the end; empty: it didn't.
    """

    imported: int = 0
    before: int = 0
    bytes: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    interrupted: bool = False
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that go in one call; `begun` is set where an earlier run has sent them."""

    entries: Sequence[Entry]
    messages: Sequence[NewMessage]
    begun: Begun | None = None


class Import:
    """One run of an import.

    Args:
        store: where the messages go.
        account: whose they become; its quota holds.
        journal: what earlier runs have done.
        largest: bytes of the largest message that is taken.
        in_flight: calls under way at once; with 1, UIDs follow the order of the source strictly.
        told: called with the count of messages whenever some are dealt with.
        pauses: seconds before each new attempt of a call that failed for now.
    """

    def __init__(
        self,
        store: MailStore,
        account: Account,
        journal: Journal,
        *,
        largest: int,
        in_flight: int = IN_FLIGHT,
        told: Callable[[int], None] = lambda _: None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._store = store
        self._account = account
        self._journal = journal
        self._largest = largest
        self._in_flight = in_flight
        self._told = told
        self._pauses = pauses
        self._stopping = False
        self.report = Report()

    def stop(self) -> None:
        """Begin no more batches; those under way are finished."""
        self._stopping = True
        self.report.interrupted = True

    async def run(self, entries: Sequence[Entry]) -> Report:
        """Take over what no earlier run has.

        Raises:
            PostroomError: why it had to stop before the end; the report holds what was done.
            OSError: the journal can't be written.
        """
        left = [entry for entry in entries if entry.identity not in self._journal.done]
        self.report.before = len(entries) - len(left)
        self._told(self.report.before)
        batches = self._batches(left)
        turn = asyncio.Lock()
        ends = await asyncio.gather(
            *(self._work(batches, turn) for _ in range(self._in_flight)), return_exceptions=True
        )
        for end in ends:
            if end is not None:
                raise end
        return self.report

    async def _work(self, batches: Iterator[Batch], turn: asyncio.Lock) -> None:
        while not self._stopping:
            async with turn:
                # Reading waits for disks; the calls under way go on meanwhile.
                batch = await asyncio.to_thread(next, batches, None)
            if batch is None:
                return
            try:
                await self._take(batch)
            except BaseException:
                self._stopping = True
                raise

    def _batches(self, entries: Sequence[Entry]) -> Iterator[Batch]:
        """What is to be sent, unfinished batches of earlier runs first."""
        by_identity = {entry.identity: entry for entry in entries}
        for begun in list(self._journal.unfinished.values()):
            again = [by_identity.pop(name) for name in begun.identities if name in by_identity]
            read = [(entry, message) for entry in again if (message := self._read(entry))]
            yield Batch([entry for entry, _ in read], [message for _, message in read], begun)
        yield from self._new_batches(by_identity.values())

    def _new_batches(self, entries: Iterable[Entry]) -> Iterator[Batch]:
        group: list[Entry] = []
        messages: list[NewMessage] = []
        size = 0
        for entry in entries:
            message = self._read(entry)
            if message is None:
                continue
            grown = size + len(message.content)
            full = len(group) == BATCH_MESSAGES or grown > BATCH_BYTES
            if group and (full or entry.mailbox != group[0].mailbox):
                yield Batch(group, messages)
                group, messages, size = [], [], 0
            group.append(entry)
            messages.append(message)
            size += len(message.content)
        if group:
            yield Batch(group, messages)

    def _read(self, entry: Entry) -> NewMessage | None:
        try:
            return entry.read(self._largest)
        except Unimportable as why:
            self._skip(entry, str(why))
            return None

    def _skip(self, entry: Entry, reason: str) -> None:
        self.report.skipped.append((entry.identity, reason))
        self._told(1)

    async def _take(self, batch: Batch) -> None:
        names = [entry.identity for entry in batch.entries]
        if not names:  # all of an unfinished batch are away: another run may find them again
            return
        begun = batch.begun or self._journal.begin(
            self._account.account_id, batch.entries[0].mailbox, names
        )
        try:
            added = await self._patiently(begun, batch.messages)
        except PostroomError as error:
            if error.kind not in AT_FAULT:
                raise
            self._journal.refuse(begun)
            await self._divide(batch, error)
            return
        # Of a batch that an earlier run began, some may have gone from the source since. The store
        # tells whether it took the batch then, with all of them.
        self._journal.finish(begun, begun.identities if added != len(names) else names)
        self.report.imported += len(names)
        self.report.bytes += sum(len(message.content) for message in batch.messages)
        self._told(len(names))

    async def _divide(self, batch: Batch, error: PostroomError) -> None:
        """All or none was taken, so none: find the message at fault."""
        if len(batch.entries) == 1:
            self._skip(batch.entries[0], error.message)
            return
        middle = len(batch.entries) // 2
        for part in (slice(middle), slice(middle, None)):
            await self._take(Batch(batch.entries[part], batch.messages[part]))

    async def _patiently(self, begun: Begun, messages: Sequence[NewMessage]) -> int:
        for pause in self._pauses:
            try:
                return await self._send(begun, messages)
            except PostroomError as error:
                if error.kind not in AGAIN or self._stopping:
                    raise
            await asyncio.sleep(pause)
        return await self._send(begun, messages)

    async def _send(self, begun: Begun, messages: Sequence[NewMessage]) -> int:
        if len(messages) == 1 and len(messages[0].content) > BATCH_BYTES:
            large = messages[0]
            upload_id = await self._store.upload(large.content)
            messages = [NewMessage(b"", large.flags, large.internaldate, upload_id)]
        return await self._store.import_messages(
            begun.key,
            self._account.account_id,
            begun.mailbox,
            messages,
            self._account.quota,
        )
