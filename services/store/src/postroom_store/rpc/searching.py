"""Search programs from protobuf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from postroom.store.v1 import message_pb2
from postroom_chassis.errors import Kind, PostroomError

from postroom_store.rpc.encoding import ranges_of_message
from postroom_store.search.program import (
    AllOf,
    AnyOf,
    Compared,
    Flag,
    Header,
    Key,
    Not,
    Text,
    Uids,
)

MOST_KEYS = 1000
MOST_DEPTH = 50

LEAVES: dict[str, Callable[[Any], Key]] = {
    "uids": lambda value: Uids(ranges_of_message(value.uids)),
    "flag": lambda value: Flag(value.name),
    "header": lambda value: Header(value.field, value.value),
    "subject": lambda value: Text(("subject",), value),
    "from": lambda value: Text(("from_",), value),
    "to": lambda value: Text(("to",), value),
    "cc": lambda value: Text(("cc",), value),
    "bcc": lambda value: Text(("bcc",), value),
    "body": lambda value: Text(("body",), value),
    "text": lambda value: Text(("headers", "body"), value),
    "larger": lambda value: Compared("size", low=value + 1),
    "smaller": lambda value: Compared("size", high=value),
    "since": lambda value: Compared("internaldate", low=value),
    "before": lambda value: Compared("internaldate", high=value),
    "sent_since": lambda value: Compared("sent_at", low=value),
    "sent_before": lambda value: Compared("sent_at", high=value),
    "modseq": lambda value: Compared("modseq", low=value),
}


def key_of_message(message: message_pb2.SearchKey) -> Key:
    """A search program. Raises PostroomError INVALID where it is too large or has gaps."""
    return _Reader().read(message, 0)


class _Reader:
    def __init__(self) -> None:
        self._keys = 0

    def read(self, message: message_pb2.SearchKey, depth: int) -> Key:
        self._keys += 1
        if self._keys > MOST_KEYS or depth > MOST_DEPTH:
            raise PostroomError(
                Kind.INVALID, f"a search has at most {MOST_KEYS} keys, {MOST_DEPTH} deep"
            )
        kind = message.WhichOneof("key")
        match kind:
            case None:
                raise PostroomError(Kind.INVALID, "a search key is missing")
            case "all_of":
                return AllOf(tuple(self.read(key, depth + 1) for key in message.all_of.keys))
            case "any_of":
                return AnyOf(tuple(self.read(key, depth + 1) for key in message.any_of.keys))
            case "not":
                return Not(self.read(getattr(message, "not"), depth + 1))
        return LEAVES[kind](getattr(message, kind))
