"""The milter protocol, version 6, as a mail server speaks it (libmilter's mfdef.h is its text).

A packet is a length of four octets, a code of one, and data. Texts end with NUL.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntFlag

from postroom_smtp.protocol.path import PathFault, parse_path
from postroom_smtp.protocol.reply import Reply

VERSION = 6
LEAST_VERSION = 2
MOST_PACKET = 1024 * 1024  # that a milter may send
CHUNK_BYTES = 65_535  # of a body (MILTER_CHUNK_SIZE)

_REPLY = re.compile(r"([45])([0-9]{2})(?:[ \-]|$)(?:([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$))?(.*)")
MOST_TEXT = 400


class Command(Enum):
    """What we say."""

    ABORT = b"A"
    BODY = b"B"
    CONNECT = b"C"
    MACRO = b"D"
    END_OF_BODY = b"E"
    HELO = b"H"
    HEADER = b"L"
    MAIL = b"M"
    END_OF_HEADER = b"N"
    NEGOTIATE = b"O"
    QUIT = b"Q"
    RECIPIENT = b"R"
    DATA = b"T"


class Response(Enum):
    """What a milter says."""

    ADD_RECIPIENT = b"+"
    DELETE_RECIPIENT = b"-"
    ADD_RECIPIENT_WITH_PARAMETERS = b"2"
    SHUTDOWN = b"4"
    ACCEPT = b"a"
    REPLACE_BODY = b"b"
    CONTINUE = b"c"
    DISCARD = b"d"
    CHANGE_SENDER = b"e"
    CONNECTION_FAILURE = b"f"
    ADD_HEADER = b"h"
    INSERT_HEADER = b"i"
    SET_MACROS = b"l"
    CHANGE_HEADER = b"m"
    NEGOTIATE = b"O"
    PROGRESS = b"p"
    QUARANTINE = b"q"
    REJECT = b"r"
    SKIP = b"s"
    TEMPFAIL = b"t"
    REPLY_CODE = b"y"


class Action(IntFlag):
    """What a milter may do to a message."""

    ADD_HEADERS = 0x01
    CHANGE_BODY = 0x02
    ADD_RECIPIENTS = 0x04
    DELETE_RECIPIENTS = 0x08
    CHANGE_HEADERS = 0x10
    QUARANTINE = 0x20
    CHANGE_SENDER = 0x40
    ADD_RECIPIENTS_WITH_PARAMETERS = 0x80
    SET_MACROS = 0x100  # which ones it wants: it gets those that we know


OFFERED_ACTIONS = Action(0x1FF)


class Skip(IntFlag):
    """What needs not be said to a milter (NO), and what it doesn't answer (NR)."""

    NO_CONNECT = 0x01
    NO_HELO = 0x02
    NO_MAIL = 0x04
    NO_RECIPIENT = 0x08
    NO_BODY = 0x10
    NO_HEADERS = 0x20
    NO_END_OF_HEADER = 0x40
    NR_HEADER = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SKIP_BODY = 0x400
    REJECTED_RECIPIENTS = 0x800
    NR_CONNECT = 0x1000
    NR_HELO = 0x2000
    NR_MAIL = 0x4000
    NR_RECIPIENT = 0x8000
    NR_DATA = 0x10000
    NR_UNKNOWN = 0x20000
    NR_END_OF_HEADER = 0x40000
    NR_BODY = 0x80000
    LEADING_SPACE = 0x100000


OFFERED_SKIPS = Skip(0x1FF7FF)  # all but REJECTED_RECIPIENTS: those are nobody's to hear of

# For each command, what keeps it from being said, and what it from being answered.
SILENCE = {
    Command.CONNECT: (Skip.NO_CONNECT, Skip.NR_CONNECT),
    Command.HELO: (Skip.NO_HELO, Skip.NR_HELO),
    Command.MAIL: (Skip.NO_MAIL, Skip.NR_MAIL),
    Command.RECIPIENT: (Skip.NO_RECIPIENT, Skip.NR_RECIPIENT),
    Command.DATA: (Skip.NO_DATA, Skip.NR_DATA),
    Command.HEADER: (Skip.NO_HEADERS, Skip.NR_HEADER),
    Command.END_OF_HEADER: (Skip.NO_END_OF_HEADER, Skip.NR_END_OF_HEADER),
    Command.BODY: (Skip.NO_BODY, Skip.NR_BODY),
}


class MilterFault(Exception):
    """A milter says what it may not, or nothing."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed on."""

    version: int
    actions: Action
    skips: Skip


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """A field to be put in or changed; `index` as the milter counts, None to add at the end."""

    name: bytes
    value: bytes
    index: int | None = None


def packet(command: Command, data: bytes = b"") -> bytes:
    return struct.pack("!I", len(data) + 1) + command.value + data


def offer() -> bytes:
    """What we are able to."""
    return packet(Command.NEGOTIATE, struct.pack("!III", VERSION, OFFERED_ACTIONS, OFFERED_SKIPS))


def parse_terms(data: bytes) -> Terms:
    """A milter's answer to the offer. Raises MilterFault."""
    if len(data) < 12:
        raise MilterFault("its terms are too short")
    version, actions, skips = struct.unpack_from("!III", data)
    if not LEAST_VERSION <= version <= VERSION:
        raise MilterFault(f"it speaks version {version}")
    if actions & ~int(OFFERED_ACTIONS):
        raise MilterFault("it wants to do what isn't offered")
    if skips & ~int(OFFERED_SKIPS):
        raise MilterFault("it wants to skip what isn't offered")
    return Terms(version, Action(actions), Skip(skips))


def connect(name: str, address: str) -> bytes:
    """CONNECT; a port of 0 is one that isn't known, and so may an address be."""
    if not address:
        return packet(Command.CONNECT, _text(name) + b"U")
    family = b"6" if ":" in address else b"4"
    literal = f"IPv6:{address}" if ":" in address else address
    data = _text(name) + family + struct.pack("!H", 0) + _text(literal)
    return packet(Command.CONNECT, data)


def texts(command: Command, *arguments: str) -> bytes:
    """HELO, MAIL and RCPT."""
    return packet(command, b"".join(map(_text, arguments)))


def macros(command: Command, defined: Iterable[tuple[str, str]]) -> bytes:
    """What a milter may ask of its server, before a command."""
    pairs = b"".join(_text(name) + _text(value) for name, value in defined if value)
    return packet(Command.MACRO, command.value + pairs)


def header(name: bytes, value: bytes, *, leading_space: bool) -> bytes:
    """HEADER: lines of a value are parted by LF."""
    value = value.replace(b"\r\n", b"\n").replace(b"\0", b"")
    if not leading_space:
        value = value.removeprefix(b" ")
    return packet(Command.HEADER, name + b"\0" + value + b"\0")


def parse_change(response: Response, data: bytes, *, leading_space: bool) -> HeaderChange:
    """What is to be done to the header. Raises MilterFault."""
    index: int | None = None
    if response is not Response.ADD_HEADER:
        if len(data) < 4:
            raise MilterFault("a change of a field is too short")
        (index,) = struct.unpack_from("!I", data)
        data = data[4:]
    parts = data.split(b"\0")
    if len(parts) != 3 or parts[2]:
        raise MilterFault("a change of a field can't be read")
    name, value, _ = parts
    if value and not leading_space:
        value = b" " + value
    return HeaderChange(name, value, index)


def parse_mailbox(data: bytes) -> str:
    """The address of ADD_RECIPIENT and its like, in brackets or not; empty for the null one.

    Parameters are read over. Raises MilterFault.
    """
    text = data.partition(b"\0")[0].decode("utf-8", "replace").strip()
    try:
        path, rest = parse_path(text if text.startswith("<") else f"<{text}>")
    except PathFault as error:
        raise MilterFault("it names no address") from error
    if rest.strip():
        raise MilterFault("it names no address")
    return str(path)


def parse_reply(data: bytes) -> Reply | None:
    """A reply of a milter's own, its lines as one; None: it is none."""
    text = data.partition(b"\0")[0].decode("utf-8", "replace")
    lines = re.split(r"\r?\n", text)
    found = [_REPLY.fullmatch(line) for line in lines if line]
    first = found[0] if found else None
    if first is None:
        return None
    said = " ".join(each[4] for each in found if each is not None).replace("%%", "%")
    said = "".join(each if " " <= each <= "~" else "?" for each in said)[:MOST_TEXT].strip()
    kind, enhanced = first[1], first[3]
    if not enhanced or enhanced[0] != kind:
        enhanced = f"{kind}.7.1"
    return Reply(int(kind + first[2]), enhanced, said or "not taken")


def _text(text: str) -> bytes:
    return text.replace("\0", "").encode("utf-8", "replace") + b"\0"
