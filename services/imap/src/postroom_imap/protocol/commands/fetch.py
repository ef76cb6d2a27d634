"""FETCH (RFC 3501 section 6.4.5) and its items."""

import re
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from functools import lru_cache, partial

from postroom_imap.protocol.commands.annotation import (
    MOST_ENTRIES,
    AnnotationItem,
    parse_annotation_item,
)
from postroom_imap.protocol.commands.result_options import PartialRange, parse_partial_range
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import Refusal, SyntaxFault
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.responses.strings import astring
from postroom_imap.protocol.sequence_set import SequenceSet


class FetchAttribute(StrEnum):
    """An item without arguments; the value is the wire name.

    BODY is BODYSTRUCTURE without extension data.
    """

    UID = "UID"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    RFC822_SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"  # RFC 7162 section 3.1.4.2
    EMAILID = "EMAILID"  # RFC 8474 section 5
    THREADID = "THREADID"
    PREVIEW = "PREVIEW"  # RFC 8970; LAZY makes no difference where previews are made at ingest
    SAVEDATE = "SAVEDATE"  # RFC 8514


class SectionText(StrEnum):
    """Which text of a part a section names; the value is the wire name."""

    WHOLE = ""
    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


class SectionForm(Enum):
    """In which form a section is wanted."""

    RAW = "BODY"
    DECODED = "BINARY"  # without its transfer encoding (RFC 3516 section 4.2)
    DECODED_SIZE = "BINARY.SIZE"


@dataclass(frozen=True, slots=True)
class Partial:
    """``<offset.size>``: at most ``size`` octets from ``offset``."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class BodySection:
    """``BODY[section]<partial>``; RFC822, RFC822.HEADER, RFC822.TEXT differ in ``label`` alone.

    So do ``BINARY`` and ``BINARY.SIZE`` but for their ``form``.

    Attributes:
        part: the path of part numbers, () for the message itself.
        fields: header field names as the client wrote them.
        peek: without it, the fetch sets \\Seen.
        label: the item's name in the response, origin octet included: ``BODY[1.MIME]<0>``.
    """

    part: tuple[int, ...]
    text: SectionText
    fields: tuple[str, ...]
    partial: Partial | None
    peek: bool
    label: bytes
    form: SectionForm = SectionForm.RAW


FetchItem = FetchAttribute | BodySection | AnnotationItem


@dataclass(frozen=True, slots=True)
class FetchItems:
    """What a FETCH asks for: each item once, in the client's order, macros expanded.

    Those of a UID FETCH hold UID in any case (RFC 3501 section 6.4.8).
    Equal requests give the same object as a rule (parsing memoises), so a plan may be cached by it.
    """

    items: tuple[FetchItem, ...]
    attributes: frozenset[FetchAttribute] = field(init=False, compare=False, repr=False)
    sections: tuple[BodySection, ...] = field(init=False, compare=False, repr=False)
    sets_seen: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        sections = tuple(item for item in self.items if isinstance(item, BodySection))
        attributes = frozenset(item for item in self.items if isinstance(item, FetchAttribute))
        object.__setattr__(self, "attributes", attributes)
        object.__setattr__(self, "sections", sections)
        object.__setattr__(self, "sets_seen", not all(section.peek for section in sections))

    def with_modseq(self) -> "FetchItems":
        """The same and MODSEQ, which CHANGEDSINCE implies (RFC 7162 section 3.1.4.1)."""
        if FetchAttribute.MODSEQ in self.attributes:
            return self
        return FetchItems((*self.items, FetchAttribute.MODSEQ))


@dataclass(frozen=True, slots=True)
class FetchModifiers:
    """Which of the messages are meant after all.

    Attributes:
        changed_since: those with a later modseq (RFC 7162 section 3.1.4.1).
        vanished: and VANISHED for those that were expunged since (section 3.2.6).
        partial: some of them by their place (RFC 9394 section 3.3).
    """

    changed_since: int | None = None
    vanished: bool = False
    partial: PartialRange | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH, UID FETCH."""

    uid: bool
    sequence_set: SequenceSet
    items: FetchItems
    modifiers: FetchModifiers | None = None


def _rfc822(label: bytes, text: SectionText, peek: bool) -> BodySection:
    return BodySection((), text, (), None, peek, label)


_WORDS: dict[bytes, FetchItem] = {
    **{attribute.value.encode(): attribute for attribute in FetchAttribute},
    b"RFC822": _rfc822(b"RFC822", SectionText.WHOLE, peek=False),
    b"RFC822.HEADER": _rfc822(b"RFC822.HEADER", SectionText.HEADER, peek=True),
    b"RFC822.TEXT": _rfc822(b"RFC822.TEXT", SectionText.TEXT, peek=False),
}
_FAST = (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE)
_MACROS: dict[bytes, tuple[FetchItem, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, FetchAttribute.ENVELOPE),
    b"FULL": (*_FAST, FetchAttribute.ENVELOPE, FetchAttribute.BODY),
}
_SECTIONS = {  # -> form, peek
    b"BODY": (SectionForm.RAW, False),
    b"BODY.PEEK": (SectionForm.RAW, True),
    b"BINARY": (SectionForm.DECODED, False),
    b"BINARY.PEEK": (SectionForm.DECODED, True),
    b"BINARY.SIZE": (SectionForm.DECODED_SIZE, True),
}

_SECTION = re.compile(
    rb"\[((?:[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*)?)"
    rb"((?:(?<=[0-9])\.|(?<=\[))(?:HEADER(?:\.FIELDS(?:\.NOT)?)?|TEXT|MIME))?",
    re.IGNORECASE,
)
_PARTIAL = re.compile(rb"<([0-9]{1,18})\.([1-9][0-9]{0,17})>")
_MODIFIERS = re.compile(rb" (\((?:CHANGEDSINCE|VANISHED|PARTIAL)(?: [^()]*)?\))\Z", re.IGNORECASE)
_FIELD_NAME = re.compile(rb"[\x21-\x7e]+")
_MEMOISED = 512  # octets; what clients repeat is shorter


def _parse_fetch(uid: bool, cursor: Cursor) -> Fetch:
    """``FETCH sequence-set item|(items)|macro``."""
    cursor.space()
    sequence_set = cursor.sequence_set()
    cursor.space()
    items = cursor.rest()
    modifiers = None
    if (found := _MODIFIERS.search(items)) is not None:
        items, modifiers = items[: found.start()], _modifiers(uid, found.group(1), cursor.limits)
    parse = _memoised_items if len(items) <= _MEMOISED else _parse_items
    return Fetch(uid, sequence_set, parse(uid, items, cursor.limits), modifiers)


def _modifiers(uid: bool, text: bytes, limits: Limits) -> FetchModifiers:
    cursor = Cursor(text, 0, limits)
    found = FetchModifiers()

    def modifier() -> None:
        nonlocal found
        match cursor.word():
            case b"CHANGEDSINCE":
                cursor.space()
                found = replace(found, changed_since=cursor.number())
            case b"VANISHED":
                found = replace(found, vanished=True)
            case b"PARTIAL":
                cursor.space()
                found = replace(found, partial=parse_partial_range(cursor))
            case _:
                raise SyntaxFault("Unknown modifier of FETCH")

    cursor.list_of(modifier)
    cursor.end()
    if found.vanished and (not uid or found.changed_since is None):
        raise SyntaxFault("VANISHED goes with UID FETCH and CHANGEDSINCE")
    if found.partial is not None and not uid:
        raise SyntaxFault("PARTIAL goes with UID FETCH")
    return found


parse_fetch, parse_uid_fetch = partial(_parse_fetch, False), partial(_parse_fetch, True)


def _parse_items(uid: bool, text: bytes, limits: Limits) -> FetchItems:
    items = _MACROS.get(text.upper()) or _listed_items(Cursor(text, 0, limits))
    if uid and FetchAttribute.UID not in items:
        items = (FetchAttribute.UID, *items)
    found = FetchItems(tuple(dict.fromkeys(items)))
    return _checked(found, limits)


def _checked(found: FetchItems, limits: Limits) -> FetchItems:
    if len(found.sections) > limits.sections:
        raise SyntaxFault("Too many sections in one FETCH", b"LIMIT", Refusal.NO)
    asked = [item for item in found.items if isinstance(item, AnnotationItem)]
    if len(asked) > 1:
        raise SyntaxFault("Annotations are asked for once, in one list")
    if asked and len(asked[0].entries) > MOST_ENTRIES:
        raise SyntaxFault("Too many annotations in one FETCH", b"LIMIT", Refusal.NO)
    return found


_memoised_items = lru_cache(512)(_parse_items)


def parse_fetch_attributes(cursor: Cursor) -> FetchItems:
    """``(item …)``: of each new message, as NOTIFY asks for it (RFC 5465 section 8)."""
    found = FetchItems(tuple(dict.fromkeys(cursor.list_of(lambda: _item(cursor)))))
    return _checked(found, cursor.limits)


def _listed_items(cursor: Cursor) -> tuple[FetchItem, ...]:
    def item() -> FetchItem:
        return _item(cursor)

    items = cursor.list_of(item) if cursor.at(b"(") else (item(),)
    cursor.end()
    return items


def _item(cursor: Cursor) -> FetchItem:
    word = cursor.word()
    if cursor.at(b"[") and word in _SECTIONS:
        return _section(cursor, *_SECTIONS[word])
    if word == b"ANNOTATION":
        return parse_annotation_item(cursor)
    item = _WORDS.get(word)
    if item is None:
        raise SyntaxFault("Unknown FETCH item")
    if item is FetchAttribute.PREVIEW:
        cursor.take_word(b" (LAZY)")
    return item


def _section(cursor: Cursor, form: SectionForm, peek: bool) -> BodySection:
    found = cursor.match(_SECTION, "a section")
    numbers = found.group(1).split(b".") if found.group(1) else []
    if len(numbers) > cursor.limits.part_depth:
        raise SyntaxFault("A section is nested too deeply", b"LIMIT")
    text = SectionText((found.group(2) or b"").upper().lstrip(b".").decode())
    if text and form is not SectionForm.RAW:
        raise SyntaxFault("Expected a part number")
    if text is SectionText.MIME and not numbers:
        raise SyntaxFault("MIME needs a part number")
    fields: tuple[str, ...] = ()
    if text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
        cursor.space()
        fields = cursor.list_of(lambda: _field_name(cursor))
    cursor.expect(b"]")
    part = tuple(map(int, numbers))
    octets = None
    if form is not SectionForm.DECODED_SIZE and cursor.at(b"<"):
        octets = _octets(cursor)
    label = _label(form, part, text, fields, octets)
    return BodySection(part, text, fields, octets, peek, label, form)


def _field_name(cursor: Cursor) -> str:
    name = cursor.astring()
    if not _FIELD_NAME.fullmatch(name):
        raise SyntaxFault("Not a header field name")  # RFC 5322 section 2.2
    return name.decode("ascii")


def _octets(cursor: Cursor) -> Partial:
    offset, size = cursor.match(_PARTIAL, "<offset.size>").groups()
    return Partial(int(offset), int(size))


def _label(
    form: SectionForm,
    part: tuple[int, ...],
    text: SectionText,
    fields: tuple[str, ...],
    octets: Partial | None,
) -> bytes:
    names = [b"%d" % number for number in part] + ([text.encode()] if text else [])
    spec = b".".join(names)
    if fields:
        spec += b" (%b)" % b" ".join(astring(name.encode()) for name in fields)
    origin = b"<%d>" % octets.offset if octets else b""
    return b"%b[%b]%b" % (form.value.encode(), spec, origin)
