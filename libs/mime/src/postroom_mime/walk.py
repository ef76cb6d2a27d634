"""A message taken apart while it passes in pieces, for those who change something of it.

What is a part, and where it begins and ends, is as `scan` has it, with two differences: a delimiter
has no more than `limits.BOUNDARY_BYTES` in its line, and what exceeds a limit isn't opaque but ends
the walk, since nobody can say what is in it. A message within is read where it is a
message/rfc822; every other one is a leaf, as each of these may have a transfer encoding (RFC 6532
section 3.7), or has no message in it.

All the octets of the tokens together, in their order, are the message.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from postroom_mime import limits
from postroom_mime.headers import first_fields
from postroom_mime.parameters import ContentType
from postroom_mime.scan import content_type, read_boundary, transfer_encoding

_TEXT: Final = ContentType("text", "plain", ())
_MESSAGE: Final = ContentType("message", "rfc822", ())
IDENTITY: Final = frozenset(("7bit", "8bit", "binary"))

_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
# A line that is longer is no delimiter, and no line of a message either (RFC 5322 section 2.1.1).
_LINE_OCTETS: Final = limits.BOUNDARY_BYTES + 100


class Unreadable(Exception):
    """A limit was met, the message says which."""


class Kind(Enum):
    """What a token is."""

    HEADER = auto()  # with its empty line, where there is one
    BODY = auto()  # of a leaf, or what stands round the parts of a multipart
    DELIMITER = auto()  # with the line breaks before and after it


@dataclass(frozen=True, slots=True)
class Entity:
    """A message, or a part of one.

    Attributes:
        number: from 0, in the order of the message.
        encoding: as its header says, in lower case; "7bit" where that says nothing.
        root: the number of the message that it is in, or that it is.
        sealed: it is in a multipart/signed, of which nothing may be altered on its way (RFC 1847
            section 2.1).
        versioned: its header has MIME-Version.
    """

    number: int
    kind: ContentType
    encoding: str
    root: int
    sealed: bool
    versioned: bool

    @property
    def is_multipart(self) -> bool:
        return self.kind.type == "multipart"

    @property
    def is_signed(self) -> bool:
        """Whether what it holds is sealed."""
        return self.sealed or (self.is_multipart and self.kind.subtype == "signed")


class Token(NamedTuple):
    """A piece of a message.

    Attributes:
        entity: whose header or body it is; of a delimiter, the multipart.
    """

    kind: Kind
    entity: Entity
    octets: bytes


class _Open(NamedTuple):
    """A multipart that hasn't ended."""

    entity: Entity
    boundary: bytes


class _Delimiter(NamedTuple):
    """A line that begins a part, or ends the parts.

    Attributes:
        end: behind its line break.
        level: of the multipart.
    """

    line: int
    end: int
    level: int
    closing: bool


_Reading = Generator[Token, None, int | None]


class Walk:
    """Takes one message apart.

    A piece of a body has whole lines, save the last one of a body, which has no line break, and
    lines that are too long to be any. A header (`limits.HEADER_BYTES`) or two lines are held back.
    """

    __slots__ = (
        "_count",
        "_default",
        "_delimiters",
        "_entity",
        "_false_delimiters",
        "_held",
        "_open",
        "_root",
        "_sealed",
        "_within_header",
        "_within_line",
    )

    def __init__(self) -> None:
        self._held = b""
        self._within_header = True
        self._within_line = False
        self._open: list[_Open] = []
        self._delimiters: dict[bytes, tuple[int, bool]] = {}
        self._false_delimiters = limits.FALSE_DELIMITERS
        self._count = 0
        self._entity = Entity(0, _TEXT, "7bit", 0, sealed=False, versioned=False)
        # Of the entity whose header comes.
        self._default = _TEXT
        self._root: int | None = None
        self._sealed = False

    def feed(self, piece: bytes, *, last: bool = False) -> Iterator[Token]:
        """What there is after the next piece. Raises Unreadable."""
        data, at = self._held + piece, 0
        while at < len(data):
            read = self._read_header if self._within_header else self._read_body
            end = yield from read(data, at, last)
            if end is None:
                break
            at = end
        self._held = data[at:]

    def end(self) -> Iterator[Token]:
        """What was held back. Raises Unreadable."""
        return self.feed(b"", last=True)

    def delimits(self, line: bytes) -> bool:
        """Whether a line would be a delimiter where the last token is."""
        return line[:2] == b"--" and line[2:].rstrip(b" \t\r\n") in self._delimiters

    # Each reads on from `at`, and returns where it has ended; None: it needs more.

    def _read_header(self, data: bytes, at: int, last: bool) -> _Reading:
        end = _header_end(data, at)
        stop = len(data) if end < 0 else end
        delimiter = self._find_delimiter(data, at, stop, last, at_line=True)
        if delimiter is not None:
            stop = delimiter.line
        elif end < 0 and not last and stop - at <= limits.HEADER_BYTES:
            return None
        if stop - at > limits.HEADER_BYTES:
            raise Unreadable("a header section is too long")
        yield self._enter(data[at:stop])
        return stop

    def _read_body(self, data: bytes, at: int, last: bool) -> _Reading:
        delimiter = self._find_delimiter(data, at, len(data), last, at_line=not self._within_line)
        if delimiter is None:
            end = len(data) if last else self._certain(data, at)
        else:
            end = max(_before_line_break(data, delimiter.line), at)
        if end > at:
            self._within_line = data[end - 1 : end] != b"\n"
            yield Token(Kind.BODY, self._entity, data[at:end])
        if delimiter is None:
            return end if end > at else None
        multipart = self._open[delimiter.level].entity
        yield Token(Kind.DELIMITER, multipart, data[end : delimiter.end])
        self._resume(delimiter)
        return delimiter.end

    def _certain(self, data: bytes, at: int) -> int:
        """How far data is body, whatever comes: a line isn't until its end is known, nor is a line
        break that perhaps belongs to a delimiter.
        """
        line = data.rfind(b"\n", at) + 1 or at
        if len(data) - line > _LINE_OCTETS:
            return len(data) - data.endswith(b"\r")
        if not self._open or line == at:
            return line
        before = data.rfind(b"\n", at, line - 1) + 1 or at
        if line - before <= _LINE_OCTETS:
            return before
        return _before_line_break(data, line)

    def _find_delimiter(
        self, data: bytes, at: int, stop: int, last: bool, *, at_line: bool
    ) -> _Delimiter | None:
        """The first delimiter whose line begins before `stop`."""
        if not self._open:
            return None
        line = at if at_line and data.startswith(b"--", at) else _next_dashes(data, at, stop)
        while line >= 0:
            found = data.find(b"\n", line, line + _LINE_OCTETS)
            if found < 0 and not (last and len(data) - line <= _LINE_OCTETS):
                end = line
            else:
                end = len(data) if found < 0 else found + 1
                name = data[line + 2 : end].rstrip(b" \t\r\n")
                if name in self._delimiters:
                    return _Delimiter(line, end, *self._delimiters[name])
                self._false_delimiters -= 1
                if self._false_delimiters < 0:
                    raise Unreadable("too many lines look like delimiters")
            line = _next_dashes(data, max(end - 1, line), stop)
        return None

    def _enter(self, header: bytes) -> Token:
        """Read a header, and find out what follows it."""
        fields = first_fields(header)
        kind = content_type(fields) or self._default
        number, self._count = self._count, self._count + 1
        if number >= limits.PARTS:
            raise Unreadable("it has too many parts")
        entity = self._entity = Entity(
            number,
            kind,
            transfer_encoding(fields),
            number if self._root is None else self._root,
            self._sealed,
            b"mime-version" in fields,
        )
        self._within_line = False
        self._within_header = kind[:2] == _MESSAGE[:2] and entity.encoding in IDENTITY
        self._default, self._root = _TEXT, None
        boundary = read_boundary(kind.params) if entity.is_multipart else b""
        if boundary:
            self._open.append(_Open(entity, boundary))
            self._name_delimiters()
        return Token(Kind.HEADER, entity, header)

    def _resume(self, delimiter: _Delimiter) -> None:
        """A part begins, or the parts of a multipart have ended."""
        entity = self._open[delimiter.level].entity
        if len(self._open) > delimiter.level + (not delimiter.closing):
            del self._open[delimiter.level + (not delimiter.closing) :]
            self._name_delimiters()
        self._entity = entity
        self._within_header, self._within_line = not delimiter.closing, False
        # RFC 2046 section 5.1.5
        self._default = _MESSAGE if entity.kind.subtype == "digest" else _TEXT
        self._root, self._sealed = entity.root, entity.is_signed

    def _name_delimiters(self) -> None:
        """An outer multipart's delimiter ends the inner ones, so it counts first."""
        if len(self._open) > limits.DEPTH:
            raise Unreadable("its parts are nested too deep")
        self._delimiters = {}
        for level, (_, boundary) in enumerate(self._open):
            self._delimiters.setdefault(boundary, (level, False))
            self._delimiters.setdefault(boundary + b"--", (level, True))


def _header_end(data: bytes, at: int) -> int:
    """Behind the empty line that ends the header at `at`; -1: it isn't there."""
    if data.startswith(b"\n", at):
        return at + 1
    if data.startswith(b"\r\n", at):
        return at + 2
    found = _EMPTY_LINE.search(data, at)
    return found.end() if found else -1


def _next_dashes(data: bytes, at: int, stop: int) -> int:
    """Where the next line begins that has two hyphens first; -1: nowhere."""
    found = data.find(b"\n--", at, stop)
    return found + 1 if found >= 0 else -1


def _before_line_break(data: bytes, line: int) -> int:
    """Where the line break begins that is in front of a line."""
    return line - (2 if data[max(line - 2, 0) : line] == b"\r\n" else 1)
