"""How a command line is read: the line, its verb, and the arguments of each kind of command.

The parsers take what follows the verb and its space, and raise SyntaxFault with a line for people.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

from postroom_chassis.language import valid_range
from postroom_chassis.net.stream import ByteStream, LineTooLong, Reader

# RFC 2449 section 4 lets a server stop at 255 octets. Tokens and tickets in SASL need more, in the
# command and in what follows it: as much as RFC 4954 section 4 asks for.
LINE_LIMIT = 12_288

_NUMBER = re.compile(rb"[0-9]{1,10}")
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")  # RFC 4422 section 3.1


class SyntaxFault(Exception):
    """What the client sent is not in the grammar."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, taken apart but not yet judged."""

    verb: bytes
    arguments: bytes = field(repr=False)  # it may be a password


@dataclass(frozen=True, slots=True)
class SaslStart:
    """AUTH with a mechanism (RFC 5034 section 4); `initial` is decoded."""

    mechanism: str
    initial: bytes | None = field(repr=False)


def read_command(stream: ByteStream) -> Reader[Command]:
    """The next command. Raises SyntaxFault after a line that is too long, EndOfStream."""
    try:
        line = yield from stream.read_line(LINE_LIMIT)
    except LineTooLong as error:
        yield from stream.discard_line()
        raise SyntaxFault("that line is too long") from error
    verb, _, arguments = line.rstrip(b"\r\n").partition(b" ")
    return Command(verb.upper(), arguments)


def read_response(stream: ByteStream) -> Reader[bytes | None]:
    """The client's next word in a SASL exchange, decoded; None where it cancels with "*".

    Raises SyntaxFault, EndOfStream.
    """
    try:
        line = yield from stream.read_line(LINE_LIMIT)
    except LineTooLong as error:
        yield from stream.discard_line()
        raise SyntaxFault("that line is too long") from error
    text = line.rstrip(b"\r\n")
    return None if text == b"*" else _decode_base64(text)


def no_arguments(arguments: bytes) -> None:
    if arguments.strip():
        raise SyntaxFault("this command takes no arguments")


def message_number(arguments: bytes) -> int:
    """RFC 1939 section 3: decimal, from 1."""
    text = arguments.strip()
    if not _NUMBER.fullmatch(text):
        raise SyntaxFault("a message number is needed")
    return int(text)


def optional_message_number(arguments: bytes) -> int | None:
    return message_number(arguments) if arguments.strip() else None


def message_number_and_lines(arguments: bytes) -> tuple[int, int]:
    """What TOP takes: a message number, and how many lines of the body."""
    words = arguments.split()
    if len(words) != 2 or not _NUMBER.fullmatch(words[1]):
        raise SyntaxFault("a message number and a number of lines are needed")
    return message_number(words[0]), int(words[1])


def name_and_digest(arguments: bytes) -> tuple[bytes, bytes]:
    """What APOP takes: a name, which may hold spaces, and a digest (RFC 1939 section 7)."""
    name, space, digest = arguments.rstrip(b" ").rpartition(b" ")
    if not space:
        raise SyntaxFault("a name and a digest are needed")
    return text(name), text(digest)


def text(arguments: bytes) -> bytes:
    """A name or a password: everything after the first space (RFC 1939 section 7, PASS), in UTF-8
    (RFC 6856 section 2.2).
    """
    if not arguments or b"\0" in arguments:
        raise SyntaxFault("an argument is needed")
    try:
        arguments.decode()
    except UnicodeDecodeError:
        raise SyntaxFault("that is not UTF-8") from None
    return arguments


def anything(arguments: bytes) -> bytes:
    """What nobody reads."""
    return arguments


def language_range(arguments: bytes) -> str | None:
    """What LANG takes (RFC 4647 section 2.1); None where it asks for the list of languages."""
    wanted = arguments.strip().decode("ascii", "replace")
    if wanted and not valid_range(wanted):
        raise SyntaxFault("a language is needed")
    return wanted or None


def sasl_start(arguments: bytes) -> SaslStart | None:
    """What AUTH takes; None where it takes nothing, and so asks for the list of mechanisms."""
    words = arguments.split()
    if not words:
        return None
    mechanism = words[0].upper().decode("ascii", "replace")
    if len(words) > 2 or not _MECHANISM.fullmatch(mechanism):
        raise SyntaxFault("a mechanism and at most an initial response are needed")
    if len(words) == 1:
        return SaslStart(mechanism, None)
    # RFC 5034 section 4: "=" stands for an initial response of no octets.
    return SaslStart(mechanism, b"" if words[1] == b"=" else _decode_base64(words[1]))


def _decode_base64(encoded: bytes) -> bytes:
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except binascii.Error as error:
        raise SyntaxFault("that is not base64") from error
