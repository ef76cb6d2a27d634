"""One pass over a message: where every part begins and ends, and what it says of itself.

Any bytes are a message. What RFC 2045 and 2046 leave open is read so:

* A line is a delimiter only if it is `--boundary` or `--boundary--` and nothing but white space
  (parsers that accept any line that begins so disagree with those that sign and filter mail).
* A missing closing delimiter ends at the end of the outer part; a delimiter of an outer multipart
  always ends the inner parts.
* A multipart without a boundary or without parts, a message/rfc822 in base64 or quoted-printable,
  and whatever exceeds `limits` stay opaque leaves.
* A header without an empty line ends with its part.
"""

from collections.abc import Iterator, Mapping
from mmap import mmap
from typing import Final, NamedTuple

from postroom_mime import limits
from postroom_mime.headers import find_body, first_fields, unfold
from postroom_mime.parameters import (
    ContentType,
    Params,
    decode_param,
    parse_content_type,
    parse_disposition,
    parse_languages,
    parse_word,
)
from postroom_mime.structure import Message, Part

_TEXT: Final = ContentType("text", "plain", ())
_MESSAGE: Final = ContentType("message", "rfc822", ())

# RFC 2046 section 5.2.1 allows these for message/rfc822. An encoded one can't be given byte ranges.
_IDENTITY: Final = frozenset(("7bit", "8bit", "binary"))

# RFC 3501 section 7.4.2 has lines of text and of messages. A multipart without parts is shown as
# text, so that a reader sees what is in it.
_COUNTED_WITH_CHILDREN: Final = frozenset(("message",))
_COUNTED_WITHOUT: Final = frozenset(("text", "multipart"))


def scan(message: bytes | memoryview | mmap) -> Message:
    """Return the structure of a message; bytes are read in place, the other types copied once."""
    raw = message if isinstance(message, bytes) else bytes(message)
    return scan_fields(raw)[0]


def scan_fields(raw: bytes) -> tuple[Message, dict[bytes, bytes]]:
    """Return the structure, and the first field of each name of the top header (`first_fields`)."""
    body_start = find_body(raw, 0, len(raw))
    fields = first_fields(raw[:body_start])
    scanner = _Scanner(raw)
    root = scanner.read_part(Span(0, body_start, len(raw)), fields, _TEXT, 0)
    return Message(len(raw), root, scanner.truncated), fields


class Span(NamedTuple):
    """Where a part is: its header, then its body, to the line break before the delimiter."""

    start: int
    body: int
    end: int


class _Scanner:
    """The state of one scan: what is left of the limits, and whether one was met."""

    __slots__ = ("_false_delimiters", "_headers", "_parts", "_raw", "_work", "truncated")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._parts = limits.PARTS
        self._headers = limits.PART_HEADERS_BYTES
        self._work = max(limits.WORK_FLOOR, limits.SEARCHES_OF_MESSAGE * len(raw))
        self._false_delimiters = limits.FALSE_DELIMITERS
        self.truncated = False

    def read_part(
        self, span: Span, fields: Mapping[bytes, bytes], default: ContentType, depth: int
    ) -> Part:
        """Read the part whose header has these fields; `default` is its type if it states none."""
        kind = content_type(fields) or default
        encoding = transfer_encoding(fields)
        children: tuple[Part, ...] = ()
        if kind.type == "multipart":
            children = self._read_multipart(span, kind, depth)
        elif kind.type == "message" and kind.subtype in ("rfc822", "global"):
            children = self._read_message(span, encoding, depth)
        counted = kind.type in (_COUNTED_WITH_CHILDREN if children else _COUNTED_WITHOUT)
        return Part(
            header_start=span.start,
            body_start=span.body,
            body_end=span.end,
            type=kind.type,
            subtype=kind.subtype,
            params=kind.params,
            encoding=encoding,
            lines=self._count_lines(span) if counted else 0,
            children=children,
            id=_value(fields, b"content-id"),
            description=_value(fields, b"content-description"),
            md5=_value(fields, b"content-md5"),
            disposition=_disposition(fields),
            language=_languages(fields),
            location=_value(fields, b"content-location"),
        )

    def _read_message(self, span: Span, encoding: str, depth: int) -> tuple[Part, ...]:
        """Read the message inside a message/rfc822."""
        if encoding not in _IDENTITY or not self._admit(depth):
            return ()
        root = self._read_between(span.body, span.end, span.end, _TEXT, depth)
        return (root,) if root else ()

    def _read_multipart(self, span: Span, kind: ContentType, depth: int) -> tuple[Part, ...]:
        """Read the parts of a multipart; none without boundary or delimiter, or too deep."""
        boundary = read_boundary(kind.params)
        if not boundary or not self._admit(depth) or not self._afford(span.end - span.body):
            return ()
        default = _MESSAGE if kind.subtype == "digest" else _TEXT  # RFC 2046 section 5.1.5
        parts: list[Part] = []
        for start, end, delimiter in self._between_delimiters(span, b"\n--" + boundary):
            if not self._admit(depth):
                break
            part = self._read_between(start, end, delimiter, default, depth)
            if part is None:
                break
            parts.append(part)
        return tuple(parts)

    def _read_between(
        self, start: int, end: int, delimiter: int, default: ContentType, depth: int
    ) -> Part | None:
        """Read the part from `start` to `end`, where the line break before `delimiter` begins.

        None: its header is more than the limit leaves.

        A part with an empty body has one empty line before the delimiter, not two: it is the
        header's, or BODY[n.MIME] would lack the end that RFC 3501 section 6.4.5 wants.
        """
        body = find_body(self._raw, start, delimiter)
        if body - start > self._headers:
            self.truncated = True
            return None
        self._headers -= body - start
        fields = first_fields(self._raw[start:body])
        return self.read_part(Span(start, body, max(body, end)), fields, default, depth + 1)

    def _between_delimiters(self, span: Span, delimiter: bytes) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, offset of the next delimiter) of what lies between delimiter lines."""
        raw, end = self._raw, span.end
        start = -1
        # The line break that ends the header also begins the first delimiter.
        found = raw.find(delimiter, max(span.body - 1, 0), end)
        while found >= 0:
            line_end = raw.find(b"\n", found + len(delimiter), end)
            line_end = end if line_end < 0 else line_end
            rest = raw[found + len(delimiter) : line_end].rstrip(b" \t\r")
            if rest in (b"", b"--"):
                if start >= 0:
                    break_length = 2 if raw.startswith(b"\r", found - 1) else 1
                    yield start, found + 1 - break_length, found + 1
                start = min(line_end + 1, end)
                if rest:
                    return
            elif not self._forgive_false_delimiter():
                break
            found = raw.find(delimiter, line_end, end)
        if start >= 0:
            yield start, end, end

    def _admit(self, depth: int) -> bool:
        """Take one part from the budget."""
        if depth >= limits.DEPTH or self._parts <= 0:
            self.truncated = True
            return False
        self._parts -= 1
        return True

    def _afford(self, size: int) -> bool:
        """Take a look at `size` bytes from the budget."""
        if size > self._work:
            self.truncated = True
            return False
        self._work -= size
        return True

    def _forgive_false_delimiter(self) -> bool:
        if self._false_delimiters <= 0:
            self.truncated = True
            return False
        self._false_delimiters -= 1
        return True

    def _count_lines(self, span: Span) -> int:
        if not self._afford(span.end - span.body):
            return 0
        return self._raw.count(b"\n", span.body, span.end)


def content_type(fields: Mapping[bytes, bytes]) -> ContentType | None:
    value = fields.get(b"content-type")
    return parse_content_type(unfold(value)) if value else None


def transfer_encoding(fields: Mapping[bytes, bytes]) -> str:
    value = fields.get(b"content-transfer-encoding")
    return (parse_word(unfold(value)) if value else None) or "7bit"


def read_boundary(params: Params) -> bytes:
    """Return the boundary of a multipart, or nothing if there is none that could be found."""
    for name, value in params:
        if name.lower() == b"boundary":
            boundary = value.rstrip(b" ")  # RFC 2046 section 5.1.1: it doesn't end in white space
            return boundary if len(boundary) <= limits.BOUNDARY_BYTES else b""
    extended = decode_param(params, "boundary")  # RFC 2231 forms are legal here too
    return extended.encode("latin-1", "replace") if extended else b""


def _disposition(fields: Mapping[bytes, bytes]) -> tuple[str, Params] | None:
    value = fields.get(b"content-disposition")
    return parse_disposition(unfold(value)) if value else None


def _languages(fields: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    value = fields.get(b"content-language")
    return parse_languages(unfold(value)) if value else ()


def _value(fields: Mapping[bytes, bytes], name: bytes) -> bytes | None:
    value = fields.get(name)
    return None if value is None else unfold(value)
