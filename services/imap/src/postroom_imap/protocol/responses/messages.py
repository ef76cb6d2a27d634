"""Responses about messages: FETCH, EXPUNGE (RFC 3501 section 7.4).

A FETCH is rendered through a template, made once per command and filled once per message with
``%``, which is the fastest way there is to twenty thousand of them::

    template = fetch_template(items)            # b"* %d FETCH (UID %d FLAGS %b)\\r\\n"
    write(b"".join([template % row for row in rows]))

A row is the message's sequence number, then one value per item in the order of ``items.items``:
``int`` for UID and RFC822.SIZE; ``bytes`` for the others: FLAGS as ``flag_list``, INTERNALDATE as
``quoted(bytes(date_time))``, ENVELOPE and the body structures as rendered, a section as ``nstring``
or ``literal``.
"""

from collections.abc import Iterable

from postroom_imap.protocol.commands.annotation import AnnotationItem
from postroom_imap.protocol.commands.fetch import BodySection, FetchAttribute, FetchItem
from postroom_imap.protocol.responses.strings import quoted
from postroom_imap.protocol.sequence_set import SequenceSet

_NUMERIC = frozenset({FetchAttribute.UID, FetchAttribute.RFC822_SIZE})


def fetch_template(items: Iterable[FetchItem]) -> bytes:
    """The ``%`` template of one FETCH response with ``items``, of which there is at least one."""
    return b"* %%d FETCH (%b)\r\n" % b" ".join(map(_placeholder, items))


def fetch_response(number: int, parts: Iterable[bytes]) -> bytes:
    """One FETCH from parts that are each ``name SP value``."""
    return b"* %d FETCH (%b)\r\n" % (number, b" ".join(parts))


def fetch_flags(number: int, flags: bytes) -> bytes:
    """The unsolicited FETCH that tells new flags, given as a ``flag_list``."""
    return b"* %d FETCH (FLAGS %b)\r\n" % (number, flags)


def fetch_uid_flags(number: int, uid: int, flags: bytes) -> bytes:
    """The same with the UID, as UID commands need it (section 6.4.8)."""
    return b"* %d FETCH (UID %d FLAGS %b)\r\n" % (number, uid, flags)


def fetch_uid_flags_modseq(number: int, uid: int, flags: bytes, modseq: int) -> bytes:
    """The same for a client that follows modseqs (RFC 7162 section 3.2)."""
    return b"* %d FETCH (UID %d MODSEQ (%d) FLAGS %b)\r\n" % (number, uid, modseq, flags)


def uid_fetch_flags(uid: int, flags: bytes) -> bytes:
    """The same for a client that knows no numbers (RFC 9586 section 3.3)."""
    return b"* %d UIDFETCH (FLAGS %b)\r\n" % (uid, flags)


def uid_fetch_flags_modseq(uid: int, flags: bytes, modseq: int) -> bytes:
    """The same for one that follows modseqs as well."""
    return b"* %d UIDFETCH (MODSEQ (%d) FLAGS %b)\r\n" % (uid, modseq, flags)


def fetch_part(item: FetchItem, value: bytes) -> bytes:
    """``name SP value``; ``value`` rendered."""
    return b"%b %b" % (item_name(item), value)


def item_name(item: FetchItem) -> bytes:
    """What a FETCH response calls ``item``."""
    match item:
        case BodySection():
            return item.label
        case AnnotationItem():
            return b"ANNOTATION"
    return item.value.encode("ascii")


def expunge(number: int) -> bytes:
    """EXPUNGE."""
    return b"* %d EXPUNGE\r\n" % number


def vanished(uids: SequenceSet, *, earlier: bool = False) -> bytes:
    """VANISHED (RFC 7162 section 3.2.10); ``earlier``: not counted in EXISTS any more."""
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " * earlier, bytes(uids))


def uid_batches(tag: bytes, batches: Iterable[tuple[int, int]]) -> bytes:
    """UIDBATCHES (draft-ietf-mailmaint-imap-uidbatches): each the highest and the lowest UID."""
    ranges = b",".join(b"%d:%d" % batch for batch in batches)
    return b"* UIDBATCHES (TAG %b)%b\r\n" % (quoted(tag), b" " + ranges if ranges else b"")


def _placeholder(item: FetchItem) -> bytes:
    name = item_name(item).replace(b"%", b"%%")  # a header field name may hold one
    return name + (b" %d" if item in _NUMERIC else b" %b")
