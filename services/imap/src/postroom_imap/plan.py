"""A FETCH request, compiled: what to ask the store for, and how to render what it answers.

A response is `* n FETCH (UID … FLAGS … rest)`. UID and FLAGS come from the view; the rest never
changes for a message, is rendered once, and may be kept (`items`). The order of items in a response
is the server's choice (RFC 3501 section 7.4.2), so the rest is one run of bytes, rendered by one
`%` per message, and each response by another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

from postroom_mime import header_fields

from postroom_imap.dialect import PLAIN, Dialect
from postroom_imap.ports.messages import Batch, Column, Form, Section, Text
from postroom_imap.protocol.commands import (
    AnnotationItem,
    BodySection,
    FetchAttribute,
    FetchItems,
    SectionForm,
    SectionText,
)
from postroom_imap.protocol.commands.fetch import FetchItem
from postroom_imap.protocol.date_time import format_date_time
from postroom_imap.protocol.object_id import THREAD_ID
from postroom_imap.protocol.responses.annotation import annotation_data
from postroom_imap.protocol.responses.messages import item_name
from postroom_imap.protocol.responses.strings import literal, literal8, string

NIL = b"NIL"

_COLUMNS = {
    FetchAttribute.INTERNALDATE: Column.INTERNALDATE,
    FetchAttribute.RFC822_SIZE: Column.SIZE,
    FetchAttribute.ENVELOPE: Column.ENVELOPE,
    FetchAttribute.BODY: Column.BODY,
    FetchAttribute.BODYSTRUCTURE: Column.BODYSTRUCTURE,
    FetchAttribute.THREADID: Column.THREAD_ID,
    FetchAttribute.PREVIEW: Column.PREVIEW,
    FetchAttribute.SAVEDATE: Column.SAVEDATE,
}
_TEXTS = {
    SectionText.WHOLE: Text.WHOLE,
    SectionText.HEADER: Text.HEADER,
    SectionText.HEADER_FIELDS: Text.HEADER,
    SectionText.HEADER_FIELDS_NOT: Text.HEADER,
    SectionText.TEXT: Text.TEXT,
    SectionText.MIME: Text.MIME,
}
_FORMS = {
    SectionForm.RAW: Form.RAW,
    SectionForm.DECODED: Form.DECODED,
    SectionForm.DECODED_SIZE: Form.DECODED_SIZE,
}
_SELECTIONS = frozenset({SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT})


@dataclass(frozen=True, slots=True)
class Part:
    """One item of the rest.

    Attributes:
        name: as the response has it.
        column: where its value comes from, unless
        section: is the number of the section that it comes from.
        select: turns a header into what the client wants of it.
        form: what of the section the store answers.
        annotation: what is told of annotations: the last part, which may come to nothing.
    """

    name: bytes
    column: Column | None = None
    section: int = -1
    select: Callable[[bytes], bytes] | None = None
    form: Form = Form.RAW
    annotation: AnnotationItem | None = None

    def values(self, batch: Batch, account_id: int) -> Iterable[bytes | int]:
        """This item of each message, rendered; annotations with a blank before them."""
        if (item := self.annotation) is not None:
            found = (annotation_data(item, values) for values in batch.annotations)
            return (b" " + data if data else b"" for data in found)
        if self.column is None:
            return map(self.render, batch.sections[self.section].data)
        values = batch.columns[self.column]
        match self.column:
            case Column.INTERNALDATE | Column.SAVEDATE:
                return map(_date, cast(Sequence[int], values))
            case Column.HEADER:
                return map(self.render, cast(Sequence[bytes], values))
            case Column.PREVIEW:
                return map(string, cast(Sequence[bytes], values))
            case Column.THREAD_ID:
                return [THREAD_ID % (account_id, number) for number in cast(Sequence[int], values)]
        return values

    def render(self, data: bytes | None) -> bytes:
        """A section's bytes as a literal, or its size."""
        match self.form:
            case Form.DECODED if data is not None:
                return literal8(data)
            case Form.DECODED_SIZE:
                return data or b"0"
        if data is None:
            return NIL
        return literal(data if self.select is None else self.select(data))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How to answer one FETCH.

    Attributes:
        key: equal for plans with the same rest.
        bodies: the rest holds sections, which may be large.
        kept: the rest is the same for all copies of a message, so that it may be kept.
        uid_only: the responses name UIDs in place of numbers (RFC 9586 section 3.3).
        annotations: names of those that are asked for.
        alone: nothing but annotations is told, and of messages that have none nothing.
        live_template: takes the number, then UID, FLAGS, MODSEQ and EMAILID where wanted.
        template: takes the same, then the rest.
    """

    uid: bool
    flags: bool
    modseq: bool
    email_id: bool
    uid_only: bool
    parts: tuple[Part, ...]
    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    annotations: tuple[str, ...]
    alone: bool
    key: tuple[FetchItem, ...]
    live_template: bytes
    template: bytes
    rest_template: bytes

    @property
    def decodes(self) -> bool:
        """Whether the store takes transfer encodings off for it."""
        return any(section.form is not Form.RAW for section in self.sections)

    @property
    def bodies(self) -> bool:
        return bool(self.sections)

    @property
    def kept(self) -> bool:
        return Column.SAVEDATE not in self.columns and not self.annotations

    def render(self, batch: Batch, account_id: int) -> list[bytes]:
        """The rest for each message of a batch whose data are whole."""
        template = self.rest_template
        rows = zip(*(part.values(batch, account_id) for part in self.parts), strict=False)
        if self.alone:
            return [(template % row).lstrip() for row in rows]
        return [template % row for row in rows]


@lru_cache(1024)
def compile_plan(items: FetchItems, flags_too: bool, dialect: Dialect = PLAIN) -> Plan:
    """The plan for a request; `flags_too` adds FLAGS, which the fetch itself changes."""
    asked = dict.fromkeys(_peeking(item) for item in items.items if item not in _LIVE)
    annotation = next((item for item in asked if isinstance(item, AnnotationItem)), None)
    whole = tuple(item for item in asked if item is not annotation)
    rest = whole if annotation is None else (*whole, annotation)
    sections: list[Section] = []
    derived: dict[Section, int] = {}
    parts = tuple(_part(item, sections, derived) for item in rest)
    columns = dict.fromkeys(part.column for part in parts if part.column is not None)
    changed = flags_too and dialect.modseq
    uid = FetchAttribute.UID in items.attributes or (changed and dialect.vanished)
    uid = uid and not dialect.uid_only
    flags = flags_too or FetchAttribute.FLAGS in items.attributes
    modseq = changed or FetchAttribute.MODSEQ in items.attributes
    email_id = FetchAttribute.EMAILID in items.attributes
    uid = uid or not (flags or modseq or email_id or rest)
    pieces = [b"UID %d"] * uid + [b"FLAGS %b"] * flags + [b"MODSEQ (%d)"] * modseq
    pieces += [b"EMAILID %b"] * email_id
    verb = b"UIDFETCH" if dialect.uid_only else b"FETCH"
    live = b"* %%d %b (%b" % (verb, b" ".join(pieces))
    return Plan(
        uid=uid,
        flags=flags,
        modseq=modseq,
        email_id=email_id,
        uid_only=dialect.uid_only,
        parts=parts,
        columns=tuple(columns),
        sections=tuple(sections),
        annotations=() if annotation is None else annotation.entries,
        alone=annotation is not None and not pieces and not whole,
        key=rest,
        live_template=live,
        template=live + b" " * (bool(pieces) and bool(whole)) + b"%b" * bool(rest) + b")\r\n",
        rest_template=b" ".join(_placeholder(part) for part in parts if part.annotation is None)
        + b"%b" * (annotation is not None),
    )


_LIVE = frozenset(
    {FetchAttribute.UID, FetchAttribute.FLAGS, FetchAttribute.MODSEQ, FetchAttribute.EMAILID}
)


def _peeking(item: FetchItem) -> FetchItem:
    """The item as it is answered: BODY.PEEK[] and BODY[] are the same then."""
    return replace(item, peek=True) if isinstance(item, BodySection) else item


def _part(item: FetchItem, sections: list[Section], derived: dict[Section, int]) -> Part:
    """The part for an item.

    Args:
        sections: what is asked of the store so far; the item's own may be added.
        derived: the numbers of those that fields are chosen from, which may serve many items.
    """
    name = item_name(item)
    if isinstance(item, AnnotationItem):
        return Part(name, annotation=item)
    if not isinstance(item, BodySection):
        return Part(name, _COLUMNS[item])
    select = _selection(item)
    if not item.part and _TEXTS[item.text] is Text.HEADER:
        return Part(name, Column.HEADER, select=select)
    partial = None
    if item.partial is not None and select is None:
        partial = (item.partial.offset, item.partial.size)
    form = _FORMS[item.form]
    section = Section(item.part, _TEXTS[item.text], partial, form)
    if select is not None and section in derived:
        return Part(name, section=derived[section], select=select)
    # One section for each item that isn't derived, even where two are the same (BODY[] and RFC822):
    # large ones pass through in this order, and nothing is left of them.
    sections.append(section)
    if select is not None:
        derived[section] = len(sections) - 1
    return Part(name, section=len(sections) - 1, select=select, form=form)


def _selection(item: BodySection) -> Callable[[bytes], bytes] | None:
    """What the front itself does with a header: choose fields, then cut."""
    wanted, partial = item.fields, item.partial
    if item.text in _SELECTIONS:
        invert = item.text is SectionText.HEADER_FIELDS_NOT
        if partial is None:
            return lambda header: header_fields(header, wanted, invert)
        start, stop = partial.offset, partial.offset + partial.size
        return lambda header: header_fields(header, wanted, invert)[start:stop]
    if partial is not None and not item.part and item.text is SectionText.HEADER:
        start, stop = partial.offset, partial.offset + partial.size
        return lambda header: header[start:stop]
    return None


def _placeholder(part: Part) -> bytes:
    name = part.name.replace(b"%", b"%%")  # a header field name may hold one
    return name + (b" %d" if part.column is Column.SIZE else b" %b")


def _date(epoch: int) -> bytes:
    return b'"%b"' % format_date_time(epoch, 0)
