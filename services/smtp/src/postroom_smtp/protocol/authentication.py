"""What was found out about a message, and the field that says so (RFC 8601)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MOST_STEPS = 100  # over comments
MOST_VALUE = 255  # characters of a value that somebody else chose

_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")  # RFC 2045 section 5.1
_ADDRESS = re.compile(r"[!#$%&'*+\-.0-9=A-Z^_`a-z{|}~/?@]+")
_BLANK = re.compile(rb"[ \t\r\n]*+")
_COMMENT = re.compile(rb"(?:[^()\\]|\\.)*+", re.DOTALL)
_IDENTIFIER = re.compile(rb'[^\s;()"\\]+')


class Result(StrEnum):
    """RFC 8601 section 2.7, of all methods together."""

    NONE = "none"
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Finding:
    """A method and what came of it.

    Attributes:
        properties: "ptype.property" and value.
        comment: why, for people.
    """

    method: str
    result: Result
    properties: tuple[tuple[str, str], ...] = ()
    comment: str = ""

    def __str__(self) -> str:
        """RFC 8601 section 2.2's resinfo."""
        comment = f" ({_commented(self.comment)})" if self.comment else ""
        stated = "".join(f" {name}={_value(value)}" for name, value in self.properties if value)
        return f"{self.method}={self.result}{comment}{stated}"


def authentication_results(identifier: str, findings: tuple[Finding, ...]) -> bytes:
    """The field, folded, with its CRLF."""
    return b"Authentication-Results: " + results(identifier, findings)


def results(identifier: str, findings: tuple[Finding, ...]) -> bytes:
    """The value of the field, and of ARC's (RFC 8617 section 4.1.1), folded, with its CRLF."""
    said = ";\r\n\t".join(map(str, findings)) or "none"
    return f"{identifier};\r\n\t{said}\r\n".encode()


def claims(value: bytes, identifier: str) -> bool:
    """Whether an Authentication-Results field says that `identifier` wrote it (section 5).

    What can't be read claims to be ours where our name is in it at all.
    """
    rest = _after_comments(value)
    ours = identifier.encode().lower()
    if rest.startswith(b'"'):
        quoted = re.match(rb'"((?:[^"\\]|\\.)*+)"', rest, re.DOTALL)
        found = re.sub(rb"\\(.)", rb"\1", quoted[1], flags=re.DOTALL) if quoted else None
    else:
        plain = _IDENTIFIER.match(rest)
        found = plain[0] if plain else None
    if found is None:
        return ours in value.lower()
    return found.lower().removesuffix(b".") == ours.removesuffix(b".")


def method_results(value: bytes, method: str) -> set[str]:
    """The results that a field states for a method, comments apart. For ARC's fields, whose author
    is known.
    """
    text = value.decode("ascii", "replace").lower()
    plain = re.sub(r"\([^()]*\)", " ", text)
    return set(re.findall(rf"(?:^|[;\s]){re.escape(method)}\s*=\s*([a-z]+)", plain))


def _after_comments(value: bytes) -> bytes:
    """What follows white space and comments, which nest (RFC 5322 section 3.2.2); nothing where
    there are more than anybody writes.
    """
    at, depth = 0, 0
    for _ in range(MOST_STEPS):
        found = (_COMMENT if depth else _BLANK).match(value, at)
        at = found.end() if found else at
        octet = value[at : at + 1]
        if octet == b"(":
            depth += 1
        elif depth and octet == b")":
            depth -= 1
        elif not (depth and octet):
            return value[at:]
        at += 1
    return b""


def _value(text: str) -> str:
    """A pvalue (section 2.2): as it is, or quoted; nothing that could end the field."""
    text = text[:MOST_VALUE]
    if _TOKEN.fullmatch(text) or _ADDRESS.fullmatch(text):
        return text
    kept = "".join(each if each.isprintable() else "?" for each in text)
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _commented(text: str) -> str:
    kept = "".join(each if each.isprintable() else "?" for each in text[:MOST_VALUE])
    return re.sub(r"[()\\]", "_", kept)
