"""The messages of APPEND and REPLACE, read as they come (RFC 4466 section 6.1, append-message).

A command brings one message or many (RFC 3502), each a literal, a literal that may hold NUL (RFC
3516), or pieces to be put together (RFC 4469). The reader tells what comes, one step a call; where
it tells a literal, its octets are next on the stream, and whoever called takes them before the next
step.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from postroom_chassis.net.stream import ByteStream

from postroom_imap.protocol.commands.annotation import AnnotationSetting, parse_annotations
from postroom_imap.protocol.commands.append import Literal, announced_literal
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.date_time import DateTime
from postroom_imap.protocol.invalid import InvalidCommand, SyntaxFault
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.reading import Gathering, Write


@dataclass(frozen=True, slots=True)
class MessageStart:
    """A message begins. ``internal_date`` None: the time of arrival."""

    flags: tuple[str, ...]
    internal_date: DateTime | None
    annotations: tuple[AnnotationSetting, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """The octets of a literal come next on the stream, once a synchronizing one is asked for."""

    literal: Literal


@dataclass(frozen=True, slots=True)
class Url:
    """The octets that a URL names are part of the message."""

    url: bytes


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """The message is whole."""


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """That was all, to the end of the line."""


Step = MessageStart | Text | Url | MessageEnd | CommandEnd | InvalidCommand
Stepping = Generator[None, None, Step]


class AppendReader:
    """The messages of one command.

    Args:
        line: what follows the mailbox name.
        write: gets the continuation requests for URLs that come as literals.
        most: messages of the command.
    """

    __slots__ = ("_cursor", "_gathering", "_left", "_limits", "_next", "_stream", "_tag", "_write")

    def __init__(
        self,
        stream: ByteStream,
        limits: Limits,
        write: Write,
        tag: bytes,
        line: bytes,
        most: int,
    ) -> None:
        self._stream = stream
        self._limits = limits
        self._write = write
        self._tag = tag
        self._left = most
        self._cursor = Cursor(line, 0, limits)
        self._gathering = Gathering(stream, limits, write)
        self._next: Callable[[], Stepping] = self._message

    def step(self) -> Stepping:
        """What comes next; nothing after ``CommandEnd`` or ``InvalidCommand``."""
        try:
            return (yield from self._next())
        except SyntaxFault as fault:
            refusal = InvalidCommand(self._tag, fault.text, fault.code, fault.refusal)
            # What stands in the line was not taken: a literal that it announces comes yet.
            return (yield from self._gathering.skip(self._cursor.data, refusal))

    def _message(self) -> Stepping:
        cursor = self._cursor
        cursor.space()
        flags: tuple[str, ...] = ()
        if cursor.at(b"("):
            flags = cursor.flag_list()
            cursor.space()
        internal_date = None
        if cursor.at(b'"'):
            internal_date = _date_time(cursor)
            cursor.space()
        annotations: tuple[AnnotationSetting, ...] = ()
        if cursor.take_word(b"ANNOTATION "):
            cursor.position -= 1
            broken = yield from self._gather_values()
            if broken is not None:
                return broken
            annotations = parse_annotations(self._cursor)
            self._cursor.space()
        self._left -= 1
        if self._left < 0:
            raise SyntaxFault("Unexpected text after the message")
        self._next = self._data
        return MessageStart(flags, internal_date, annotations)

    def _gather_values(self) -> Generator[None, None, InvalidCommand | None]:
        """Takes in the literals among annotations (RFC 5257 section 4.7): values, not messages.

        The cursor gets a line as one that is gathered: each literal in place behind its size.
        """
        while (literal := self._value_literal()) is not None:
            if len(self._cursor.data) + literal.size > self._limits.line + self._limits.literals:
                raise SyntaxFault("The literals are too large", b"TOOBIG")
            head, position = self._cursor.data, self._cursor.position
            value = yield from self._gathering.take_literal(literal)
            line = yield from self._gathering.read_line(self._tag)
            if isinstance(line, InvalidCommand):
                return line
            head = head[: head.rindex(b"{")] + b"{%d}\r\n" % literal.size
            self._cursor = Cursor(head + value + line, position, self._limits)
        return None

    def _value_literal(self) -> Literal | None:
        """The literal at the end of what came, where it is a value's: in parentheses still."""
        literal = announced_literal(self._cursor.data)
        if literal is None:
            return None
        rest = Cursor(self._cursor.data, self._cursor.position, self._limits)
        try:
            parse_annotations(rest)
        except SyntaxFault:
            # It was read up to there: what is wrong is that the octets haven't come yet.
            return literal if rest.position == rest.data.rindex(b"{") else None
        return None

    def _data(self) -> Stepping:
        cursor = self._cursor
        if cursor.at(b"{") or cursor.at(b"~{"):
            return self._literal(self._end_of_literal)
        word = cursor.word()
        if word not in (b"CATENATE", b"UTF8"):
            raise SyntaxFault("Expected a literal")
        cursor.space()
        cursor.expect(b"(")
        if word == b"CATENATE":
            return (yield from self._piece())
        if not cursor.at(b"~"):
            raise SyntaxFault("Expected a literal")
        return self._literal(self._end_of_utf8)  # RFC 6855 section 4

    def _piece(self) -> Stepping:
        cursor = self._cursor
        word = cursor.word()
        cursor.space()
        match word:
            case b"TEXT":
                return self._literal(self._end_of_text)
            case b"URL":
                self._next = self._end_of_piece
                if not cursor.at(b"{"):
                    return Url(cursor.astring())
                return (yield from self._url())
        raise SyntaxFault("Expected TEXT or URL")

    def _url(self) -> Stepping:
        """A URL that comes as a literal."""
        literal = announced_literal(self._cursor.data)
        if literal is None or not self._ends_in_literal():
            raise SyntaxFault("Expected a string")
        if literal.size > self._limits.literals:
            raise SyntaxFault("The literals are too large", b"TOOBIG")
        url = yield from self._gathering.take_literal(literal)
        broken = yield from self._read_line()
        return broken or Url(url)

    def _literal(self, following: Callable[[], Stepping]) -> Text:
        literal = announced_literal(self._cursor.data)
        if literal is None or not self._ends_in_literal():
            raise SyntaxFault("Expected a literal")
        self._next = following
        return Text(literal)

    def _ends_in_literal(self) -> bool:
        """Whether nothing but the announcement is left of the line."""
        rest = self._cursor.data[self._cursor.position :].removeprefix(b"~")
        return rest.count(b"{") == 1 and rest.startswith(b"{")

    def _end_of_literal(self) -> Stepping:
        broken = yield from self._read_line()
        return broken or self._message_end()

    def _end_of_utf8(self) -> Stepping:
        broken = yield from self._read_line()
        if broken:
            return broken
        self._cursor.expect(b")")
        return self._message_end()

    def _end_of_text(self) -> Stepping:
        broken = yield from self._read_line()
        return broken or (yield from self._end_of_piece())

    def _end_of_piece(self) -> Stepping:
        if self._cursor.take(b")"):
            return self._message_end()
        self._cursor.space()
        return (yield from self._piece())

    def _message_end(self) -> MessageEnd:
        self._next = self._end_of_message
        return MessageEnd()

    def _end_of_message(self) -> Stepping:
        if self._cursor.at_end():
            return CommandEnd()
        # Each message has the room of a command.
        self._gathering = Gathering(self._stream, self._limits, self._write)
        return (yield from self._message())

    def _read_line(self) -> Generator[None, None, InvalidCommand | None]:
        line = yield from self._gathering.read_line(self._tag)
        if isinstance(line, InvalidCommand):
            return line
        self._cursor = Cursor(line, 0, self._limits)
        return None


def _date_time(cursor: Cursor) -> DateTime:
    try:
        return DateTime.parse(cursor.string())
    except ValueError:
        raise SyntaxFault("Not a valid date-time") from None
