"""APPEND (RFC 3501 section 6.3.11), with APPENDUID (RFC 4315 section 3).

A message of up to 1 MiB travels in the call itself; a larger one goes on to the store as it comes
from the client, so that a connection holds a piece of it and never the whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.connection import TimedOut
from postroom_chassis.net.stream import EndOfStream

from postroom_imap import replies
from postroom_imap.ports.messages import NewMessage, UploadId
from postroom_imap.protocol.commands import Append
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.reading import READY, discard_message, read_append_end
from postroom_imap.protocol.responses import codes, status
from postroom_imap.protocol.sequence_set import SequenceSet
from postroom_imap.session import Goodbye, Session

INLINE_BYTES = 1024 * 1024
PIECE_BYTES = 256 * 1024
MOST_DISCARDED = 1024 * 1024 * 1024  # of a message that was refused but comes all the same
_FIRST, _LAST = -62_135_596_800, 253_402_300_799  # the years 1 to 9999 in UTC


async def append(session: Session, tag: bytes, command: Append) -> None:
    refusal = await _refusal(session, tag, command)
    if refusal:
        await _turn_away(session, tag, command, refusal)
        return
    if command.message.synchronizing:
        session.write(READY)
    incoming = _Incoming(session, command.message.size)
    try:
        source = await _take(session, incoming)
    except PostroomError as error:
        await incoming.discard()
        if not await _end(session, tag):
            return
        _fail(session, tag, error)
        return
    if await _end(session, tag):
        await _add(session, tag, command, source)


async def _add(session: Session, tag: bytes, command: Append, source: bytes | UploadId) -> None:
    date = command.internal_date
    moment = None if date is None else min(max(date.epoch, _FIRST), _LAST)
    message = NewMessage(source, command.flags, moment)
    front = session.front
    try:
        appended = await front.messages.append(session.ticket, command.mailbox, message)
    except PostroomError as error:
        _fail(session, tag, error)
        return
    front.views.notice(session.ticket.account_id, appended.change)
    code = codes.append_uid(appended.uid_validity, SequenceSet.of(appended.uids))
    session.finish(tag, "APPEND completed", code)


async def _refusal(session: Session, tag: bytes, command: Append) -> bytes:
    """Why the message isn't wanted, before it comes."""
    size, limit = command.message.size, session.front.bounds.append_bytes
    if size > limit:
        return status.no(tag, f"A message has at most {limit} octets here", codes.TOO_BIG)
    if size == 0:
        return status.no(tag, "A message isn't empty")
    if size > INLINE_BYTES:
        # Worth a call of its own: a client is spared sending it in vain.
        try:
            await session.front.mailboxes.status(session.ticket, command.mailbox)
        except PostroomError as error:
            code = codes.TRY_CREATE if error.kind is Kind.NOT_FOUND else None
            return replies.refusal(tag, error, code)
    return b""


async def _turn_away(session: Session, tag: bytes, command: Append, refusal: bytes) -> None:
    """Answer NO: in the place of the continuation, or once the message has come and gone."""
    if command.message.synchronizing:
        session.write(refusal)
        return
    if command.message.size > MOST_DISCARDED:
        raise Goodbye(status.bye("That is far too large", codes.TOO_BIG))
    await _Incoming(session, command.message.size).discard()
    if await _end(session, tag):
        session.write(refusal)


async def _take(session: Session, incoming: _Incoming) -> bytes | UploadId:
    if incoming.left <= INLINE_BYTES:
        return await incoming.whole()
    upload_id = await session.front.messages.upload(session.ticket, incoming.pieces())
    incoming.check()
    return upload_id


async def _end(session: Session, tag: bytes) -> bool:
    """Read the line end behind the message; False where something else stood there."""
    connection = session.connection
    invalid = await connection.read(
        read_append_end(connection.stream, session.limits, tag),
        session.front.bounds.autologout_seconds,
    )
    if isinstance(invalid, InvalidCommand):
        session.complain(invalid)
        return False
    return True


def _fail(session: Session, tag: bytes, error: PostroomError) -> None:
    if error.kind is not Kind.NOT_FOUND:
        raise error
    session.refuse(tag, replies.text_of(error), codes.TRY_CREATE)


class _Incoming:
    """A message on its way in.

    Attributes:
        left: octets still to come.
    """

    def __init__(self, session: Session, size: int) -> None:
        self._connection = session.connection
        self._seconds = session.front.bounds.autologout_seconds
        self.left = size
        self._lost: Exception | None = None

    async def whole(self) -> bytes:
        stream = self._connection.stream
        size, self.left = self.left, 0
        return await self._connection.read(stream.read_exact(size), self._seconds)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The octets as they come. Ends early, and keeps why, where the client is lost."""
        stream = self._connection.stream
        while self.left:
            size = min(self.left, PIECE_BYTES)
            try:
                piece = await self._connection.read(stream.read_exact(size), self._seconds)
            except (TimedOut, EndOfStream, ConnectionError) as lost:
                self._lost = lost
                return
            self.left -= size
            yield piece

    def check(self) -> None:
        """Raise what ended the pieces early."""
        if self._lost is not None:
            raise self._lost

    async def discard(self) -> None:
        self.check()
        stream, left = self._connection.stream, self.left
        await self._connection.read(discard_message(stream, left), self._seconds)
