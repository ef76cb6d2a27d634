"""One message of a source, and what every source does to its bytes.

Mail on Unix disks has lines that end in LF, mail in the store has CRLF (RFC 5322 section 2.1): a
bare LF becomes CRLF on import, and whatever else there is stays, a bare CR too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from postroom_admin.model import NewMessage

_BARE_LF = re.compile(rb"(?<!\r)\n")


class Unimportable(Exception):
    """A message that can't be taken over; the text says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that a source has.

    Attributes:
        identity: names it in its source, the same in every run.
        mailbox: where it goes.
        read: gives it, given the most bytes that it may have. Raises Unimportable.
    """

    identity: str
    mailbox: str
    read: Callable[[int], NewMessage]


def with_crlf(content: bytes) -> bytes:
    """The content with CRLF for each bare LF."""
    ended = content.count(b"\r\n")
    if not ended:
        return content.replace(b"\n", b"\r\n")
    if ended == content.count(b"\n"):
        return content
    return _BARE_LF.sub(b"\r\n", content)


def below(mailbox: str, name: str) -> str:
    """Where a folder of a source goes: beside INBOX, or under any other mailbox."""
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # a name on disk
    return name if mailbox.upper() == "INBOX" else f"{mailbox}/{name}"


def check_size(size: int, limit: int) -> None:
    """Raise Unimportable for a message that is too large."""
    if size > limit:
        raise Unimportable(f"it has {size:,} bytes, and {limit:,} is the most (--max-size)")
