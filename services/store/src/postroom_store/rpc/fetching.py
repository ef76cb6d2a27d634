"""Fetched batches as protobuf: columns are copied, data larger than a message goes in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postroom.store.v1 import message_pb2
from postroom_chassis.errors import Kind, PostroomError

from postroom_store import annotation
from postroom_store.annotation import Annotation
from postroom_store.domain import annotation_names as naming
from postroom_store.reading import Batch, Wanted

PIECE_BYTES = 1024 * 1024
MOST_DEPTH = 200

FIELDS = {
    "internaldate": "internaldates",
    "size": "sizes",
    "envelope": "envelopes",
    "body": "bodies",
    "bodystructure": "bodystructures",
    "header": "headers",
    "structure": "structures",
    "thread_id": "thread_ids",
    "preview": "previews",
    "savedate": "savedates",
}
TEXTS = {
    message_pb2.Section.TEXT_UNSPECIFIED: "",
    message_pb2.Section.TEXT_HEADER: "HEADER",
    message_pb2.Section.TEXT_TEXT: "TEXT",
    message_pb2.Section.TEXT_MIME: "MIME",
}


def wanted_of_message(section: message_pb2.Section) -> Wanted:
    """A section to be read. Raises PostroomError INVALID."""
    if len(section.path) > MOST_DEPTH or any(number == 0 for number in section.path):
        raise PostroomError(Kind.INVALID, "part numbers begin with 1")
    text = TEXTS[section.text]
    spec = ".".join([*map(str, section.path), *([text] if text else [])])
    size = section.form == message_pb2.Section.FORM_DECODED_SIZE
    decoded = size or section.form == message_pb2.Section.FORM_DECODED
    if decoded and text:
        raise PostroomError(Kind.INVALID, "a part is decoded as a whole")
    if not section.HasField("partial"):
        return Wanted(spec, decoded=decoded, size=size)
    return Wanted(spec, section.partial.offset, section.partial.length, decoded, size)


def annotations_of_message(patterns: Sequence[str], person: int) -> annotation.Wanted | None:
    """Annotations to be read, if any are. Raises PostroomError INVALID."""
    if not patterns:
        return None
    if len(patterns) > annotation.MOST_PATTERNS:
        text = f"more than {annotation.MOST_PATTERNS} names of annotations"
        raise PostroomError(Kind.INVALID, text)
    for pattern in patterns:
        naming.check_pattern(pattern)
    return annotation.Wanted(person, tuple(patterns))


def response_messages(batch: Batch) -> Iterator[message_pb2.FetchResponse]:
    """The responses that carry a batch: one, and more where its last datum is large."""
    if not batch.uids:
        return
    response = message_pb2.FetchResponse(uids=batch.uids, email_ids=batch.email_ids)
    for name, values in batch.columns.items():
        if name == "preview":
            values = [text.encode() for text in values]
        getattr(response, FIELDS[name]).extend(values)
    if batch.annotations is not None:
        _add_annotations(response.annotations, batch.annotations)
    rest: list[tuple[int, bytes]] = []
    for index, data in enumerate(batch.sections):
        column = response.sections.add()
        if any(datum is None for datum in data):
            column.missing.extend(datum is None for datum in data)
        last = data[-1] or b""
        if len(last) > PIECE_BYTES:
            rest.append((index, last))
            column.more, column.size = True, len(last)
            data = [*data[:-1], last[:PIECE_BYTES]]
        column.data.extend(datum or b"" for datum in data)
    yield response
    for index, datum in rest:
        yield from _pieces(batch, index, datum)


def _add_annotations(
    columns: message_pb2.AnnotationColumns, found: Sequence[Sequence[Annotation]]
) -> None:
    places: dict[str, int] = {}
    columns.counts.extend(map(len, found))
    for one in (each for of_message in found for each in of_message):
        columns.entries.append(places.setdefault(one.entry, len(places)))
        columns.shared.append(one.shared)
        columns.values.append(one.value)
    columns.names.extend(places)


def _pieces(batch: Batch, index: int, datum: bytes) -> Iterator[message_pb2.FetchResponse]:
    for start in range(PIECE_BYTES, len(datum), PIECE_BYTES):
        end = start + PIECE_BYTES
        response = message_pb2.FetchResponse(uids=batch.uids[-1:], email_ids=batch.email_ids[-1:])
        for _ in batch.sections:
            response.sections.add()
        column = response.sections[index]
        column.data.append(datum[start:end])
        column.more, column.size = end < len(datum), len(datum)
        yield response
