"""The mbox format, mboxrd (RFC 4155 with reversible quoting), in both directions.

What is written: for each message a `From ` line (the return path, or MAILER-DAEMON; the internal
date in UTC), four fields of ours, the message with LF for CRLF and one more ">" before each line
that reads ">*From ", a final newline if it has none, and an empty line. Our fields:

    X-Postroom-Export: size=1234 lines=crlf
    Status: RO                 R: seen
    X-Status: AFDT             answered, flagged, deleted, draft
    X-Keywords: $Forwarded

They make the way back exact: the size tells whether the final newline is the message's own, and
`lines=as-is` that it has bare LFs and was written with its own line ends. Import takes them off
again.

What is read: any mbox with LF or CRLF. A message begins at a `From ` line that ends in a date and
follows an empty line; a line in a body that only begins with "From " is text. Flags are taken from
Status, X-Status, X-Keywords and Thunderbird's X-Mozilla-Status and X-Mozilla-Keys, whose lines
stay in the message. Messages that Thunderbird has deleted and not yet compacted away, and the
folder data that UW-IMAP and Pine keep as a first message, are left out.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path

from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.model import NewMessage, StoredMessage
from postroom_admin.transfer.entry import Entry, below, check_size, with_crlf

SUFFIX = ".mbox"
FROM_BYTES = 2000  # of a `From ` line; what is behind is no date
EARLIEST, LATEST = -30_610_224_000, 253_402_300_799  # years of four digits: 1000 to 9999
HEADER_BYTES = 256 * 1024  # flags are looked for no further
STATUS_FLAGS = {
    b"R": "\\Seen",
    b"A": "\\Answered",
    b"F": "\\Flagged",
    b"D": "\\Deleted",
    b"T": "\\Draft",
}
MOZILLA_FLAGS = {0x0001: "\\Seen", 0x0002: "\\Answered", 0x0004: "\\Flagged", 0x1000: "$Forwarded"}
MOZILLA_EXPUNGED = 0x0008

_DATE = (
    rb"[A-Z][a-z]{2},? +[A-Z][a-z]{2} +\d{1,2} +\d{1,2}:\d\d(?::\d\d)?"
    rb"(?: +[A-Z]{1,5}| +[+-]\d{4})? +\d{4}(?: +[+-]\d{4}| +[A-Z]{1,5})?"
)
_NEXT = re.compile(rb"\n\r?\n(?=From [^\r\n]{0,1000}?" + _DATE + rb"[ \t]*\r?\n)")
_DATE_PARTS = re.compile(
    rb"([A-Z][a-z]{2}) +(\d{1,2}) +(\d{1,2}:\d\d(?::\d\d)?)(?: +([+-]\d{4}))?(?: +[A-Z]{1,5})?"
    rb" +(\d{4})(?: +([+-]\d{4}))?"
)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_TO_QUOTE = re.compile(rb"^(>*From )", re.MULTILINE)
_OURS = re.compile(
    rb"X-Postroom-Export: size=(?P<size>\d{1,18}) lines=(?P<lines>crlf|as-is)\r?\n"
    rb"(?P<flags>Status:[^\n]*\nX-Status:[^\n]*\nX-Keywords:[^\n]*\n)"
)
_END_OF_HEADER = re.compile(rb"^\r?\n", re.MULTILINE)
_FIELD = re.compile(
    rb"^(Status|X-Status|X-Keywords|X-Mozilla-Status|X-Mozilla-Keys):[ \t]*([^\r\n]*)",
    re.MULTILINE | re.IGNORECASE,
)
_DATE_FIELD = re.compile(rb"^Date:[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_FOLDER_DATA = (
    re.compile(rb"^X-IMAP:", re.MULTILINE),
    re.compile(rb"^Subject: DON'T DELETE THIS MESSAGE", re.MULTILINE),
)
# RFC 5321 section 4.5.3.1: no address is longer than 320; `_NEXT` has to find the line again.
_RETURN_PATH = re.compile(rb"^Return-Path:[ \t]*<([^<>\s]{1,320})>", re.MULTILINE | re.IGNORECASE)
_UNSAFE = re.compile(r"[%/\x00-\x1f\x7f]|^\.|\.(?=mbox$)")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a message lies in an mbox: its `From ` line, its bytes as they are quoted there."""

    start: int
    content: int
    end: int


def read_mbox(path: Path, mailbox: str) -> list[Entry]:
    """The messages of an mbox file, or of every *.mbox in a folder as an export makes it.

    Raises:
        PostroomError: INVALID where it is no mbox.
        OSError: it can't be read.
    """
    if not path.is_dir():
        return list(_file(path, mailbox, ""))
    files = sorted(file for file in path.rglob(f"*{SUFFIX}") if file.is_file())
    if not files:
        raise PostroomError(Kind.INVALID, f"{path} holds no file that ends in {SUFFIX}")
    entries: list[Entry] = []
    for file in files:
        name = mailbox_of(file.relative_to(path))
        entries += _file(file, below(mailbox, name), f"{name}/")
    return entries


def file_of(mailbox: str) -> Path:
    """The file in an export's folder that a mailbox goes to: a folder for each level above."""
    levels = [
        _UNSAFE.sub(lambda char: f"%{ord(char[0]):02X}", level) for level in mailbox.split("/")
    ]
    return Path(*levels[:-1], levels[-1] + SUFFIX)


def mailbox_of(file: Path) -> str:
    """The mailbox that `file_of` gave a file to."""
    levels = [*file.parts[:-1], file.name.removesuffix(SUFFIX)]
    return "/".join(
        re.sub(r"%([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), level) for level in levels
    )


def spans(data: bytes | mmap.mmap) -> Iterator[Span]:
    """Where the messages of an mbox lie."""
    start = 0
    while start < len(data):
        line_end = data.find(b"\n", start)
        if line_end < 0:
            return
        # The end of the `From ` line may be the first half of what separates an empty message.
        separator = _NEXT.search(data, line_end)
        end = separator.start() + 1 if separator else _without_last_empty_line(data, line_end + 1)
        yield Span(start, line_end + 1, max(end, line_end + 1))
        if separator is None:
            return
        start = separator.end()


def parse_message(from_line: bytes, quoted: bytes, undated: int = 0) -> NewMessage:
    """A message as it lies in an mbox, with what its `From ` line and its status fields say.

    Args:
        undated: the internal date, Unix seconds, where neither that line nor a Date field has one.
    """
    if ours := _OURS.match(quoted):
        flags, content = _flags(ours["flags"]), _restore(ours, quoted[ours.end() :])
    else:
        flags, content = _flags(_header(quoted)), with_crlf(_QUOTED.sub(rb"\1", quoted))
    return NewMessage(content, flags, _internaldate(from_line, quoted, undated))


def format_message(message: StoredMessage) -> bytes:
    """A message as it lies in an mbox, with its `From ` line and the empty line behind."""
    content = message.content
    exact = content.count(b"\n") == content.count(b"\r\n")
    sender = _RETURN_PATH.search(_header(content))
    when = time.asctime(time.gmtime(min(max(message.internaldate, EARLIEST), LATEST)))
    body = _TO_QUOTE.sub(rb">\1", content.replace(b"\r\n", b"\n") if exact else content)
    return b"".join(
        (
            b"From %b %b\n" % (sender[1] if sender else b"MAILER-DAEMON", when.encode()),
            b"X-Postroom-Export: size=%d lines=%b\n"
            % (len(content), b"crlf" if exact else b"as-is"),
            _status(message.flags),
            body,
            b"\n" if body and not body.endswith(b"\n") else b"",
            b"\n",
        )
    )


def _file(path: Path, mailbox: str, prefix: str) -> Iterator[Entry]:
    with path.open("rb") as file:
        if not file.read(1):
            return
        modified = int(os.fstat(file.fileno()).st_mtime)
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if data[:5] != b"From ":
        raise PostroomError(Kind.INVALID, f"{path} is not an mbox: it doesn't begin with 'From '")
    seen: Counter[str] = Counter()
    for span in spans(data):
        if _left_out(_header(data[span.content : min(span.end, span.content + HEADER_BYTES)])):
            continue
        # Its bytes name a message wherever it lies: mail may be added or removed between two runs.
        digest = hashlib.blake2b(data[span.start : span.end], digest_size=16).hexdigest()
        seen[digest] += 1
        identity = f"{prefix}{digest}.{seen[digest]}"
        yield Entry(identity, mailbox, partial(_read, data, span, modified))


def _read(data: mmap.mmap, span: Span, undated: int, limit: int) -> NewMessage:
    check_size(span.end - span.content, limit)
    from_line = data[span.start : min(span.content, span.start + FROM_BYTES)]
    message = parse_message(from_line, data[span.content : span.end], undated)
    check_size(len(message.content), limit)
    return message


def _without_last_empty_line(data: bytes | mmap.mmap, start: int) -> int:
    end = len(data)
    for empty in (b"\r\n", b"\n"):
        before = end - len(empty)
        if before >= start and data[before:end] == empty and data[before - 1 : before] == b"\n":
            return before
    return end


def _restore(ours: re.Match[bytes], quoted: bytes) -> bytes:
    """The bytes that were exported, if nobody has edited them since."""
    content = _QUOTED.sub(rb"\1", quoted)
    if ours["lines"] == b"crlf":
        content = content.replace(b"\n", b"\r\n")
    size = int(ours["size"])
    return content[:size] if content[size:] in (b"\n", b"\r\n") else content


def _header(content: bytes) -> bytes:
    head = content[:HEADER_BYTES]
    end = _END_OF_HEADER.search(head)
    return head[: end.start()] if end else head


def _left_out(header: bytes) -> bool:
    for name, value in _FIELD.findall(header):
        if name.lower() == b"x-mozilla-status" and _hexadecimal(value) & MOZILLA_EXPUNGED:
            return True
    return all(mark.search(header) for mark in _FOLDER_DATA)


def _flags(header: bytes) -> tuple[str, ...]:
    flags: list[str] = []
    for name, value in _FIELD.findall(header):
        match name.lower():
            case b"status" | b"x-status":
                flags += [flag for letter, flag in STATUS_FLAGS.items() if letter in value]
            case b"x-mozilla-status":
                bits = _hexadecimal(value)
                flags += [flag for bit, flag in MOZILLA_FLAGS.items() if bits & bit]
            case _:
                flags += value.decode("ascii", "ignore").split()
    return tuple(dict.fromkeys(flags))


def _hexadecimal(value: bytes) -> int:
    with suppress(ValueError):
        return int(value.strip()[:8], 16)
    return 0


def _status(flags: tuple[str, ...]) -> bytes:
    letters = {flag: letter for letter, flag in STATUS_FLAGS.items()}
    held = [letters[flag] for flag in flags if flag in letters]
    return b"Status: %bO\nX-Status: %b\nX-Keywords: %b\n" % (
        b"R" if b"R" in held else b"",
        b"".join(letter for letter in held if letter != b"R"),
        " ".join(flag for flag in flags if flag not in letters).encode(),
    )


def _internaldate(from_line: bytes, content: bytes, undated: int) -> int:
    """Unix seconds: what the `From ` line says (UTC if it names no zone), or the Date field."""
    if parts := _DATE_PARTS.search(from_line):
        month, day, clock, zone, year, last_zone = (part.decode() for part in parts.groups(b""))
        text = f"{day} {month} {year} {clock} {zone or last_zone or '+0000'}"
        if (seconds := _seconds(text)) is not None:
            return seconds
    if field := _DATE_FIELD.search(_header(content)):
        seconds = _seconds(field[1].decode("ascii", "replace"))
        return undated if seconds is None else seconds
    return undated


def _seconds(text: str) -> int | None:
    try:
        when = parsedate_to_datetime(text)
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
