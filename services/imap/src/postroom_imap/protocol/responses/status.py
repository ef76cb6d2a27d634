"""Status responses and continuation requests (RFC 3501 sections 7.1 and 7.5).

``text`` is for people: printable ASCII, told in the language that the client asked for. ``code``
comes from ``codes``.
"""

from binascii import b2a_base64
from collections.abc import Iterable

from postroom_imap.protocol.language import say

CRLF = b"\r\n"


def ok(tag: bytes, text: str, code: bytes | None = None) -> bytes:
    """The command succeeded."""
    return b"%b OK %b\r\n" % (tag, _resp_text(text, code))


def no(tag: bytes, text: str, code: bytes | None = None) -> bytes:
    """The command failed."""
    return b"%b NO %b\r\n" % (tag, _resp_text(text, code))


def bad(tag: bytes, text: str, code: bytes | None = None) -> bytes:
    """The command was not understood."""
    return b"%b BAD %b\r\n" % (tag, _resp_text(text, code))


def untagged_ok(text: str, code: bytes | None = None) -> bytes:
    """Information, or the greeting."""
    return ok(b"*", text, code)


def untagged_no(text: str, code: bytes | None = None) -> bytes:
    """A warning; the command goes on."""
    return no(b"*", text, code)


def untagged_bad(text: str, code: bytes | None = None) -> bytes:
    """A protocol error that belongs to no command."""
    return bad(b"*", text, code)


def bye(text: str, code: bytes | None = None) -> bytes:
    """The connection is about to be closed."""
    return b"* BYE %b\r\n" % _resp_text(text, code)


def preauth(text: str, code: bytes | None = None) -> bytes:
    """The greeting of a connection that is already authenticated."""
    return b"* PREAUTH %b\r\n" % _resp_text(text, code)


def continuation(text: str) -> bytes:
    """The client may go on; ``text`` is not empty."""
    return b"+ %b\r\n" % text.encode("ascii")


def sasl_challenge(challenge: bytes) -> bytes:
    """A challenge of the server in AUTHENTICATE, which may be empty."""
    return b"+ %b\r\n" % b2a_base64(challenge, newline=False)


def capability(names: Iterable[str]) -> bytes:
    """The CAPABILITY response (section 7.2.1)."""
    return b"* CAPABILITY %b\r\n" % " ".join(names).encode("ascii")


def enabled(names: Iterable[str]) -> bytes:
    """The ENABLED response (RFC 5161 section 3.2): what this command enabled, perhaps nothing."""
    return b" ".join((b"* ENABLED", *(name.encode("ascii") for name in names))) + CRLF


def languages(tags: Iterable[str]) -> bytes:
    """The LANGUAGE response (RFC 5255 section 3.3): what is spoken, or what there is."""
    return b"* LANGUAGE (%b)\r\n" % " ".join(tags).encode("ascii")


def comparator(active: str, matched: Iterable[str] = ()) -> bytes:
    """The COMPARATOR response (RFC 5255 section 4.8): what compares, and all that would have."""
    names = " ".join(matched)
    told = f"{active} ({names})" if names else active
    return b"* COMPARATOR %b\r\n" % told.encode("ascii")


def _resp_text(text: str, code: bytes | None) -> bytes:
    if code is None:
        return say(text)
    return b"[%b] %b" % (code, say(text))
