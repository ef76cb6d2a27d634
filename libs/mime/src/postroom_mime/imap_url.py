"""IMAP URLs of messages and parts of them (RFC 5092), with authorization (RFC 4467).

URLs of servers, lists, whole mailboxes and search results are refused: nothing here can follow one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import unquote_to_bytes

_LONGEST: Final = 8192  # characters
_LARGEST_UID: Final = 2**32 - 1

_BCHARS: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$'()*+,&=:@/]|%[0-9A-Fa-f]{2})*")
_AUTHORITY: Final = re.compile(
    r"(?:(?P<user>[^;@/]*)(?:;AUTH=[^;@/]+)?@)?(?P<host>[^@/;?#]+)", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,9}")
_PARTIAL: Final = re.compile(r"([0-9]{1,18})(?:\.([1-9][0-9]{0,17}))?")
_DATE_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.IGNORECASE
)
_URLAUTH: Final = re.compile(
    r"(?P<access>(?:submit|user)\+[^:;/?#]+|authuser|anonymous)"
    r"(?::(?P<mechanism>[A-Za-z0-9.\-]+):(?P<token>[0-9A-Fa-f]{32,}))?",
    re.IGNORECASE,
)

# The parameters in the order in which they come, and what stands before the semicolon.
_PARAMETERS: Final = {
    "UIDVALIDITY": "",
    "UID": "/",
    "SECTION": "/",
    "PARTIAL": "/",
    "EXPIRE": "",
    "URLAUTH": "",
}


@dataclass(frozen=True, slots=True)
class UrlAuth:
    """What ;URLAUTH= says.

    Attributes:
        access: "submit", "user", "authuser" or "anonymous".
        user: who, for the first two.
        mechanism, token: empty in a rump URL, which has none yet.
    """

    access: str
    user: str
    mechanism: str
    token: str


@dataclass(frozen=True, slots=True)
class ImapUrl:
    """A URL of a message or a part of one.

    Attributes:
        user, host: None in a relative URL; user None where an absolute one names nobody.
        mailbox: its name as text; empty in a relative URL that begins with ;UID=.
        absolute_path: the mailbox is named from the root.
        uid_validity: None where any will do.
        section: as in BODY[section].
        partial: offset and length; length None: to the end.
        expire: Unix seconds after which nobody may use it.
        rump: the URL without mechanism and token.
    """

    user: str | None
    host: str | None
    mailbox: str
    absolute_path: bool
    uid_validity: int | None
    uid: int
    section: str
    partial: tuple[int, int | None] | None
    expire: float | None
    auth: UrlAuth | None
    rump: str

    def mailbox_from(self, base: str | None) -> str | None:
        """The mailbox that it means where a mailbox, or none, is selected (RFC 4469 section 3)."""
        if self.absolute_path:
            return self.mailbox
        if not self.mailbox:
            return base
        above = base.rpartition("/")[0] if base else ""
        return f"{above}/{self.mailbox}" if above else self.mailbox


def parse_imap_url(text: str) -> ImapUrl:
    """Return the URL that a text is. Raises ValueError for all but URLs of messages and parts."""
    if len(text) > _LONGEST or not text.isascii():
        raise ValueError("not a URL")
    user = host = None
    path = text
    if text[:7].lower() == "imap://":
        user, host, path = _authority(text[7:])
    elif ":" in text.partition("/")[0].partition(";")[0]:
        raise ValueError("not an IMAP URL")
    mailbox, *parameters = path.split(";")
    absolute = mailbox.startswith("/")
    mailbox = mailbox.removeprefix("/")
    if (host is not None and not absolute) or mailbox.startswith("/"):
        raise ValueError("not an IMAP URL")
    found, ended = _parameters(mailbox, parameters)
    mailbox = _decoded(ended)
    if (absolute and not mailbox) or ended.endswith("/"):
        raise ValueError("no mailbox is named")
    auth = _auth(found["URLAUTH"]) if "URLAUTH" in found else None
    if "EXPIRE" in found and auth is None:
        raise ValueError("EXPIRE without URLAUTH")
    verifier = len(auth.mechanism) + len(auth.token) + 2 if auth and auth.token else 0
    return ImapUrl(
        user=user,
        host=host,
        mailbox=mailbox,
        absolute_path=absolute,
        uid_validity=_number(found["UIDVALIDITY"]) if "UIDVALIDITY" in found else None,
        uid=_number(found.get("UID", "")),
        section=_decoded(found["SECTION"]) if "SECTION" in found else "",
        partial=_partial(found["PARTIAL"]) if "PARTIAL" in found else None,
        expire=_moment(found["EXPIRE"]) if "EXPIRE" in found else None,
        auth=auth,
        rump=text[: len(text) - verifier],
    )


def _authority(rest: str) -> tuple[str | None, str, str]:
    authority, slash, path = rest.partition("/")
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise ValueError("no server is named")
    user = _decoded(found["user"]) if found["user"] else None
    return user, found["host"].lower(), slash + path


def _parameters(first: str, parameters: list[str]) -> tuple[dict[str, str], str]:
    """The parameters by name, and the mailbox without the slash that goes before one of them."""
    found: dict[str, str] = {}
    order = iter(_PARAMETERS.items())
    before = first
    last = ""
    for parameter in parameters:
        name, separator = _next(order, parameter.partition("=")[0].upper())
        if separator:
            # A URL that begins with ;UID= is relative to the mailbox, and has no slash there.
            if not before.endswith("/") and (before or found):
                raise ValueError("a slash is missing")
            before = before.removesuffix("/")
        if last:
            found[last] = before
        else:
            first = before
        last, before = name, parameter.partition("=")[2]
    if last:
        found[last] = before
    return found, first


def _next(order: Iterator[tuple[str, str]], name: str) -> tuple[str, str]:
    for known, separator in order:
        if known == name:
            return known, separator
    raise ValueError("an unknown or misplaced parameter")


def _decoded(text: str) -> str:
    if not _BCHARS.fullmatch(text):
        raise ValueError("a character that must be encoded")
    decoded = unquote_to_bytes(text)
    if b"\0" in decoded:
        raise ValueError("a NUL")
    return decoded.decode()


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > _LARGEST_UID:
        raise ValueError("not a number")
    return int(text)


def _partial(text: str) -> tuple[int, int | None]:
    found = _PARTIAL.fullmatch(text)
    if found is None:
        raise ValueError("not a range")
    return int(found[1]), int(found[2]) if found[2] else None


def _moment(text: str) -> float:
    if not _DATE_TIME.fullmatch(text):
        raise ValueError("not a date and time")  # RFC 3339
    return datetime.fromisoformat(text.upper()).timestamp()


def _auth(text: str) -> UrlAuth:
    found = _URLAUTH.fullmatch(text)
    if found is None:
        raise ValueError("not an authorization")
    access, plus, user = found["access"].partition("+")
    return UrlAuth(
        access.lower(),
        _decoded(user) if plus else "",
        found["mechanism"] or "",
        found["token"] or "",
    )
