"""Strings of responses: atoms, quoted strings, literals, NIL, lists (RFC 3501 section 4)."""

import re
from collections.abc import Iterable

from postroom_imap.protocol import mailbox_name

# What astring may leave bare: ASTRING-CHAR. NIL is kept quoted, or it would read as none.
_BARE = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")  # TEXT-CHAR: no NUL, CR, LF, eighth bit
_SPECIAL = re.compile(rb'(["\\])')
_LONGEST_QUOTED = 1000  # octets; old clients read lines into buffers, a literal has no such limit


def quoted(value: bytes) -> bytes:
    """A quoted string; ``value`` must hold no CR, LF, NUL or eight-bit octet (``string`` looks)."""
    if b'"' in value or b"\\" in value:
        value = _SPECIAL.sub(rb"\\\1", value)
    return b'"%b"' % value


def literal(value: bytes) -> bytes:
    """``{size}``, CRLF, and the octets as they are."""
    return b"{%d}\r\n%b" % (len(value), value)


def literal8(value: bytes) -> bytes:
    """The same, with a tilde where there is a NUL, and only there (RFC 3516 section 4.3)."""
    return b"~" + literal(value) if b"\0" in value else literal(value)


def literal_announcement(size: int) -> bytes:
    """What goes before ``size`` octets that are streamed."""
    return b"{%d}\r\n" % size


def string(value: bytes) -> bytes:
    """The shortest form that carries ``value``: quoted, or a literal."""
    if len(value) <= _LONGEST_QUOTED and _QUOTABLE.fullmatch(value):
        return quoted(value)
    return literal(value)


def nstring(value: bytes | None) -> bytes:
    """A string, or NIL for None."""
    return b"NIL" if value is None else string(value)


def nstring8(value: bytes | None) -> bytes:
    """The same, or a literal8 where NUL is among the octets (RFC 9051 section 4.3)."""
    if value is not None and b"\0" in value:
        return b"~" + literal(value)
    return nstring(value)


def astring(value: bytes) -> bytes:
    """Bare where the grammar lets it, else a string."""
    if _BARE.fullmatch(value) and value.upper() != b"NIL":
        return value
    return string(value)


def mailbox(name: str, utf8: bool) -> bytes:
    """A mailbox name, bare or quoted: in UTF-8 for a client that enabled it, or modified UTF-7."""
    if not utf8:
        return astring(mailbox_name.encode(name))
    wire = name.encode()
    return astring(wire) if wire.isascii() else quoted(wire)


def flag_list(flags: Iterable[str]) -> bytes:
    """``(\\Seen $Forwarded)``."""
    return b"(%b)" % " ".join(flags).encode("ascii")
