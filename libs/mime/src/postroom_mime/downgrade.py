"""Internationalised messages (RFC 6532) for readers who know ASCII headers alone (RFC 6857).

UTF-8 in header fields becomes what such readers can show: encoded words, parameters of RFC 2231,
and an address that they can't answer becomes a group without members, named as the address is.
Identifiers and traces, where another spelling would be another thing, move to fields that begin
with `Downgraded-`. Bodies stay as they are, and so do fields whose octets are no UTF-8: these are
no internationalised message's, and nobody can say what they mean.
"""

import re
from email.header import Header
from typing import Final
from urllib.parse import quote_from_bytes

import idna

from postroom_mime import limits
from postroom_mime.address import Address, AddressItem, GroupStart, parse_addresses
from postroom_mime.headers import first_fields, unfold
from postroom_mime.parameters import ContentType, parse_content_type
from postroom_mime.words import decode_words

# RFC 6857 section 3.2.1
_ADDRESSES: Final = frozenset(
    b"from sender reply-to to cc bcc resent-from resent-sender resent-to resent-cc resent-bcc "
    b"resent-reply-to return-path disposition-notification-to".split()
)
# Sections 3.2.2, 3.2.4 and 3.2.5, the last one made simple: the whole field is put away.
_PUT_AWAY: Final = frozenset(
    b"message-id resent-message-id in-reply-to references received "
    b"original-recipient final-recipient".split()
)
_PARAMETERS: Final = frozenset((b"content-type", b"content-disposition"))  # section 3.2.6

_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_FIELDS: Final = re.compile(rb"[^\n]*(?:\n|(?<=.)\Z)(?:[ \t][^\n]*(?:\n|\Z))*")
_EMPTY_LINE: Final = re.compile(rb"^\r?\n", re.MULTILINE)
_DELIMITER: Final = re.compile(rb"^--([^\r\n]*?)[ \t]*\r?\n", re.MULTILINE)
_SPECIALS: Final = re.compile(r'[\x00-\x1f\x7f()<>\[\]:;@\\,."]')
_EXTENDED: Final = re.compile(r"(?:%..|[^%]){1,50}")  # a parameter's value, no octet cut in two

_DELIMITER_OCTETS: Final = 1000  # RFC 2046 section 5.1.1 allows 74, and white space
_DEEPEST: Final = 100  # of multiparts in multiparts; what is deeper stays as it is


class Downgrade:
    """Rewrites a message while it passes in pieces.

    At most a header (`limits.HEADER_BYTES`) or a line is held back; a header that is larger stays
    as it is.
    """

    __slots__ = ("_boundaries", "_held", "_in_header", "_line_begins")

    def __init__(self) -> None:
        self._held = b""
        self._in_header = True
        self._line_begins = True
        self._boundaries: list[bytes] = []

    def feed(self, piece: bytes) -> bytes:
        """What can be sent after the next piece."""
        data, self._held = self._held + piece, b""
        return self._read(data, last=False)

    def end(self) -> bytes:
        """What was held back."""
        data, self._held = self._held, b""
        return self._read(data, last=True)

    def _read(self, data: bytes, *, last: bool) -> bytes:
        sent: list[bytes] = []
        position = 0
        while position < len(data):
            step = self._header if self._in_header else self._body
            end = step(data, position, sent, last)
            if end == position:
                break
            position = end
        self._held = data[position:]
        return b"".join(sent)

    def _header(self, data: bytes, start: int, sent: list[bytes], last: bool) -> int:
        found = _EMPTY_LINE.search(data, start)
        if found is None and not last and len(data) - start <= limits.HEADER_BYTES:
            return start
        end = found.end() if found else len(data)
        header = data[start:end]
        self._in_header, self._line_begins = False, True
        if len(header) > limits.HEADER_BYTES:
            sent.append(header)
            self._line_begins = header.endswith(b"\n")
        else:
            sent.append(downgrade_header(header))
            self._enter(header)
        return end

    def _enter(self, header: bytes) -> None:
        """Find out whether further headers come: those of parts, or of a message within."""
        fields = first_fields(header)
        kind = parse_content_type(unfold(fields.get(b"content-type", b"")))
        self._in_header = kind is not None and kind.type == "message" and _plain(fields, kind)
        if kind is None or kind.type != "multipart" or len(self._boundaries) >= _DEEPEST:
            return
        for name, value in kind.params:
            if name.lower() == b"boundary" and value:
                self._boundaries.append(value.rstrip())
                return

    def _body(self, data: bytes, start: int, sent: list[bytes], last: bool) -> int:
        line = start if self._line_begins else data.find(b"\n", start) + 1 or len(data)
        for delimiter in _DELIMITER.finditer(data, line) if self._boundaries else ():
            if self._delimits(delimiter[1]):
                sent.append(data[start : delimiter.end()])
                return delimiter.end()
        end = len(data)
        if self._boundaries and not last:
            # The last line may go on, and be a delimiter then.
            line = max(line, data.rfind(b"\n", line) + 1)
            if end - line <= _DELIMITER_OCTETS and b"--".startswith(data[line : line + 2]):
                end = line
        if end > start:
            self._line_begins = data[end - 1 : end] == b"\n"
        sent.append(data[start:end])
        return end

    def _delimits(self, text: bytes) -> bool:
        """Whether a line that begins with two hyphens begins a part or ends a multipart."""
        for closing in (False, True):
            name = text[:-2] if closing else text
            if (not closing or text.endswith(b"--")) and name in self._boundaries:
                place = len(self._boundaries) - self._boundaries[::-1].index(name)
                del self._boundaries[place - closing :]
                self._in_header = not closing
                self._line_begins = True
                return True
        return False


def _plain(fields: dict[bytes, bytes], kind: ContentType) -> bool:
    """Whether the message within stands there as it is."""
    encoding = unfold(fields.get(b"content-transfer-encoding", b"")).lower()
    return kind.subtype in ("rfc822", "global") and encoding in (b"", b"7bit", b"8bit", b"binary")


def downgrade_header(header: bytes) -> bytes:
    """A header block with ASCII fields alone, but for octets that are no UTF-8."""
    if header.isascii():
        return header
    return b"".join(_field(field) for field in _FIELDS.findall(header))


def _field(field: bytes) -> bytes:
    if field.isascii():
        return field
    found = _FIELD.fullmatch(field)
    try:
        field.decode()
    except UnicodeDecodeError:
        return field
    if found is None:
        return field
    name, value = found[1], unfold(found[2])
    folded = name.lower()
    if folded in _ADDRESSES:
        written = _list_addresses(parse_addresses(value))
    elif folded in _PARAMETERS:
        written = _parameters(value)
    else:
        if folded in _PUT_AWAY:
            name = b"Downgraded-" + name
        written = _words(decode_words(value), len(name) + 2)
    return name + b": " + written + b"\r\n"


def _words(text: str, before: int = 0) -> bytes:
    """Encoded words (RFC 2047), folded; `before` octets stand in front on their line."""
    shown = "".join(character for character in text if character.isprintable())
    header = Header(shown, "utf-8", maxlinelen=76, header_name="x" * max(before - 2, 0))
    return header.encode(linesep="\r\n").encode("ascii")


def _list_addresses(items: list[AddressItem]) -> bytes:
    written: list[bytes] = []
    members: list[bytes] = []
    outside: list[bytes] = []  # what stands for an address is a group, and no group holds another
    in_group = False
    for item in items:
        if isinstance(item, Address):
            address = _address(item)
            into = written if not in_group else outside if address.endswith(b":;") else members
            into.append(address)
        elif isinstance(item, GroupStart):
            in_group = True
            written.append(_phrase(item.name) + b":")
        else:
            in_group = False
            written[-1] = b" ".join((written[-1], b", ".join(members))).rstrip() + b";"
            written += outside
            members, outside = [], []
    return b",\r\n ".join(written)


def _address(address: Address) -> bytes:
    """One address; where it isn't ASCII itself, a group whose name tells it (section 3.1.8)."""
    host = _ascii_domain(address.host)
    if address.mailbox.isascii() and host is not None:
        spec = _local_part(address.mailbox) + (b"@" + host if host else b"")
        return _phrase(address.name) + b" <" + spec + b">" if address.name else spec
    told = b"".join((address.name or b"", b" <", address.mailbox, b"@", address.host, b">"))
    return _words(decode_words(told).strip()) + b" :;"


def _ascii_domain(domain: bytes) -> bytes | None:
    """A domain in A-labels; None where it has no such form."""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain.decode(), uts46=True)
    except (idna.IDNAError, UnicodeError):
        return None


def _local_part(local: bytes) -> bytes:
    if re.fullmatch(rb"[^\x00-\x20\x7f()<>\[\]:;@\\,\"]+", local):
        return local
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", local) + b'"'


def _phrase(name: bytes) -> bytes:
    if not name.isascii():
        return _words(decode_words(name))
    text = name.decode()
    if not _SPECIALS.search(text):
        return name
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", name) + b'"'


def _parameters(value: bytes) -> bytes:
    """A Content-Type or Content-Disposition: values in RFC 2231's form where they need it."""
    word, _, _ = value.partition(b";")
    kind = parse_content_type(b"x/x;" + value.partition(b";")[2])
    written = [word.strip() if word.isascii() else b"application/octet-stream"]
    for name, text in kind.params if kind else ():
        if name.isascii():
            written += _parameter(name, text)
    return b";\r\n ".join(written)


def _parameter(name: bytes, value: bytes) -> list[bytes]:
    if value.isascii():
        return [name + b'="' + re.sub(rb'(["\\])', rb"\\\1", value) + b'"']
    if name.endswith(b"*"):
        name = name[:-1]
    parts = _EXTENDED.findall("utf-8''" + quote_from_bytes(value, safe="!#$&+-.^_`{}~"))
    if len(parts) == 1:
        return [name + b"*=" + parts[0].encode()]
    return [b"%b*%d*=%b" % (name, number, part.encode()) for number, part in enumerate(parts)]
