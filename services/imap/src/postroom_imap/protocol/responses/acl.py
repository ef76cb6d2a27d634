"""ACL, LISTRIGHTS and MYRIGHTS (RFC 4314 sections 3.6 to 3.8), with the virtual rights."""

from collections.abc import Iterable

from postroom_imap.protocol.responses.strings import astring, mailbox
from postroom_imap.protocol.rights import ALL, told


def acl_response(name: str, entries: Iterable[tuple[str, str]], *, utf8: bool) -> bytes:
    """ACL: identifiers with their rights."""
    words = [mailbox(name, utf8)]
    for identifier, rights in entries:
        words += (astring(identifier.encode()), _rights(rights))
    return b"* ACL %b\r\n" % b" ".join(words)


def list_rights_response(name: str, identifier: str, required: str, *, utf8: bool) -> bytes:
    """LISTRIGHTS: those that somebody has in any case, and the others, each by itself."""
    optional = (letter for letter in told(ALL) if letter not in told(required))
    words = (mailbox(name, utf8), astring(identifier.encode()), _rights(required))
    return b"* LISTRIGHTS %b\r\n" % b" ".join((*words, *map(str.encode, optional)))


def my_rights_response(name: str, rights: str, *, utf8: bool) -> bytes:
    """MYRIGHTS."""
    return b"* MYRIGHTS %b %b\r\n" % (mailbox(name, utf8), _rights(rights))


def _rights(rights: str) -> bytes:
    return astring(told(rights).encode("ascii"))
