"""Collations as mappings: compare what comes out, code point by code point.

The octets of UTF-8 sort as their code points do, and one text is a part of another where its octets
are. So i;octet (RFC 4790 section 9.3) maps nothing.
"""

from collections.abc import Callable
from typing import Final

from postroom_mime.normal_form import normal_form

_UPPER: Final = {ord("a") + letter: ord("A") + letter for letter in range(26)}


def casemap(text: str) -> str:
    """Map by i;unicode-casemap: title case, character by character, fully decomposed.

    RFC 5051 section 2.3.
    """
    if text.isascii():
        return text.upper()
    return normal_form("NFKD", "".join(map(_titled, text)))


def ascii_casemap(text: str) -> str:
    """Map by i;ascii-casemap (RFC 4790 section 9.2): the letters of ASCII in upper case."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


def octet(text: str) -> str:
    """Map by i;octet."""
    return text


COLLATIONS: Final[dict[str, Callable[[str], str]]] = {
    "i;unicode-casemap": casemap,
    "i;ascii-casemap": ascii_casemap,
    "i;octet": octet,
}


def _titled(character: str) -> str:
    """Apply the simple title-case mapping; str.title also has mappings to several characters."""
    mapped = character.title()
    return mapped if len(mapped) == 1 else character
