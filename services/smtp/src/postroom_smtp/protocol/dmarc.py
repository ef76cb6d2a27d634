"""What an author's domain asks for where nothing shows that a message is from it (RFC 7489)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MOST_RECORD = 8_192  # octets, as of SPF

_NAME = re.compile(r"[A-Za-z]+")
_VERSION = re.compile(rb"[ \t]*v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")


class Wish(StrEnum):
    """What is to become of such a message, from the mildest (section 6.3, p=)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"

    @property
    def milder(self) -> Wish:
        """What becomes of those that the percentage leaves out (section 6.6.4)."""
        return Wish.QUARANTINE if self is Wish.REJECT else Wish.NONE


@dataclass(frozen=True, slots=True)
class Policy:
    """A record.

    Attributes:
        below: of subdomains (sp=).
        strict_dkim, strict_spf: whether the domains must be the same (adkim=, aspf=).
        percentage: of the messages that fail which the wish is for.
    """

    wish: Wish
    below: Wish
    strict_dkim: bool = False
    strict_spf: bool = False
    percentage: int = 100


def is_record(text: bytes) -> bool:
    """Whether a TXT record is one of DMARC (section 6.6.3)."""
    return bool(_VERSION.match(text))


def parse_policy(text: bytes) -> Policy | None:
    """A record; None: it says nothing that can be kept to."""
    if len(text) > MOST_RECORD:
        return None
    tags: dict[str, str] = {}
    for piece in text.decode("ascii", "replace").split(";"):
        name, equals, value = piece.strip("\r\n").partition("=")
        name = name.strip(" \t")
        if equals and _NAME.fullmatch(name):
            tags.setdefault(name.lower(), value.strip(" \t"))
    wish = _wish(tags.get("p"))
    if wish is None or ("sp" in tags and _wish(tags["sp"]) is None):
        # Who wants reports wants a record to be one (section 6.6.3, step 6).
        if "rua" not in tags:
            return None
        return Policy(Wish.NONE, Wish.NONE)
    percentage = tags.get("pct", "100")
    return Policy(
        wish,
        _wish(tags.get("sp")) or wish,
        tags.get("adkim", "r").lower() == "s",
        tags.get("aspf", "r").lower() == "s",
        int(percentage) if percentage in _PERCENTAGES else 100,
    )


_PERCENTAGES = frozenset(map(str, range(101)))


def _wish(text: str | None) -> Wish | None:
    try:
        return Wish(text.lower()) if text is not None else None
    except ValueError:
        return None
