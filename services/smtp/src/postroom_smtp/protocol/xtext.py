"""xtext (RFC 3461 section 4): any octets in the value of a parameter."""

from __future__ import annotations

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-Fa-f]{2})")
_PLAIN = re.compile(r"[!-*,-<>-~]")


def decode(text: str) -> str:
    """What an xtext stands for. Raises ValueError where it is none, or no UTF-8."""
    if not _XTEXT.fullmatch(text):
        raise ValueError("not an xtext")
    if "+" not in text:
        return text
    octets = _HEXCHAR.sub(lambda found: chr(int(found[1], 16)), text)
    return octets.encode("latin-1").decode()


def encode(text: str) -> str:
    """A text as xtext."""
    return "".join(
        chr(octet) if _PLAIN.match(chr(octet)) else f"+{octet:02X}" for octet in text.encode()
    )
