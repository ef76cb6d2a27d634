"""The structure of a message: a tree of parts with byte offsets, and its stored form.

Offsets are absolute in the raw message. The stored form is a version digit and a JSON array: the C
codec of the standard library reads and writes it faster than any layout that Python has to walk.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from postroom_mime.parameters import Params, decode_param

_VERSION: Final = b"1"


@dataclass(frozen=True, slots=True)
class Part:
    """A body part: the root of a message, or what is between two delimiters.

    `header_start:body_start` is its header with the empty line, `body_start:body_end` its body.
    `children` are the parts of a multipart, or the one root of the message in a message/rfc822.
    `lines` counts line breaks in the body of a text or message part (and is 0 elsewhere).
    """

    header_start: int
    body_start: int
    body_end: int
    type: str = "text"
    subtype: str = "plain"
    params: Params = ()
    encoding: str = "7bit"
    lines: int = 0
    children: tuple["Part", ...] = ()
    id: bytes | None = None
    description: bytes | None = None
    disposition: tuple[str, Params] | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    md5: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the body, in its transfer encoding."""
        return self.body_end - self.body_start

    @property
    def content_type(self) -> str:
        """Type and subtype, in lower case."""
        return f"{self.type}/{self.subtype}"

    @property
    def is_multipart(self) -> bool:
        """Whether it holds parts: a multipart without any is opaque (RFC 2046 section 5.1)."""
        return self.type == "multipart" and bool(self.children)

    @property
    def is_message(self) -> bool:
        """Whether it holds a message that was scanned."""
        return self.type == "message" and bool(self.children)

    @property
    def filename(self) -> str | None:
        """The name a sender gave it: `filename` of the disposition, or `name` of the type."""
        name = decode_param(self.disposition[1], "filename") if self.disposition else None
        return name or self.param("name")

    def param(self, name: str) -> str | None:
        """Return a parameter of Content-Type as text, or None."""
        return decode_param(self.params, name) if self.params else None


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message; `truncated` says that a limit left something of it opaque."""

    size: int
    root: Part
    truncated: bool = False

    def walk(self) -> Iterator[Part]:
        """Yield every part, the outer before the inner, in the order of the message."""
        waiting = [self.root]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))


def encode_structure(message: Message) -> bytes:
    """Return the stored form."""
    fields = [message.size, int(message.truncated), _encode_part(message.root)]
    return _VERSION + _dump(fields).encode("ascii")


def decode_structure(encoded: bytes) -> Message:
    """Return what `encode_structure` was given; ValueError for anything else."""
    if encoded[:1] != _VERSION:
        raise ValueError("not a message structure of a known version")
    try:
        size, truncated, root = _load(encoded[1:].decode("ascii"))
        return Message(size, _decode_part(root), bool(truncated))
    except (AttributeError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise ValueError("not a message structure") from error


_load: Final = json.JSONDecoder().decode
_dump: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

# A part as an array, in the order of its attributes: three offsets relative to what came before
# (short numbers), what every part has, then the rest if a part has any of it. Bytes are Latin-1.


def _encode_part(part: Part, origin: int = 0) -> list[Any]:
    fields: list[Any] = [
        part.header_start - origin,
        part.body_start - part.header_start,
        part.body_end - part.body_start,
        part.type,
        part.subtype,
        _encode_params(part.params),
        part.encoding,
        part.lines,
        [_encode_part(child, part.body_start) for child in part.children],
    ]
    rest = part.id, part.description, part.disposition, part.language, part.location, part.md5
    return fields if rest == _NO_REST else fields + _encode_rest(part)


_NO_REST: Final = (None, None, None, (), None, None)


def _encode_rest(part: Part) -> list[Any]:
    return [
        _encode_text(part.id),
        _encode_text(part.description),
        part.disposition and [part.disposition[0], _encode_params(part.disposition[1])],
        [tag.decode("latin-1") for tag in part.language],
        _encode_text(part.location),
        _encode_text(part.md5),
    ]


def _encode_params(params: Params) -> list[str]:
    return [text.decode("latin-1") for param in params for text in param]


def _encode_text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _decode_part(fields: list[Any], origin: int = 0) -> Part:
    header, body, end, kind, subtype, params, encoding, lines, children, *rest = fields
    header_start = origin + header
    body_start = header_start + body
    return Part(
        header_start,
        body_start,
        body_start + end,
        kind,
        subtype,
        _decode_params(params) if params else (),
        encoding,
        lines,
        tuple([_decode_part(child, body_start) for child in children]),
        *(_decode_rest(*rest) if rest else ()),
    )


def _decode_rest(
    id_: str | None,
    description: str | None,
    disposition: list[Any] | None,
    language: list[str],
    location: str | None,
    md5: str | None,
) -> tuple[Any, ...]:
    return (
        _decode_text(id_),
        _decode_text(description),
        disposition and (disposition[0], _decode_params(disposition[1])),
        tuple([tag.encode("latin-1") for tag in language]),
        _decode_text(location),
        _decode_text(md5),
    )


def _decode_params(texts: list[str]) -> Params:
    values = [text.encode("latin-1") for text in texts]
    return tuple(zip(values[::2], values[1::2], strict=True))


def _decode_text(value: str | None) -> bytes | None:
    return None if value is None else value.encode("latin-1")
