"""GENURLAUTH and URLFETCH (RFC 4467 section 8, RFC 5524 section 3.2)."""

from collections.abc import Iterable

from postroom_imap.protocol.responses.strings import string


def gen_url_auth(urls: Iterable[str]) -> bytes:
    """The authorized URLs."""
    return b" ".join((b"* GENURLAUTH", *(string(url.encode()) for url in urls))) + b"\r\n"


def url_fetch(url: bytes) -> bytes:
    """How the response for a URL begins; its data follow."""
    return b"* URLFETCH " + string(url)
