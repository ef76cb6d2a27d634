"""Mailbox names: UTF-8 paths with "/" between levels (RFC 9051 section 5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import normalize

from postroom_chassis.errors import Kind, PostroomError

DELIMITER = "/"
INBOX = "INBOX"
# RFC 9051 section 5.1, RFC 9755 section 3: no controls, no line or paragraph separator.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MOST_BYTES = 1000
MOST_LEVELS = 50
OTHER_USERS = "Other Users"  # RFC 2342 section 5: what others share is below


def canonical(name: str) -> str:
    """The name as it is kept. Raises PostroomError INVALID where it can't be a mailbox's."""
    # One spelling of a text is one mailbox (RFC 5198 section 2, RFC 9051 section 5.1).
    name = normalize("NFC", name.removesuffix(DELIMITER))
    levels = name.split(DELIMITER)
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    if not all(levels) or _FORBIDDEN.search(name):
        raise PostroomError(Kind.INVALID, "a mailbox name has empty levels or control characters")
    if len(name.encode("utf-8", "surrogatepass")) > MOST_BYTES or len(levels) > MOST_LEVELS:
        raise PostroomError(Kind.INVALID, "the mailbox name is too long or too deep")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PostroomError(Kind.INVALID, "the mailbox name is not Unicode text") from error
    return DELIMITER.join(levels)


def superiors(name: str) -> Iterator[str]:
    """The names above a mailbox, outermost first."""
    levels = name.split(DELIMITER)
    for depth in range(1, len(levels)):
        yield DELIMITER.join(levels[:depth])


def is_shared(name: str) -> bool:
    """Whether a name is one of what others share, or a level above that."""
    return name == OTHER_USERS or name.startswith(OTHER_USERS + DELIMITER)


def shared_name(address: str, name: str) -> str:
    """What a mailbox of somebody else is called."""
    return f"{OTHER_USERS}{DELIMITER}{address}{DELIMITER}{name}"


def owners_in(name: str) -> Iterator[tuple[str, str]]:
    """How a shared name may be meant: (owner's address, name there). An address may hold a "/"."""
    rest = name.removeprefix(OTHER_USERS + DELIMITER)
    start = rest.find("@")
    while (start := rest.find(DELIMITER, start + 1)) > 0:
        yield rest[:start], rest[start + 1 :]
