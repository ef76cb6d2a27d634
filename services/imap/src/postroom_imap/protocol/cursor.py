"""The lexical elements of RFC 3501 section 9, read from the bytes of one gathered command.

A gathered command is one ``bytes``: its lines without the final line end, each literal in place as
``{size}``, CRLF, and exactly ``size`` octets. A literal is only ever entered through its
announcement, so its content can't be taken for syntax.

Every method either moves past what it returns or raises ``SyntaxFault``.
"""

import re
from collections.abc import Callable
from typing import TypeVar
from unicodedata import normalize

from postroom_imap.protocol import mailbox_name
from postroom_imap.protocol.flag import system_flag
from postroom_imap.protocol.invalid import Refusal, SyntaxFault
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.sequence_set import SAVED_RESULT, SequenceSet

T = TypeVar("T")

# atom-specials are "(" ")" "{" SP CTL "%" "*" DQUOTE "\" "]"; an astring may hold "]",
# a list pattern "]" and the wildcards.
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_ASTRING_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_LIST_ATOM = re.compile(rb"[!#$%&'*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_WORD = re.compile(rb"[A-Za-z0-9.\-]+")
_NUMBER = re.compile(rb"[0-9]{1,18}(?![0-9])")
_SEQUENCE_SET = re.compile(rb"[0-9*:,]+")
# Eight-bit octets are let through: what they mean is for whoever decodes the string.
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\0]|\\["\\])*)"')
_ESCAPE = re.compile(rb"\\(.)")
_LITERAL = re.compile(rb"\{([0-9]{1,18})\}\r\n")


class Cursor:
    """A position in one command."""

    __slots__ = ("data", "limits", "position")

    def __init__(self, data: bytes, position: int, limits: Limits) -> None:
        self.data = data
        self.position = position
        self.limits = limits

    # -- structure

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.position == len(self.data)

    def at(self, token: bytes) -> bool:
        """Whether ``token`` comes next; moves nothing."""
        return self.data.startswith(token, self.position)

    def take(self, token: bytes) -> bool:
        """Moves past ``token`` if it comes next, and says whether it did."""
        found = self.data.startswith(token, self.position)
        if found:
            self.position += len(token)
        return found

    def take_word(self, token: bytes) -> bool:
        """The same in any case; ``token`` is in upper case."""
        end = self.position + len(token)
        found = self.data[self.position : end].upper() == token
        if found:
            self.position = end
        return found

    def expect(self, token: bytes) -> None:
        """Moves past ``token``, which must come next."""
        if not self.take(token):
            raise SyntaxFault(f"Expected {token.decode()}")

    def space(self) -> None:
        """One space, no more: that is the grammar."""
        if not self.take(b" "):
            raise SyntaxFault("Expected a space")

    def end(self) -> None:
        """Nothing may be left."""
        if self.position != len(self.data):
            raise SyntaxFault("Unexpected text after the command")

    def match(self, pattern: re.Pattern[bytes], expected: str) -> re.Match[bytes]:
        """Moves past what ``pattern`` matches here; ``expected`` names it in the fault."""
        found = pattern.match(self.data, self.position)
        if found is None:
            raise SyntaxFault(f"Expected {expected}")
        self.position = found.end()
        return found

    def rest(self) -> bytes:
        """All that is left."""
        rest = self.data[self.position :]
        self.position = len(self.data)
        return rest

    def list_of(
        self, element: Callable[[], T], empty: bool = False, most: int | None = None
    ) -> tuple[T, ...]:
        """``( element SP element … )``; ``empty`` allows ``()``.

        ``most`` elements, or ``limits.elements``.
        """
        most = most or self.limits.elements
        self.expect(b"(")
        if empty and self.take(b")"):
            return ()
        elements = [element()]
        while not self.take(b")"):
            self.space()
            elements.append(element())
            if len(elements) > most:
                raise SyntaxFault("Too many elements in a list", b"LIMIT")
        return tuple(elements)

    # -- words and numbers

    def word(self) -> bytes:
        """A keyword of the grammar, in upper case."""
        return self.match(_WORD, "a keyword").group().upper()

    def atom(self) -> str:
        """An atom."""
        return self.match(_ATOM, "an atom").group().decode("ascii")

    def number(self) -> int:
        """A number of at most 18 digits (RFC 9051's number64 is below 2**63)."""
        return int(self.match(_NUMBER, "a number").group())

    def sequence_set(self) -> SequenceSet:
        """A sequence set, or ``$`` (RFC 5182)."""
        if self.take(b"$"):
            return SAVED_RESULT
        text = self.match(_SEQUENCE_SET, "a sequence set").group()
        try:
            return SequenceSet.parse(text)
        except ValueError:
            raise SyntaxFault("Not a valid sequence set") from None

    # -- strings

    def string(self) -> bytes:
        """A quoted string or a literal, as its octets."""
        found = _QUOTED.match(self.data, self.position)
        if found is None:
            return self._literal()
        self.position = found.end()
        value = found.group(1)
        if self.limits.utf8_names and not value.isascii():
            _check_utf8(value)
        return _ESCAPE.sub(rb"\1", value) if b"\\" in value else value

    def astring(self) -> bytes:
        """An atom-like word, a quoted string or a literal, as its octets."""
        found = _ASTRING_ATOM.match(self.data, self.position)
        if found is None:
            return self.string()
        self.position = found.end()
        return found.group()

    def list_astring(self) -> bytes:
        """The same, where wildcards may stand bare."""
        found = _LIST_ATOM.match(self.data, self.position)
        if found is None:
            return self.string()
        self.position = found.end()
        return found.group()

    def nstring(self) -> bytes | None:
        """A string, or NIL for None."""
        if self.data[self.position : self.position + 3].upper() == b"NIL":
            self.position += 3
            return None
        return self.string()

    def nstring8(self) -> bytes | None:
        """The same, or a literal8, which may hold NUL (RFC 9051 section 4.3)."""
        if self.take(b"~"):
            return self._literal(binary=True)
        return self.nstring()

    def text(self) -> str:
        """An astring in UTF-8."""
        try:
            return self.astring().decode()
        except UnicodeDecodeError:
            raise SyntaxFault("A string is not valid UTF-8") from None

    def _literal(self, *, binary: bool = False) -> bytes:
        size = int(self.match(_LITERAL, "a string").group(1))
        start = self.position
        self.position += size
        value = self.data[start : self.position]
        if len(value) != size:
            raise SyntaxFault("A literal ends early")
        if not binary and b"\0" in value:
            raise SyntaxFault("A literal must not hold NUL")  # RFC 3501 section 9, CHAR8
        return value

    # -- names and flags

    def mailbox(self) -> str:
        """A mailbox name, decoded, INBOX in upper case."""
        return mailbox_name.canonical(self._decode_name(self.astring()))

    def list_mailbox(self) -> str:
        """A pattern of LIST, decoded."""
        found = _LIST_ATOM.match(self.data, self.position)
        if found is None:
            return normalize("NFC", self._decode_name(self.string()))
        self.position = found.end()
        return normalize("NFC", self._decode_name(found.group()))

    def flag(self) -> str:
        """A flag that a client may set: a system flag in its own spelling, or a keyword."""
        if not self.take(b"\\"):
            return self.atom()
        flag = system_flag("\\" + self.atom())
        if flag is None:
            raise SyntaxFault("No such system flag can be set")
        return flag

    def flag_list(self) -> tuple[str, ...]:
        """Flags in parentheses, each once, in the client's order."""
        return tuple(dict.fromkeys(self.list_of(self.flag, empty=True)))

    def _decode_name(self, wire: bytes) -> str:
        if len(wire) > self.limits.mailbox:
            raise SyntaxFault("Mailbox name is too long", b"LIMIT", Refusal.NO)
        utf8 = self.limits.utf8_names
        try:
            return wire.decode() if utf8 else mailbox_name.decode(wire)
        except ValueError:
            text = f"Mailbox name is not valid {'UTF-8' if utf8 else 'modified UTF-7'}"
            raise SyntaxFault(text, b"CANNOT", Refusal.NO) from None


def _check_utf8(quoted: bytes) -> None:
    """RFC 9755 section 3: other eight-bit octets are BAD, save in a literal."""
    try:
        quoted.decode()
    except UnicodeDecodeError:
        raise SyntaxFault("A quoted string is not valid UTF-8") from None
