"""Addresses of a header field (RFC 5322 section 3.4, with the obsolete forms of section 4.4).

Everything yields something: what is no address comes out as a mailbox with an empty host, because
a reader wants to see it. The name of an address without a display name is its comment, as in
`gray@example.org (Terry Gray)` (RFC 5322 section 3.4, note).
"""

import re
from dataclasses import dataclass
from typing import Final

from postroom_mime import limits


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox, quoting taken off, encoded words left as they are. `route` is an obs-route."""

    name: bytes | None
    mailbox: bytes
    host: bytes
    route: bytes | None = None


@dataclass(frozen=True, slots=True)
class GroupStart:
    """The beginning of a group, before its members."""

    name: bytes


@dataclass(frozen=True, slots=True)
class GroupEnd:
    """The end of a group."""


AddressItem = Address | GroupStart | GroupEnd


def parse_addresses(field: bytes) -> list[AddressItem]:
    """Parse the value of a From, Sender, Reply-To, To, Cc or Bcc field.

    At most `limits.ADDRESSES` addresses come out, of at most `limits.ADDRESS_TOKENS` tokens; a
    group that is cut is ended.
    """
    data = field[: limits.ADDRESS_BYTES]
    items: list[AddressItem] = []
    position = _read_common(data, 0, items)
    return items if position == len(data) else _Parser(data, position, items).parse()


# Blanks and controls, a quoted string, a domain literal, a word (its dots inside), or one special.
_TOKEN: Final = re.compile(
    rb"([\x00-\x20\x7f]+)"
    rb'|"([^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)'
    rb"|(\[[^\[\]]*\])"
    rb'|([^\x00-\x20\x7f()<>,:;@"\\]+)'
    rb"|(.)",
    re.DOTALL,
)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_IN_COMMENT: Final = re.compile(rb"\\.|[()]", re.DOTALL)

# The forms that most addresses have: "Name" <a@b>, Name <a@b> or a@b, up to a comma or the end.
_ATEXT: Final = rb"[^\x00-\x20\x7f()<>,:;@\[\]\"\\]++"
_COMMON: Final = re.compile(
    rb'(?:(?:"([^"\\]*+)"|(' + _ATEXT + rb"(?: " + _ATEXT + rb")*+))? ?"
    rb"<(" + _ATEXT + rb")@(" + _ATEXT + rb")>|(" + _ATEXT + rb")@(" + _ATEXT + rb"))"
    rb"(?:,[ \t]*+|\Z)"
)


def _read_common(data: bytes, position: int, items: list[AddressItem]) -> int:
    """Read as many addresses of the common forms as follow one another; return where they end."""
    while len(items) < limits.ADDRESSES and (found := _COMMON.match(data, position)):
        quoted, phrase, mailbox, host, bare_mailbox, bare_host = found.groups()
        name = phrase if quoted is None else quoted
        items.append(Address(name or None, mailbox or bare_mailbox, host or bare_host))
        position = found.end()
    return position


class _Parser:
    """Reads one item after the other.

    `_words` are those of the phrase, local part or domain in hand, with b" " for white space, and
    `_at` is where among them the last "@" stands (-1: nowhere). Once "<" was read, `_phrase` holds
    what stood before it; once ">" was, `_address` holds what stood inside.
    """

    __slots__ = (
        "_address",
        "_at",
        "_comment",
        "_data",
        "_group",
        "_items",
        "_phrase",
        "_position",
        "_route",
        "_tokens",
        "_words",
    )

    def __init__(self, data: bytes, position: int, items: list[AddressItem]) -> None:
        self._data = data
        self._position = position
        self._tokens = limits.ADDRESS_TOKENS
        self._items = items
        self._group = False
        self._clear()

    def _clear(self) -> None:
        self._words: list[bytes] = []
        self._at = -1
        self._phrase: bytes | None = None
        self._route: bytes | None = None
        self._comment: bytes | None = None
        self._address: tuple[bytes, bytes] | None = None

    def parse(self) -> list[AddressItem]:
        """Return the items up to the end of the field or a limit."""
        while self._tokens > 0 and len(self._items) < limits.ADDRESSES:
            token = _TOKEN.match(self._data, self._position)
            if token is None:
                self._end_address()
                break
            self._tokens -= 1
            self._position = token.end()
            match token.lastindex:
                case 1:  # white space
                    self._words.append(b" ")
                case 2:  # a quoted string
                    self._words.append(_QUOTED_PAIR.sub(rb"\1", token[2]))
                case 3 | 4:  # a domain literal, a word
                    self._words.append(token[0])
                case _:
                    self._read_special(token[0])
        if self._group:
            self._items.append(GroupEnd())
        return self._items

    def _read_special(self, special: bytes) -> None:
        """Act on a character with a meaning."""
        match special:
            case b"(":
                self._read_comment()
            case b"@":
                self._at = len(self._words)
                self._words.append(special)
            case b"<" if self._address is None:
                self._phrase = _join_phrase(self._words)
                self._restart_words()
            case b">" if self._is_inside():
                self._address = self._take_address()
            case b":" if self._is_inside():
                self._route = _join(self._words) or None
                self._restart_words()
            case b":" if self._phrase is None:
                self._start_group()
            # Not behind an unclosed "<": there a comma ends the address.
            case b"," if self._is_inside() and self._words[:1] == [b"@"]:
                self._words.append(special)
            case b"," | b";":
                self._end_address()
                if special == b";":
                    self._end_group()
                while self._data.startswith((b" ", b"\t"), self._position):
                    self._position += 1
                self._position = _read_common(self._data, self._position, self._items)

    def _read_comment(self) -> None:
        """Keep the first comment of an address; comments nest (RFC 5322 section 3.2.2)."""
        start, depth = self._position, 1
        for found in _IN_COMMENT.finditer(self._data, start):
            self._tokens -= 1
            depth += {b"(": 1, b")": -1}.get(found[0], 0)
            if depth == 0 or self._tokens <= 0:
                self._keep_comment(start, found.start(), found.end())
                return
        self._keep_comment(start, len(self._data), len(self._data))

    def _keep_comment(self, start: int, end: int, position: int) -> None:
        if self._comment is None:
            self._comment = _QUOTED_PAIR.sub(rb"\1", self._data[start:end]).strip()
        self._words.append(b" ")
        self._position = position

    def _restart_words(self) -> None:
        self._words, self._at = [], -1

    def _is_inside(self) -> bool:
        """Tell whether "<" was read and ">" was not."""
        return self._phrase is not None and self._address is None

    def _take_address(self) -> tuple[bytes, bytes]:
        """Return (local part, domain) of the words in hand, and let go of them."""
        words, at = self._words, self._at
        self._restart_words()
        if at < 0:
            return _join_phrase(words), b""
        return _join(words[:at]), _join(words[at + 1 :])

    def _end_address(self) -> None:
        words = self._words
        if self._phrase is not None:
            mailbox, host = self._address or self._take_address()
            name = self._phrase or self._comment
            self._items.append(Address(name or None, mailbox, host, self._route))
        elif any(word != b" " for word in words) or self._at >= 0:
            mailbox, host = self._take_address()
            self._items.append(Address(self._comment or None, mailbox, host))
        self._clear()

    def _start_group(self) -> None:
        self._end_group()
        self._items.append(GroupStart(_join_phrase(self._words)))
        self._group = True
        self._clear()

    def _end_group(self) -> None:
        if self._group:
            self._items.append(GroupEnd())
            self._group = False


def _join(words: list[bytes]) -> bytes:
    """Join a local part or domain: white space round its dots is obsolete and means nothing."""
    return b"".join([word for word in words if word != b" "])


def _join_phrase(words: list[bytes]) -> bytes:
    return b"".join(words).strip()
