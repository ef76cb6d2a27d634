"""Responses of SEARCH, SORT and THREAD (RFC 3501 section 7.2.5, RFC 4731, RFC 5256)."""

from collections.abc import Iterable, Sequence

from postroom_imap.protocol.responses.strings import mailbox, quoted
from postroom_imap.protocol.sequence_set import in_order
from postroom_imap.protocol.threading import Forest

_CLOSE = -1


def search_response(numbers: Iterable[int], modseq: int = 0) -> bytes:
    """SEARCH; without numbers where nothing was found.

    Args:
        modseq: the highest of what was found, where it is asked for (RFC 7162 section 3.1.5).
    """
    return _listing(b"SEARCH", numbers, modseq)


def sort_response(numbers: Iterable[int], modseq: int = 0) -> bytes:
    """SORT, the numbers in the order asked for (RFC 5256 section 4); otherwise the same."""
    return _listing(b"SORT", numbers, modseq)


def thread_response(forest: Forest, numbers: Sequence[int]) -> bytes:
    """THREAD (RFC 5256 section 4).

    Args:
        numbers: what each message is called.
    """
    if not forest.roots:
        return b"* THREAD\r\n"
    out: list[bytes] = []
    # What is left to write, from the end: nodes whose list is to be opened, and closing brackets.
    waiting: list[int] = forest.roots[::-1]
    while waiting:
        node = waiting.pop()
        if node == _CLOSE:
            out.append(b")")
            continue
        out.append(b"(")
        waiting.append(_CLOSE)
        if node < forest.messages:
            out.append(b"%d" % numbers[node])
        children = forest.children[node]
        # A single child follows in the same list, and its single child, and so on.
        while len(children) == 1:
            node = children[0]
            out.append(b" %d" % numbers[node])
            children = forest.children[node]
        if children and node < forest.messages:
            out.append(b" ")
        waiting += children[::-1]
    return b"* THREAD " + b"".join(out) + b"\r\n"


def esearch(tag: bytes, items: Iterable[bytes], *, uid: bool) -> bytes:
    """ESEARCH about the selected mailbox, for the command with ``tag``."""
    head = b"* ESEARCH (TAG %b)%b" % (quoted(tag), b" UID" if uid else b"")
    return b" ".join((head, *items)) + b"\r\n"


def esearch_of_mailbox(
    tag: bytes, name: str, uid_validity: int, items: Iterable[bytes], *, utf8: bool
) -> bytes:
    """ESEARCH about any mailbox, for the ESEARCH command with ``tag`` (RFC 7377 section 2.1)."""
    correlators = (quoted(tag), mailbox(name, utf8), uid_validity)
    head = b"* ESEARCH (TAG %b MAILBOX %b UIDVALIDITY %d) UID" % correlators
    return b" ".join((head, *items)) + b"\r\n"


Places = Sequence[tuple[int, Sequence[int]]]


def add_to(tag: bytes, places: Places, *, uid: bool) -> bytes:
    """Messages that come into a result that is kept true (RFC 5267 section 4.3.3).

    Args:
        places: from 1 in a sort, 0 in a search, each with what comes there.
    """
    return esearch(tag, [b"ADDTO (%b)" % _placed(places)], uid=uid)


def remove_from(tag: bytes, places: Places, *, uid: bool) -> bytes:
    """The same of messages that leave it (section 4.3.4)."""
    return esearch(tag, [b"REMOVEFROM (%b)" % _placed(places)], uid=uid)


def _placed(places: Places) -> bytes:
    return b" ".join(b"%d %b" % (place, in_order(numbers)) for place, numbers in places)


def _listing(name: bytes, numbers: Iterable[int], modseq: int) -> bytes:
    highest = (b"(MODSEQ %d)" % modseq,) if modseq else ()
    return b" ".join((b"* " + name, *map(b"%d".__mod__, numbers), *highest)) + b"\r\n"
