"""Mail addresses: how they are read, compared and written.

An addr-spec is a Mailbox of RFC 5321 section 4.1.2 with the UTF-8 of RFC 6531 section 3.3, within
the sizes of RFC 5321 section 4.5.3.1. Liberties taken: local parts are compared without regard to
case, as every user expects (RFC 5321 section 2.4 leaves that to the host that owns them), and
`"ann"@x` is `ann@x`. Domains are compared in their U-label form (IDNA 2008 after the mapping of
UTS 46).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import idna

# RFC 5321 section 4.5.3.1; a path's 256 octets hold the angle brackets too.
LOCAL_OCTETS = 64
DOMAIN_OCTETS = 255
ADDRESS_OCTETS = 254
DETAIL_SEPARATOR = "+"

ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
DOT_STRING = re.compile(rf"{ATEXT}+(?:\.{ATEXT}+)*")
QUOTED_STRING = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*)"')
QUOTED_PAIR = re.compile(r"\\(.)")
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ASCII_DOMAIN = re.compile(rf"{LABEL}(?:\.{LABEL})*")
# What may be an address to somebody, whatever we think of it: which sizes and names there are is
# theirs to say.
FOREIGN_LABEL = r"[A-Za-z0-9_\-\u00a0-\ud7ff\ue000-\U0010ffff]+"
FOREIGN_ADDRESS = re.compile(
    rf"(?=.{{3,510}}\Z)(?:{ATEXT}+(?:\.{ATEXT}+)*|{QUOTED_STRING.pattern})"
    rf"@{FOREIGN_LABEL}(?:\.{FOREIGN_LABEL})*"
)
# Controls, line and paragraph separators, surrogates: never part of a name that people use.
FORBIDDEN_CATEGORIES = frozenset({"Cc", "Zl", "Zp", "Cs"})


class InvalidAddress(ValueError):
    """Not an address, a domain or a local part. The text is for people."""


@dataclass(frozen=True, slots=True)
class DomainName:
    """A domain as it is compared: U-labels, lower case.

    Raises:
        InvalidAddress: the name is not in that form, or too long.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name != _unicode_domain(self.name):
            raise InvalidAddress(f"{self.name!r} is not a normalised domain")

    @classmethod
    def parse(cls, text: str) -> DomainName:
        """Read a domain in A-labels or U-labels, any case. Raises InvalidAddress."""
        if len(text) > DOMAIN_OCTETS:
            raise InvalidAddress("the domain is too long")
        return cls(_unicode_domain(text))

    @property
    def ascii(self) -> str:
        """The same in A-labels, as the DNS has it."""
        return self.name if self.name.isascii() else idna.encode(self.name).decode("ascii")

    def __str__(self) -> str:
        return self.name


@lru_cache(maxsize=4096)
def _unicode_domain(text: str) -> str:
    lowered = text.lower()
    if ASCII_DOMAIN.fullmatch(lowered) and "xn--" not in lowered:
        name = lowered
    elif text.startswith("["):
        name = _literal(text)
    else:
        name = _mapped(text)
    if len(name.encode()) > DOMAIN_OCTETS:
        raise InvalidAddress("the domain is too long")
    return name


def _mapped(text: str) -> str:
    try:
        ascii_form = idna.encode(text, uts46=True).decode("ascii")
        if not ASCII_DOMAIN.fullmatch(ascii_form) or len(ascii_form) > DOMAIN_OCTETS:
            raise InvalidAddress(f"{text!r} is not a domain")
        return idna.decode(ascii_form)
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidAddress(f"{text!r} is not a domain") from error


def _literal(text: str) -> str:
    """An address literal (RFC 5321 section 4.1.3): never ours, and yet an address."""
    inner = text[1:-1] if text.endswith("]") else ""
    try:
        if inner[:5].lower() == "ipv6:":
            return f"[ipv6:{ipaddress.IPv6Address(inner[5:])}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError as error:
        raise InvalidAddress(f"{text!r} is not an address literal") from error


@dataclass(frozen=True, slots=True)
class Address:
    """An address as it was written.

    Attributes:
        local: the local part without quotes, in NFC.
        domain: where it belongs.

    Raises:
        InvalidAddress: the local part is empty, too long, or holds controls.
    """

    local: str
    domain: DomainName

    def __post_init__(self) -> None:
        if not self.local:
            raise InvalidAddress("the local part is empty")
        if len(self.local.encode()) > LOCAL_OCTETS:
            raise InvalidAddress("the local part is longer than 64 octets")
        if not self.local.isascii() or not self.local.isprintable():
            _refuse_controls(self.local)
        if len(str(self).encode()) > ADDRESS_OCTETS:
            raise InvalidAddress("the address is longer than 254 octets")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an addr-spec without angle brackets. Raises InvalidAddress."""
        # An A-label may be longer than its U-label, quotes and pairs longer than what they quote.
        if len(text) > 2 * LOCAL_OCTETS + DOMAIN_OCTETS + 3:
            raise InvalidAddress("the address is too long")
        local, at, domain = text.rpartition("@")
        if not at:
            raise InvalidAddress("an address has the form name@domain")
        return cls(_read_local(local), DomainName.parse(domain))

    @property
    def key(self) -> str:
        """The one form in which equal addresses are equal strings."""
        return f"{_write_local(_fold(self.local))}@{self.domain.name}"

    @property
    def detail(self) -> str:
        """What follows the first "+" of the local part, as written; empty where there is none."""
        name, _, detail = self.local.partition(DETAIL_SEPARATOR)
        return detail if name else ""

    @property
    def undetailed(self) -> Address:
        """The address without "+detail"."""
        name, separator, _ = self.local.partition(DETAIL_SEPARATOR)
        return Address(name, self.domain) if name and separator else self

    def __str__(self) -> str:
        return f"{_write_local(self.local)}@{self.domain.name}"


def _read_local(text: str) -> str:
    if DOT_STRING.fullmatch(text):
        return text if text.isascii() else unicodedata.normalize("NFC", text)
    if quoted := QUOTED_STRING.fullmatch(text):
        return unicodedata.normalize("NFC", QUOTED_PAIR.sub(r"\1", quoted[1]))
    raise InvalidAddress(f"{text!r} is not a local part")


def _write_local(local: str) -> str:
    if DOT_STRING.fullmatch(local):
        return local
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _fold(local: str) -> str:
    if local.isascii():
        return local.lower()
    # Folding may leave a form that is not composed: ǰ folds to two characters.
    return unicodedata.normalize("NFC", local.casefold())


def _refuse_controls(local: str) -> None:
    for character in local:
        if unicodedata.category(character) in FORBIDDEN_CATEGORIES:
            raise InvalidAddress("the local part holds a control character")
