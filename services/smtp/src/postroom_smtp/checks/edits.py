"""A message as filters see and change it: its header section, and who sends and gets it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from postroom_smtp.protocol.fields import Field

MOST_ADDED = 1_000  # fields
MOST_BYTES = 256 * 1024  # of all that are added

_NAME = re.compile(rb"[!-9;-~]{1,200}")
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Entry:
    """A field.

    Attributes:
        name: as it is written.
        value: what follows the colon, folded by CRLF, without the last line end.
        origin: its name in lower case and its number, where the message came with it.
    """

    name: bytes
    value: bytes
    origin: tuple[str, int] | None = None

    @property
    def raw(self) -> bytes:
        return self.name + b":" + self.value + b"\r\n"


class Edits:
    """What is changed. What doesn't fit, in form or in size, isn't done.

    New fields go before the message, in the order that they have here, wherever in it they were
    put: what stands below is what was signed.

    Attributes:
        sender: in place of the client's; None: that.
        recipients: that get it, too.
        dropped: recipients, as the client said them, that don't.
        bodies: how often the body was replaced.
    """

    def __init__(self, fields: Iterable[Field]) -> None:
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.dropped: set[str] = set()
        self.bodies = 0
        self.removed: set[tuple[str, int]] = set()
        self._size = 0
        seen: Counter[str] = Counter()
        self.entries: list[Entry] = []
        for field in fields:
            if field.name:
                name, _, value = field.raw.partition(b":")
                origin = (field.name, seen[field.name])
                value = value.removesuffix(b"\n").removesuffix(b"\r")
                self.entries.append(Entry(name.rstrip(b" \t"), value, origin))
                seen[field.name] += 1

    @property
    def added(self) -> bytes:
        """The new fields."""
        return b"".join(entry.raw for entry in self.entries if entry.origin is None)

    def says(self, marks: Iterable[str]) -> bool:
        """Whether a new field begins like one of these, in lower case: a name, a colon, a blank,
        and the beginning of a value.
        """
        begins = tuple(mark.encode() for mark in marks)
        return any(
            (entry.name + b": " + entry.value.lstrip(b" \t")).lower().startswith(begins)
            for entry in self.entries
            if entry.origin is None
        )

    def insert(self, at: int, name: bytes, value: bytes) -> None:
        """Put a field in; at 0 before all others."""
        size = len(name) + len(value)
        full = self._size + size > MOST_BYTES or len(self.entries) > MOST_ADDED * 100
        if full or not _NAME.fullmatch(name):
            return
        self._size += size
        self.entries.insert(at, Entry(name, folded(value)))

    def insert_fields(self, fields: bytes) -> None:
        """Put fields of our own before all others."""
        entries = []
        for raw in re.split(rb"\r\n(?![ \t])", fields.removesuffix(b"\r\n")):
            name, _, value = raw.partition(b":")
            if name:
                entries.append(Entry(name, value))
        self.entries[:0] = entries

    def append(self, name: bytes, value: bytes) -> None:
        """Put a field behind all others."""
        self.insert(len(self.entries), name, value)

    def change(self, name: bytes, number: int, value: bytes | None) -> None:
        """Replace a field, or take it away; `number` is among those of its name, from 0. Where
        there is none of that number a value makes one.
        """
        places = [at for at, entry in enumerate(self.entries) if entry.name.lower() == name.lower()]
        if number >= len(places):
            if value is not None:
                self.append(name, value)
            return
        self.drop(places[number])
        if value is not None:
            self.insert(places[number], name, value)

    def remove(self, name: bytes, number: int | None = None) -> None:
        """Take away a field, or all of a name."""
        if number is not None:
            return self.change(name, number, None)
        for at in range(len(self.entries) - 1, -1, -1):
            if self.entries[at].name.lower() == name.lower():
                self.drop(at)
        return None

    def drop(self, at: int) -> None:
        """Take away the field at a place."""
        entry = self.entries.pop(at)
        if entry.origin is not None:
            self.removed.add(entry.origin)


def folded(value: bytes) -> bytes:
    """A value whose every line but the first begins with a space: none can be another field, and
    none is empty, which would end the section.
    """
    lines = [line for line in _LINE_ENDS.split(value.replace(b"\0", b"")) if line.strip(b" \t")]
    rest = [line if line[:1] in b" \t" else b"\t" + line for line in lines[1:]]
    return b"\r\n".join([*lines[:1], *rest])
