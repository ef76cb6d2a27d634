"""The collation i;unicode-casemap (RFC 5051), as a mapping: compare what comes out."""

from postroom_mime.normal_form import normal_form


def casemap(text: str) -> str:
    """Return text in title case, character by character, fully decomposed (RFC 5051 section 2.3).

    Sort and equality on the result are those of the collation: the octets of UTF-8 sort as their
    code points do.
    """
    if text.isascii():
        return text.upper()
    return normal_form("NFKD", "".join(map(_titled, text)))


def _titled(character: str) -> str:
    """Apply the simple title-case mapping; str.title also has mappings to several characters."""
    mapped = character.title()
    return mapped if len(mapped) == 1 else character
