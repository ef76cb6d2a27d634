"""The header section of a message, field by field, each octet kept (RFC 5322 section 2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_FIELDS = 5_000  # of a section that are told apart; mail that has been far has 300

# A line may end with LF alone where such messages are taken: who reads them takes it for an end.
_STARTS = re.compile(rb"(?<=\n)(?![ \t])")
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_LINE_ENDS = re.compile(rb"\r?\n")


@dataclass(frozen=True, slots=True)
class Field:
    """A field, or lines that are none, which have no name.

    Attributes:
        name: in lower case.
        raw: all of it, with its line end.
        colon: where its value begins.
    """

    name: str
    raw: bytes
    colon: int = 0

    @property
    def value(self) -> bytes:
        """What follows the colon, folded as it is, with the line end."""
        return self.raw[self.colon :]

    @property
    def unfolded(self) -> bytes:
        """The value as one line without white space round it."""
        return _LINE_ENDS.sub(b"", self.value).strip(b" \t\r")


def split_message(beginning: bytes) -> tuple[bytes, bool]:
    """The header section with its empty line, and whether that is there. It is given by its
    length alone where a message has no body.
    """
    if beginning.startswith(b"\r\n"):
        return beginning[:2], True
    end = beginning.find(b"\r\n\r\n")
    return (beginning, False) if end < 0 else (beginning[: end + 4], True)


def split_fields(header: bytes) -> list[Field]:
    """The fields of a section, from the top; what follows the last that is told apart is one."""
    return [_field(raw) for raw in _split(header) if raw.strip(b"\r\n")]


def _split(header: bytes) -> list[bytes]:
    return _STARTS.split(header, MOST_FIELDS)


def _field(raw: bytes) -> Field:
    found = _NAME.match(raw)
    if found is None:
        return Field("", raw)
    return Field(found[1].decode("ascii").lower(), raw, found.end())
