"""Search programs as protobuf."""

from __future__ import annotations

from postroom.store.v1 import (
    message_pb2,
)

from postroom_imap.ports.searching import (
    AllOf,
    AnyOf,
    Compares,
    HasFlag,
    HasHeader,
    HasText,
    InUids,
    Not,
    StoreKey,
)
from postroom_imap.remote.encoding import range_messages


def search_key_message(key: StoreKey) -> message_pb2.SearchKey:
    """A search program for a request."""
    message = message_pb2.SearchKey()
    match key:
        case AllOf(keys):
            message.all_of.SetInParent()
            message.all_of.keys.extend(map(search_key_message, keys))
        case AnyOf(keys):
            message.any_of.SetInParent()
            message.any_of.keys.extend(map(search_key_message, keys))
        case Not(inner):
            getattr(message, "not").CopyFrom(search_key_message(inner))
        case InUids(ranges):
            message.uids.SetInParent()
            message.uids.uids.extend(range_messages(ranges))
        case HasFlag(name):
            message.flag.name = name
        case HasHeader(name, text):
            message.header.field, message.header.value = name, text
        case HasText(field, text):
            setattr(message, field.value, text)
        case Compares(field, number):
            setattr(message, field.value, number)
    return message
