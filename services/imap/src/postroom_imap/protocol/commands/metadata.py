"""GETMETADATA and SETMETADATA (RFC 5464 section 4), and the names of annotations."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from postroom_imap.protocol.commands.mailboxes import parse_mailbox
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault

MOST_ENTRIES = 100  # of one command
_LONGEST = 1_000
# RFC 5464 section 3.2; names are case-insensitive.
_ENTRY = re.compile(rb"/(private|shared)(/[^/*%\x00-\x1f\x7f-\xff]+)*")
_SHORTEST = 2  # components of a name that has a value
_SHORTEST_OF_VENDOR = 4
_DEPTHS: dict[bytes, int | None] = {b"0": 0, b"1": 1, b"INFINITY": None}


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """GETMETADATA; an empty mailbox name stands for the server.

    ``entries`` are in lower case; ``depth`` None: all levels below them; ``max_size`` None: however
    long the values are.
    """

    mailbox: str
    entries: tuple[str, ...]
    depth: int | None = 0
    max_size: int | None = None

    def wants(self, entry: str) -> bool:
        """Whether an annotation is asked for, whatever its size."""
        return any(self._reaches(entry, top) for top in self.entries)

    def _reaches(self, entry: str, top: str) -> bool:
        below = entry.removeprefix(top + "/")
        within = self.depth is None or below.count("/") < self.depth
        return entry == top or (below != entry and within)


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """SETMETADATA; a value of None removes the annotation."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]


def parse_get_metadata(cursor: Cursor) -> GetMetadata:
    """``GETMETADATA [(options)] mailbox entry|(entries)``.

    The examples of RFC 5464 have the options behind the mailbox, where clients put them too.
    """
    options = _options(cursor)
    mailbox = parse_mailbox(cursor)
    depth, max_size = _options(cursor) or options or (0, None)
    cursor.space()
    return GetMetadata(mailbox, parse_entries(cursor), depth, max_size)


def parse_set_metadata(cursor: Cursor) -> SetMetadata:
    """``SETMETADATA mailbox (entry value …)``."""
    mailbox = parse_mailbox(cursor)
    cursor.space()

    def pair() -> tuple[str, bytes | None]:
        entry = _settable(_entry(cursor))
        cursor.space()
        return entry, cursor.nstring8()

    return SetMetadata(mailbox, cursor.list_of(pair, most=MOST_ENTRIES))


def parse_entries(cursor: Cursor) -> tuple[str, ...]:
    """``entry`` or ``(entry …)``; each once."""
    if cursor.at(b"("):
        found = cursor.list_of(lambda: _entry(cursor), most=MOST_ENTRIES)
    else:
        found = (_entry(cursor),)
    return tuple(dict.fromkeys(found))


def _options(cursor: Cursor) -> tuple[int | None, int | None] | None:
    """Depth and size, where options come next: an entry starts with a slash, perhaps quoted."""
    if not cursor.at(b" (") or cursor.at(b" (/") or cursor.at(b' ("') or cursor.at(b" ({"):
        return None
    cursor.space()
    found: dict[bytes, int | None] = {}
    readers: dict[bytes, Callable[[], int | None]] = {
        b"MAXSIZE": cursor.number,
        b"DEPTH": lambda: _depth(cursor),
    }

    def option() -> None:
        name = cursor.word()
        if name not in readers:
            raise SyntaxFault("Unknown GETMETADATA option")
        cursor.space()
        found[name] = readers[name]()

    cursor.list_of(option)
    return found.get(b"DEPTH", 0), found.get(b"MAXSIZE")


def _depth(cursor: Cursor) -> int | None:
    try:
        return _DEPTHS[cursor.word()]
    except KeyError:
        raise SyntaxFault("DEPTH is 0, 1 or infinity") from None


def _entry(cursor: Cursor) -> str:
    name = cursor.astring().lower()
    if len(name) > _LONGEST or not _ENTRY.fullmatch(name):
        raise SyntaxFault("No such annotation can be")
    return name.decode("ascii")


def _settable(entry: str) -> str:
    components = entry.split("/")[1:]
    of_vendor = components[1:2] == ["vendor"]
    if len(components) < (_SHORTEST_OF_VENDOR if of_vendor else _SHORTEST):
        raise SyntaxFault("The annotation's name has too few components")
    return entry
