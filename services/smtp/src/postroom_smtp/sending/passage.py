"""One message over one connection, and what was said of each of its recipients."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from postroom_mime import Domain, Unconvertible

from postroom_smtp.protocol.client import Mail, Transaction, conversion, obstacle
from postroom_smtp.protocol.envelope import Body
from postroom_smtp.protocol.response import Response, made_here
from postroom_smtp.sending.connector import Times
from postroom_smtp.sending.content import Content
from postroom_smtp.sending.converting import Converted, Converter
from postroom_smtp.sending.link import Link, Lost
from postroom_smtp.sending.ports import Entry
from postroom_smtp.spool import Spool


class LeaseLost(Exception):
    """The entries are somebody else's by now, or may be."""


@dataclass(slots=True)
class Lease:
    """How long a batch is ours.

    Attributes:
        until: by `clock`.
        over: the worker has noticed that it isn't any more.
    """

    id: bytes
    until: float
    clock: Callable[[], float] = time.monotonic
    over: bool = False

    def check(self) -> None:
        """Raises LeaseLost."""
        if self.clock() >= self.until:
            raise LeaseLost


@dataclass(frozen=True, slots=True)
class Word:
    """What was said of an entry.

    Attributes:
        host: with whom we spoke.
        said: the response is the server's; otherwise ours.
        tried: it counts for an attempt.
        again_at: when it is tried again, where that isn't the schedule's to say.
    """

    entry: Entry
    response: Response
    host: str = ""
    said: bool = False
    tls: str = ""
    promised: bool = False  # the server tells of what becomes of it
    final: bool = False  # LMTP: it is there
    tried: bool = True
    again_at: int = 0

    @property
    def speaker(self) -> str:
        """Who said it; empty: we."""
        return self.host if self.said else ""


class Passage:
    """One message over one connection.

    Args:
        clock: Unix seconds.

    Attributes:
        ended: the end of the message was sent.
    """

    def __init__(
        self,
        lease: Lease,
        link: Link,
        content: Content,
        converter: Converter,
        times: Times,
        clock: Callable[[], float],
    ) -> None:
        self._converter = converter
        self._times = times
        self._now = clock
        self._lease = lease
        self._link = link
        self._content = content
        self._converted: Converted | None = None
        self._fixed = ""  # why it can't be
        self.ended = False

    async def send(self, entries: Sequence[Entry]) -> list[Word]:
        """What was said of each entry. Raises PostroomError, LeaseLost."""
        await self._content.begin()
        domain = conversion(self._mail(entries), self._link.conversation.offer)
        if domain is None:
            return await self._send(entries)
        async with self._converter.spool() as spool:
            await self._convert(entries[0], domain, spool)
            return await self._send(entries)

    async def _convert(self, entry: Entry, domain: Domain, spool: Spool) -> None:
        """Convert the message; where that can't be, it meets its obstacle."""
        try:
            self._converted = await self._converter.convert(
                self._content, domain, spool, ours=entry.account_id != 0
            )
        except Unconvertible as error:
            self._fixed = str(error)

    async def _send(self, entries: Sequence[Entry]) -> list[Word]:
        words: list[Word] = []
        going: list[Entry] = []
        for entry in entries:
            blocked = obstacle(self._mail([entry]), self._link.conversation.offer)
            if blocked is None:
                going.append(entry)
            else:
                words.append(self._word(entry, blocked, said=False))
        if going:
            words += await self._transact(going)
        return words

    async def _transact(self, entries: Sequence[Entry]) -> list[Word]:
        transaction = Transaction(self._link.conversation, self._mail(entries))
        otherwise = made_here(451, "4.4.2", "nothing was said of it")
        try:
            await self._run(transaction, len(entries))
        except Lost as lost:
            otherwise = made_here(451, "4.4.2", await self._lost(transaction, lost))
        except ValueError:
            self._link.abort()
            reply = "the message has a CR or an LF by itself, which needs CHUNKING"
            otherwise = made_here(554, "5.6.0", reply)
        self.ended = transaction.ended
        return [
            self._word(entry, fate or otherwise, said=fate is not None)
            for entry, fate in zip(entries, map(transaction.fate, range(len(entries))), strict=True)
        ]

    async def _run(self, transaction: Transaction, recipients: int) -> None:
        link, times = self._link, self._times
        self._lease.check()
        # Every command has its own time (RFC 5321 section 4.5.3.2); many together have more.
        if not await link.converse(transaction.open(), times.reply * (1 + recipients / 20)):
            return
        async for piece in (self._converted or self._content).pieces():
            transaction.put(piece)
            await link.flush(times.piece)
            if not await link.converse(transaction.heard(), times.reply):
                return
        self._lease.check()
        await link.converse(transaction.finish(), times.end)

    async def _lost(self, transaction: Transaction, lost: Lost) -> str:
        """What was lost. A server that closes may have said why."""
        if not transaction.ended and transaction.taken and len(self._link.conversation.stream):
            try:
                await self._link.converse(transaction.cut_short(), 1.0)
            except Lost:
                pass
        self._link.abort()
        return f"{lost} after the message" if transaction.ended else str(lost)

    def _mail(self, entries: Sequence[Entry]) -> Mail:
        message, asked = entries[0].message, entries[0].message.request
        content: Content | Converted = self._content
        eight_bit = message.eight_bit
        if self._converted is not None:
            content, eight_bit = self._converted, self._converted.eight_bit
            asked = replace(asked, body=Body.EIGHT_BIT if eight_bit else Body.SEVEN_BIT)
        left = None
        if asked.deliver_by:
            left = int(asked.deliver_by - self._now())
        return Mail(
            entries[0].reverse_path,
            tuple(entry.recipient for entry in entries),
            content.size,
            asked,
            eight_bit,
            content.utf8_header,
            content.bare,
            left,
            self._fixed,
        )

    def _word(self, entry: Entry, response: Response, *, said: bool) -> Word:
        told = self._link.conversation
        return Word(
            entry,
            response,
            self._link.host,
            said,
            self._link.tls,
            promised="DSN" in told.offer,
            final=told.lmtp,
        )
