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
    return _Parser(field[: limits.ADDRESS_BYTES]).parse()


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
_ATEXT: Final = rb"[^\x00-\x20\x7f()<>,:;@\[\]\"\\]+"
_COMMON: Final = re.compile(
    rb'(?:(?:"([^"\\]*)"|(' + _ATEXT + rb"(?: " + _ATEXT + rb")*))? ?"
    rb"<(" + _ATEXT + rb")@(" + _ATEXT + rb")>|(" + _ATEXT + rb")@(" + _ATEXT + rb"))"
    rb"(?:,[ \t]*|\Z)"
)


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
        "_left",
        "_phrase",
        "_route",
        "_tokens",
        "_words",
    )

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = limits.ADDRESSES
        self._tokens = limits.ADDRESS_TOKENS
        self._items: list[AddressItem] = []
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
        """Return the items up to the end of the field or the limit."""
        position = self._read_common(0)
        while self._left > 0 and self._tokens > 0:
            token = _TOKEN.match(self._data, position)
            if token is None:
                break
            position = token.end()
            self._tokens -= 1
            match token.lastindex:
                case 1:  # white space
                    self._words.append(b" ")
                case 2:  # a quoted string
                    self._words.append(_QUOTED_PAIR.sub(rb"\1", token[2]))
                case 3 | 4:  # a domain literal, a word
                    self._words.append(token[0])
                case _:
                    position = self._read_special(token[0], position)
        if self._left > 0:
            self._end_address()
        if self._group:
            self._items.append(GroupEnd())
        return self._items

    def _read_common(self, position: int) -> int:
        """Read as many addresses of the common forms as follow one another."""
        while self._left > 0 and (found := _COMMON.match(self._data, position)):
            quoted, phrase, mailbox, host, bare_mailbox, bare_host = found.groups()
            name = phrase if quoted is None else quoted
            self._add(Address(name or None, mailbox or bare_mailbox, host or bare_host))
            position = found.end()
        return position

    def _read_special(self, special: bytes, position: int) -> int:
        """Act on a character with a meaning; return where to read on."""
        match special:
            case b"(":
                return self._read_comment(position)
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
                while self._data.startswith((b" ", b"\t"), position):
                    position += 1
                return self._read_common(position)
        return position

    def _read_comment(self, position: int) -> int:
        """Keep the first comment of an address; comments nest (RFC 5322 section 3.2.2)."""
        depth = 1
        for found in _IN_COMMENT.finditer(self._data, position):
            self._tokens -= 1
            depth += {b"(": 1, b")": -1}.get(found[0], 0)
            if self._tokens <= 0:
                break
            if depth == 0:
                self._keep_comment(self._data[position : found.start()])
                return found.end()
        self._keep_comment(self._data[position:])
        return len(self._data)

    def _keep_comment(self, text: bytes) -> None:
        if self._comment is None:
            self._comment = _QUOTED_PAIR.sub(rb"\1", text).strip()
        self._words.append(b" ")

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
            self._add(Address(name or None, mailbox, host, self._route))
        elif any(word != b" " for word in words) or self._at >= 0:
            mailbox, host = self._take_address()
            self._add(Address(self._comment or None, mailbox, host))
        self._clear()

    def _start_group(self) -> None:
        self._end_group()
        self._add(GroupStart(_join_phrase(self._words)))
        self._group = True
        self._clear()

    def _end_group(self) -> None:
        if self._group:
            self._items.append(GroupEnd())
            self._group = False

    def _add(self, item: AddressItem) -> None:
        self._items.append(item)
        self._left -= 1


def _join(words: list[bytes]) -> bytes:
    """Join a local part or domain: white space round its dots is obsolete and means nothing."""
    return b"".join([word for word in words if word != b" "])


def _join_phrase(words: list[bytes]) -> bytes:
    return b"".join(words).strip()
