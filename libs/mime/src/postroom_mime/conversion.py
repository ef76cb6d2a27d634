"""A message converted for a transport that takes less than it has (RFC 6152 section 3, RFC 3030
section 3): another transfer encoding for its leaves, and the same content.

`Survey` looks at a message once and says what is to be done, `Conversion` does it while the message
passes a second time. Neither holds more than a header or a few lines. What counts is what the
octets are, whatever a header says of them; MIME-Version isn't asked for, and is added where it
becomes needed. What is in order for the transport stays as it is, octet by octet.

What can't be converted:

* A header section that has what the transport doesn't take.
* Anything within a multipart/signed (RFC 1847 section 2.1).
* message/* but message/rfc822, which is read, and the types of RFC 6532 and RFC 6533, whose octets
  may be encoded: none may have an encoding (RFC 2045 section 6.4).
* A body with an encoding that isn't known, or a multipart in which there are no parts.
* What exceeds a limit (`walk`).

What stands before the first part of a multipart and behind the last one is for nobody (RFC 2046
section 5.1.1): it is left out where the transport doesn't take it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from postroom_mime.headers import header_fields
from postroom_mime.transfer import (
    Base64Decoder,
    Base64Encoder,
    Coder,
    QuotedPrintableDecoder,
    QuotedPrintableEncoder,
)
from postroom_mime.walk import IDENTITY, Entity, Kind, Token, Unreadable, Walk

_ENCODING: Final = "Content-Transfer-Encoding"
_ENCODABLE_MESSAGES: Final = frozenset(
    "global global-headers global-delivery-status global-disposition-notification".split()
)
_LINE_OCTETS: Final = 998  # without the CRLF (RFC 5322 section 2.1.1)
# What stays as it is in quoted-printable (RFC 2045 section 6.7).
_PRINTABLE: Final = bytes({*range(32, 127), *b"\t\r\n"} - {ord("=")})
_DASHES: Final = re.compile(rb"^--[^\n]*", re.MULTILINE)


class Domain(StrEnum):
    """What a transport takes (RFC 2045 section 2)."""

    SEVEN_BIT = "7bit"
    EIGHT_BIT = "8bit"


class Unconvertible(Exception):
    """A message can't be converted; the text says why."""


class Change(NamedTuple):
    """What becomes of an entity.

    Attributes:
        encoding: its new transfer encoding; empty: the one that it has.
        coder: makes what its body passes.
        left_out: what stands round its parts is.
        versioned: its header gets MIME-Version.
    """

    encoding: str = ""
    coder: Callable[[], Coder] | None = None
    left_out: bool = False
    versioned: bool = False


# By an entity's number. What isn't in it stays as it is.
Plan = Mapping[int, Change]

_NO_CHANGE: Final = Change()


class Survey:
    """Finds out what is to be done with a message."""

    __slots__ = ("_domain", "_seen", "_walk")

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._walk = Walk()
        self._seen: dict[int, _Seen] = {}

    def feed(self, piece: bytes) -> None:
        """Look at the next piece. Raises Unconvertible."""
        self._look(self._walk.feed(piece))

    def end(self) -> Plan:
        """What is to be done. Raises Unconvertible."""
        self._look(self._walk.end())
        plan = {number: self._change(seen) for number, seen in self._seen.items()}
        for number, change in list(plan.items()):
            root = self._seen[self._seen[number].entity.root].entity
            if change.coder is not None and not root.versioned:
                plan[root.number] = plan[root.number]._replace(versioned=True)
        return {number: change for number, change in plan.items() if change != _NO_CHANGE}

    def _look(self, tokens: Iterator[Token]) -> None:
        try:
            for kind, entity, octets in tokens:
                if kind is Kind.BODY:
                    self._seen[entity.number].note(octets)
                elif _odd(octets) or not (self._takes_eight_bits or octets.isascii()):
                    raise Unconvertible("its header fields can't be sent as they are")
                elif kind is Kind.HEADER:
                    self._seen[entity.number] = _Seen(entity)
                else:
                    self._seen[entity.number].has_parts = True
        except Unreadable as error:
            raise Unconvertible(str(error)) from error

    def _change(self, seen: "_Seen") -> Change:
        entity = seen.entity
        if not seen.binary and (self._takes_eight_bits or not seen.eight_bit):
            return Change(self._smaller_name(entity))
        if entity.is_signed:
            raise Unconvertible("it is signed")
        if entity.is_multipart:
            if not seen.has_parts:
                raise Unconvertible("a multipart has no parts")
            return Change(self._smaller_name(entity), left_out=True)
        if entity.kind.type == "message" and entity.kind.subtype not in _ENCODABLE_MESSAGES:
            raise Unconvertible(f"message/{entity.kind.subtype} has no transfer encoding")
        return _encoded(seen)

    def _smaller_name(self, entity: Entity) -> str:
        """Another encoding's name where the transport doesn't take all that this one allows."""
        eight_bit = entity.encoding == "8bit" and not self._takes_eight_bits
        too_large = eight_bit or entity.encoding == "binary"
        return self._domain.value if too_large and not entity.sealed else ""

    @property
    def _takes_eight_bits(self) -> bool:
        return self._domain is Domain.EIGHT_BIT


class Conversion:
    """Converts a message while it passes in pieces, the same that its plan was made for."""

    __slots__ = ("_coder", "_plan", "_walk")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._walk = Walk()
        self._coder: Coder | None = None

    def feed(self, piece: bytes) -> bytes:
        """What can be sent after the next piece."""
        return b"".join(map(self._convert, self._walk.feed(piece)))

    def end(self) -> bytes:
        """What was held back."""
        return b"".join(map(self._convert, self._walk.end())) + self._finish()

    def _convert(self, token: Token) -> bytes:
        change = self._plan.get(token.entity.number, _NO_CHANGE)
        match token.kind:
            case Kind.HEADER:
                self._coder = change.coder() if change.coder is not None else None
                return _rewritten(token.octets, change)
            case Kind.BODY if self._coder is not None:
                return self._shielded(self._coder.feed(token.octets))
            case Kind.BODY:
                return b"" if change.left_out else token.octets
            case Kind.DELIMITER:
                return self._finish() + token.octets

    def _finish(self) -> bytes:
        coder, self._coder = self._coder, None
        return coder.end() if coder is not None else b""

    def _shielded(self, encoded: bytes) -> bytes:
        """No line that is a delimiter, which an encoding's line break or escape can make."""
        return _DASHES.sub(self._shield, encoded) if b"--" in encoded else encoded

    def _shield(self, line: re.Match[bytes]) -> bytes:
        return b"=2D" + line[0][1:] if self._walk.delimits(line[0]) else line[0]


class _Seen:
    """What was seen of an entity.

    Attributes:
        size: of its body, in octets.
        escapes: of them that quoted-printable escapes, where they aren't binary.
        eight_bit: some are over 127.
        binary: it has NUL, a CR or an LF by itself, or a line that is too long.
        has_parts: a delimiter was seen.
    """

    __slots__ = ("binary", "eight_bit", "entity", "escapes", "has_parts", "size")

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.size = 0
        self.escapes = 0
        self.eight_bit = False
        self.binary = False
        self.has_parts = False

    def note(self, octets: bytes) -> None:
        """Look at more of its body."""
        self.eight_bit = self.eight_bit or not octets.isascii()
        self.binary = self.binary or _odd(octets) or _overlong(octets)
        if not self.binary:
            self.size += len(octets)
            self.escapes += len(octets.translate(None, _PRINTABLE))


class _Recoder:
    """Takes an encoding off, whatever is wrong with it, and puts base64 on."""

    __slots__ = ("_decoder", "_encoder")

    def __init__(self, decoder: Coder) -> None:
        self._decoder = decoder
        self._encoder = Base64Encoder()

    def feed(self, piece: bytes) -> bytes:
        return self._encoder.feed(self._decoder.feed(piece))

    def end(self) -> bytes:
        return self._encoder.feed(self._decoder.end()) + self._encoder.end()


def _encoded(seen: _Seen) -> Change:
    """A leaf in an encoding that every transport takes. Raises Unconvertible."""
    match seen.entity.encoding:
        case "base64":
            return Change("base64", lambda: _Recoder(Base64Decoder()))
        case "quoted-printable":
            return Change("base64", lambda: _Recoder(QuotedPrintableDecoder()))
        case encoding if encoding not in IDENTITY:
            raise Unconvertible("it has an encoding that isn't known")
    # Base64 makes 78 octets of 57, quoted-printable 3 of each that it escapes.
    if seen.binary or 2 * seen.escapes * 57 > seen.size * (78 - 57):
        return Change("base64", Base64Encoder)
    return Change("quoted-printable", QuotedPrintableEncoder)


def _rewritten(header: bytes, change: Change) -> bytes:
    added = b""
    if change.versioned:
        added += b"MIME-Version: 1.0\r\n"
    if change.encoding:
        added += f"{_ENCODING}: {change.encoding}\r\n".encode()
    # Without an empty line there is no body to tell something of.
    if not added or not (header.endswith(b"\n\r\n") or header == b"\r\n"):
        return header
    if change.encoding:
        header = header_fields(header, (_ENCODING,), invert=True)
    return header[:-2] + added + b"\r\n"


def _odd(octets: bytes) -> bool:
    """Whether there is NUL, or a CR or an LF by itself."""
    breaks = octets.count(b"\r\n")
    return octets.count(b"\n") != breaks or octets.count(b"\r") != breaks or b"\0" in octets


def _overlong(octets: bytes) -> bool:
    """Whether a line is too long: from the beginning of one, a line ends within the octets that one
    may have, and the last that does is the next to begin behind.
    """
    at = 0
    while len(octets) - at > _LINE_OCTETS:
        at = octets.rfind(b"\n", at, at + _LINE_OCTETS + 2) + 1
        if not at:
            return True
    return False
