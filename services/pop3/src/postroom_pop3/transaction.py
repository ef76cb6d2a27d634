"""The TRANSACTION state (RFC 1939 section 5) and, with QUIT, UPDATE (section 6)."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_mime.downgrade import Downgrade
from prometheus_client import Counter

from postroom_pop3.authorization import Authorization
from postroom_pop3.dialogue import Row, Table, language
from postroom_pop3.ports import LockedMaildrop
from postroom_pop3.protocol import command, replies
from postroom_pop3.protocol.capabilities import KEPT, Policy
from postroom_pop3.protocol.content import Stuffer, Top
from postroom_pop3.protocol.maildrop import Maildrop
from postroom_pop3.retrieval import Retrieval

log = logs.logger(__name__)

MESSAGES = Counter("postroom_pop3_messages_total", "Messages sent or removed", ["command"])
_RETRIEVED, _TOPPED, _DELETED = (MESSAGES.labels(verb) for verb in ("RETR", "TOP", "DELE"))

DAY_SECONDS = 86_400
COMMIT_ATTEMPTS = 3  # at least, and as many as fit in
COMMIT_SECONDS = 10.0  # which a restart of the store takes at most
COMMIT_PAUSE = (0.1, 2.0)  # seconds: the first, and the longest


@dataclass(slots=True)
class Transaction:
    """One session that has a maildrop.

    Attributes:
        admitted: what came before.
        surrogates: the client is shown ASCII alone in headers (RFC 6857).
        committed: QUIT was answered, and the maildrop given back.
        retrieved: how many messages were sent.
        removed: how many went at QUIT.
    """

    admitted: Authorization
    locked: LockedMaildrop
    maildrop: Maildrop
    retrieval: Retrieval
    surrogates: bool
    done: bool = False
    committed: bool = False
    retrieved: int = 0
    removed: int = 0
    _read: set[int] = field(default_factory=set)

    async def capa(self, _: None) -> bytes:
        return await self.admitted.capa(None)

    async def stat(self, _: None) -> bytes:
        return replies.ok(f"{len(self.maildrop)} {self.maildrop.octets}")

    async def scan(self, number: int | None) -> bytes:
        if number is None:
            opening = replies.ok(f"{len(self.maildrop)} messages")
            return await self._list(opening, self.maildrop.scan_listing())
        size = self.maildrop.snapshot.sizes[self.maildrop.index(number)]
        return replies.ok(f"{number} {size}")

    async def uidl(self, number: int | None) -> bytes:
        if number is None:
            return await self._list(replies.ok(), self.maildrop.unique_id_listing())
        return replies.ok(f"{number} {self.maildrop.unique_id(self.maildrop.index(number))}")

    async def retr(self, number: int) -> bytes:
        index = self.maildrop.index(number)
        if self.retrieval.streams(index):
            opening = replies.ok(f"{self.maildrop.snapshot.sizes[index]} octets")
            reply = await self._stream(index, opening, None)
        else:
            content = self._readable(await self.retrieval.content(index))
            stuffer = Stuffer()
            opening = replies.ok(f"{len(content)} octets")
            reply = opening + stuffer.feed(content) + stuffer.end()
        self.retrieved += 1
        self._read.add(index)
        _RETRIEVED.inc()
        return reply

    async def top(self, wanted: tuple[int, int]) -> bytes:
        number, lines = wanted
        index = self.maildrop.index(number)
        opening = replies.ok()
        top = Top(lines)
        if self.retrieval.streams(index):
            reply = await self._stream(index, opening, top)
        else:
            stuffer = Stuffer()
            content = self._readable(await self.retrieval.content(index))
            reply = opening + stuffer.feed(top.feed(content)) + stuffer.end()
        _TOPPED.inc()
        return reply

    async def dele(self, number: int) -> bytes:
        self.maildrop.mark(number)
        return replies.ok("marked")

    async def noop(self, _: None) -> bytes:
        return replies.ok()

    async def rset(self, _: None) -> bytes:
        self.maildrop.unmark_all()
        return replies.ok(f"{len(self.maildrop)} messages ({self.maildrop.octets} octets)")

    async def quit(self, _: None) -> bytes:
        """UPDATE: all that is marked goes, or nothing does; the session ends either way."""
        self.done = True
        self.removed = await self._commit(*self._left())
        self.committed = True
        _DELETED.inc(self.removed)
        return replies.ok(f"good-bye, {self.removed} messages removed")

    def _left(self) -> tuple[list[int], list[int], int]:
        """What the session leaves behind, as commit takes it: the account's policy adds to what
        the client has marked (RFC 2449 section 6.7).
        """
        uids = self.maildrop.snapshot.uids
        read = sorted(uids[index] for index in self._read)
        match self.policy.expire_days:
            case None:
                return self.maildrop.deleted_uids, [], 0
            case 0:
                return sorted({*self.maildrop.deleted_uids, *read}), [], 0
            case days:
                return self.maildrop.deleted_uids, read, int(time.time()) - days * DAY_SECONDS

    @property
    def policy(self) -> Policy:
        return self.admitted.identity.policy if self.admitted.identity else KEPT

    async def _commit(self, uids: list[int], read: list[int], expire_before: int) -> int:
        """Commit, again where the answer was lost: a repeat does no harm."""
        pause, longest = COMMIT_PAUSE
        give_up_at = time.monotonic() + COMMIT_SECONDS
        for attempt in itertools.count(1):
            try:
                return await self.locked.commit(uids, read, expire_before)
            except PostroomError as error:
                lost = error.kind in (Kind.UNAVAILABLE, Kind.DEADLINE)
                if not lost or (attempt >= COMMIT_ATTEMPTS and time.monotonic() >= give_up_at):
                    raise
                log.info("pop3.commit_repeated", attempt=attempt, why=error.kind)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
        raise AssertionError("attempts have no end")

    async def _list(self, opening: bytes, pieces: Iterator[str]) -> bytes:
        """Send a listing piece by piece, so that a long one holds nobody else up; answer what is
        left to be sent.
        """
        connection = self.admitted.dialogue.connection
        pending = opening + next(pieces, "").encode()
        for piece in pieces:
            connection.write(pending)
            await connection.drain()
            await asyncio.sleep(0)
            pending = piece.encode()
        return pending + b".\r\n"

    def _readable(self, content: bytes) -> bytes:
        """A message as the client is shown it."""
        if not self.surrogates or content.isascii():
            return content
        downgrade = Downgrade()
        return downgrade.feed(content) + downgrade.end()

    async def _stream(self, index: int, opening: bytes, top: Top | None) -> bytes:
        """Send a large message, or its top, as it comes; answer what is left to be sent."""
        connection, stuffer = self.admitted.dialogue.connection, Stuffer()
        downgrade = Downgrade() if self.surrogates else None

        def sent(piece: bytes) -> bytes:
            return stuffer.feed(top.feed(piece) if top else piece)

        async with aclosing(self.retrieval.stream(index)) as pieces:
            pending = opening
            try:
                async for piece in pieces:
                    connection.write(pending + sent(downgrade.feed(piece) if downgrade else piece))
                    pending = b""
                    await connection.drain()
                    if top is not None and top.complete:
                        return stuffer.end()
            except PostroomError:
                if pending:
                    raise
                # Half a message is out and nothing can take it back: only a lost connection tells
                # the client so.
                connection.abort()
                raise ConnectionAbortedError("the message broke off") from None
        return (sent(downgrade.end()) if downgrade else b"") + stuffer.end()


COMMANDS: dict[bytes, Row[Transaction]] = {
    b"STAT": Row(command.no_arguments, Transaction.stat),
    b"LIST": Row(command.optional_message_number, Transaction.scan),
    b"RETR": Row(command.message_number, Transaction.retr),
    b"DELE": Row(command.message_number, Transaction.dele),
    b"NOOP": Row(command.no_arguments, Transaction.noop),
    b"LANG": Row(command.language_range, language),
    b"RSET": Row(command.no_arguments, Transaction.rset),
    b"TOP": Row(command.message_number_and_lines, Transaction.top),
    b"UIDL": Row(command.optional_message_number, Transaction.uidl),
    b"CAPA": Row(command.no_arguments, Transaction.capa),
    b"QUIT": Row(command.no_arguments, Transaction.quit),
}

TABLE = Table(COMMANDS, frozenset({b"USER", b"PASS", b"APOP", b"RPOP", b"AUTH", b"STLS", b"UTF8"}))
