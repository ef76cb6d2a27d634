"""IMAP renderings, ready to send: ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 section 7.4.2).

They are the same in RFC 9051. Strings are as in the message, unfolded: encoded words stay encoded.
A string goes out quoted where that is legal and as a literal where it is not; NUL, which neither
form can hold (RFC 3501 section 9, CHAR8), is left out.

Liberties: a mailbox without a domain gets the host "", because NIL would make it the start of a
group; text/plain without parameters shows the charset that RFC 2046 section 4.1.2 gives it;
an opaque multipart shows as text/plain and an opaque message as application/octet-stream, since the
grammar has no form for either.
"""

from collections.abc import Mapping
from typing import Final

from postroom_mime import limits
from postroom_mime.address import Address, AddressItem, GroupStart, parse_addresses
from postroom_mime.headers import first_fields, unfold
from postroom_mime.parameters import Params
from postroom_mime.structure import Message, Part

# What a quoted string can't hold (RFC 3501 section 9, TEXT-CHAR), or only behind a backslash.
_SPECIALS: Final = bytes(range(128, 256)) + b'\0\r\n"\\'

_US_ASCII: Final[Params] = ((b"charset", b"us-ascii"),)
_NESTED: Final = frozenset(("rfc822", "global"))


def nstring(value: bytes | None) -> bytes:
    """Return NIL, a quoted string, or a literal."""
    if value is None:
        return b"NIL"
    if len(value) > limits.QUOTED_BYTES:
        return _literal(value)
    if len(value.translate(None, _SPECIALS)) == len(value):
        return b'"%b"' % value
    value = value.replace(b"\0", b"")
    if value.isascii() and b"\r" not in value and b"\n" not in value:
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return _literal(value)


def _literal(value: bytes) -> bytes:
    value = value.replace(b"\0", b"")
    return b"{%d}\r\n%b" % (len(value), value)


def envelope(header: bytes) -> bytes:
    """Return the ENVELOPE of a header block."""
    return envelope_of(first_fields(header))


def envelope_of(fields: Mapping[bytes, bytes]) -> bytes:
    """Return the ENVELOPE of fields as `first_fields` gives them."""
    sender_of = addresses(fields.get(b"from"))
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _field(fields, b"date"),
        _field(fields, b"subject"),
        sender_of,
        # RFC 3501 section 7.4.2: the server fills in an absent Sender and Reply-To from From.
        _or(addresses(fields.get(b"sender")), sender_of),
        _or(addresses(fields.get(b"reply-to")), sender_of),
        addresses(fields.get(b"to")),
        addresses(fields.get(b"cc")),
        addresses(fields.get(b"bcc")),
        _field(fields, b"in-reply-to"),
        _field(fields, b"message-id"),
    )


def addresses(field: bytes | None) -> bytes:
    """Return the value of an address field as the list that ENVELOPE has of it, or NIL."""
    items = parse_addresses(unfold(field)) if field else []
    return b"(%b)" % b"".join(map(_address, items)) if items else b"NIL"


def _or(rendered: bytes, default: bytes) -> bytes:
    return default if rendered == b"NIL" else rendered


def _field(fields: Mapping[bytes, bytes], name: bytes) -> bytes:
    value = fields.get(name)
    return b"NIL" if value is None else nstring(unfold(value))


def _address(item: AddressItem) -> bytes:
    """Return one address structure; a group begins and ends with one without a host."""
    match item:
        case Address(name, mailbox, host, route):
            return b"(%b %b %b %b)" % (
                nstring(name),
                nstring(route),
                nstring(mailbox),
                nstring(host),
            )
        case GroupStart(name):
            return b"(NIL NIL %b NIL)" % nstring(name)
    return b"(NIL NIL NIL NIL)"


def body(raw: bytes, message: Message) -> bytes:
    """Return the non-extensible BODY of a message."""
    return _render(raw, message.root, extended=False)


def bodystructure(raw: bytes, message: Message) -> bytes:
    """Return the BODYSTRUCTURE of a message, with all extension data that RFC 3501 defines."""
    return _render(raw, message.root, extended=True)


def _render(raw: bytes, part: Part, extended: bool) -> bytes:
    if part.is_multipart:
        parts = b"".join([_render(raw, child, extended) for child in part.children])
        fields = b'%b "%b"' % (parts, part.subtype.encode())
        extension = _params(part.params)
    else:
        fields = _leaf(raw, part, extended)
        extension = nstring(part.md5)
    if not extended:
        return b"(%b)" % fields
    return b"(%b %b %b %b %b)" % (
        fields,
        extension,
        _disposition(part),
        _language(part),
        nstring(part.location),
    )


def _leaf(raw: bytes, part: Part, extended: bool) -> bytes:
    """Return media type, body-fields, and what body-type-msg or body-type-text adds to them."""
    kind, subtype = part.type, part.subtype
    if part.type == "multipart":
        kind, subtype = "text", "plain"
    elif part.type == "message" and subtype in _NESTED and not part.is_message:
        kind, subtype = "application", "octet-stream"
    params = part.params
    if not params and (kind, subtype) == ("text", "plain"):
        params = _US_ASCII
    fields = b'"%b" "%b" %b %b %b "%b" %d' % (
        kind.encode(),
        subtype.encode(),
        _params(params),
        nstring(part.id),
        nstring(part.description),
        part.encoding.encode(),
        part.size,
    )
    if part.is_message:
        root = part.children[0]
        nested = envelope(raw[root.header_start : root.body_start])
        return b"%b %b %b %d" % (fields, nested, _render(raw, root, extended), part.lines)
    return b"%b %d" % (fields, part.lines) if kind == "text" else fields


def _params(params: Params) -> bytes:
    if not params:
        return b"NIL"
    return b"(%b)" % b" ".join([nstring(text) for param in params for text in param])


def _disposition(part: Part) -> bytes:
    if part.disposition is None:
        return b"NIL"
    kind, params = part.disposition
    return b'("%b" %b)' % (kind.encode(), _params(params))


def _language(part: Part) -> bytes:
    if not part.language:
        return b"NIL"
    return b"(%b)" % b" ".join(map(nstring, part.language))
