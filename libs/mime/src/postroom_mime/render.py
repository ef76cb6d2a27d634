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


_ADDRESS_FIELDS: Final = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


def envelope(header: bytes) -> bytes:
    """Return the ENVELOPE of a header block."""
    fields = first_fields(header)
    return envelope_of(fields, address_fields(fields))


def address_fields(fields: Mapping[bytes, bytes]) -> dict[bytes, list[AddressItem]]:
    """Return the parsed addresses of each address field that has any."""
    parsed = {n: parse_addresses(unfold(fields[n])) for n in _ADDRESS_FIELDS if n in fields}
    return {name: items for name, items in parsed.items() if items}


def envelope_of(
    fields: Mapping[bytes, bytes], addresses: Mapping[bytes, list[AddressItem]]
) -> bytes:
    """Return the ENVELOPE of what `first_fields` and `address_fields` give."""
    rendered = {name: b"(%b)" % b"".join(map(_address, addresses[name])) for name in addresses}
    author = rendered.get(b"from", b"NIL")
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _field(fields, b"date"),
        _field(fields, b"subject"),
        author,
        # RFC 3501 section 7.4.2: the server fills in an absent Sender and Reply-To from From.
        rendered.get(b"sender", author),
        rendered.get(b"reply-to", author),
        rendered.get(b"to", b"NIL"),
        rendered.get(b"cc", b"NIL"),
        rendered.get(b"bcc", b"NIL"),
        _field(fields, b"in-reply-to"),
        _field(fields, b"message-id"),
    )


def _field(fields: Mapping[bytes, bytes], name: bytes) -> bytes:
    value = fields.get(name)
    return b"NIL" if value is None else nstring(unfold(value))


def _address(item: AddressItem) -> bytes:
    """Return one address structure; a group begins and ends with one without a host."""
    match item:
        case Address(name, mailbox, host, route):
            texts = nstring(name), nstring(route), nstring(mailbox), nstring(host)
            return b"(%b %b %b %b)" % texts
        case GroupStart(name):
            return b"(NIL NIL %b NIL)" % nstring(name)
    return b"(NIL NIL NIL NIL)"


def body(raw: bytes, message: Message) -> bytes:
    """Return the non-extensible BODY of a message."""
    return bodies(raw, message.root)[0]


def bodystructure(raw: bytes, message: Message) -> bytes:
    """Return the BODYSTRUCTURE of a message, with all extension data that RFC 3501 defines."""
    return bodies(raw, message.root)[1]


def bodystructure_of(raw: bytes, part: Part) -> bytes:
    """Return the BODYSTRUCTURE of one part of a message."""
    return bodies(raw, part)[1]


def bodies(raw: bytes, part: Part) -> tuple[bytes, bytes]:
    """Return BODY and BODYSTRUCTURE of a part: the second is the first with more at every end."""
    if part.is_multipart:
        plain, extended = zip(*[bodies(raw, child) for child in part.children], strict=True)
        subtype = part.subtype.encode()
        fields = b'%b "%b"' % (b"".join(plain), subtype)
        extended_fields = b'%b "%b"' % (b"".join(extended), subtype)
        extension = _params(part.params)
    elif part.is_message:
        fields, extended_fields = _message(raw, part)
        extension = nstring(part.md5)
    else:
        fields = extended_fields = _leaf(part)
        extension = nstring(part.md5)
    return b"(%b)" % fields, b"(%b %b %b %b %b)" % (
        extended_fields,
        extension,
        _disposition(part),
        _language(part),
        nstring(part.location),
    )


def _message(raw: bytes, part: Part) -> tuple[bytes, bytes]:
    """Return body-type-msg: the fields of a leaf, then envelope, body and lines of the message."""
    root = part.children[0]
    fields = _fields(part, part.type, part.subtype, part.params)
    nested = envelope(raw[root.header_start : root.body_start])
    plain, extended = bodies(raw, root)
    return (
        b"%b %b %b %d" % (fields, nested, plain, part.lines),
        b"%b %b %b %d" % (fields, nested, extended, part.lines),
    )


def _leaf(part: Part) -> bytes:
    """Return body-type-basic or body-type-text."""
    kind, subtype, params = part.type, part.subtype, part.params
    if kind == "multipart":
        kind, subtype = "text", "plain"
    elif kind == "message" and subtype in _NESTED:
        kind, subtype = "application", "octet-stream"
    if kind != "text":
        return _fields(part, kind, subtype, params)
    if not params and subtype == "plain":
        params = _US_ASCII
    return b"%b %d" % (_fields(part, kind, subtype, params), part.lines)


def _fields(part: Part, kind: str, subtype: str, params: Params) -> bytes:
    """Return media type and body-fields."""
    return b'"%b" "%b" %b %b %b "%b" %d' % (
        kind.encode(),
        subtype.encode(),
        _params(params),
        nstring(part.id),
        nstring(part.description),
        part.encoding.encode(),
        part.size,
    )


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
