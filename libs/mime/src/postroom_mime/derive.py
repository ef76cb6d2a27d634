"""Everything that is stored beside a message, from one scan of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from postroom_mime import limits
from postroom_mime.address import Address, AddressItem, GroupStart
from postroom_mime.collation import casemap
from postroom_mime.dates import parse_date
from postroom_mime.headers import first_fields, unfold
from postroom_mime.references import parse_message_id, parse_references
from postroom_mime.render import address_fields, bodies, envelope_of
from postroom_mime.scan import scan_fields
from postroom_mime.structure import Message, Part, encode_structure
from postroom_mime.subject import base_subject
from postroom_mime.text import preview
from postroom_mime.words import decode_words


@dataclass(frozen=True, slots=True)
class Derived:
    """The derived columns of a message. All can be made again from its bytes.

    `envelope`, `body` and `bodystructure` are ready to send (RFC 3501 section 7.4.2). Sort keys are
    mapped by i;unicode-casemap, cut at `limits.SORT_KEY`, and "" where there is nothing to sort by.
    """

    size: int
    header: bytes
    structure: bytes
    envelope: bytes
    body: bytes
    bodystructure: bytes
    message_id: str | None
    references: tuple[str, ...]
    base_subject: str
    is_reply_or_forward: bool
    sent_at: int | None
    from_: str
    to: str
    cc: str
    display_from: str
    display_to: str
    preview: str
    has_attachment: bool


def derive(raw: bytes) -> Derived:
    """Scan a message once and return all that is stored beside it. Never raises."""
    message, fields = scan_fields(raw)
    subject, is_reply_or_forward = base_subject(_value(fields, b"subject"))
    addresses = address_fields(fields)
    keys = _sort_keys(subject, addresses, casemap)
    plain_body, extended_body = bodies(raw, message.root)
    return Derived(
        size=len(raw),
        header=raw[: message.root.body_start],
        structure=encode_structure(message),
        envelope=envelope_of(fields, addresses),
        body=plain_body,
        bodystructure=extended_body,
        message_id=parse_message_id(_value(fields, b"message-id")),
        references=parse_references(_value(fields, b"references"), _value(fields, b"in-reply-to")),
        base_subject=keys.subject,
        is_reply_or_forward=is_reply_or_forward,
        sent_at=parse_date(_value(fields, b"date")),
        from_=keys.from_,
        to=keys.to,
        cc=keys.cc,
        display_from=keys.display_from,
        display_to=keys.display_to,
        preview=preview(raw, message),
        has_attachment=has_attachment(message),
    )


def has_attachment(message: Message) -> bool:
    """Tell whether a reader would call something in it an attachment."""
    return any(map(_is_attachment, message.walk()))


# Parts that belong to the message itself: signatures, and keys of encryption.
_MACHINERY: Final = frozenset(
    (
        "application/pgp-signature",
        "application/pgp-encrypted",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
    )
)


def _is_attachment(part: Part) -> bool:
    if part.is_multipart or part.content_type in _MACHINERY:
        return False
    if part.disposition is not None and part.disposition[0] == "attachment":
        return True
    if part.type in ("text", "multipart"):
        return part.filename is not None
    # A picture with a Content-ID is shown inside the HTML that refers to it (RFC 2392).
    return part.id is None or part.type not in ("image", "text")


def _value(fields: Mapping[bytes, bytes], name: bytes) -> bytes:
    value = fields.get(name)
    return unfold(value) if value else b""


@dataclass(frozen=True, slots=True)
class SortKeys:
    """What a message is sorted by (RFC 5256 section 3, RFC 5957), as a collation maps it."""

    subject: str
    from_: str
    to: str
    cc: str
    display_from: str
    display_to: str


def sort_keys(header: bytes, mapping: Callable[[str], str]) -> SortKeys:
    """Return the keys that `Derived` has, by another collation. Never raises."""
    fields = first_fields(header)
    subject, _ = base_subject(_value(fields, b"subject"))
    return _sort_keys(subject, address_fields(fields), mapping)


def _sort_keys(
    subject: str,
    addresses: Mapping[bytes, Sequence[AddressItem]],
    mapping: Callable[[str], str],
) -> SortKeys:
    from_, display_from = _address_keys(addresses.get(b"from"), mapping)
    to, display_to = _address_keys(addresses.get(b"to"), mapping)
    cc, _ = _address_keys(addresses.get(b"cc"), mapping)
    return SortKeys(_key(subject, mapping), from_, to, cc, display_from, display_to)


def _address_keys(
    items: Sequence[AddressItem] | None, mapping: Callable[[str], str]
) -> tuple[str, str]:
    """Return the keys of an address field: mailbox (RFC 5256 section 2.2), name (RFC 5957)."""
    match items[0] if items else None:
        case Address(name, mailbox, host):
            shown = _key(decode_words(name).strip(), mapping) if name else ""
            address = mailbox + b"@" + host if host else mailbox
            key = _key(decode_words(mailbox), mapping)
            return key, shown or _key(decode_words(address), mapping)
        case GroupStart(name):
            key = _key(decode_words(name), mapping)
            return key, key
    return "", ""


def _key(text: str, mapping: Callable[[str], str]) -> str:
    return mapping(text[: limits.SORT_KEY])[: limits.SORT_KEY]
