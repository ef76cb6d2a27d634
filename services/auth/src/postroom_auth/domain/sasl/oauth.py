"""OAUTHBEARER (RFC 7628) and XOAUTH2: the client shows a token that an issuer has given it.

Why a token is refused is told in a challenge, a JSON document, so that the client knows whether a
fresh one would help and whom to ask for it; the exchange fails after the client's next word,
whatever that is.
"""

from __future__ import annotations

import json
import re

from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Claims,
    Exchange,
    Failed,
    Malformed,
    NotAuthorized,
    TokenRefused,
    read_name,
    read_saslname,
)

# A front's command line holds 12,288 octets (RFC 4954 section 4), of base64; tokens that list a
# person's roles fill them.
MESSAGE_OCTETS = 9216

# RFC 7628 section 3.1: the header of GS2 (RFC 5801 section 4), then pairs, parted by ^A.
_GS2_HEADER = re.compile(r"(?P<binding>n|y|p=[A-Za-z0-9.-]+),(?:a=(?P<name>[^,\x01]*))?,")
_PAIR = re.compile(r"(?P<key>[A-Za-z]+)=(?P<value>[\x20-\x7e\t\r\n]*)")
# RFC 6750 section 2.1; the scheme's name is compared without regard to case (RFC 7235).
_BEARER = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)


async def oauthbearer(initial: bytes | None, claims: Claims) -> Exchange:
    """OAUTHBEARER (RFC 7628)."""
    message = initial if initial is not None else (yield Challenge(b""))
    name, fields = _read_message(message)
    try:
        yield await claims.check_token(name, _token(fields.get("auth", "")))
    except TokenRefused as refusal:
        yield Failed(_error(refusal), NotAuthorized())


async def xoauth2(initial: bytes | None, claims: Claims) -> Exchange:
    """XOAUTH2 (developers.google.com/gmail/imap/xoauth2-protocol)."""
    message = initial if initial is not None else (yield Challenge(b""))
    fields = _read_pairs(_read_text(message))
    name = read_name(fields.get("user", ""))
    try:
        yield await claims.check_token(name, _token(fields.get("auth", "")))
    except TokenRefused as refusal:
        yield Failed(_xoauth2_error(refusal), NotAuthorized())


def _read_message(message: bytes) -> tuple[str, dict[str, str]]:
    """The name, which may be empty, and the pairs of a client's first message."""
    text = _read_text(message)
    header = _GS2_HEADER.match(text)
    if header is None or text[header.end() : header.end() + 1] != "\x01":
        raise Malformed("the message doesn't begin as RFC 7628 wants it")
    if header["binding"].startswith("p="):
        raise Malformed("OAUTHBEARER binds to no channel")
    name = read_saslname(header["name"]) if header["name"] else ""
    return name, _read_pairs(text[header.end() + 1 :])


def _read_text(message: bytes) -> str:
    if len(message) > MESSAGE_OCTETS:
        raise Malformed(f"the response is longer than {MESSAGE_OCTETS} octets")
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("the response is not UTF-8") from None


def _read_pairs(text: str) -> dict[str, str]:
    """`key=value` pairs, each ended by ^A, and one ^A at the end."""
    if not text.endswith("\x01\x01") and text != "\x01":
        raise Malformed("the message has no end")
    found: dict[str, str] = {}
    for pair in text[:-2].split("\x01") if text != "\x01" else ():
        key, equals, value = pair.partition("=")
        if key != "user" and not _PAIR.fullmatch(pair):
            raise Malformed("the message holds something else than pairs")
        if not equals or key in found:
            raise Malformed("a pair has no value, or comes twice")
        found[key] = value
    return found


def _token(value: str) -> str:
    """The token in an Authorization header's value; empty where the client shows none, which is
    how it asks whom it could get one from (RFC 7628 section 4.3)."""
    if not value:
        return ""
    found = _BEARER.fullmatch(value)
    if found is None:
        raise Malformed("a Bearer token is needed")
    return found["token"]


def _error(refusal: TokenRefused) -> bytes:
    """RFC 7628 section 3.2.2."""
    told = {
        "status": refusal.status,
        "scope": refusal.scope,
        "openid-configuration": refusal.openid_configuration,
    }
    return json.dumps({key: value for key, value in told.items() if value}).encode()


def _xoauth2_error(refusal: TokenRefused) -> bytes:
    # 401, as Google's servers say: a client that has a refresh token gets a fresh one then.
    told = {"status": "401", "schemes": "bearer", "scope": refusal.scope}
    return json.dumps({key: value for key, value in told.items() if value}).encode()
