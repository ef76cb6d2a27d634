"""Domains as they are looked up and compared: in A-labels (RFC 5890 section 2.3.2.1)."""

from __future__ import annotations

import re

import idna

MOST_NAME = 253  # octets of a name in text (RFC 1035 section 2.3.4)

# Underscores are no part of a host's name, and are in use.
_NAME = re.compile(r"[a-z0-9_\-]{1,63}(?:\.[a-z0-9_\-]{1,63})*")


def a_labels(name: str) -> str | None:
    """A name beyond ASCII as it is looked up; None: it can't be. Everything here that looks up or
    compares has it from here: where two say two things of one name, one may be somebody else's.
    """
    if len(name) > MOST_NAME:
        return None
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:  # and so is IDNAError
        return None


def as_name(domain: str) -> str | None:
    """A domain in lower case, without its last dot; None: no name can be like this, or not all of
    it is seen.
    """
    name: str | None = domain.lower().removesuffix(".")
    if name and not name.isascii():
        name = a_labels(name) if name.isprintable() else None
    return name if name and len(name) <= MOST_NAME and _NAME.fullmatch(name) else None
