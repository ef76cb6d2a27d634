"""Reads a Maildir and, below it, the folders of Maildir++ (".Sent", ".Sent.2024").

A message's flags are in its file name behind ":2,"; lower-case letters are keywords that the file
`dovecot-keywords` names. Its internal date is the file's modification time, where IMAP servers keep
it, or the delivery time in the file name if that is earlier: then somebody copied the files without
their times.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.model import NewMessage
from postroom_admin.transfer.entry import Entry, Unimportable, below, check_size, with_crlf

FLAGS = {
    "S": "\\Seen",
    "R": "\\Answered",
    "F": "\\Flagged",
    "T": "\\Deleted",
    "D": "\\Draft",
    "P": "$Forwarded",
}
KEYWORDS = "dovecot-keywords"
KEYWORDS_BYTES = 64 * 1024
EARLIEST = 315_532_800  # 1980: a number in a file name below it is no delivery time

_NAME = re.compile(r"(?P<unique>[^:]*)(?::2,(?P<flags>[A-Za-z]*))?")
_DELIVERED = re.compile(r"(\d{9,10})\.")
_MODIFIED_UTF7 = re.compile(r"&([A-Za-z0-9+,]*)-")


def read_maildir(folder: Path, mailbox: str) -> list[Entry]:
    """The messages of a Maildir and its subfolders, oldest first in each.

    Args:
        mailbox: where the top folder goes.

    Raises:
        PostroomError: INVALID where it is no Maildir.
        OSError: a folder can't be read.
    """
    if not _is_maildir(folder):
        raise PostroomError(
            Kind.INVALID, f"{folder} is not a Maildir: it has neither a folder cur nor new"
        )
    entries = list(_folder(folder, "", mailbox))
    for child in sorted(folder.iterdir()):
        if child.name.startswith(".") and _is_maildir(child):
            entries += _folder(child, child.name, below(mailbox, mailbox_of(child.name)))
    return entries


def mailbox_of(name: str) -> str:
    """The mailbox that a Maildir++ folder holds: ".Sent.2024" is "Sent/2024".

    Names are in the modified UTF-7 of IMAP (RFC 3501 section 5.1.3), or in UTF-8.
    """
    return "/".join(_decode(level) for level in name.removeprefix(".").split("."))


def _is_maildir(folder: Path) -> bool:
    return (folder / "cur").is_dir() or (folder / "new").is_dir()


def _folder(folder: Path, name: str, mailbox: str) -> Iterator[Entry]:
    keywords = _keywords(folder / KEYWORDS)
    found: dict[str, tuple[int, str, Entry]] = {}
    for part in ("cur", "new"):
        if not (folder / part).is_dir():
            continue
        with os.scandir(folder / part) as files:
            for file in sorted(files, key=lambda one: one.name):
                if file.name.startswith(".") or not file.is_file():
                    continue
                parsed = _NAME.fullmatch(file.name)
                unique, letters = parsed.group("unique", "flags") if parsed else (file.name, "")
                if unique in found:  # names ought to be unique; were they not, both are mail
                    unique = file.name
                internaldate = _internaldate(unique, int(file.stat().st_mtime))
                flags = _flags(letters or "", keywords)
                read = partial(_read, file.path, flags, internaldate)
                entry = Entry(f"{name}/{unique}", mailbox, read)
                found[unique] = (internaldate, unique, entry)
    return (entry for _, _, entry in sorted(found.values(), key=lambda one: one[:2]))


def _read(path: str, flags: tuple[str, ...], internaldate: int, limit: int) -> NewMessage:
    try:
        with open(path, "rb") as file:
            check_size(os.fstat(file.fileno()).st_size, limit)
            content = with_crlf(file.read())
    except OSError as error:
        raise Unimportable(f"{path} can't be read: {error.strerror}") from error
    check_size(len(content), limit)
    return NewMessage(content, flags, internaldate)


def _internaldate(unique: str, modified: int) -> int:
    if (delivered := _DELIVERED.match(unique)) and int(delivered[1]) >= EARLIEST:
        return min(modified, int(delivered[1]))
    return modified


def _flags(letters: str, keywords: Mapping[str, str]) -> tuple[str, ...]:
    known = (FLAGS.get(letter) or keywords.get(letter) for letter in letters)
    return tuple(dict.fromkeys(name for name in known if name))


def _keywords(file: Path) -> dict[str, str]:
    """Lines "0 $Junk": number 0 is the letter "a"."""
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            text = opened.read(KEYWORDS_BYTES)
    except OSError:
        return {}
    lines = (line.split(maxsplit=1) for line in text.splitlines())
    return {
        chr(ord("a") + int(line[0])): line[1].strip()
        for line in lines
        if len(line) == 2 and line[0].isdecimal() and int(line[0]) < 26
    }


def _decode(level: str) -> str:
    try:
        return _MODIFIED_UTF7.sub(_decode_run, level)
    except (ValueError, UnicodeDecodeError):
        return level


def _decode_run(run: re.Match[str]) -> str:
    if not run[1]:
        return "&"
    coded = run[1].replace(",", "/")
    return base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True).decode("utf-16-be")
