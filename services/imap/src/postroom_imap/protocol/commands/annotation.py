"""Annotations of messages in commands (RFC 5257): their names, and what is asked for or set.

Names of entries and attributes are case-sensitive (section 3.2).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from postroom_imap.protocol.cursor import Cursor, T
from postroom_imap.protocol.invalid import Refusal, SyntaxFault
from postroom_imap.protocol.responses.codes import ANNOTATE_TOO_BIG

MOST_ENTRIES = 100  # of one command, or of one message that is appended
MOST_VALUE_BYTES = 65_536  # as the store has it
_LONGEST = 1_000

_COMPONENT = rb"[^/*%\x00-\x1f\x7f-\xff]+"
_PART = rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*"
_VENDOR = rb"vendor(?:/%b)+" % _COMPONENT
# What the RFC registers, and vendors' own; /flags is reserved (sections 3.2.1, 3.5).
_SETTABLE = re.compile(
    rb"/(?:comment|altsubject|%b|%b/(?:comment|(flags/(?:seen|answered|flagged|forwarded))|%b))"
    % (_VENDOR, _PART, _VENDOR)
)
_ENTRY = re.compile(rb"(?:/%b)+" % _COMPONENT)
_PATTERN = re.compile(rb"[^\x00-\x1f\x7f-\xff]+")
_FLAG_VALUES = (None, b"0", b"1")
_BOTH = (".priv", ".shared")
_ATTRIBUTES = {
    f"{name}{suffix}": tuple(f"{name}{each}" for each in ([suffix] if suffix else _BOTH))
    for name in ("value", "size")
    for suffix in ("", *_BOTH)
}
PRIVATE_VALUE, SHARED_VALUE = "value.priv", "value.shared"


@dataclass(frozen=True, slots=True)
class AnnotationItem:
    """``ANNOTATION (entries attributes)`` of FETCH.

    Attributes:
        entries: names, with ``*`` and ``%`` for wildcards.
        attributes: each with its suffix, in the order in which they are told.
    """

    entries: tuple[str, ...]
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnnotationSetting:
    """An annotation as it shall be; a value of None removes it."""

    entry: str
    shared: bool
    value: bytes | None


@dataclass(frozen=True, slots=True)
class AnnotationColumn:
    """What messages are sorted by (section 4.9)."""

    entry: str
    shared: bool


def parse_annotation_item(cursor: Cursor) -> AnnotationItem:
    """``SP "(" entries SP attribs ")"``."""
    cursor.space()
    cursor.expect(b"(")
    entries = _one_or_more(cursor, lambda: parse_pattern(cursor))
    cursor.space()
    asked = _one_or_more(cursor, lambda: _attribute(cursor, _ATTRIBUTES))
    cursor.expect(b")")
    attributes = dict.fromkeys(each for one in asked for each in _ATTRIBUTES[one])
    return AnnotationItem(tuple(dict.fromkeys(entries)), tuple(attributes))


def parse_annotations(cursor: Cursor) -> tuple[AnnotationSetting, ...]:
    """``SP "(" entry-att *(SP entry-att) ")"``: what STORE and APPEND set; each once."""
    cursor.space()
    found: dict[tuple[str, bool], bytes | None] = {}

    def entry_att() -> None:
        entry = cursor.astring()
        known = _SETTABLE.fullmatch(entry) if len(entry) <= _LONGEST else None
        if known is None:
            raise _no_such()
        cursor.space()
        for shared, value in cursor.list_of(lambda: _value(cursor)):
            if known[1] and value not in _FLAG_VALUES:
                raise SyntaxFault('A flag of a part is "1", "0" or NIL')
            key = entry.decode("ascii"), shared
            if key in found:
                raise SyntaxFault("An annotation is set once")
            found[key] = value
            if len(found) > MOST_ENTRIES:
                raise SyntaxFault("Too many annotations", b"LIMIT")

    cursor.list_of(entry_att, most=MOST_ENTRIES)
    return tuple(AnnotationSetting(*key, value) for key, value in found.items())


def parse_pattern(cursor: Cursor) -> str:
    """A name that may have wildcards."""
    pattern = cursor.list_astring()
    if len(pattern) > _LONGEST or not _PATTERN.fullmatch(pattern):
        raise _no_such()
    if not any(wildcard in pattern for wildcard in b"*%") and not _ENTRY.fullmatch(pattern):
        raise _no_such()
    return pattern.decode("ascii")


def parse_searched(cursor: Cursor) -> tuple[bool, bool]:
    """``att-search``: whether private and shared values are looked at."""
    attributes = _ATTRIBUTES[_attribute(cursor, ("value", PRIVATE_VALUE, SHARED_VALUE))]
    return PRIVATE_VALUE in attributes, SHARED_VALUE in attributes


def parse_column(cursor: Cursor) -> AnnotationColumn:
    """``entry SP att-sort``."""
    entry = cursor.astring()
    if len(entry) > _LONGEST or not _ENTRY.fullmatch(entry):
        raise _no_such()
    cursor.space()
    attribute = _attribute(cursor, (PRIVATE_VALUE, SHARED_VALUE))
    return AnnotationColumn(entry.decode("ascii"), attribute == SHARED_VALUE)


def _value(cursor: Cursor) -> tuple[bool, bytes | None]:
    attribute = _attribute(cursor, (PRIVATE_VALUE, SHARED_VALUE))
    cursor.space()
    value = cursor.nstring8()
    if value is not None and len(value) > MOST_VALUE_BYTES:
        raise SyntaxFault("The value is too large", ANNOTATE_TOO_BIG, Refusal.NO)
    return attribute == SHARED_VALUE, value


def _attribute(cursor: Cursor, known: "dict[str, tuple[str, ...]] | tuple[str, ...]") -> str:
    name = cursor.astring().decode("ascii", "replace")
    if name not in known:
        raise SyntaxFault("Not an attribute that can be named here")
    return name


def _one_or_more(cursor: Cursor, element: Callable[[], T]) -> tuple[T, ...]:
    return cursor.list_of(element, most=MOST_ENTRIES) if cursor.at(b"(") else (element(),)


def _no_such() -> SyntaxFault:
    return SyntaxFault("No such annotation can be")
