"""What a domain says of who may send for it: the records of SPF and their macros (RFC 7208)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import quote

from postroom_smtp.protocol.authentication import Result

Address = IPv4Address | IPv6Address

MOST_RECORD = 8_192  # octets; section 3.4 asks for less than 512
MOST_SPECIFICATION = 512  # octets of a domain-spec: twice what a name may have
MOST_NAME = 253  # octets of a name in text (RFC 1035 section 2.3.4)

_VERSION = re.compile(rb"v=spf1(?: |\Z)", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.\-]*)=(.*)", re.DOTALL)
_MECHANISM = re.compile(r"([+\-?~]?)([A-Za-z][A-Za-z0-9_.\-]*)([:/].*)?", re.DOTALL)
_PREFIXES = re.compile(r"(.*?)(?:/(0|[1-9][0-9]{0,2}))?(?://(0|[1-9][0-9]{0,2}))?", re.DOTALL)
_TOP_LABEL = re.compile(
    r".*\.(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9\-]*[A-Za-z0-9])\.?", re.DOTALL
)
_PIECE = re.compile(
    r"%(?:(?P<escape>[%_\-])|\{(?P<letter>[A-Za-z])(?P<digits>[0-9]{0,3})(?P<reverse>[rR]?)"
    r"(?P<delimiters>[.\-+,/_=]*)\})|(?P<literal>[!-$&-~]+)|(?P<space> +)"
)
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
_LETTERS = frozenset("slodiphv")
_EXPLANATION_LETTERS = _LETTERS | frozenset("crt")


QUALIFIERS = {
    "": Result.PASS,
    "+": Result.PASS,
    "-": Result.FAIL,
    "~": Result.SOFTFAIL,
    "?": Result.NEUTRAL,
}


class BadRecord(Exception):
    """It is no record (RFC 7208 section 4.6)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a macro-string: a text, or a macro to put in its place (section 7.1)."""

    text: str = ""
    letter: str = ""
    keep: int = 0
    reverse: bool = False
    delimiters: str = "."


@dataclass(frozen=True, slots=True)
class Mechanism:
    """Whom a term is about, and what comes of it.

    Attributes:
        target: a domain-spec; None: the current domain.
        network: of ip4 and ip6.
        prefixes: for addresses of 4 and of 6, in bits.
    """

    name: str
    result: Result
    target: tuple[Piece, ...] | None = None
    network: IPv4Network | IPv6Network | None = None
    prefixes: tuple[int, int] = (32, 128)


@dataclass(frozen=True, slots=True)
class Record:
    """A record, read whole before any of it counts (section 4.6)."""

    mechanisms: tuple[Mechanism, ...]
    redirect: tuple[Piece, ...] | None = None
    explanation: tuple[Piece, ...] | None = None


def is_record(text: bytes) -> bool:
    """Whether a TXT record is one of SPF at all (section 4.5)."""
    return bool(_VERSION.match(text))


def parse_record(text: bytes) -> Record:
    """Raises BadRecord."""
    if len(text) > MOST_RECORD:
        raise BadRecord("it is too long")
    try:
        terms = text.decode("ascii")[len("v=spf1") :].split(" ")
    except UnicodeDecodeError as error:
        raise BadRecord("it has octets beyond ASCII") from error
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, tuple[Piece, ...]] = {}
    for term in filter(None, terms):
        if modifier := _MODIFIER.fullmatch(term):
            name = modifier[1].lower()
            if name not in ("redirect", "exp"):
                parse_macros(modifier[2])
            elif name in modifiers:
                raise BadRecord(f"{name} is there twice")
            else:
                modifiers[name] = _domain(modifier[2])
        else:
            mechanisms.append(_mechanism(term))
    return Record(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"))


def parse_macros(text: str, *, explanation: bool = False) -> tuple[Piece, ...]:
    """A macro-string, or an explain-string (section 7.1). Raises BadRecord."""
    letters = _EXPLANATION_LETTERS if explanation else _LETTERS
    pieces: list[Piece] = []
    at = 0
    while at < len(text):
        found = _PIECE.match(text, at)
        if found is None or (found["space"] and not explanation):
            raise BadRecord("a macro isn't one")
        at = found.end()
        if literal := found["literal"] or found["space"]:
            pieces.append(Piece(literal))
        elif found["escape"]:
            pieces.append(Piece(_ESCAPES[found["escape"]]))
        else:
            pieces.append(_macro(found, letters))
    return tuple(pieces)


def _macro(found: re.Match[str], letters: frozenset[str]) -> Piece:
    if found["letter"].lower() not in letters:
        raise BadRecord(f"there is no macro {found['letter']}")
    keep = int(found["digits"] or 0)
    if found["digits"] and not keep:
        raise BadRecord("a macro keeps nothing")
    return Piece("", found["letter"], keep, bool(found["reverse"]), found["delimiters"] or ".")


def _domain(text: str) -> tuple[Piece, ...]:
    """A domain-spec: it ends with a macro, or with a label that can be a top one."""
    if not text or len(text) > MOST_SPECIFICATION:
        raise BadRecord("a domain is needed")
    pieces = parse_macros(text)
    if not pieces[-1].letter and not _TOP_LABEL.fullmatch(text):
        raise BadRecord(f"{text} is no domain")
    return pieces


def _mechanism(term: str) -> Mechanism:
    found = _MECHANISM.fullmatch(term)
    read = found and _MECHANISMS.get(found[2].lower())
    if not found or not read:
        raise BadRecord(f"{term} is no term")
    return read(found[2].lower(), QUALIFIERS[found[1]], found[3] or "")


def _read_all(name: str, result: Result, arguments: str) -> Mechanism:
    if arguments:
        raise BadRecord("all takes nothing")
    return Mechanism(name, result)


def _read_network(name: str, result: Result, arguments: str) -> Mechanism:
    address, slash, prefix = arguments[1:].partition("/")
    family: type[IPv4Address] | type[IPv6Address] = IPv4Address if name == "ip4" else IPv6Address
    if not arguments.startswith(":") or (slash and not _is_prefix(prefix)) or "%" in address:
        raise BadRecord(f"{name} takes a network")
    try:
        family(address)
        network = ip_network(f"{address}/{prefix}" if slash else address, strict=False)
    except ValueError as error:
        raise BadRecord(f"{name} takes a network") from error
    return Mechanism(name, result, network=network)


def _read_hosts(name: str, result: Result, arguments: str) -> Mechanism:
    """A and mx: a domain-spec and lengths of prefixes, all of which may be missing."""
    found = _PREFIXES.fullmatch(arguments)
    if found is None:
        raise BadRecord(f"{name} takes a domain")
    prefixes = int(found[2] or 32), int(found[3] or 128)
    if prefixes[0] > 32 or prefixes[1] > 128:
        raise BadRecord("a prefix is too long")
    target = _domain(found[1][1:]) if found[1].startswith(":") else None
    if target is None and found[1]:
        raise BadRecord(f"{name} takes a domain")
    return Mechanism(name, result, target, prefixes=prefixes)


def _read_target(name: str, result: Result, arguments: str) -> Mechanism:
    """Include and exists, which need a domain-spec, and ptr, which takes one."""
    if not arguments and name == "ptr":
        return Mechanism(name, result)
    if not arguments.startswith(":"):
        raise BadRecord(f"{name} takes a domain")
    return Mechanism(name, result, _domain(arguments[1:]))


_MECHANISMS: dict[str, Callable[[str, Result, str], Mechanism]] = {
    "all": _read_all,
    "include": _read_target,
    "a": _read_hosts,
    "mx": _read_hosts,
    "ptr": _read_target,
    "ip4": _read_network,
    "ip6": _read_network,
    "exists": _read_target,
}


def _is_prefix(text: str) -> bool:
    return text.isdecimal() and text.isascii() and (text == "0" or not text.startswith("0"))


@dataclass(frozen=True, slots=True)
class Subject:
    """What macros stand for (section 7.2).

    Attributes:
        domain: the current one.
        sender: with its local part, which is never empty.
        validated: of %{p}; "unknown" where there is none.
        receiver: of %{r}.
    """

    address: Address
    domain: str
    sender: str
    helo: str
    validated: str = "unknown"
    receiver: str = "unknown"

    def value(self, letter: str) -> str:
        """What a macro stands for before it is transformed."""
        local, _, origin = self.sender.rpartition("@")
        match letter:
            case "s":
                return self.sender
            case "l":
                return local
            case "o":
                return origin
            case "d":
                return self.domain
            case "i" if isinstance(self.address, IPv6Address):
                return ".".join(self.address.exploded.replace(":", "")).upper()
            case "i" | "c":
                return str(self.address)
            case "p":
                return self.validated
            case "v":
                return "in-addr" if isinstance(self.address, IPv4Address) else "ip6"
            case "h":
                return self.helo
            case "r":
                return self.receiver
            case _:
                return str(int(time.time()))


def asks(pieces: tuple[Piece, ...], letter: str) -> bool:
    """Whether a macro is among them."""
    return any(piece.letter.lower() == letter for piece in pieces)


def expand(pieces: tuple[Piece, ...], subject: Subject) -> str:
    """A macro-string with everything put in (section 7.3)."""
    return "".join(_transformed(piece, subject) if piece.letter else piece.text for piece in pieces)


def expand_domain(pieces: tuple[Piece, ...], subject: Subject) -> str:
    """A domain-spec with everything put in; what is too long loses labels from the left."""
    name = expand(pieces, subject).removesuffix(".")
    if len(name) <= MOST_NAME:
        return name
    # All at once: what a client calls itself, many times over, has very many labels.
    dot = name.find(".", len(name) - MOST_NAME - 1)
    return name[dot + 1 :] if dot >= 0 else name.rpartition(".")[2]


def _transformed(piece: Piece, subject: Subject) -> str:
    value = subject.value(piece.letter.lower())
    parts = re.split("[" + re.escape(piece.delimiters) + "]", value)
    if piece.reverse:
        parts.reverse()
    if piece.keep:
        parts = parts[-piece.keep :]
    text = ".".join(parts)
    # An upper-case letter asks for what can stand in a URL (RFC 3986 section 2.1).
    return quote(text, safe="-._~") if piece.letter.isupper() else text
