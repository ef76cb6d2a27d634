"""A header section taken apart and put together again, octet by octet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection

_FIELD = re.compile(
    rb"^([!-9;-~]+)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)",
    re.MULTILINE,
)


def without(header: bytes, removed: Collection[tuple[str, int]]) -> bytes:
    """A header section without some fields.

    Args:
        removed: names in lower case, each with the number of the field of that name, from the top,
            from 0.
    """
    if not removed:
        return header
    seen = Counter[str]()

    def goes(name: str) -> bool:
        seen[name] += 1
        return (name, seen[name] - 1) in removed

    return _filtered(header, goes)


def without_names(header: bytes, names: Collection[str]) -> bytes:
    """A header section without all fields of some names, in lower case."""
    return _filtered(header, lambda name: name in names)


def values(header: bytes, name: str) -> list[bytes]:
    """What the fields of a name say, in order, unfolded."""
    wanted = name.lower().encode()
    return [
        found[2].replace(b"\r\n", b"").replace(b"\n", b"").strip(b" \t\r")
        for found in _FIELD.finditer(header)
        if found[1].lower() == wanted
    ]


def _filtered(header: bytes, goes: Callable[[str], bool]) -> bytes:
    return _FIELD.sub(
        lambda found: b"" if goes(found[1].decode("ascii").lower()) else found[0], header
    )
