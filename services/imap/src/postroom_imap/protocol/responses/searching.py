"""Responses of SEARCH, SORT and THREAD (RFC 3501 section 7.2.5, RFC 4731 section 3.1)."""

from collections.abc import Iterable

from postroom_imap.protocol.responses.strings import quoted


def search_response(numbers: Iterable[int], modseq: int = 0) -> bytes:
    """SEARCH; without numbers where nothing was found.

    Args:
        modseq: the highest of what was found, where it is asked for (RFC 7162 section 3.1.5).
    """
    response = _listing(b"SEARCH", numbers)
    return b"%b (MODSEQ %d)\r\n" % (response[:-2], modseq) if modseq else response


def esearch(tag: bytes, items: Iterable[bytes], *, uid: bool) -> bytes:
    """ESEARCH about the selected mailbox, for the command with ``tag``."""
    head = b"* ESEARCH (TAG %b)%b" % (quoted(tag), b" UID" if uid else b"")
    return b" ".join((head, *items)) + b"\r\n"


def _listing(name: bytes, numbers: Iterable[int]) -> bytes:
    return b" ".join((b"* " + name, *map(b"%d".__mod__, numbers))) + b"\r\n"
