"""Responses about mailboxes and the server (RFC 9051 section 7.3, RFC 2342, RFC 2971)."""

from collections.abc import Iterable, Mapping, Sequence

from postroom_imap.protocol.commands.mailboxes import StatusItem
from postroom_imap.protocol.mailbox_name import DELIMITER, encode
from postroom_imap.protocol.object_id import ObjectId
from postroom_imap.protocol.responses.strings import (
    flag_list,
    mailbox,
    nstring,
    quoted,
    string,
)

_DELIMITER = quoted(DELIMITER.encode("ascii"))


def list_response(
    name: str, attributes: Iterable[str] = (), extended: Iterable[bytes] = (), *, utf8: bool
) -> bytes:
    """LIST; attributes with their backslash: ``\\HasNoChildren``, ``\\Sent``.

    ``extended`` data items are rendered (``child_info``, ``old_name``).
    """
    items = b" ".join(extended)
    told = b" (%b)" % items if items else b""
    return b"* LIST %b %b %b%b\r\n" % (
        flag_list(attributes),
        _DELIMITER,
        mailbox(name, utf8),
        told,
    )


def child_info(criteria: Iterable[str]) -> bytes:
    """CHILDINFO of LIST: what the inferiors meet (RFC 9051 section 6.3.9.6)."""
    return b'"CHILDINFO" (%b)' % b" ".join(quoted(each.encode("ascii")) for each in criteria)


def old_name(name: str, *, utf8: bool) -> bytes:
    """OLDNAME of LIST: how the mailbox was called (RFC 9051 section 6.3.9.7)."""
    return b'"OLDNAME" (%b)' % mailbox(name, utf8)


def lsub_response(name: str, attributes: Iterable[str] = (), *, utf8: bool) -> bytes:
    """LSUB."""
    return b"* LSUB %b %b %b\r\n" % (flag_list(attributes), _DELIMITER, mailbox(name, utf8))


def delimiter_response(verb: str = "LIST") -> bytes:
    """What LIST and LSUB answer to an empty pattern (section 6.3.8)."""
    return b'* %b (\\Noselect) %b ""\r\n' % (verb.encode("ascii"), _DELIMITER)


def status_response(name: str, values: Mapping[StatusItem, int | ObjectId], *, utf8: bool) -> bytes:
    """STATUS, in the order of ``values``."""
    items = " ".join(f"{item} {value}" for item, value in values.items())
    return b"* STATUS %b (%b)\r\n" % (mailbox(name, utf8), items.encode("ascii"))


def flags_response(flags: Iterable[str]) -> bytes:
    """FLAGS."""
    return b"* FLAGS %b\r\n" % flag_list(flags)


def exists(count: int) -> bytes:
    """EXISTS (section 7.3.1)."""
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    """RECENT (section 7.3.2)."""
    return b"* %d RECENT\r\n" % count


def namespace_response(
    personal: Sequence[str] = ("",), others: Sequence[str] = (), shared: Sequence[str] = ()
) -> bytes:
    """NAMESPACE: the prefixes of each class; a class without any is NIL."""
    classes = b" ".join(_namespace(prefixes) for prefixes in (personal, others, shared))
    return b"* NAMESPACE %b\r\n" % classes


def id_response(params: Mapping[str, str | None]) -> bytes:
    """ID; NIL where there is nothing to say."""
    pairs = b" ".join(
        b"%b %b" % (string(name.encode()), nstring(None if value is None else value.encode()))
        for name, value in params.items()
    )
    return b"* ID %b\r\n" % (b"(%b)" % pairs if pairs else b"NIL")


def _namespace(prefixes: Sequence[str]) -> bytes:
    if not prefixes:
        return b"NIL"
    # NAMESPACE takes strings, not astrings: a prefix is never bare.
    return b"(%b)" % b"".join(b"(%b %b)" % (_prefix(prefix), _DELIMITER) for prefix in prefixes)


def _prefix(prefix: str) -> bytes:
    return string(encode(prefix))
