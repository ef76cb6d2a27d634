"""GENURLAUTH, RESETKEY, URLFETCH (RFC 4467 section 7, RFC 5524 section 3)."""

from dataclasses import dataclass
from enum import Enum

from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault

MOST_URLS = 100  # of one command


class UrlItem(Enum):
    """What is wanted of a URL; the value is the wire name."""

    BODY = "BODY"
    BINARY = "BINARY"
    BODYPARTSTRUCTURE = "BODYPARTSTRUCTURE"


@dataclass(frozen=True, slots=True)
class GenUrlAuth:
    """GENURLAUTH: URLs with the mechanisms to authorize them by, in upper case."""

    urls: tuple[tuple[bytes, str], ...]


@dataclass(frozen=True, slots=True)
class ResetKey:
    """RESETKEY; ``mailbox`` None: all of them."""

    mailbox: str | None
    mechanisms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedUrl:
    """A URL of URLFETCH; without items its data are wanted, and nothing else is told."""

    url: bytes
    items: tuple[UrlItem, ...]


@dataclass(frozen=True, slots=True)
class UrlFetch:
    """URLFETCH."""

    urls: tuple[WantedUrl, ...]


def parse_gen_url_auth(cursor: Cursor) -> GenUrlAuth:
    """``GENURLAUTH 1*(SP url SP mechanism)``."""
    urls: list[tuple[bytes, str]] = []
    while not urls or not cursor.at_end():
        cursor.space()
        url = cursor.astring()
        cursor.space()
        urls.append((url, cursor.word().decode()))
        _check_number(len(urls))
    return GenUrlAuth(tuple(urls))


def parse_reset_key(cursor: Cursor) -> ResetKey:
    """``RESETKEY [SP mailbox *(SP mechanism)]``."""
    if cursor.at_end():
        return ResetKey(None, ())
    cursor.space()
    mailbox = cursor.mailbox()
    mechanisms: list[str] = []
    while not cursor.at_end():
        cursor.space()
        mechanisms.append(cursor.word().decode())
        _check_number(len(mechanisms))
    return ResetKey(mailbox, tuple(mechanisms))


def parse_url_fetch(cursor: Cursor) -> UrlFetch:
    """``URLFETCH 1*(SP url / SP (url *(SP item)))``."""
    urls: list[WantedUrl] = []
    while not urls or not cursor.at_end():
        cursor.space()
        urls.append(_wanted(cursor) if cursor.take(b"(") else WantedUrl(cursor.astring(), ()))
        _check_number(len(urls))
    return UrlFetch(tuple(urls))


def _wanted(cursor: Cursor) -> WantedUrl:
    url = cursor.astring()
    items: list[UrlItem] = []
    while not cursor.take(b")"):
        cursor.space()
        try:
            item = UrlItem(cursor.word().decode())
        except ValueError:
            raise SyntaxFault("Unknown item of URLFETCH") from None
        if item in items:
            raise SyntaxFault("An item is asked for twice")
        items.append(item)
    if UrlItem.BODY in items and UrlItem.BINARY in items:
        raise SyntaxFault("BODY and BINARY don't go together")  # RFC 5524 section 3.1
    return WantedUrl(url, tuple(items))


def _check_number(number: int) -> None:
    if number > MOST_URLS:
        raise SyntaxFault(f"At most {MOST_URLS} URLs in a command", b"LIMIT")
