"""What a client sends, read from a ``ByteStream`` as generators: commands and what follows some.

The generators yield None where more bytes are needed; ``EndOfStream`` of the stream passes through.
Nothing else is raised, whatever the bytes: input that can't be obeyed comes back as
``InvalidCommand``, read to its end, so that the next command starts where it should. Where the end
can't be found in ``limits.discard`` octets, the value is ``fatal``.

Literals (RFC 3501 section 4.3, RFC 7888): a synchronizing one is refused before the client sends
it, with the tagged reply in the place of the continuation request; a non-synchronizing one has been
sent already and is read and dropped.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from postroom_chassis.net.stream import ByteStream, LineTooLong

from postroom_imap.protocol.commands.append import Literal, announced_literal
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.responses.codes import TOO_BIG
from postroom_imap.protocol.responses.status import continuation
from postroom_imap.protocol.sasl import decode_base64
from postroom_imap.protocol.secret import Secret
from postroom_imap.protocol.state import State
from postroom_imap.protocol.table import (
    Head,
    Request,
    find_head,
    find_tag,
    parse_arguments,
    parse_command,
)

Write = Callable[[bytes], None]
Reading = Generator[None, None, Request | InvalidCommand]

_CHUNK = 65_536
_LONGEST_ANNOUNCEMENT = 64  # octets at the end of a line that may announce a literal
READY = continuation("Ready for literal data")


@dataclass(frozen=True, slots=True)
class Done:
    """The end of IDLE (RFC 2177)."""


@dataclass(frozen=True, slots=True)
class SaslCancel:
    """The client gave up the exchange with ``*`` (RFC 3501 section 6.2.2)."""


def read_command(stream: ByteStream, limits: Limits, state: State, write: Write) -> Reading:
    """One command, or why it is none; an ``Append`` leaves its message on the stream.

    ``write`` gets the continuation requests for synchronizing literals, except that of APPEND's
    message: whether it may come is for the session to say, with ``READY`` or a tagged NO.
    """
    try:
        line = yield from stream.read_line(limits.line)
    except LineTooLong:
        return (yield from _refuse_long_line(stream, limits))
    text = without_line_end(line)
    if not text.endswith(b"}"):
        return parse_command(text, limits, state)
    gathering = Gathering(stream, limits, write)
    head = find_head(text, state)
    if isinstance(head, InvalidCommand):
        return (yield from gathering.skip(text, head))
    return (yield from gathering.read(text, head))


def discard_message(stream: ByteStream, size: int) -> Generator[None, None, None]:
    """Reads and drops ``size`` octets of a message that was refused, in bounded memory."""
    while size > 0:
        size -= len((yield from stream.read_some(min(size, _CHUNK))))


def read_done(
    stream: ByteStream, limits: Limits, tag: bytes
) -> Generator[None, None, Done | InvalidCommand]:
    """The line that ends the IDLE command ``tag``."""
    try:
        line = yield from stream.read_line(limits.line)
    except LineTooLong:
        skipped = yield from _skip_line(stream, limits, limits.line)
        return InvalidCommand(tag, "Expected DONE", fatal=skipped.tail is None)
    if without_line_end(line).upper() == b"DONE":
        return Done()
    return InvalidCommand(tag, "Expected DONE")


def read_sasl_response(
    stream: ByteStream, limits: Limits, tag: bytes
) -> Generator[None, None, Secret | SaslCancel | InvalidCommand]:
    """One response of the client in the exchange of the AUTHENTICATE command ``tag``, decoded."""
    try:
        line = yield from stream.read_line(limits.sasl_line)
    except LineTooLong:
        skipped = yield from _skip_line(stream, limits, limits.sasl_line)
        fatal = skipped.tail is None
        return InvalidCommand(tag, "The response is too long", TOO_BIG, fatal=fatal)
    text = without_line_end(line)
    if text == b"*":
        return SaslCancel()
    try:
        return Secret(decode_base64(text))
    except ValueError:
        return InvalidCommand(tag, "The response is not base64")


def without_line_end(line: bytes) -> bytes:
    """``line`` without CRLF, or without the bare LF that is let through."""
    return line[:-2] if line.endswith(b"\r\n") else line[:-1]


class Gathering:
    """One command while its lines and literals come in, with what it may still take."""

    __slots__ = ("_limits", "_line_room", "_literal_room", "_skipped", "_stream", "_write")

    def __init__(self, stream: ByteStream, limits: Limits, write: Write | None = None) -> None:
        self._stream = stream
        self._limits = limits
        self._write = write
        self._line_room = limits.line
        self._literal_room = limits.literals
        self._skipped = 0

    def read(self, text: bytes, head: Head) -> Reading:
        """The command that starts with the line ``text``, which announces a literal."""
        self._line_room -= len(text)
        pieces: list[bytes] = []
        while (literal := announced_literal(text)) is not None:
            if head.row.streams and not _is_mailbox(text, head, pieces):
                return (yield from self._finish_streaming(text, head, pieces))
            if literal.size > self._literal_room:
                refusal = InvalidCommand(head.tag, "The literals are too large", TOO_BIG)
                return (yield from self.skip(text, refusal))
            yield from self._take(text, literal, pieces)
            line = yield from self.read_line(head.tag)
            if isinstance(line, InvalidCommand):
                return line
            text = line
        return parse_arguments(b"".join((*pieces, text)), head, self._limits)

    def read_line(self, tag: bytes) -> Generator[None, None, bytes | InvalidCommand]:
        """A further line of the command ``tag``, without its end."""
        limit = max(self._line_room, len(b"\r\n"))
        try:
            line = yield from self._stream.read_line(limit)
        except LineTooLong:
            refusal = InvalidCommand(tag, "The command is too long", TOO_BIG)
            skipped = yield from _skip_line(self._stream, self._limits, limit)
            return (yield from self.skip(skipped.tail, refusal))
        self._line_room -= len(line)
        return without_line_end(line)

    def skip(
        self, text: bytes | None, refusal: InvalidCommand
    ) -> Generator[None, None, InvalidCommand]:
        """Drops the rest of a command whose last line was ``text``, None where that has no end.

        A client that waits for a continuation request sends nothing more: this is its answer.
        """
        while text is not None:
            literal = announced_literal(text)
            if literal is None or literal.synchronizing:
                return refusal
            self._skipped += literal.size + len(text)
            if self._skipped > self._limits.discard:
                break
            yield from discard_message(self._stream, literal.size)
            text = yield from self._skip_further_line()
        return replace(refusal, fatal=True)

    def take_literal(self, literal: Literal) -> Generator[None, None, bytes]:
        """The octets of a literal, which a synchronizing one is asked for."""
        if literal.synchronizing and self._write is not None:
            self._write(READY)
        self._literal_room -= literal.size
        return (yield from self._stream.read_exact(literal.size))

    def _skip_further_line(self) -> Generator[None, None, bytes | None]:
        try:
            return without_line_end((yield from self._stream.read_line(self._limits.line)))
        except LineTooLong:
            return (yield from _skip_line(self._stream, self._limits, self._limits.line)).tail

    def _finish_streaming(self, text: bytes, head: Head, pieces: list[bytes]) -> Reading:
        result = parse_arguments(b"".join((*pieces, text)), head, self._limits)
        if isinstance(result, InvalidCommand):
            return (yield from self.skip(text, result))
        return result

    def _take(
        self, text: bytes, literal: Literal, pieces: list[bytes]
    ) -> Generator[None, None, None]:
        content = yield from self.take_literal(literal)
        # One form for both kinds of literal, which is what Cursor reads.
        pieces += (text[: text.rindex(b"{")], b"{%d}\r\n" % literal.size, content)


def _is_mailbox(text: bytes, head: Head, pieces: list[bytes]) -> bool:
    """Whether the literal that ``text`` announces is the mailbox name and not a message."""
    if pieces or head.row.streams is None:
        return False
    before = head.row.streams.match(text, head.arguments)
    return before is not None and text.count(b"{", before.end()) == 1


@dataclass(frozen=True, slots=True)
class _SkippedLine:
    """How a long line began, and how it ended; ``tail`` None: it did not in ``limits.discard``."""

    start: bytes
    tail: bytes | None


def _skip_line(
    stream: ByteStream, limits: Limits, seen: int
) -> Generator[None, None, _SkippedLine]:
    """Drops a line of which ``seen`` octets are buffered and held no end."""
    start = tail = yield from stream.read_exact(seen)
    skipped = seen
    while skipped <= limits.discard:
        try:
            line = yield from stream.read_line(limits.line)
        except LineTooLong:
            part = yield from stream.read_exact(limits.line)
            skipped += len(part)
            tail = (tail + part)[-_LONGEST_ANNOUNCEMENT:]
        else:
            whole = tail + line
            return _SkippedLine(start, without_line_end(whole)[-_LONGEST_ANNOUNCEMENT:])
    return _SkippedLine(start, None)


def _refuse_long_line(stream: ByteStream, limits: Limits) -> Generator[None, None, InvalidCommand]:
    """Drops a command whose first line is too long."""
    skipped = yield from _skip_line(stream, limits, limits.line)
    refusal = InvalidCommand(find_tag(skipped.start), "The line is too long", TOO_BIG)
    return (yield from Gathering(stream, limits).skip(skipped.tail, refusal))
