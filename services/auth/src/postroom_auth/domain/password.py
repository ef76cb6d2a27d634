"""Passwords, prepared so that what is typed on one device matches what was set on another.

The preparation is the OpaqueString profile of RFC 8265 section 4.2: other spaces become ASCII
spaces, the text is composed (NFC), controls and the empty string are refused. Left out: the check
for unassigned code points, which would refuse tomorrow's characters.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

PASSWORD_OCTETS = 1024


class InvalidPassword(ValueError):
    """Not a password that can be used. The text is for people and shows nothing of it."""


@dataclass(frozen=True, slots=True, repr=False)
class Password:
    """A password on its way to be hashed or checked. Its `repr` shows nothing.

    Raises:
        InvalidPassword: it is empty, longer than 1,024 octets, or holds control characters.
    """

    prepared: bytes

    def __post_init__(self) -> None:
        if not self.prepared:
            raise InvalidPassword("the password is empty")
        if len(self.prepared) > PASSWORD_OCTETS:
            raise InvalidPassword("the password is longer than 1,024 octets")

    @classmethod
    def prepare(cls, text: str) -> Password:
        """Prepare what a person typed. Raises InvalidPassword."""
        if len(text) > PASSWORD_OCTETS:
            raise InvalidPassword("the password is longer than 1,024 octets")
        if text.isascii():
            if not text.isprintable():
                raise InvalidPassword("the password holds a control character")
            return cls(text.encode())
        categories = [unicodedata.category(character) for character in text]
        if not {"Cc", "Cs", "Zl", "Zp"}.isdisjoint(categories):
            raise InvalidPassword("the password holds a control character")
        spaced = "".join(
            " " if category == "Zs" else character
            for character, category in zip(text, categories, strict=True)
        )
        return cls(unicodedata.normalize("NFC", spaced).encode())

    def __repr__(self) -> str:
        return "Password(...)"
