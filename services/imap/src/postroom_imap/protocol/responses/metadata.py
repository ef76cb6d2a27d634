"""METADATA (RFC 5464 section 4.4) and its response codes."""

from collections.abc import Iterable

from postroom_imap.protocol.responses.strings import astring, mailbox, nstring8

TOO_MANY = b"METADATA TOOMANY"


def metadata_response(
    name: str, values: Iterable[tuple[str, bytes | None]], *, utf8: bool
) -> bytes:
    """METADATA with values; an empty name stands for the server."""
    pairs = (b"%b %b" % (astring(entry.encode()), nstring8(value)) for entry, value in values)
    return b"* METADATA %b (%b)\r\n" % (mailbox(name, utf8), b" ".join(pairs))


def changed_metadata_response(name: str, entries: Iterable[str], *, utf8: bool) -> bytes:
    """METADATA that nobody asked for: names without values (section 4.4.2)."""
    names = (astring(entry.encode()) for entry in entries)
    return b"* METADATA %b %b\r\n" % (mailbox(name, utf8), b" ".join(names))


def long_entries(size: int) -> bytes:
    """METADATA LONGENTRIES: the longest value that MAXSIZE left out."""
    return b"METADATA LONGENTRIES %d" % size


def max_size(size: int) -> bytes:
    """METADATA MAXSIZE: the longest value that can be set."""
    return b"METADATA MAXSIZE %d" % size
