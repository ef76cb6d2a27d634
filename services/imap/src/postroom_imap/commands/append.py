"""APPEND (RFC 3501 section 6.3.11) and REPLACE (RFC 8508): messages as they come.

Literals of up to 1 MiB in all travel in the call itself. What is more goes to the store ahead of
it: a large literal while it comes from the client, small ones a MiB at a time. So a connection
holds a piece of what it is sent and never the whole. Messages of several pieces (RFC 4469) are put
together by the store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.connection import Connection, TimedOut
from postroom_chassis.net.stream import EndOfStream
from postroom_mime import parse_imap_url

from postroom_imap import replies
from postroom_imap.ports.messages import (
    MOST_APPENDED,
    Appended,
    BadReference,
    Catenation,
    NewMessage,
    Reference,
    Replaced,
    UploadId,
)
from postroom_imap.protocol.appending import (
    AppendReader,
    CommandEnd,
    MessageEnd,
    MessageStart,
    Step,
    Text,
    Url,
)
from postroom_imap.protocol.commands import AnnotationSetting, Append, Replace
from postroom_imap.protocol.date_time import DateTime
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.mailbox_name import canonical
from postroom_imap.protocol.reading import READY, discard_message
from postroom_imap.protocol.responses import codes, status
from postroom_imap.protocol.rights import INSERT
from postroom_imap.protocol.sequence_set import SequenceSet
from postroom_imap.session import Goodbye, Session
from postroom_imap.sharing import owner_quota

INLINE_BYTES = 1024 * 1024
PIECE_BYTES = 256 * 1024
MOST_TIMES = 4  # the largest message that the literals of one command may add up to
MOST_ANNOTATIONS_BYTES = 1024 * 1024  # of all messages of a command; the store holds one to it
MOST_DISCARDED = 1024 * 1024 * 1024  # of messages that were refused but come all the same
_FIRST, _LAST = -62_135_596_800, 253_402_300_799  # the years 1 to 9999 in UTC


async def append(session: Session, tag: bytes, command: Append) -> None:
    reader = AppendReader(
        session.connection.stream,
        session.limits,
        session.write,
        tag,
        command.messages,
        MOST_APPENDED + 1,
    )
    incoming = await _Receiving(session, tag, command.mailbox, reader).receive()
    if incoming is None:
        return
    await session.check_view()
    try:
        appended = await _append(session, command.mailbox, incoming)
    except _Refused as refused:
        refused.answer(session, tag)
        return
    session.front.views.notice(session.ticket, appended.change)
    session.finish(tag, "APPEND completed", _append_uid(appended))


async def replace(session: Session, tag: bytes, command: Replace) -> None:
    reader = AppendReader(
        session.connection.stream, session.limits, session.write, tag, command.message, 1
    )
    receiving = _Receiving(session, tag, command.mailbox, reader)
    tracker = session.selected
    position = _position(session, command)
    if session.dialect.uid_only and not command.by_uid:
        receiving.refusal = _Refused("Name messages by UID", codes.UID_REQUIRED, bad=True)
    elif tracker.read_only:
        receiving.refusal = _Refused("The mailbox is selected read-only")
    elif position is None:
        receiving.refusal = _Refused("There is no such message", codes.NONEXISTENT)
    incoming = await receiving.receive()
    if incoming is None or position is None:
        return
    await session.check_view()
    view, front = tracker.view, session.front
    try:
        replaced = Replaced(view.key, tracker.uids[position])
        appended = await _append(session, command.mailbox, incoming, replaced)
    except _Refused as refused:
        refused.answer(session, tag)
        return
    # APPENDUID and EXISTS come before the EXPUNGE (RFC 8508 section 4.3).
    session.write(status.untagged_ok("The replacement is there", _append_uid(appended)))
    if appended.change.key(session.ticket.account_id) == view.key:
        await front.views.take(tracker.standing, appended.change, tracker)
        session.write(b"".join(tracker.tell(expunge=False, uid=command.by_uid)))
    else:
        front.views.notice(session.ticket, appended.change)
    await front.views.take(tracker.standing, appended.source_change, tracker)
    session.finish(tag, "REPLACE completed", uid=command.by_uid)


def _position(session: Session, command: Replace) -> int | None:
    """Where the session counts the message that is to be replaced."""
    tracker = session.selected
    if command.number is None:
        return tracker.exists - 1 if tracker.exists else None
    if not command.by_uid:
        return command.number - 1 if command.number <= tracker.exists else None
    if command.number >= 2**32:
        return None
    position = tracker.position(command.number)
    return position if position >= 0 else None


def _append_uid(appended: Appended) -> bytes:
    return codes.append_uid(appended.uid_validity, SequenceSet.of(appended.uids))


async def _append(
    session: Session,
    mailbox: str,
    incoming: Sequence[_Incoming],
    replaced: Replaced | None = None,
) -> Appended:
    """Add the messages. Raises _Refused, PostroomError."""
    messages = [message.new() for message in incoming]
    try:
        quota = await owner_quota(session, mailbox)
        return await session.front.messages.append(
            session.ticket, mailbox, *messages, replaced=replaced, quota=quota
        )
    except BadReference as bad:
        url = incoming[bad.message].urls[bad.piece]
        raise _Refused("The URL names nothing here", codes.bad_url(url)) from None
    except PostroomError as error:
        if error.kind is Kind.NOT_FOUND:
            raise _Refused(replies.text_of(error), codes.TRY_CREATE) from None
        if error.kind is Kind.CONFLICT:
            raise _Refused(replies.text_of(error), codes.EXPUNGE_ISSUED) from None
        if error.kind is Kind.INVALID and any(one.annotations for one in incoming):
            # RFC 5257 section 3.2.1: a part that isn't there.
            raise _Refused(replies.text_of(error), bad=True) from None
        raise


class _Refused(Exception):
    """The command is answered NO, or BAD."""

    def __init__(self, text: str, code: bytes | None = None, *, bad: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.bad = bad

    def answer(self, session: Session, tag: bytes) -> None:
        (session.reject if self.bad else session.refuse)(tag, self.text, self.code)


@dataclass(slots=True)
class _Held:
    """A literal: in memory, or with the store already."""

    source: bytes | UploadId


@dataclass(slots=True)
class _Incoming:
    """A message on its way in.

    Attributes:
        urls: as the client wrote them, by the number of the piece.
    """

    flags: tuple[str, ...]
    internal_date: DateTime | None
    annotations: Sequence[AnnotationSetting] = ()
    pieces: list[_Held | Reference] = field(default_factory=list)
    urls: dict[int, bytes] = field(default_factory=dict)

    def new(self) -> NewMessage:
        date = self.internal_date
        moment = None if date is None else min(max(date.epoch, _FIRST), _LAST)
        sources = [p if isinstance(p, Reference) else p.source for p in self.pieces]
        first = sources[0]
        if len(sources) == 1 and not isinstance(first, Reference):
            return NewMessage(first, self.flags, moment, self.annotations)
        return NewMessage(Catenation(sources), self.flags, moment, self.annotations)


class _Receiving:
    """Takes the messages of a command.

    Attributes:
        refusal: why the command will be answered NO; what comes is read past then.
    """

    def __init__(self, session: Session, tag: bytes, mailbox: str, reader: AppendReader) -> None:
        self.refusal: _Refused | None = None
        self._session = session
        self._connection = session.connection
        self._seconds = session.front.bounds.autologout_seconds
        self._tag = tag
        self._mailbox = mailbox
        self._reader = reader
        self._messages: list[_Incoming] = []
        self._inline: list[_Held] = []
        self._inline_bytes = 0
        self._bytes = 0  # of the message so far, as far as that is known
        self._all_bytes = 0
        self._pieces = 0
        self._annotations_bytes = 0
        self._discarded = 0
        self._failure: PostroomError | None = None

    async def receive(self) -> Sequence[_Incoming] | None:
        """The messages, once the command was read to its end; None where it was answered.

        Raises PostroomError where the store failed, once the command was read to its end.
        """
        while True:
            step = await self._step()
            if isinstance(step, InvalidCommand):
                self._session.complain(step)
                return None
            if isinstance(step, CommandEnd):
                if self._failure is not None:
                    raise self._failure
                if self.refusal is not None:
                    self.refusal.answer(self._session, self._tag)
                    return None
                return self._messages
            try:
                await self._take(step)
            except _Abandoned:
                return None

    async def _step(self) -> Step:
        return await self._connection.read(self._reader.step(), self._seconds)

    async def _take(self, step: Step) -> None:
        match step:
            case MessageStart(flags, date, annotations):
                self._bytes = 0
                self._annotations_bytes += sum(len(one.value or b"") for one in annotations)
                if self._annotations_bytes > MOST_ANNOTATIONS_BYTES:
                    text = (
                        f"A command brings at most {MOST_ANNOTATIONS_BYTES} octets of annotations"
                    )
                    self._refuse(text, codes.LIMIT)
                most = self._session.front.bounds.save_limit
                if len(self._messages) >= most:
                    text = f"A command brings at most {most} messages"
                    self._refuse(text, codes.message_limit(most))
                if len(self._messages) >= MOST_APPENDED:
                    self._refuse(f"A command brings at most {MOST_APPENDED} messages", codes.LIMIT)
                elif self.refusal is None:
                    self._messages.append(_Incoming(flags, date, annotations))
            case Text(literal):
                await self._take_text(literal.size, literal.synchronizing)
            case Url(url):
                self._take_url(url)
            case MessageEnd() if self.refusal is None and not self._may_have_bytes():
                # It is also how a client takes back what it began (RFC 3502 section 6.3.11).
                self._refuse("A message isn't empty")

    def _may_have_bytes(self) -> bool:
        return self._bytes > 0 or bool(self._messages[-1].urls)

    def _count_piece(self) -> None:
        self._pieces += 1
        if self._pieces > MOST_APPENDED:
            self._refuse(f"A command brings at most {MOST_APPENDED} pieces", codes.LIMIT)

    def _take_url(self, url: bytes) -> None:
        self._count_piece()
        if self.refusal is not None:
            return
        session, message = self._session, self._messages[-1]
        selected = session.tracker.standing.name if session.tracker is not None else None
        reference = _reference(url, selected)
        if reference is None:
            self._refuse("The URL names no message here", codes.bad_url(url))
            return
        message.urls[len(message.pieces)] = url
        message.pieces.append(reference)

    async def _take_text(self, size: int, synchronizing: bool) -> None:
        self._count_piece()
        self._bytes += size
        self._all_bytes += size
        await self._check(size)
        if self.refusal is not None or self._failure is not None:
            await self._turn_away(size, synchronizing)
            return
        if synchronizing:
            self._session.write(READY)
        try:
            source = await self._read(size)
        except PostroomError as error:
            self._fail(error)
            return
        held = _Held(source)
        self._messages[-1].pieces.append(held)
        if isinstance(source, bytes):
            self._inline.append(held)
            self._inline_bytes += size

    async def _check(self, size: int) -> None:
        """Refuse a literal before it comes."""
        if self.refusal is not None or self._failure is not None:
            return
        limit = self._session.front.bounds.append_bytes
        if self._bytes > limit:
            self._refuse(f"A message has at most {limit} octets here", codes.TOO_BIG)
        elif self._all_bytes > MOST_TIMES * limit:
            self._refuse("The messages are too large together", codes.TOO_BIG)
        elif size > INLINE_BYTES and size == self._all_bytes:
            # Worth a call of its own: a client is spared sending it in vain.
            try:
                await self._check_right()
            except PostroomError as error:
                if error.kind is Kind.NOT_FOUND:
                    self._refuse(replies.text_of(error), codes.TRY_CREATE)
                else:
                    self._fail(error)

    async def _check_right(self) -> None:
        rights = await self._session.front.mailboxes.rights(self._session.ticket, self._mailbox)
        if INSERT not in rights:
            raise PostroomError(Kind.DENIED, f"the right {INSERT} on the mailbox is needed")

    async def _read(self, size: int) -> bytes | UploadId:
        """Take a literal in. Raises PostroomError once it was read past."""
        session, stream = self._session, self._connection.stream
        incoming = _Pieces(self._connection, size, self._seconds)
        try:
            if size > INLINE_BYTES:
                upload_id = await session.front.messages.upload(session.ticket, incoming.read())
                incoming.check()
                return upload_id
            if self._inline_bytes + size > INLINE_BYTES:
                await self._flush()
        except PostroomError:
            incoming.check()
            await self._discard(incoming.left)
            raise
        return await self._connection.read(stream.read_exact(size), self._seconds)

    async def _flush(self) -> None:
        """Give the store what is in memory."""
        session = self._session
        contents = [held.source for held in self._inline if isinstance(held.source, bytes)]
        upload_ids = await session.front.messages.upload_many(session.ticket, contents)
        for held, upload_id in zip(self._inline, upload_ids, strict=True):
            held.source = upload_id
        self._inline.clear()
        self._inline_bytes = 0

    async def _turn_away(self, size: int, synchronizing: bool) -> None:
        """Answer in the place of the continuation, or read a literal past that comes all the same.

        Raises _Abandoned where the command is answered: the client sends no more of it.
        """
        if not synchronizing:
            await self._discard(size)
            return
        if self._failure is not None:
            raise self._failure
        if self.refusal is not None:
            self.refusal.answer(self._session, self._tag)
        raise _Abandoned

    async def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > MOST_DISCARDED:
            raise Goodbye(status.bye("That is far too large", codes.TOO_BIG))
        await self._connection.read(discard_message(self._connection.stream, size), self._seconds)

    def _refuse(self, text: str, code: bytes | None = None) -> None:
        if self.refusal is None:
            self.refusal = _Refused(text, code)
            self._forget()

    def _fail(self, error: PostroomError) -> None:
        self._failure = error
        self._forget()

    def _forget(self) -> None:
        for held in self._inline:
            held.source = b""
        self._inline.clear()
        self._inline_bytes = 0


class _Abandoned(Exception):
    """The command was answered before all of it came."""


class _Pieces:
    """A large literal on its way in.

    Attributes:
        left: octets still to come.
    """

    def __init__(self, connection: Connection, size: int, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self.left = size
        self._lost: Exception | None = None

    async def read(self) -> AsyncIterator[bytes]:
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
        """Raise what ended the octets early."""
        if self._lost is not None:
            raise self._lost


def _reference(url: bytes, selected: str | None) -> Reference | None:
    """What a URL names in the session's account (RFC 4469 section 3): relative ones alone do."""
    try:
        parsed = parse_imap_url(url.decode("ascii"))
    except ValueError:
        return None
    mailbox = parsed.mailbox_from(selected)
    if parsed.host is not None or parsed.auth is not None or mailbox is None:
        return None
    offset, length = parsed.partial or (0, None)
    return Reference(
        canonical(mailbox),
        parsed.uid_validity or 0,
        parsed.uid,
        parsed.section,
        (offset, length or 0) if parsed.partial else None,
    )
