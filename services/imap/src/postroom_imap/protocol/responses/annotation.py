"""ANNOTATION in FETCH responses (RFC 5257 section 4.4)."""

from collections.abc import Iterable, Mapping

from postroom_imap.protocol.commands.annotation import AnnotationItem
from postroom_imap.protocol.responses.strings import astring, nstring8, quoted

Values = Mapping[tuple[str, bool], bytes]  # by name, and whether it is shared


def annotation_data(item: AnnotationItem, values: Values) -> bytes:
    """``ANNOTATION (entry (attribute value …) …)``; nothing where no wildcard matches anything.

    What is named in full is told whether it is there or not; of what a wildcard matches that alone
    of which one of the attributes is there.

    Args:
        values: those of the message that are asked for, in order of names.
    """
    sides = {attribute.endswith(".shared") for attribute in item.attributes}
    there = dict.fromkeys(entry for entry, shared in values if shared in sides)
    entries = dict.fromkeys(
        each for named in item.entries for each in ([named] if is_name(named) else there)
    )
    told = [
        b"%b (%b)" % (astring(entry.encode()), b" ".join(_attributes(item, entry, values)))
        for entry in entries
    ]
    return b"ANNOTATION (%b)" % b" ".join(told) if told else b""


def changed_annotations(entries: Iterable[str]) -> bytes:
    """``ANNOTATION (entry …)``, which nobody asked for: names without values, in one order however
    they came to be known.
    """
    return b"ANNOTATION (%b)" % b" ".join(astring(entry.encode()) for entry in sorted(entries))


def is_name(entry: str) -> bool:
    """Whether a name has no wildcards."""
    return "*" not in entry and "%" not in entry


def _attributes(item: AnnotationItem, entry: str, values: Values) -> Iterable[bytes]:
    for attribute in item.attributes:
        kind, _, suffix = attribute.partition(".")
        value = values.get((entry, suffix == "shared"))
        data = nstring8(value) if kind == "value" else quoted(b"%d" % len(value or b""))
        yield b"%b %b" % (attribute.encode("ascii"), data)
