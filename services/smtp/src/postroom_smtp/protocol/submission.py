"""What a submitted message lacks is added, and what nobody else is to see is taken out (RFC 6409
section 8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from postroom_mime import limits
from postroom_mime.address import Address, parse_addresses
from postroom_mime.headers import raw_fields, unfold

from postroom_smtp.protocol.header import without_names

# Where the sender wants a copy: the name of a mailbox. It is ours to heed, and nobody's to see.
COPY = "postroom-copy"
USUAL_COPY = "Sent"
_HIDDEN = frozenset({"bcc", "resent-bcc", COPY, "return-path"})
_HIDDEN_OCTETS = frozenset(name.encode() for name in _HIDDEN)
_MAILBOX = re.compile(r"[^/%*]{1,60}(?:/[^/%*]{1,60}){0,3}")


class BadHeader(Exception):
    """A header section that doesn't say in one way who wrote it."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A header section that is ready to go.

    Attributes:
        authors: whom its From and Sender fields name.
        copy_to: a mailbox of the sender's own; empty: no copy.
    """

    header: bytes
    authors: frozenset[str]
    copy_to: str


def complete(
    header: bytes, *, author: str, message_id: str, now: datetime, strict: bool
) -> Submitted:
    """A submitted message's header section, completed.

    Args:
        author: who it is from where it says nothing of that.
        message_id: for the Message-ID field, without its angle brackets.
        strict: the author must be told: what can't be read is refused.

    Raises BadHeader.
    """
    fields = [(name.lower(), value) for name, value in raw_fields(header)]
    names = {name for name, _ in fields}
    senders = [(name, unfold(value)) for name, value in fields if name in (b"from", b"sender")]
    if strict and (len(fields) >= limits.FIELDS or len(senders) > len(dict(senders))):
        raise BadHeader
    authors = frozenset(
        address for _, value in senders for address in _addresses(value, strict=strict)
    )
    added = b""
    if b"from" not in names:
        added += b"From: " + author.encode() + b"\r\n"
    if b"date" not in names:
        added += b"Date: " + format_datetime(now).encode() + b"\r\n"
    if b"message-id" not in names:
        added += b"Message-ID: <" + message_id.encode() + b">\r\n"
    copies = [unfold(value) for name, value in fields if name == COPY.encode()]
    if not names.isdisjoint(_HIDDEN_OCTETS):
        header = without_names(header, _HIDDEN)
    return Submitted(added + header, authors, _copy(copies))


def _addresses(value: bytes, *, strict: bool) -> list[str]:
    items = parse_addresses(value)
    if strict and (len(value) > limits.ADDRESS_BYTES or len(items) >= limits.ADDRESSES):
        raise BadHeader
    found = [item for item in items if isinstance(item, Address)]
    if strict and not found:
        raise BadHeader
    return [
        f"{one.mailbox.decode('utf-8', 'replace')}@{one.host.decode('utf-8', 'replace')}"
        for one in found
    ]


def _copy(copies: list[bytes]) -> str:
    if not copies:
        return ""
    name = copies[0].decode("utf-8", "replace")
    proper = name.isprintable() and "\ufffd" not in name and _MAILBOX.fullmatch(name)
    return name if proper else USUAL_COPY
