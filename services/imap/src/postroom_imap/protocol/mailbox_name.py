"""Mailbox names: modified UTF-7 on the wire (RFC 3501 section 5.1.3), text everywhere else.

Decoding is strict: the wire form must be the one that encoding gives, so that a name has one
spelling.
"""

import re
from binascii import a2b_base64, b2a_base64
from unicodedata import normalize

DELIMITER = "/"
INBOX = "INBOX"
MOST_OWNERS = 10  # that one name is looked for among
OTHER_USERS = "Other Users/"  # RFC 2342 section 5: what others share is below, by their addresses

_ENCODED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+|&")


def decode(wire: bytes) -> str:
    """The text of a name; raises ValueError where ``wire`` is not canonical modified UTF-7."""
    if b"&" in wire:
        name = b"".join(_decoded_pieces(wire)).decode()
    else:
        name = wire.decode("ascii")
    if encode(name) != wire:
        raise ValueError("not canonical modified UTF-7")
    return name


def encode(name: str) -> bytes:
    """The wire form; raises ValueError where ``name`` holds a lone surrogate."""
    return _UNPRINTABLE.sub(_shift, name).encode("ascii")


def canonical(name: str) -> str:
    """``name`` as the store has it: INBOX, in whatever case it came, in upper case at the first
    level, and in normal form C (RFC 5198 section 2, which RFC 9051 section 5.1 asks for)."""
    if not name.isascii():
        name = normalize("NFC", name)
    # lower, not upper: that of the dotless i is an I.
    if name[:5].lower() == "inbox" and name[5:6] in ("", DELIMITER):
        return INBOX + name[5:]
    return name


def is_shared(name: str) -> bool:
    """Whether a name is one of what others share."""
    return name.startswith(OTHER_USERS)


def owners_in(name: str) -> list[str]:
    """Whose a shared name may be, by address: its local part may hold a "/", and quoted an "@"."""
    rest = name.removeprefix(OTHER_USERS)
    found: list[str] = []
    at = rest.find("@")
    while at >= 0 and (end := rest.find(DELIMITER, at)) > 0 and len(found) < MOST_OWNERS:
        found.append(rest[:end])
        at = rest.find("@", end)
    return found


def _decoded_pieces(wire: bytes) -> list[bytes]:
    """The UTF-8 of every run; even elements of the split are plain, odd ones are base64."""
    pieces = _ENCODED.split(wire)
    pieces[1::2] = [_unshift(piece) if piece else b"&" for piece in pieces[1::2]]
    return pieces


def _unshift(encoded: bytes) -> bytes:
    padded = encoded.replace(b",", b"/") + b"=" * (-len(encoded) % 4)
    return a2b_base64(padded).decode("utf-16-be").encode()


def _shift(match: re.Match[str]) -> str:
    run = match.group()
    if run == "&":
        return "&-"
    encoded = b2a_base64(run.encode("utf-16-be"), newline=False).rstrip(b"=").replace(b"/", b",")
    return f"&{encoded.decode()}-"
