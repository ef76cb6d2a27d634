"""The collations that there are, and which a client means (RFC 5255 section 4, RFC 4790)."""

import re
from collections.abc import Iterable
from enum import StrEnum

from postroom_imap.protocol.mailbox_pattern import compile_patterns


class Collation(StrEnum):
    """The value is the registered name; in the order in which a wildcard prefers them.

    All have substrings, equality and an order, as SEARCH and SORT need (RFC 5255 section 4.4);
    i;ascii-numeric has no substrings.
    """

    UNICODE_CASEMAP = "i;unicode-casemap"  # RFC 5051
    ASCII_CASEMAP = "i;ascii-casemap"
    OCTET = "i;octet"


DEFAULT = Collation.UNICODE_CASEMAP
# collation-order (RFC 4790 section 3): a plus changes nothing; a minus turns the order round, which
# none of ours does.
_ORDER = re.compile(r"\+?([a-z0-9;=.*-]{1,254})")


def matching(orders: Iterable[str]) -> list[Collation]:
    """The collations that any of some specifications stands for; first what the first one does."""
    found: dict[Collation, None] = {}
    for order in map(str.lower, orders):
        if order == "default":
            found[DEFAULT] = None
        elif wanted := _ORDER.fullmatch(order):
            found |= dict.fromkeys(filter(compile_patterns("", (wanted[1],)), Collation))
    return list(found)
