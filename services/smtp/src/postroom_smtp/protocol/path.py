"""Reverse-path and forward-path (RFC 5321 section 4.1.2, RFC 6531 section 3.3)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

# RFC 5321 section 4.5.3.1.3 asks for 256 octets. Senders that encode a recipient in their local
# part (VERP) go beyond, and nothing here breaks by it.
MOST_OCTETS = 512

_UTF8 = "\u00a0-\ud7ff\ue000-\U0010ffff"  # no controls, and no octets that aren't UTF-8
_ATEXT = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~\-{_UTF8}]"
_DOT_STRING = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
_QUOTED = rf'"(?:[ !#-\[\]-~{_UTF8}]|\\[ -~])*"'
# Underscores are no part of a domain's grammar, and are in use.
_LABEL = rf"[A-Za-z0-9_{_UTF8}](?:[A-Za-z0-9_\-{_UTF8}]*[A-Za-z0-9_{_UTF8}])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_LITERAL = r"\[[A-Za-z0-9:.\-]+\]"
_ROUTE = rf"(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"
_PATH = re.compile(
    rf"<{_ROUTE}(?P<local>{_DOT_STRING}|{_QUOTED})@(?P<domain>{_DOMAIN}|{_LITERAL})>"
)
_PLAIN = re.compile(_DOT_STRING)
_PAIR = re.compile(r"\\(.)")


class PathFault(Exception):
    """It is no path."""


@dataclass(frozen=True, slots=True)
class Path:
    """A mailbox's address, or the null reverse-path (both parts empty)."""

    local: str = ""
    domain: str = ""

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local

    @property
    def ascii(self) -> bool:
        return self.local.isascii() and self.domain.isascii()


NULL = Path()


def parse_path(text: str) -> tuple[Path, str]:
    """A path in angle brackets at the start of a text, and what follows it.

    Source routes are read over (RFC 5321 appendix C), quotes that aren't needed are taken off.
    Raises PathFault.
    """
    if text.startswith("<>"):
        return NULL, text[2:]
    found = _PATH.match(text[: 2 * MOST_OCTETS])
    if found is None or len(found[0].encode()) > MOST_OCTETS:
        raise PathFault
    domain = found["domain"].removesuffix(".")
    if domain.startswith("["):
        _check_literal(domain[1:-1])
    return Path(_unquoted(found["local"]), domain), text[found.end() :]


def parse_postmaster(text: str) -> str | None:
    """What follows `<Postmaster>` without a domain (RFC 5321 section 4.5.1), None without it."""
    return text[12:] if text[:12].lower() == "<postmaster>" else None


def _unquoted(local: str) -> str:
    if not local.startswith('"'):
        return local
    inner = _PAIR.sub(r"\1", local[1:-1])
    return inner if _PLAIN.fullmatch(inner) else local


def _check_literal(literal: str) -> None:
    kind, colon, rest = literal.partition(":")
    try:
        if colon and kind.lower() == "ipv6":
            ipaddress.IPv6Address(rest)
        else:
            ipaddress.IPv4Address(literal)
    except ValueError as error:
        raise PathFault from error
